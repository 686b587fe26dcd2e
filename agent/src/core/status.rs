//! What the manager is told of a task.

use cluster::{CheckResult, ContainerState, ContainerStatus, Health, Problem, TaskStatus, Timestamp};

use super::health::Monitor;
use super::restart::Verdict;
use super::shared::Trouble;
use super::stop::Stop;
use super::task::{Container, Machine, Step, Wish};

impl Machine {
    /// The status that the manager does not know yet. `conflict`: a host port of its service that is taken.
    pub(crate) fn report(
        &mut self,
        conflict: Option<&Problem>,
        synced: bool,
        now: Timestamp,
    ) -> Option<TaskStatus> {
        let generation = self.task.as_ref()?.generation;
        let problem = self.problem(now).or_else(|| conflict.filter(|_| !self.is_gone()).cloned());
        let status = TaskStatus {
            phase: self.phase.max(self.reported.phase),
            at: self.reported.at,
            container: self.container_status(synced),
            // Worth telling only with a problem: whose it is.
            generation: if problem.is_some() { generation } else { self.reported.generation },
            problem,
            rests: if self.rests(synced) { Some(generation) } else { self.reported.rests },
        };
        if status == self.reported {
            return None;
        }
        self.reported = TaskStatus { at: now, ..status };
        Some(self.reported.clone())
    }

    /// It is to be stopped, and there is nothing (left) to stop, nor on its way to be started.
    fn rests(&self, synced: bool) -> bool {
        let starts = matches!(self.doing, Some((_, Step::Start | Step::PreStart | Step::EndPreStart)));
        let runs = matches!(self.container, Container::Running { .. });
        matches!(self.wish(synced), Wish::Still(_)) && !runs && !starts
    }

    fn problem(&self, now: Timestamp) -> Option<Problem> {
        let overdue = self.stop.as_ref().is_some_and(|stop| stop.is_overdue(now));
        let stuck = overdue.then(|| Problem {
            message: "it was killed and does not end: a process of it waits in the kernel".to_owned(),
            retry_at: self.wake,
        });
        let hook = self.hook_failure.clone().map(|message| Problem { message, retry_at: None });
        stuck
            .or_else(|| self.trouble.as_ref().map(Trouble::problem))
            .or_else(|| self.blocked.clone())
            .or(hook)
    }

    fn container_status(&self, synced: bool) -> Option<ContainerStatus> {
        let origin = self.origin.as_ref()?;
        if self.container == Container::Absent {
            // How it ended stays known while it is taken away.
            return self.reported.container.clone();
        }
        let (pid, started_at) = match self.container {
            Container::Running { pid, started, .. } => (Some(pid), Some(started)),
            // The last start stays known while the container is not running.
            _ => (None, self.reported.container.as_ref().and_then(|container| container.started_at)),
        };
        let before = self.reported.container.as_ref().and_then(|container| container.exit.clone());
        let exit = match &self.container {
            Container::Ended(ended) => Some(ended.exit.clone()),
            _ => before,
        };
        Some(ContainerStatus {
            state: self.container_state(synced),
            generation: self.answered_generation(),
            pid,
            started_at,
            restarts: self.record.restarts,
            exit,
            health: self.monitor.as_ref().map_or(Health::None, |monitor| monitor.state().clone()),
            checks: self.checks(),
            image: origin.image.clone(),
        })
    }

    /// A start answers its generation when its `post_start` hooks have run: only then do others count on it.
    fn answered_generation(&self) -> u64 {
        let running = matches!(self.container, Container::Running { .. });
        self.answered.saturating_sub(u64::from(running && self.next_hook().is_some()))
    }

    /// The last health checks; how those of a run that is over went stays known until the next one says more.
    fn checks(&self) -> Vec<CheckResult> {
        let told = self.monitor.as_ref().map(Monitor::checks).unwrap_or_default();
        match (told, &self.reported.container) {
            ([], Some(before)) => before.checks.clone(),
            (told, _) => told.to_vec(),
        }
    }

    fn container_state(&self, synced: bool) -> ContainerState {
        match &self.container {
            Container::Absent | Container::Created => ContainerState::Created,
            Container::Running { .. } if self.stop.as_ref().is_some_and(Stop::is_final) => {
                ContainerState::Stopping
            }
            Container::Running { paused: true, .. } => ContainerState::Paused,
            Container::Running { .. } => ContainerState::Running,
            Container::Ended(ended) => match ended.verdict {
                Some(Verdict::Again { at, .. }) if self.wish(synced) == Wish::Running => {
                    ContainerState::Restarting { at }
                }
                _ => ContainerState::Exited,
            },
        }
    }
}
