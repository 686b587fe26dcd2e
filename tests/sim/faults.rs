//! What goes wrong.

use cluster::TaskId;

use crate::rng::Rng;
use crate::world::{Event, NODES, World};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    ManagerDies,
    AgentDies(usize),
    /// The power of a machine fails.
    MachineReboots(usize),
    /// A container is killed.
    ContainerDies(usize),
    /// For so many milliseconds nothing gets through.
    Cut(usize, u64),
    /// A session breaks and can be opened again at once.
    SessionBreaks(usize),
}

impl Fault {
    pub(crate) fn choose(rng: &mut Rng) -> Self {
        let node = rng.index(NODES);
        match rng.range(0, 12) {
            0 | 1 => Fault::ManagerDies,
            2 | 3 => Fault::AgentDies(node),
            4 => Fault::MachineReboots(node),
            5..=7 => Fault::ContainerDies(node),
            8 | 9 => Fault::Cut(node, rng.range(500, 40_000)),
            _ => Fault::SessionBreaks(node),
        }
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::ManagerDies => "managers killed",
            Fault::AgentDies(_) => "agents killed",
            Fault::MachineReboots(_) => "machines rebooted",
            Fault::ContainerDies(_) => "containers killed",
            Fault::Cut(..) => "nodes cut off",
            Fault::SessionBreaks(_) => "sessions broken",
        }
    }
}

impl World {
    pub(crate) fn strike(&mut self, fault: Fault) {
        self.count(fault.name());
        match fault {
            Fault::ManagerDies if self.rng.percent(50) => self.kill_manager(),
            Fault::ManagerDies => self.manager.doomed = true,
            Fault::AgentDies(agent) => self.kill_agent(agent),
            Fault::MachineReboots(agent) => {
                self.kill_agent(agent);
                let now = self.now;
                self.agents[agent].machine.reboot(now);
            }
            Fault::ContainerDies(agent) => {
                let machine = &mut self.agents[agent].machine;
                let running: Vec<TaskId> =
                    machine.containers.keys().copied().filter(|task| machine.is_running(*task)).collect();
                if !running.is_empty() {
                    let task = running[self.rng.index(running.len())];
                    self.agents[agent].machine.will_end(task, 0, 137);
                    self.plan_ends(agent);
                }
            }
            Fault::Cut(agent, ms) => {
                self.agents[agent].cut = true;
                self.break_session(agent);
                self.later(ms, Event::CutEnds { agent });
            }
            Fault::SessionBreaks(agent) => self.break_session(agent),
        }
    }

    /// Messages under way are lost; both ends notice, each in its own time.
    fn break_session(&mut self, agent: usize) {
        if let Some(session) = self.agents[agent].session {
            let (one, other) = (self.rng.range(0, 5_000), self.rng.range(0, 5_000));
            self.later(one, Event::SessionBroken { agent, session });
            self.later(other, Event::SessionLost { session });
            self.agents[agent].broken(session);
        }
    }
}
