//! What the end of an action means for its task.

use cluster::{Exit, Phase, Timestamp};

use super::action::{ActionId, Failure, FailureKind, Outcome};
use super::adopt::ended;
use super::ahead::Ahead;
use super::health::Monitor;
use super::shared::Trouble;
use super::task::{Container, Ended, Machine, Step, Wiring};

impl Machine {
    /// The lane's action ended. An action that was given up is ignored.
    pub(crate) fn done(&mut self, id: ActionId, result: Result<Outcome, Failure>, now: Timestamp) {
        let Some((_, step)) = self.doing.take_if(|(doing, _)| *doing == id) else { return };
        match result {
            Ok(outcome) => {
                self.trouble = None;
                self.succeeded(step, outcome, now);
            }
            Err(failure) => self.failed(step, failure, now),
        }
    }

    fn succeeded(&mut self, step: Step, outcome: Outcome, now: Timestamp) {
        match (step, outcome) {
            (Step::Pull, Outcome::Image { id, config }) => self.image = Some((id, config)),
            (Step::PullMounted(reference), Outcome::Image { id, .. }) => {
                self.mounted_images.insert(reference, id);
            }
            (Step::Fetch(digest), Outcome::Blob(content)) => drop(self.blobs.insert(digest, content)),
            (Step::OwnVolume(name), Outcome::Path(path)) => drop(self.own_volumes.insert(name, path)),
            (Step::Netns, Outcome::Path(path)) => self.wiring = Wiring::Made(path),
            (Step::Attach, _) => self.wired(Wiring::Attached),
            (Step::Dns, _) => self.wired(Wiring::Served),
            (Step::Create, _) => {
                self.container = Container::Created;
                self.phase = self.phase.max(Phase::Prepared);
                self.blobs.clear();
            }
            (Step::Refresh, _) => self.stale = None,
            (Step::Keep(record), _) => {
                (self.record, self.kept, self.armed) = (record, true, true);
            }
            (Step::Start, Outcome::Started(started)) => {
                let at = Timestamp(started.started_at_ms);
                self.container =
                    Container::Running { pid: started.pid, started: at, dying: false, paused: false };
                self.phase = self.phase.max(Phase::Started);
                (self.armed, self.stop, self.sick, self.orderly) = (false, None, false, None);
                (self.hooks, self.hook_failure) = (0, None);
                self.ahead = Ahead::default();
                self.answered = self.record.generation;
                self.blobs.clear();
                if let Some(guest) = &mut self.guest {
                    guest.runs = started.joined;
                }
                let check = self.origin.as_ref().and_then(|origin| origin.check.clone());
                self.monitor = check.map(|check| Monitor::new(check, at));
            }
            (Step::RemoveContainer, _) => self.lose_container(),
            (Step::RemoveNetns, _) => self.wiring = Wiring::Absent,
            (Step::RemoveOwnVolume(name), _) => {
                self.own_volumes.remove(&name);
                if let Some(origin) = &mut self.origin {
                    origin.anonymous.retain(|_, own| *own != name);
                }
            }
            (Step::Forget, _) => self.kept = false,
            (Step::PreStartImage, Outcome::Image { id, config }) => self.ahead.image = Some((id, config)),
            (Step::PreStart, Outcome::Exited(exit)) => self.pre_start_ended(&exit),
            (Step::EndPreStart, _) => {}
            (Step::PostStart, Outcome::Probed(result)) => self.post_start_ended(&result),
            (Step::PreStop, _) => self.pre_stop_ended(),
            // What signals and kills do is seen when the container ends.
            (Step::Signal | Step::Kill, _) => {}
            // An outcome that does not fit its action is an error of the executor, and as good as a failure.
            (step, outcome) => {
                let message = format!("{step:?} gave {outcome:?}, which does not fit");
                self.failed(step, Failure { message, kind: FailureKind::Passing }, now);
            }
        }
    }

    fn failed(&mut self, step: Step, failure: Failure, now: Timestamp) {
        match (&step, failure.kind) {
            (Step::Start, FailureKind::Command(code)) => {
                self.armed = false;
                self.answered = self.record.generation;
                self.phase = self.phase.max(Phase::Started);
                let exit = Exit { code, oom: false, error: Some(failure.message), unhealthy: false, at: now };
                self.orderly = None;
                self.container = Container::Ended(Ended { exit, ran_ms: 0, stopped: false, verdict: None });
            }
            (Step::PreStart, FailureKind::Command(_)) => self.pre_start_failed(&failure.message),
            (Step::PreStart, FailureKind::Gone) => self.lose_container(),
            // Somebody took the container away: it is made anew.
            (Step::Start | Step::Refresh, FailureKind::Gone) => self.lose_container(),
            (Step::RemoveContainer, FailureKind::Gone) => self.lose_container(),
            // Its end is being waited for; there is nobody left to run a hook for.
            (Step::PostStart, FailureKind::Gone) => self.hooks = usize::MAX,
            (Step::PostStart, _) => self.post_start_failed(failure.message),
            (Step::PreStop, _) => self.pre_stop_ended(),
            // It ends by itself, or will be killed; its end is being waited for.
            (Step::Signal | Step::Kill, _) => {}
            _ => self.trouble = Some(Trouble::after(self.trouble.as_ref(), failure, now)),
        }
    }

    fn wired(&mut self, step: fn(std::path::PathBuf) -> Wiring) {
        if let Wiring::Made(path) | Wiring::Attached(path) = &self.wiring {
            self.wiring = step(path.clone());
        }
    }

    fn lose_container(&mut self) {
        self.container = Container::Absent;
        (self.armed, self.stop, self.monitor, self.sick) = (false, None, None, false);
        (self.stale, self.guest) = (None, None);
    }

    /// The container's first process is dead; until it is known how it ended, only that it gets nothing new.
    pub(crate) fn dying(&mut self, id: ActionId) {
        if self.watch == Some(id)
            && let Container::Running { dying, .. } = &mut self.container
        {
            *dying = true;
        }
    }

    /// Its clock stands still: nothing can be asked of it.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.container, Container::Running { paused: true, .. })
    }

    /// Somebody stopped the clock of the container, or started it again.
    pub(crate) fn paused(&mut self, now_paused: bool) {
        if let Container::Running { paused, .. } = &mut self.container {
            *paused = now_paused;
        }
    }

    /// The container ended, or nobody can say what became of it.
    pub(crate) fn exited(&mut self, id: ActionId, result: Result<Outcome, Failure>, now: Timestamp) {
        if self.watch != Some(id) {
            return;
        }
        self.watch = None;
        let Container::Running { started, .. } = self.container else { return };
        let stopped = self.stop.is_some() && !self.sick;
        let end = match result {
            Ok(Outcome::Exited(exit)) => ended(&exit, stopped),
            Ok(other) => unknown_end(started, now, format!("waiting gave {other:?}"), stopped),
            Err(failure) => unknown_end(started, now, failure.message, stopped),
        };
        let exit = Exit { unhealthy: self.sick, ..end.exit };
        self.container = Container::Ended(Ended { exit, ..end });
        (self.stop, self.monitor, self.probe) = (None, None, None);
    }
}

/// The status of a container of which nobody knows how it ended; Docker's value.
const UNKNOWN_CODE: i32 = 255;

fn unknown_end(started: Timestamp, now: Timestamp, error: String, stopped: bool) -> Ended {
    let exit = Exit { code: UNKNOWN_CODE, oom: false, error: Some(error), unhealthy: false, at: now };
    Ended { exit, ran_ms: now.ms_since(started), stopped, verdict: None }
}
