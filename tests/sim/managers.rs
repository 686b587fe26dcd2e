//! The manager's host: its disk, its clock, and its death.

use cluster::Timestamp;
use manager::core::{Input, ManagerCore, Output, Persist, SessionId, Stored};

use crate::world::{Event, World};

/// The longest time that a write to disk takes.
const DISK_MS: u64 = 15;

pub(crate) struct ManagerHost {
    seed: u64,
    pub(crate) core: Option<ManagerCore>,
    /// Counts starts, so that what was meant for a dead manager does not reach the next.
    pub(crate) life: u64,
    disk: Stored,
    /// Given to the disk and not yet durable.
    writing: Vec<Persist>,
    written_at: Timestamp,
    wake: Option<Timestamp>,
    /// It dies in the middle of its next write.
    pub(crate) doomed: bool,
    pub(crate) sessions: u64,
}

impl ManagerHost {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            core: None,
            life: 0,
            disk: Stored::first(&[1]),
            writing: Vec::new(),
            written_at: Timestamp(0),
            wake: None,
            doomed: false,
            sessions: 0,
        }
    }
}

impl World {
    pub(crate) fn start_manager(&mut self) {
        if self.manager.core.is_some() {
            return;
        }
        let host = &mut self.manager;
        host.life += 1;
        match ManagerCore::new(1, host.seed ^ host.life, &host.disk) {
            Ok(mut core) => {
                let outputs = core.start(self.now);
                host.core = Some(core);
                self.do_for_manager(outputs);
            }
            Err(error) => self.fail(format!("the manager cannot start: {error}")),
        }
    }

    /// The manager's process dies: what was not durable is lost, and all sessions break.
    pub(crate) fn kill_manager(&mut self) {
        if !self.manager.writing.is_empty() {
            self.count("writes lost with a manager");
        }
        let host = &mut self.manager;
        host.core = None;
        host.writing.clear();
        host.wake = None;
        // Nobody will ever answer.
        self.user.sent = None;
        for agent in 0..self.agents.len() {
            if let Some(session) = self.agents[agent].session {
                let after = self.rng.range(0, 1_000);
                self.later(after, Event::SessionBroken { agent, session });
            }
        }
        let after = self.rng.range(10, 10_000);
        self.later(after, Event::ManagerStarts);
    }

    pub(crate) fn manager_dies(&mut self, life: u64) {
        if self.manager.life == life && self.manager.core.is_some() {
            self.kill_manager();
        }
    }

    pub(crate) fn tell_manager(&mut self, input: Input) {
        let now = self.now;
        if let Some(core) = &mut self.manager.core {
            let outputs = core.step(input, now);
            self.do_for_manager(outputs);
        }
    }

    fn do_for_manager(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Persist(persist) => {
                    let took = self.rng.range(0, DISK_MS);
                    let host = &mut self.manager;
                    let (life, sequence) = (host.life, persist.sequence);
                    host.writing.push(persist);
                    // The disk writes one thing after the other.
                    host.written_at = host.written_at.max(self.now).plus_ms(took);
                    let at = host.written_at;
                    if std::mem::take(&mut host.doomed) && self.faults {
                        self.at(self.now, Event::ManagerDies { life });
                    }
                    self.at(at, Event::Persisted { life, sequence });
                }
                Output::Reply { id, result } => self.answered(id, &result),
                Output::Assign { session, work } => self.send_work(session, work),
                Output::EndSession(session) => self.end_session(session),
                Output::WakeAt(at) => {
                    self.manager.wake = at;
                    if let Some(at) = at {
                        let life = self.manager.life;
                        self.at(at, Event::ManagerWakes { life, at });
                    }
                }
                Output::Stop(why) => self.fail(format!("the manager stopped: {why}")),
                // There is no other manager, and nobody watches.
                Output::Send(_) | Output::Publish(_) => {}
            }
        }
    }

    pub(crate) fn persisted(&mut self, life: u64, sequence: u64) {
        let host = &mut self.manager;
        if host.life != life || host.core.is_none() {
            return;
        }
        while host.writing.first().is_some_and(|persist| persist.sequence <= sequence) {
            host.disk.absorb(host.writing.remove(0));
        }
        self.tell_manager(Input::Persisted(sequence));
    }

    pub(crate) fn wake_manager(&mut self, life: u64, at: Timestamp) {
        if self.manager.life == life && self.manager.wake == Some(at) {
            self.manager.wake = None;
            self.tell_manager(Input::Wake);
        }
    }

    fn end_session(&mut self, session: SessionId) {
        if let Some(agent) = self.agents.iter().position(|agent| agent.session == Some(session)) {
            self.later(1, Event::SessionBroken { agent, session });
        }
    }
}
