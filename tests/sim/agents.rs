//! An agent's host: its process, its session with the manager, the machine below it.

use std::collections::BTreeMap;

use agent::core::{Action, ActionId, AgentCore, Input, Output, Update};
use cluster::view::Assignments;
use cluster::{Gate, NodeDescription, NodeId, Timestamp};
use manager::core::{Report, SessionId, Work};

use crate::machine::Machine;
use crate::world::{Event, Sabotage, World};

/// The longest time that a message is on its way.
const NETWORK_MS: u64 = 20;

pub(crate) struct AgentHost {
    pub(crate) node: NodeId,
    pub(crate) core: Option<AgentCore>,
    /// Counts starts, so that what was meant for a dead agent does not reach the next.
    pub(crate) life: u64,
    pub(crate) machine: Machine,
    /// Actions under way.
    pub(crate) open: BTreeMap<ActionId, Action>,
    pub(crate) session: Option<SessionId>,
    /// The session through which nothing gets any more, though its ends may not know yet.
    broken: Option<SessionId>,
    /// Nothing gets through to the manager or back.
    pub(crate) cut: bool,
    reports: u64,
    /// When the last message of the session arrives, either way: they stay in order.
    arrives: [Timestamp; 2],
    /// What it was told last, on its own disk.
    remembered: Option<Assignments>,
    wake: Option<Timestamp>,
}

impl AgentHost {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            core: None,
            life: 0,
            machine: Machine::default(),
            open: BTreeMap::new(),
            session: None,
            broken: None,
            cut: false,
            reports: 0,
            arrives: [Timestamp(0); 2],
            remembered: None,
            wake: None,
        }
    }

    /// From now on nothing gets through in this session.
    pub(crate) fn broken(&mut self, session: SessionId) {
        self.broken = Some(session);
    }
}

impl World {
    pub(crate) fn start_agent(&mut self, agent: usize) {
        if self.agents[agent].core.is_some() {
            return;
        }
        let remembers = self.rng.percent(70);
        let host = &mut self.agents[agent];
        host.life += 1;
        host.core = Some(AgentCore::new(host.node));
        let inventory = host.machine.inventory();
        let remembered = host.remembered.clone().filter(|_| remembers);
        self.tell_agent(agent, Input::Found(Box::new(inventory)));
        if let Some(assignments) = remembered {
            self.tell_agent(agent, Input::Assigned(Box::new(Update::Remembered(assignments))));
        }
        self.connect_soon(agent);
    }

    /// The agent's process dies. Of what it had begun, some has come to pass and some has not.
    pub(crate) fn kill_agent(&mut self, agent: usize) {
        let host = &mut self.agents[agent];
        if host.core.take().is_none() {
            return;
        }
        host.wake = None;
        host.machine.watchers.clear();
        for (id, action) in std::mem::take(&mut host.open) {
            let waits = matches!(action, Action::Watch(_) | Action::Probe(..) | Action::Knock(..));
            if self.rng.percent(50) && !waits {
                let _ = self.agents[agent].machine.perform(id, &action, self.now, &mut self.rng);
            }
        }
        self.plan_ends(agent);
        self.drop_session(agent);
        let after = self.rng.range(10, 3_000);
        self.later(after, Event::AgentStarts { agent });
    }

    /// The session is over for the agent; the manager notices a little later.
    pub(crate) fn drop_session(&mut self, agent: usize) {
        if let Some(session) = self.agents[agent].session.take() {
            let after = self.rng.range(0, 200);
            self.later(after, Event::SessionLost { session });
        }
    }

    fn connect_soon(&mut self, agent: usize) {
        let life = self.agents[agent].life;
        let after = self.rng.range(20, 600);
        self.later(after, Event::Connects { agent, life });
    }

    pub(crate) fn connect(&mut self, agent: usize, life: u64) {
        let host = &mut self.agents[agent];
        if host.life != life || host.core.is_none() || host.session.is_some() {
            return;
        }
        if host.cut || self.manager.core.is_none() {
            return self.connect_soon(agent);
        }
        self.manager.sessions += 1;
        let session = SessionId(self.manager.sessions);
        host.session = Some(session);
        host.reports = 0;
        host.arrives = [self.now; 2];
        let node = host.node;
        self.tell_manager(manager::core::Input::SessionOpened { session, node });
        let description = NodeDescription {
            name: format!("node{node}"),
            cpu_nanos: 4_000_000_000,
            memory_bytes: 8 << 30,
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..NodeDescription::default()
        };
        self.send_report(agent, Report { description: Some(description), ..Report::default() });
    }

    pub(crate) fn session_broken(&mut self, agent: usize, session: SessionId) {
        let host = &mut self.agents[agent];
        if host.session == Some(session) {
            host.session = None;
            self.connect_soon(agent);
        }
    }

    /// Whether a message of a session still gets through.
    pub(crate) fn reaches(&self, agent: usize, session: SessionId) -> bool {
        let host = &self.agents[agent];
        host.session == Some(session) && host.broken != Some(session) && host.core.is_some()
    }

    fn arrival(&mut self, agent: usize, direction: usize) -> Timestamp {
        let delay = self.rng.range(0, NETWORK_MS);
        let arrives = &mut self.agents[agent].arrives[direction];
        *arrives = (*arrives).max(self.now.plus_ms(delay));
        *arrives
    }

    fn send_report(&mut self, agent: usize, mut report: Report) {
        let Some(session) = self.agents[agent].session else { return };
        self.agents[agent].reports += 1;
        report.sequence = self.agents[agent].reports;
        let at = self.arrival(agent, 0);
        self.at(at, Event::ToManager { agent, session, report: Box::new(report) });
    }

    pub(crate) fn send_work(&mut self, session: SessionId, mut work: Work) {
        let Some(agent) = self.agents.iter().position(|agent| agent.session == Some(session)) else { return };
        if let Some(sabotage) = self.sabotage {
            corrupt(&mut work, sabotage);
        }
        let at = self.arrival(agent, 1);
        self.at(at, Event::ToAgent { agent, session, work: Box::new(work) });
    }

    pub(crate) fn give_work(&mut self, agent: usize, work: Work) {
        let host = &mut self.agents[agent];
        let mut inputs = Vec::new();
        if let Some(complete) = work.complete {
            host.remembered = Some(complete.clone());
            inputs.push(Update::Complete(complete));
        }
        if let Some(delta) = work.delta {
            // What does not fit is asked for again by the agent itself.
            if let Some(remembered) = &mut host.remembered {
                let _ = remembered.apply_delta(delta.clone());
            }
            inputs.push(Update::Delta(delta));
        }
        for update in inputs {
            self.tell_agent(agent, Input::Assigned(Box::new(update)));
        }
    }

    pub(crate) fn wake_agent(&mut self, agent: usize, life: u64, at: Timestamp) {
        let host = &mut self.agents[agent];
        if host.life == life && host.wake == Some(at) {
            host.wake = None;
            self.tell_agent(agent, Input::Wake);
        }
    }

    pub(crate) fn tell_agent(&mut self, agent: usize, input: Input) {
        let now = self.now;
        let Some(core) = &mut self.agents[agent].core else { return };
        for output in core.step(input, now) {
            self.do_for_agent(agent, output);
        }
    }

    fn do_for_agent(&mut self, agent: usize, output: Output) {
        let life = self.agents[agent].life;
        match output {
            Output::Do(id, action) => {
                self.agents[agent].open.insert(id, action.clone());
                // A busy machine takes its time over one in twenty.
                let longest = if self.rng.percent(5) { 2_000 } else { 40 };
                let took = self.rng.range(0, longest);
                let fails = self.faults && may_fail(&action) && self.rng.percent(3);
                self.later(took, Event::ActionEnds { agent, life, id, action: Box::new(action), fails });
            }
            Output::Report(report) => {
                let report = Report { statuses: report.statuses, ended: report.ended, ..Report::default() };
                self.send_report(agent, report);
            }
            Output::WakeAt(at) => {
                self.agents[agent].wake = Some(at);
                self.at(at, Event::AgentWakes { agent, life, at });
            }
            Output::Resync => self.send_report(agent, Report { resync: true, ..Report::default() }),
            // Nobody asks for names here.
            Output::Zone(..) | Output::View(..) => {}
        }
    }
}

/// Whether chance may let an action fail; waiting for an end cannot.
fn may_fail(action: &Action) -> bool {
    !matches!(action, Action::Watch(_))
}

fn corrupt(work: &mut Work, sabotage: Sabotage) {
    let complete = work.complete.iter_mut().flat_map(|complete| complete.tasks.values_mut());
    let delta = work.delta.iter_mut().flat_map(|delta| delta.tasks.values_mut().flatten());
    for task in complete.chain(delta) {
        match sabotage {
            Sabotage::OpenGates => task.gate = Gate::Open,
            Sabotage::OneAddress => {
                for endpoint in &mut task.endpoints {
                    endpoint.v4 = Some(std::net::Ipv4Addr::new(10, 201, 0, 77));
                }
            }
        }
    }
}
