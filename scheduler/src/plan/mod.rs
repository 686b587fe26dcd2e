//! What a wish would lead to, as text: decisions taken on a copy of the state, with machines on which all
//! goes well.

mod cause;
mod optimist;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cluster::{
    Change, ChangeKind, Desired, Forgotten, Gate, Refusal, Service, ServiceKey, State, Task, TaskId,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::decide::{Decision, decide, decide_all};
use crate::limits::PLANNED_ROUNDS;
use crate::update;

pub use optimist::optimistic_reports;

/// What a wish would lead to, in the order in which it would happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its steps; none means that the wish is fulfilled already.
    pub steps: Vec<Step>,
}

/// One step of a plan. Prints as a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    pub kind: StepKind,
    /// To what: `network shop_default`, `web.1`.
    pub object: String,
    /// Why, and what it waits for.
    pub cause: String,
}

/// What a step does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// It is made.
    Create,
    /// Its container is stopped, removed and made anew.
    Replace,
    /// Its container is started again as it is.
    Start,
    /// Its container is stopped and kept.
    Stop,
    /// It goes.
    Remove,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            StepKind::Create => "create",
            StepKind::Replace => "replace",
            StepKind::Start => "start",
            StepKind::Stop => "stop",
            StepKind::Remove => "remove",
        };
        write!(f, "{verb:8}{}", self.object)?;
        if self.cause.is_empty() { Ok(()) } else { write!(f, "  ({})", self.cause) }
    }
}

/// What `change` would lead to. The state stays as it is.
///
/// # Errors
/// The change would be refused.
pub fn dry_run(state: &State, change: Change) -> Result<Plan, Refusal> {
    let mut now = change.at;
    let mut planner = Planner { state: state.clone(), plan: Plan::default(), replaced: BTreeMap::new() };
    planner.state.touched = Default::default();
    planner.state.apply(change)?;
    planner.note_wish(state);
    for _ in 0..PLANNED_ROUNDS {
        let touched = planner.state.take_touched();
        let decision = decide(&planner.state, &touched, now);
        let reports = optimistic_reports(&planner.state, now);
        if decision.changes.is_empty() && reports.is_empty() {
            let updating = planner.state.services_updating().next().is_some();
            if let Some(at) = decision.wake_at.filter(|_| updating) {
                now = at;
                continue;
            }
            planner.note_waits(&decide_all(&planner.state, now));
            break;
        }
        planner.take(decision, now);
        for kind in reports {
            planner.apply(kind, now);
        }
    }
    Ok(planner.plan)
}

struct Planner {
    state: State,
    plan: Plan,
    /// Why slots lose the tasks they have.
    replaced: BTreeMap<(ServiceKey, u32), String>,
}

impl Planner {
    /// What the wish itself has done: new volumes, and tasks that are to start again.
    fn note_wish(&mut self, before: &State) {
        let new: Vec<_> =
            self.state.volumes.keys().filter(|name| !before.volumes.contains_key(name)).collect();
        let volumes: Vec<String> = new.into_iter().map(|name| format!("volume {name}")).collect();
        for volume in volumes {
            self.step(StepKind::Create, volume, String::new());
        }
        let again: Vec<(TaskId, bool)> = self
            .state
            .tasks
            .values()
            .filter(|task| before.tasks.get(&task.id).is_some_and(|old| old.generation < task.generation))
            .map(|task| (task.id, before.tasks[&task.id].finished().is_some()))
            .collect();
        for (id, ended) in again {
            let object = name_of(&self.state, id);
            self.step(StepKind::Start, object, if ended { "it has ended" } else { "" }.to_owned());
        }
    }

    /// What would wait for ever, or for something that this plan does not bring.
    fn note_waits(&mut self, decision: &Decision) {
        let waits: BTreeSet<(String, String)> = decision
            .blocked
            .values()
            .flatten()
            .map(|blocked| {
                (format!("{}.{}", blocked.service.service, blocked.slot), blocked.wait.reason.clone())
            })
            .collect();
        for (object, reason) in waits {
            match self.plan.steps.iter_mut().find(|step| step.object == object) {
                Some(step) if step.cause.is_empty() => step.cause = reason,
                Some(_) => {}
                None => self.step(StepKind::Create, object, reason),
            }
        }
    }

    fn take(&mut self, decision: Decision, now: Timestamp) {
        for kind in decision.changes {
            self.note(&kind, &decision.blocked);
            self.apply(kind, now);
        }
    }

    fn note(&mut self, kind: &ChangeKind, blocked: &BTreeMap<ServiceKey, Vec<cluster::view::Blocked>>) {
        match kind {
            ChangeKind::PutNetwork(network) => {
                let object = format!("network {}", network.spec.name);
                self.step(StepKind::Create, object, network.subnets_text());
            }
            ChangeKind::CreateTask { service, slot, gate, beside, .. } => {
                let object = format!("{}.{slot}", service.service);
                if let Some(cause) = beside.and_then(|id| self.cause_of_replacement(id)) {
                    return self.step(
                        StepKind::Replace,
                        object,
                        format!("{cause}; the new one starts first"),
                    );
                }
                if let Some(cause) = self.replaced.remove(&(service.clone(), *slot)) {
                    return self.step(StepKind::Replace, object, cause);
                }
                let waits = blocked.get(service).into_iter().flatten().find(|blocked| blocked.slot == *slot);
                let cause = waits.filter(|_| *gate == Gate::Held).map(|blocked| blocked.wait.reason.clone());
                self.step(StepKind::Create, object, cause.unwrap_or_default());
            }
            ChangeKind::SetDesired { task, desired, .. } => self.note_desired(*task, desired),
            ChangeKind::Forget(Forgotten::Network(name)) => {
                self.step(StepKind::Remove, format!("network {name}"), String::new());
            }
            ChangeKind::Forget(Forgotten::Volume(name)) => {
                self.step(StepKind::Remove, format!("volume {name}"), String::new());
            }
            _ => {}
        }
    }

    fn note_desired(&mut self, id: TaskId, desired: &Desired) {
        let Some(task) = self.state.tasks.get(&id) else { return };
        let service = self.state.service(&task.service);
        let object = name_of(&self.state, id);
        match desired {
            Desired::Run => {
                if !self.plan.steps.iter().any(|step| step.object == object) {
                    self.step(StepKind::Start, object, String::new());
                }
            }
            Desired::Stop(_) => self.step(StepKind::Stop, object, String::new()),
            Desired::Remove(_) => match service {
                // Its successor is there already.
                Some(service) if self.has_successor(task, service) => {}
                Some(service) if service.wants_slot(task.slot) => {
                    let mut cause = cause::of_replacement(task, service);
                    if let Some(obstacle) = update::obstacle_to_start_first(service) {
                        cause = format!("{cause}; the old one stops first: {obstacle}");
                    }
                    self.plan.steps.retain(|step| step.kind != StepKind::Start || step.object != object);
                    self.replaced.insert((task.service.clone(), task.slot), cause);
                }
                Some(service) => {
                    let cause = cause::of_removal(&self.state, &task.service, service);
                    self.step(StepKind::Remove, object, cause.to_owned());
                }
                None => {}
            },
        }
    }

    fn cause_of_replacement(&self, id: TaskId) -> Option<String> {
        let task = self.state.tasks.get(&id)?;
        Some(cause::of_replacement(task, self.state.service(&task.service)?))
    }

    fn has_successor(&self, task: &Task, service: &Service) -> bool {
        let mut others = self.state.tasks_of(&task.service).filter(|other| other.slot == task.slot);
        others.any(|other| service.is_current(other))
    }

    /// A refusal on the copy is of no interest: the next round decides anew.
    fn apply(&mut self, kind: ChangeKind, at: Timestamp) {
        let _ = self.state.apply(Change { at, kind });
    }

    fn step(&mut self, kind: StepKind, object: String, cause: String) {
        self.plan.steps.push(Step { kind, object, cause });
    }
}

/// How a person names a task: `web.1`.
fn name_of(state: &State, id: TaskId) -> String {
    state.tasks.get(&id).map(|task| format!("{}.{}", task.service.service, task.slot)).unwrap_or_default()
}

#[cfg(test)]
#[path = "../plan_tests.rs"]
mod tests;
