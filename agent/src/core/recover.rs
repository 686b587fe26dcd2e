//! The order in which containers come back that an earlier run of the agent left dead: after a reboot all of them.
//!
//! A container that dies alone is started again at once, whatever it depends on, as Compose has it. When many have to
//! be started together, each waits for what it depends on, as at the first start; no manager is needed for that. It
//! waits only for what does come back: who is stopped, has no restart policy, ends again or is unhealthy keeps nobody.

use cluster::compose_spec::Condition;
use cluster::{Health, ServiceKey, TaskId};

use super::AgentCore;
use super::ending::judge;
use super::restart::Verdict;
use super::shared::{Hold, Trouble};
use super::task::{Container, Machine, Step, Todo, Wish, World};

impl World<'_> {
    /// A start that has to wait for others waits.
    pub(super) fn hold_back(&self, todo: Todo) -> Todo {
        match todo {
            Err(Some((Step::Start | Step::Keep(_) | Step::PreStart, _))) if self.recovers_later => Err(None),
            todo => todo,
        }
    }
}

impl Machine {
    /// It is dead, and will be started without anybody wishing so anew.
    pub(super) fn comes_back(&self, synced: bool) -> bool {
        let Some(task) = &self.task else { return false };
        let given_up = self.trouble.as_ref().and_then(|trouble: &Trouble| trouble.holds(self.reported.at))
            == Some(Hold::Forever);
        if self.wish(synced) != Wish::Running || given_up {
            return false;
        }
        match &self.container {
            Container::Running { .. } => false,
            Container::Absent | Container::Created => true,
            Container::Ended(_) if self.armed || self.record.generation < task.generation => true,
            Container::Ended(ended) => ended.stopped || judge(task, &self.record, ended) != Verdict::Stay,
        }
    }

    /// It runs, and its health check has not decided yet.
    fn is_starting(&self) -> bool {
        let starting = self.monitor.as_ref().is_some_and(|monitor| *monitor.state() == Health::Starting);
        matches!(self.container, Container::Running { .. }) && starting
    }
}

impl AgentCore {
    /// Whether a dead container has to wait for others that come back as well.
    pub(super) fn recovers_later(&self, machine: &Machine) -> bool {
        let Some(task) = machine.task.as_ref().filter(|_| self.recovering.contains(&machine.id)) else {
            return false;
        };
        task.spec.compose.depends_on.iter().any(|(name, dependency)| {
            let needed = ServiceKey::new(&task.service.stack, name);
            let others = self.tasks.values().filter(|other| {
                other.id != machine.id && other.task.as_ref().is_some_and(|other| other.service == needed)
            });
            let mut others = others;
            others.any(|other| match dependency.condition {
                _ if self.recovering.contains(&other.id) => true,
                Condition::Healthy => other.is_starting(),
                Condition::Started => false,
                Condition::CompletedSuccessfully => matches!(other.container, Container::Running { .. }),
            })
        })
    }

    /// Notes whether a task is still to come back, and lets those look again that may have waited for it.
    pub(super) fn note_recovery(&mut self, machine: &Machine) {
        // Before the first assignments nobody knows what is wished of it.
        if self.assigned.is_none() || self.recovering.is_empty() {
            return;
        }
        if !machine.comes_back(self.synced) {
            self.recovering.remove(&machine.id);
        }
        let Some(task) = machine.task.as_ref().filter(|_| !self.recovering.contains(&machine.id)) else {
            return;
        };
        let waits = |id: &&TaskId| {
            let other = self.tasks.get(id).and_then(|other| other.task.as_ref());
            other.is_some_and(|other| {
                other.service.stack == task.service.stack
                    && other.spec.compose.depends_on.contains_key(&task.service.service)
            })
        };
        let waiting: Vec<TaskId> = self.recovering.iter().filter(waits).copied().collect();
        self.touched.tasks.extend(waiting);
    }
}
