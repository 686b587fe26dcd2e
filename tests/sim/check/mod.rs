//! What must hold after every step, whatever happens.

mod physical;
mod state;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use cluster::compose_spec::Condition;
use cluster::{Gate, Phase, ServiceKey, ServiceSpec, State, TaskId};

use crate::machine::{Machine, Seen};
use std::sync::Arc;

pub(crate) use physical::is_fulfilled;

/// A rule that was broken, in words.
pub(crate) type Violation = String;

/// What is known of a task for good.
struct Known {
    service: ServiceKey,
    slot: u32,
    spec: Arc<ServiceSpec>,
}

/// What has been seen so far.
#[derive(Default)]
pub(crate) struct Checks {
    known: BTreeMap<TaskId, Known>,
    /// The last phase, gate and generation of each task in the state.
    furthest: BTreeMap<TaskId, (Phase, bool, u64)>,
    /// Tasks that the manager gave up together with their lost node: their containers may still run there.
    given_up: BTreeSet<TaskId>,
    /// Tasks whose agents have said that nothing of them runs, nor will.
    resting: BTreeSet<TaskId>,
    /// What services have really come to, as seen on the machines.
    reached: BTreeSet<(ServiceKey, Condition)>,
    started: BTreeSet<TaskId>,
    version: cluster::Version,
    availability: update::Availability,
}

impl Checks {
    /// How many tasks were given up with their node.
    pub(crate) fn given_up(&self) -> usize {
        self.given_up.len()
    }

    /// Looks at the manager's state, if it has moved on.
    pub(crate) fn state(&mut self, state: &State) -> Result<(), Violation> {
        if state.index == self.version {
            return Ok(());
        }
        if state.index < self.version {
            return Err(format!("the state went back from {} to {}", self.version, state.index));
        }
        self.version = state.index;
        state::nothing_is_given_twice(state)?;
        self.availability.look_at(state)?;
        self.resting = state.tasks.values().filter(|task| task.rests()).map(|task| task.id).collect();
        self.forward_only(state)
    }

    fn forward_only(&mut self, state: &State) -> Result<(), Violation> {
        for (id, (phase, ..)) in &self.furthest {
            if !state.tasks.contains_key(id) && *phase != Phase::Removed {
                self.given_up.insert(*id);
            }
        }
        self.furthest.retain(|id, _| state.tasks.contains_key(id));
        for (id, task) in &state.tasks {
            let known = || Known { service: task.service.clone(), slot: task.slot, spec: task.spec.clone() };
            self.known.entry(*id).or_insert_with(known);
            let new = (task.status.phase, task.gate == Gate::Open, task.generation);
            let old = self.furthest.insert(*id, new).unwrap_or((Phase::Assigned, false, 0));
            // Only a new generation may find the gate closed: what is started again waits again.
            let shut = old.1 && !new.1 && new.2 == old.2;
            if new.0 < old.0 || shut || new.2 < old.2 {
                return Err(format!("task {id} went back from {old:?} to {new:?}"));
            }
        }
        Ok(())
    }

    /// Looks at the machines, and at what was seen on them since the last look.
    pub(crate) fn machines<'a>(
        &mut self,
        machines: impl Iterator<Item = &'a mut Machine>,
    ) -> Result<(), Violation> {
        let mut running = physical::Running::default();
        for machine in machines {
            for seen in std::mem::take(&mut machine.seen) {
                self.saw(&seen)?;
            }
            physical::rests(machine, &self.resting)?;
            running.look_at(machine, &self.given_up, |task| {
                let known = self.known.get(&task)?;
                let most = if update::starts_first(&known.spec) { 2 } else { 1 };
                Some((known.service.clone(), known.slot, most))
            })?;
        }
        Ok(())
    }

    /// A container starts for the first time only after what its service waits for was really seen.
    fn saw(&mut self, seen: &Seen) -> Result<(), Violation> {
        let (Seen::Started(task) | Seen::Healthy(task) | Seen::Ended(task, _)) = seen;
        let Some(known) = self.known.get(task) else {
            return Err(format!("a container of task {task} runs, which no manager has made"));
        };
        let reached = match seen {
            Seen::Started(_) => Condition::Started,
            Seen::Healthy(_) => Condition::Healthy,
            Seen::Ended(_, 0) => Condition::CompletedSuccessfully,
            Seen::Ended(..) => return Ok(()),
        };
        if reached == Condition::Started && self.started.insert(*task) {
            for (name, dependency) in &known.spec.compose.depends_on {
                let on = ServiceKey::new(&known.service.stack, name);
                if !self.reached.contains(&(on, dependency.condition)) {
                    return Err(format!(
                        "{}.{} started before `{name}` was {:?}",
                        known.service, known.slot, dependency.condition
                    ));
                }
            }
        }
        self.reached.insert((known.service.clone(), reached));
        Ok(())
    }
}
