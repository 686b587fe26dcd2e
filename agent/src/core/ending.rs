//! The ends of a task's runs: what its restart policy makes of one, how one is ended, and how the task is taken
//! away altogether.

use cluster::{Health, Phase, StopHow, Task, Timestamp};

use super::action::Action;
use super::record::Record;
use super::restart::{Policy, Run, Verdict};
use super::stop::{Next, Stop};
use super::task::{Container, Ended, Machine, Step, Todo, Wiring, World};
use super::translate;

impl Machine {
    /// What the restart policy says of the run that is over; asked once.
    pub(super) fn verdict(&mut self) -> Verdict {
        let Container::Ended(ended) = &mut self.container else { return Verdict::Stay };
        let Some(task) = &self.task else { return Verdict::Stay };
        *ended.verdict.get_or_insert(judge(task, &self.record, ended))
    }

    pub(super) fn leave(&mut self, how: &StopHow, world: &World<'_>, now: Timestamp) -> Todo {
        let drains = world.has_others && self.monitor.as_ref().is_none_or(|m| *m.state() == Health::Healthy);
        let stop = self.stop.get_or_insert_with(|| Stop::new(world.next_projection, drains));
        match stop.next(how, self.origin.as_ref(), world.balanced, now) {
            Next::Balance => Err(None),
            Next::Wait(at) => {
                self.wake_at(at);
                Err(None)
            }
            Next::Hook(next, timeout_ms) => {
                let exec = translate::hook(&next, Some(timeout_ms));
                Err(Some((Step::PreStop, Action::Hook(self.id, Box::new(exec)))))
            }
            Next::Signal(signal) => {
                stop.signal_sent(now);
                Err(Some((Step::Signal, Action::Signal(self.id, signal))))
            }
            Next::Kill => {
                stop.kill_sent(now);
                Err(Some((Step::Kill, Action::Kill(self.id))))
            }
        }
    }

    pub(super) fn tear_down(&mut self, world: &World<'_>) -> Todo {
        if self.container != Container::Absent {
            return Err(Some((Step::RemoveContainer, Action::RemoveContainer(self.id))));
        }
        if self.wiring != Wiring::Absent {
            return Err(Some((Step::RemoveNetns, Action::RemoveNetns(self.id))));
        }
        if let Some(origin) = self.origin.as_mut().filter(|_| !world.has_heir)
            && let Some(name) = origin.anonymous.values().next().cloned()
        {
            return Err(Some((Step::RemoveOwnVolume(name.clone()), Action::RemoveVolume(name))));
        }
        if self.kept {
            return Err(Some((Step::Forget, Action::Keep(self.id, None))));
        }
        self.phase = Phase::Removed;
        Ok(())
    }
}

/// What the restart policy of a task says of a run that is over.
pub(super) fn judge(task: &Task, record: &Record, ended: &Ended) -> Verdict {
    let run = Run {
        code: ended.exit.code,
        ran_ms: ended.ran_ms,
        ended: ended.exit.at,
        unhealthy: ended.exit.unhealthy,
        seed: task.id.0,
    };
    Policy::of(&task.spec).verdict(record, run)
}
