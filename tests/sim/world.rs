//! The world: one manager, five machines with an agent each, a network between them, and a clock. What will
//! happen stands in one queue, ordered by time; chance comes from one seed.

use std::collections::BTreeMap;

use agent::core::{Action, ActionId, Failure as ActionFailure, FailureKind};
use cluster::{NodeId, Timestamp, stable_hash};
use manager::core::{Input, Report, RequestId, SessionId, Work};

use crate::agents::AgentHost;
use crate::check::{Checks, Violation, is_fulfilled};
use crate::faults::Fault;
use crate::machine::{End, Machine};
use crate::managers::ManagerHost;
use crate::rng::Rng;
use crate::user::{User, Wish};

/// How many machines there are.
pub(crate) const NODES: usize = 5;
/// Milliseconds with faults.
const FAULTS_MS: u64 = 60_000;
/// Milliseconds after the last fault within which every wish has to be fulfilled: a node counts as down after
/// 15 s and its tasks as lost after 10 s more, and whatever failed is tried again after at most 60 s.
const CONVERGE_MS: u64 = 150_000;
/// Events after which a world counts as restless.
const MAX_EVENTS: u64 = 2_000_000;

/// Something broken on purpose, to see that a check catches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Agents are told that every gate is open.
    OpenGates,
    /// Agents are told the same address for every task.
    OneAddress,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    ManagerStarts,
    ManagerDies {
        life: u64,
    },
    Persisted {
        life: u64,
        sequence: u64,
    },
    ManagerWakes {
        life: u64,
        at: Timestamp,
    },
    Connects {
        agent: usize,
        life: u64,
    },
    /// The manager notices the end of a session.
    SessionLost {
        session: SessionId,
    },
    /// An agent notices it.
    SessionBroken {
        agent: usize,
        session: SessionId,
    },
    ToManager {
        agent: usize,
        session: SessionId,
        report: Box<Report>,
    },
    ToAgent {
        agent: usize,
        session: SessionId,
        work: Box<Work>,
    },
    AgentStarts {
        agent: usize,
    },
    AgentWakes {
        agent: usize,
        life: u64,
        at: Timestamp,
    },
    ActionEnds {
        agent: usize,
        life: u64,
        id: ActionId,
        action: Box<Action>,
        fails: bool,
    },
    RunEnds {
        agent: usize,
        end: End,
    },
    UserActs,
    FaultStrikes,
    CutEnds {
        agent: usize,
    },
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) rng: Rng,
    queue: BTreeMap<(Timestamp, u64), Event>,
    queued: u64,
    trace: u64,
    pub(crate) manager: ManagerHost,
    pub(crate) agents: Vec<AgentHost>,
    pub(crate) user: User,
    checks: Checks,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) faults: bool,
    violation: Option<Violation>,
    /// How often which fault struck, and what it hit.
    pub(crate) tally: BTreeMap<&'static str, usize>,
}

/// A world's whole course.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Course {
    /// A hash of all that happened, in order.
    pub(crate) trace: u64,
    pub(crate) tally: BTreeMap<&'static str, usize>,
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut world = Self {
            now: Timestamp(1_000_000),
            rng: Rng::new(seed),
            queue: BTreeMap::new(),
            queued: 0,
            trace: 0,
            manager: ManagerHost::new(seed),
            agents: (0..NODES).map(|index| AgentHost::new(NodeId(index as u64 + 1))).collect(),
            user: User::default(),
            checks: Checks::default(),
            sabotage,
            faults: true,
            violation: None,
            tally: BTreeMap::new(),
        };
        world.later(0, Event::ManagerStarts);
        for agent in 0..NODES {
            let after = world.rng.range(0, 500);
            world.later(after, Event::AgentStarts { agent });
        }
        world.later(100, Event::UserActs);
        world.later(2_000, Event::FaultStrikes);
        world
    }

    /// Lives through faults, heals, and sees every wish fulfilled. Answers its course.
    pub(crate) fn run(mut self) -> Result<Course, Violation> {
        let start = self.now;
        self.until(start.plus_ms(FAULTS_MS), |_| false)?;
        self.faults = false;
        let healed = self.now;
        for stack in 0..crate::user::STACKS.len() {
            let web = u32::try_from(self.rng.range(1, 5)).unwrap_or(1);
            self.insist(stack, &Wish::Up { web, image: 7, force: false, expected: None })?;
        }
        self.converge(healed)?;
        for stack in 0..crate::user::STACKS.len() {
            self.insist(stack, &Wish::Down { volumes: true })?;
        }
        let asked = self.now;
        self.converge(asked)?;
        self.nothing_is_left()?;
        self.tally.insert("tasks given up with their node", self.checks.given_up());
        self.tally.insert("wishes refused as stale", self.user.stale);
        Ok(Course { trace: self.trace, tally: self.tally })
    }

    /// States a wish until it is promised.
    fn insist(&mut self, stack: usize, wish: &Wish) -> Result<(), Violation> {
        let deadline = self.now.plus_ms(CONVERGE_MS);
        while self.user.settled.get(&stack) != Some(wish) {
            if self.now >= deadline {
                return Err(format!("a wish was not answered: {wish:?}"));
            }
            if self.user.sent.is_none() && self.manager.core.is_some() {
                let (id, kind) = self.user.send(stack, wish.clone());
                self.tell_manager(Input::Request { id, kind });
            }
            let next = self.now.plus_ms(100);
            self.until(next, |_| false)?;
        }
        Ok(())
    }

    fn converge(&mut self, since: Timestamp) -> Result<(), Violation> {
        let deadline = since.plus_ms(CONVERGE_MS);
        loop {
            let why = match self.fulfilled() {
                Ok(()) => break,
                Err(why) => why,
            };
            if self.now >= deadline {
                return Err(format!("not fulfilled {CONVERGE_MS} ms after the last fault: {why}"));
            }
            let next = self.now.plus_ms(200);
            self.until(next, |_| false)?;
        }
        // It has to stay so.
        let next = self.now.plus_ms(3_000);
        self.until(next, |_| false)?;
        self.fulfilled().map_err(|why| format!("was fulfilled and did not stay so: {why}"))
    }

    fn fulfilled(&self) -> Result<(), String> {
        let Some(core) = &self.manager.core else { return Err("there is no manager".to_owned()) };
        let machines: BTreeMap<NodeId, &Machine> =
            self.agents.iter().map(|agent| (agent.node, &agent.machine)).collect();
        is_fulfilled(core.state(), &machines, &self.user.settled)
    }

    fn nothing_is_left(&self) -> Result<(), Violation> {
        let Some(core) = &self.manager.core else { return Err("there is no manager".to_owned()) };
        let state = core.state();
        if !(state.stacks.is_empty()
            && state.tasks.is_empty()
            && state.networks.is_empty()
            && state.volumes.is_empty())
        {
            return Err(format!(
                "after `down -v` the state is not empty: {:?} {:?}",
                state.networks, state.volumes
            ));
        }
        for agent in &self.agents {
            if !agent.machine.is_empty() || !agent.machine.volumes.is_empty() {
                let machine = &agent.machine;
                return Err(format!(
                    "after `down -v` node {} has {:?} {:?} {:?} {:?}",
                    agent.node,
                    machine.containers.keys(),
                    machine.namespaces,
                    machine.bridges,
                    machine.volumes
                ));
            }
        }
        Ok(())
    }

    /// Lets things happen up to a time, and checks everything after each.
    fn until(&mut self, end: Timestamp, enough: impl Fn(&Self) -> bool) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.remember(&event);
            self.happen(event);
            self.check()?;
            if enough(self) {
                return Ok(());
            }
            if self.queued > MAX_EVENTS {
                return Err("the world does not come to rest".to_owned());
            }
        }
        self.now = self.now.max(end);
        Ok(())
    }

    fn check(&mut self) -> Result<(), Violation> {
        if let Some(violation) = self.violation.take() {
            return Err(violation);
        }
        if let Some(core) = &self.manager.core {
            let state = core.state();
            // Before it leads it may not have read all of its log.
            if core.leads() {
                if state.index < self.user.promised {
                    return Err(format!(
                        "{} was promised, and the state is at {}",
                        self.user.promised, state.index
                    ));
                }
                self.checks.state(state)?;
            }
        }
        self.checks.machines(self.agents.iter_mut().map(|agent| &mut agent.machine))
    }

    /// Adds an event to the trace: what it is and when, not the whole of what it carries.
    fn remember(&mut self, event: &Event) {
        let text = match event {
            Event::ToManager { agent, session, report } => {
                format!("report {agent} {session:?} {} {}", report.sequence, report.statuses.len())
            }
            Event::ToAgent { agent, session, work } => {
                let delta = work.delta.as_ref().map(|delta| (delta.version, delta.tasks.len()));
                format!("work {agent} {session:?} {} {delta:?}", work.acknowledged)
            }
            Event::ActionEnds { agent, id, action, .. } => format!("{agent} {id:?} {action}"),
            other => format!("{other:?}"),
        };
        let line = format!("{:016x} {} {text}", self.trace, self.now.0);
        self.trace = stable_hash(line.into_bytes());
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ManagerStarts => self.start_manager(),
            Event::ManagerDies { life } => self.manager_dies(life),
            Event::Persisted { life, sequence } => self.persisted(life, sequence),
            Event::ManagerWakes { life, at } => self.wake_manager(life, at),
            Event::Connects { agent, life } => self.connect(agent, life),
            Event::SessionLost { session } => self.tell_manager(Input::SessionClosed { session }),
            Event::SessionBroken { agent, session } => self.session_broken(agent, session),
            Event::ToManager { agent, session, report } => {
                if self.reaches(agent, session) {
                    self.tell_manager(Input::Report { session, report: *report });
                }
            }
            Event::ToAgent { agent, session, work } => {
                if self.reaches(agent, session) {
                    self.give_work(agent, *work);
                }
            }
            Event::AgentStarts { agent } => self.start_agent(agent),
            Event::AgentWakes { agent, life, at } => self.wake_agent(agent, life, at),
            Event::ActionEnds { agent, life, id, action, fails } => {
                self.action_ends((agent, life), id, &action, fails)
            }
            Event::RunEnds { agent, end } => self.run_ends(agent, end),
            Event::UserActs => self.user_acts(),
            Event::FaultStrikes => self.fault_strikes(),
            Event::CutEnds { agent } => self.agents[agent].cut = false,
        }
    }

    pub(crate) fn later(&mut self, ms: u64, event: Event) {
        self.at(self.now.plus_ms(ms), event);
    }

    pub(crate) fn at(&mut self, at: Timestamp, event: Event) {
        self.queued += 1;
        self.queue.insert((at.max(self.now), self.queued), event);
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    pub(crate) fn fail(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    fn user_acts(&mut self) {
        if self.faults {
            if self.user.sent.is_none() && self.manager.core.is_some() {
                let (stack, wish) = self.user.think(&mut self.rng);
                let (id, kind) = self.user.send(stack, wish);
                self.tell_manager(Input::Request { id, kind });
            }
            let pause = self.rng.range(50, 6_000);
            self.later(pause, Event::UserActs);
        }
    }

    pub(crate) fn answered(
        &mut self,
        id: RequestId,
        result: &Result<manager::core::Applied, manager::core::Failure>,
    ) {
        if let Err(violation) = self.user.answered(id, result) {
            self.fail(violation);
        }
    }

    fn fault_strikes(&mut self) {
        if self.faults {
            let fault = Fault::choose(&mut self.rng);
            self.strike(fault);
            let pause = self.rng.range(100, 8_000);
            self.later(pause, Event::FaultStrikes);
        }
    }

    fn action_ends(&mut self, (agent, life): (usize, u64), id: ActionId, action: &Action, fails: bool) {
        let host = &mut self.agents[agent];
        if host.life != life || host.core.is_none() {
            return;
        }
        host.open.remove(&id);
        let result = if fails {
            let message = format!("cannot {action}: chance");
            Some(Err(ActionFailure { message, kind: FailureKind::Passing }))
        } else {
            host.machine.perform(id, action, self.now, &mut self.rng)
        };
        self.plan_ends(agent);
        if let Some(result) = result {
            self.tell_agent(agent, agent::core::Input::Done(id, result));
        }
    }

    fn run_ends(&mut self, agent: usize, end: End) {
        let host = &mut self.agents[agent];
        if let Some((id, outcome)) = host.machine.end(end, self.now) {
            self.tell_agent(agent, agent::core::Input::Done(id, Ok(outcome)));
        }
    }

    /// Enters the ends that containers have before them.
    pub(crate) fn plan_ends(&mut self, agent: usize) {
        for end in std::mem::take(&mut self.agents[agent].machine.ends) {
            self.later(end.after_ms, Event::RunEnds { agent, end });
        }
    }
}
