//! How a task comes to know its container and its assignment, also after a restart of the agent.

use cluster::{Exit, Health, Phase, Task, TaskStatus, Timestamp};
use runtime::{Found, FoundState};

use super::health::Monitor;
use super::join::Guest;
use super::record::{Origin, Record};
use super::task::{Container, Ended, Machine, Wiring, Wish};

impl Machine {
    /// The container was found on the machine.
    pub(crate) fn adopt(&mut self, found: Found, record: Option<Record>, now: Timestamp) {
        let origin = Origin::from_labels(&found.config.labels).ok();
        let generation = origin.as_ref().map_or(0, |origin| origin.generation);
        self.kept = record.is_some();
        self.record = record.unwrap_or(Record { generation, ..Record::default() });
        self.phase = Phase::Started;
        self.guest = Guest::of(&found.config);
        match found.state {
            FoundState::Created => {
                self.phase = Phase::Prepared;
                self.armed = self.kept;
                self.container = Container::Created;
            }
            FoundState::Running(started) => {
                let at = Timestamp(started.started_at_ms);
                self.container =
                    Container::Running { pid: started.pid, started: at, dying: false, paused: found.paused };
                self.adopted = true;
                self.hooks = usize::MAX;
                if let Some(guest) = &mut self.guest {
                    guest.runs = started.joined;
                }
                let check = origin.as_ref().and_then(|origin| origin.check.clone());
                self.monitor =
                    check.map(|check| Monitor::adopted(check, at, &Health::None, (self.id.0, now)));
            }
            FoundState::Exited(exit) => {
                // An end that is older than the record belongs to the run before the start that was decided.
                self.armed = self.kept && exit.finished_at_ms < self.record.at.0;
                self.container = Container::Ended(ended(&exit, false));
            }
        }
        // A start that was decided and never made leaves the generation before it as the last one answered,
        // unless it was only another attempt of the same.
        let unanswered = self.armed && self.record.restarts == 0;
        self.answered = self.record.generation.saturating_sub(u64::from(unanswered));
        if !matches!(self.container, Container::Running { .. }) {
            self.stale = Some(Box::new(found.config));
            self.orderly = Some(now);
        }
        self.origin = origin;
    }

    /// What is wished may have changed.
    pub(crate) fn assign(&mut self, task: Option<Task>, now: Timestamp) {
        let wish = |task: &Option<Task>| {
            task.as_ref().map(|task| (task.desired.clone(), task.gate.clone(), task.generation))
        };
        if wish(&self.task) != wish(&task) {
            self.trouble = None;
        }
        if let (None, Some(status)) = (&self.task, task.as_ref().map(|task| &task.status)) {
            // Phases only rise, also over a restart of the agent.
            self.phase = self.phase.max(status.phase.min(Phase::Started));
            self.reported = status.clone();
            if self.adopted {
                self.adopted = false;
                self.remember_health(status, now);
            }
        }
        self.task = task;
    }

    /// A container that was healthy before the agent restarted has not become less so by that.
    fn remember_health(&mut self, known: &TaskStatus, now: Timestamp) {
        let Container::Running { started, .. } = self.container else { return };
        let Some(container) = known.container.as_ref().filter(|known| known.started_at == Some(started))
        else {
            return;
        };
        if let Some(check) = self.origin.as_ref().and_then(|origin| origin.check.clone()) {
            self.monitor = Some(Monitor::adopted(check, started, &container.health, (self.id.0, now)));
        }
    }

    /// It was found running, and what the balance is made from does not know its interfaces yet. One that is on
    /// its way out needs none: it waits for the balance itself.
    pub(crate) fn is_being_adopted(&self, synced: bool) -> bool {
        let stays = matches!(self.wish(synced), Wish::Running | Wish::Prepared);
        let running = matches!(self.container, Container::Running { .. });
        let declared = matches!(self.wiring, Wiring::Attached(_) | Wiring::Served(_));
        let wired = self.task.as_ref().is_none_or(|task| task.endpoints.is_empty());
        stays && running && !declared && !wired && self.trouble.is_none() && self.stop.is_none()
    }
}

/// What the runtime says of an end, in the words of the state.
pub(super) fn ended(exit: &runtime::Exit, stopped: bool) -> Ended {
    let started = if exit.started_at_ms == 0 { exit.finished_at_ms } else { exit.started_at_ms };
    Ended {
        exit: Exit {
            code: exit.code,
            oom: exit.oom,
            error: exit.error.clone(),
            unhealthy: false,
            at: Timestamp(exit.finished_at_ms),
        },
        ran_ms: exit.finished_at_ms.saturating_sub(started),
        stopped,
        verdict: None,
    }
}
