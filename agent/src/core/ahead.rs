//! What runs before a container is started as somebody wishes: the steps of `pre_start`, each in a container of its
//! own, one after the other. A start by the restart policy, or after a reboot, is none that somebody wishes.

use std::sync::Arc;

use cluster::{Desired, Task};
use runtime::Exit;
use runtime::image::ImageConfig;

use super::AgentCore;
use super::action::Action;
use super::shared::Trouble;
use super::task::{Container, Machine, Step, Todo, World};
use super::translate;

/// The replica that does what is done once for its service.
const FIRST_SLOT: u32 = 1;

/// How far a task has come with the steps before its next start.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    done: usize,
    /// Of the step that comes next.
    pub(super) image: Option<(String, Arc<ImageConfig>)>,
}

impl Machine {
    /// The steps before a start; those that are not for each replica are the first one's, and the others wait for it.
    pub(super) fn go_ahead(&mut self, world: &World<'_>) -> Todo {
        let Some(task) = self.task.clone() else { return Ok(()) };
        while let Some(step) = task.spec.compose.pre_start.get(self.ahead.done) {
            if task.slot != FIRST_SLOT && step.per_replica != Some(true) {
                if !world.first_is_through {
                    return Err(None);
                }
                self.ahead.done += 1;
                continue;
            }
            let Some((image, config)) = &self.ahead.image else {
                let (own, policy) = self.or_trouble(translate::image_of(&task))?;
                let reference = step.image.clone().unwrap_or(own);
                return Err(Some((Step::PreStartImage, Action::PullImage { reference, policy })));
            };
            let before = translate::before(&task, step, image, config);
            let before = self.or_trouble(before)?;
            return Err(Some((Step::PreStart, Action::RunBefore(self.id, Box::new(before)))));
        }
        Ok(())
    }

    pub(super) fn pre_start_ended(&mut self, exit: &Exit) {
        if exit.code == 0 {
            self.ahead = Ahead { done: self.ahead.done + 1, image: None };
        } else {
            self.pre_start_failed(&format!("it ended with exit code {}", exit.code));
        }
    }

    /// The container is not started, and those after this step are not run: each counts on those before it.
    pub(super) fn pre_start_failed(&mut self, why: &str) {
        let step = self.task.as_ref().and_then(|task| task.spec.compose.pre_start.get(self.ahead.done));
        let command = step.and_then(|step| step.command.clone()).unwrap_or_default();
        let number = self.ahead.done + 1;
        self.ahead = Ahead::default();
        let message = format!("`pre_start` step {number} `{}`: {why}", command.join(" "));
        self.trouble = Some(Trouble::lasting(message));
    }

    /// Whatever comes before its present start has been done.
    fn is_through(&self, task: &Task) -> bool {
        let started = matches!(self.container, Container::Running { .. } | Container::Ended(_));
        let done = self.ahead.done >= task.spec.compose.pre_start.len();
        done || started && self.answered >= task.generation
    }
}

impl AgentCore {
    /// Whether a replica need not wait for the first one of its service.
    pub(super) fn first_is_through(&self, machine: &Machine) -> bool {
        let Some(task) = machine.task.as_ref().filter(|task| !task.spec.compose.pre_start.is_empty()) else {
            return true;
        };
        let first = |other: &&Task| {
            other.slot == FIRST_SLOT
                && other.service == task.service
                && other.id != task.id
                && !matches!(other.desired, Desired::Remove(_))
        };
        let mut machines = self.tasks.values().filter_map(|other| Some((other, other.task.as_ref()?)));
        machines.find(|(_, task)| first(task)).is_none_or(|(other, task)| other.is_through(task))
    }

    /// Lets the other replicas look again that may wait for the first one.
    pub(super) fn note_ahead(&mut self, machine: &Machine) {
        let Some(task) = machine.task.as_ref().filter(|task| !task.spec.compose.pre_start.is_empty()) else {
            return;
        };
        if task.slot != FIRST_SLOT {
            return;
        }
        let others = self.tasks.values().filter_map(|other| other.task.as_ref());
        let others = others.filter(|other| other.service == task.service && other.slot != FIRST_SLOT);
        self.touched.tasks.extend(others.map(|other| other.id));
    }
}
