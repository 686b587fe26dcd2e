//! An update never takes more replicas away than the file allows.

use std::collections::BTreeSet;

use cluster::{Desired, NodeState, Run, Service, ServiceKey, ServiceSpec, State, Task, TaskId, UpdateState};

use super::Violation;

/// Which tasks answered when the state was last looked at.
#[derive(Default)]
pub(crate) struct Availability {
    ready: BTreeSet<TaskId>,
}

/// Whether the successors of a service's tasks start before those stop.
pub(crate) fn starts_first(spec: &ServiceSpec) -> bool {
    spec.update_config().is_some_and(|config| config.order.as_deref() == Some("start-first"))
}

impl Availability {
    /// What answered and is told to go now has a successor that has come far enough (start-first), or is the only
    /// slot that is being replaced (`parallelism: 1`).
    pub(crate) fn look_at(&mut self, state: &State) -> Result<(), Violation> {
        for task in self.ready.iter().filter_map(|id| state.tasks.get(id)) {
            let Some(service) = state.service(&task.service).filter(|service| is_updated(service)) else {
                continue;
            };
            let told = matches!(task.desired, Desired::Remove(_)) && service.wants_slot(task.slot);
            if !told || !is_wished_away(state, service, task) {
                continue;
            }
            if starts_first(&service.spec) {
                if !has_come_far(state, &task.service, service, task.slot) {
                    return Err(format!("{}.{} goes before its successor answers", task.service, task.slot));
                }
            } else if let Some(other) = (1..=service.replicas)
                .filter(|slot| *slot != task.slot)
                .find(|slot| !has_come_far(state, &task.service, service, *slot))
            {
                return Err(format!("{0}.{1} goes while {0}.{other} is missing", task.service, task.slot));
            }
        }
        let ready = state.tasks.values().filter(|task| task.is_ready());
        self.ready = ready.map(|task| task.id).collect();
        Ok(())
    }
}

fn is_updated(service: &Service) -> bool {
    let running = |update: &cluster::Update| update.state == UpdateState::Running && update.failed.is_empty();
    service.run == Run::Started && !service.removing && service.update.as_ref().is_some_and(running)
}

/// It goes because another spec is wished for, and not because its node or its volume is lost.
fn is_wished_away(state: &State, service: &Service, task: &Task) -> bool {
    let node = state.nodes.get(&task.node).is_some_and(|node| node.state == NodeState::Ready);
    node && task.spec.hash != service.spec.hash
}

/// A slot whose present task answered once, or was not yet replaced.
fn has_come_far(state: &State, key: &ServiceKey, service: &Service, slot: u32) -> bool {
    let mut tasks = state.tasks_of(key).filter(|task| task.slot == slot && task.is_wanted());
    tasks.any(|task| task.settled_at.is_some() || !service.is_current(task))
}
