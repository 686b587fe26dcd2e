//! What really runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cluster::{Health, NodeId, ServiceKey, StackName, State, TaskId};

use super::Violation;
use crate::machine::Machine;
use crate::user::{STACKS, Wish};

/// All that runs at one moment, on all machines.
#[derive(Default)]
pub(super) struct Running {
    slots: BTreeMap<(ServiceKey, u32), Vec<TaskId>>,
    addresses: BTreeMap<IpAddr, TaskId>,
}

impl Running {
    /// At most one container runs for a slot (two where the new one starts first), and one with an address, but
    /// for those of tasks that were given up with a node out of reach.
    pub(super) fn look_at(
        &mut self,
        machine: &Machine,
        given_up: &BTreeSet<TaskId>,
        owner: impl Fn(TaskId) -> Option<(ServiceKey, u32, usize)>,
    ) -> Result<(), Violation> {
        let running = machine.containers.keys().filter(|task| machine.is_running(**task));
        for task in running.filter(|task| !given_up.contains(task)) {
            let Some((service, slot, most)) = owner(*task) else { continue };
            let there = self.slots.entry((service.clone(), slot)).or_default();
            there.push(*task);
            if there.len() > most {
                return Err(format!("{service}.{slot} runs too often: {there:?}"));
            }
            for address in machine.namespaces.get(task).into_iter().flatten() {
                if let Some(other) = self.addresses.insert(*address, *task) {
                    return Err(format!("{address} is used by {other} and by {task}"));
                }
            }
        }
        Ok(())
    }
}

/// Who waits for a stop is told that it is done when the agent says that the task rests: then nothing of it may run.
pub(super) fn rests(machine: &Machine, resting: &BTreeSet<TaskId>) -> Result<(), Violation> {
    match machine.containers.keys().find(|task| machine.is_running(**task) && resting.contains(task)) {
        Some(task) => Err(format!("task {task} runs, though it was said to rest")),
        None => Ok(()),
    }
}

/// Why what runs is not yet what was wished for.
pub(crate) fn is_fulfilled(
    state: &State,
    machines: &BTreeMap<NodeId, &Machine>,
    wishes: &BTreeMap<usize, Wish>,
) -> Result<(), String> {
    for (index, wish) in wishes {
        let name = StackName(STACKS[*index].to_owned());
        match wish {
            Wish::Up { web, image, .. } => stack_runs(state, machines, &name, (*web, *image))?,
            Wish::Down { .. } if state.stacks.contains_key(&name) => {
                return Err(format!("{name} is still there"));
            }
            _ => {}
        }
    }
    for (node, machine) in machines {
        for task in machine.containers.keys() {
            if state.tasks.get(task).is_none_or(|task| task.node != *node) {
                return Err(format!("node {node} has a container {task} that is nobody's"));
            }
        }
        if !state.tasks.values().any(|task| task.node == *node) && !machine.is_empty() {
            let bridges = &machine.bridges;
            let left = machine.namespaces.len() + machine.records.len();
            // A bridge stays as long as its network does.
            if left > 0 || bridges.iter().any(|bridge| !state.networks.keys().any(|name| name.0 == *bridge)) {
                return Err(format!(
                    "node {node} has no task and is not clean: {bridges:?}, {left} other things"
                ));
            }
        }
    }
    Ok(())
}

fn stack_runs(
    state: &State,
    machines: &BTreeMap<NodeId, &Machine>,
    name: &StackName,
    (web, image): (u32, u8),
) -> Result<(), String> {
    for (service, replicas) in [("store", 1), ("seed", 1), ("web", web)] {
        let key = ServiceKey::new(name, service);
        let Some(value) = state.service(&key) else { return Err(format!("there is no {key}")) };
        let tasks: Vec<_> = state.tasks_of(&key).collect();
        if tasks.len() != replicas as usize {
            return Err(format!("{key} has {} tasks instead of {replicas}", tasks.len()));
        }
        for task in tasks {
            if !value.is_current(task) {
                return Err(format!("{key}.{} is to be replaced", task.slot));
            }
            let runs = machines.get(&task.node).is_some_and(|machine| machine.is_running(task.id));
            let healthy =
                task.container().is_some_and(|c| matches!(c.health, Health::Healthy | Health::None));
            let good = match service {
                "seed" => task.finished().is_some_and(|exit| exit.code == 0),
                _ => runs && task.is_ready() && healthy,
            };
            if !good {
                return Err(format!(
                    "{key}.{} is not as wished: {:?} {:?}",
                    task.slot, task.gate, task.status
                ));
            }
        }
        if service == "web" && value.spec.compose.image.as_deref() != Some(&format!("web:{image}")) {
            return Err(format!("{key} has another image than wished"));
        }
    }
    Ok(())
}
