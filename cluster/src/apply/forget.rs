//! What leaves the state. Addresses and ports are free from then on, and not before.

use std::collections::BTreeSet;

use crate::apply::{Step, conflict};
use crate::{
    Desired, Forgotten, NetworkName, NodeId, NodeState, Phase, Refusal, ServiceKey, StackName, State, TaskId,
    VolumeName,
};

impl Step<'_> {
    pub(super) fn forget(&mut self, what: Forgotten) -> Result<(), Refusal> {
        match what {
            Forgotten::Task(id) => self.forget_task(id),
            Forgotten::Slot(key, slot) => self.forget_slot(&key, slot),
            Forgotten::Service(key) => self.forget_service(&key),
            Forgotten::Network(name) => self.forget_network(&name),
            Forgotten::Volume(name) => self.forget_volume(&name),
            Forgotten::Stack(name) => self.forget_stack(&name),
        }
    }

    fn forget_task(&mut self, id: TaskId) -> Result<(), Refusal> {
        let Some(task) = self.state.tasks.get(&id) else { return Err(unknown(format!("task {id}"))) };
        let given_up = matches!(task.desired, Desired::Remove(_)) && !self.state.is_ready(task.node);
        if task.status.phase != Phase::Removed && !given_up {
            return Err(conflict(format!("task {id} is not gone yet")));
        }
        let Some(task) = self.state.tasks.remove(&id) else { return Ok(()) };
        self.state.lookup.remove_task(&task);
        self.drop_former_addresses(&task.service);
        self.state.touched.networks.extend(task.endpoints.iter().map(|e| e.network.clone()));
        self.tell_nodes_in(task.endpoints.iter().map(|e| &e.network));
        self.state.touched.room = true;
        self.touch_task(id, &task.service, task.node);
        Ok(())
    }

    /// Slots keep the addresses of the networks that their service takes part in, or that a task of them is in.
    pub(super) fn drop_former_addresses(&mut self, key: &ServiceKey) {
        let tasks = self.state.tasks_of(key);
        let used: BTreeSet<(u32, NetworkName)> = tasks
            .flat_map(|task| task.endpoints.iter().map(|endpoint| (task.slot, endpoint.network.clone())))
            .collect();
        let stack = self.state.stacks.get_mut(&key.stack);
        let Some(service) = stack.and_then(|stack| stack.services.get_mut(&key.service)) else { return };
        for (number, slot) in &mut service.slots {
            slot.addresses.retain(|network, _| {
                service.spec.networks.contains_key(network) || used.contains(&(*number, network.clone()))
            });
        }
    }

    fn forget_slot(&mut self, key: &ServiceKey, slot: u32) -> Result<(), Refusal> {
        if self.state.tasks_of(key).any(|task| task.slot == slot) {
            return Err(conflict(format!("{key}.{slot} still has a task")));
        }
        let stack = self.state.stacks.get_mut(&key.stack);
        let Some(service) = stack.and_then(|stack| stack.services.get_mut(&key.service)) else {
            return Err(unknown(format!("service {key}")));
        };
        if service.wants_slot(slot) {
            return Err(conflict(format!("{key}.{slot} is wished for")));
        }
        if service.slots.remove(&slot).is_some() {
            let suffix = format!("/{slot}");
            service.host_ports.retain(|key, _| !key.ends_with(&suffix));
            self.state.touched.room = true;
            self.touch_service(key);
        }
        Ok(())
    }

    fn forget_service(&mut self, key: &ServiceKey) -> Result<(), Refusal> {
        if self.state.tasks_of(key).next().is_some() {
            return Err(conflict(format!("service {key} still has a task")));
        }
        let Some(stack) = self.state.stacks.get_mut(&key.stack) else {
            return Err(unknown(format!("stack {}", key.stack)));
        };
        match stack.services.get(&key.service) {
            None => return Err(unknown(format!("service {key}"))),
            Some(service) if !service.removing => {
                return Err(conflict(format!("service {key} is wished for")));
            }
            Some(_) => {}
        }
        self.look_around(key);
        if let Some(service) =
            self.state.stacks.get_mut(&key.stack).and_then(|s| s.services.remove(&key.service))
        {
            self.state.lookup.remove_service(key, &service);
            self.state.touched.networks.extend(service.spec.networks.keys().cloned());
            self.tell_nodes_in(service.spec.networks.keys());
        }
        self.state.touched.room = true;
        self.touch_service(key);
        Ok(())
    }

    fn forget_network(&mut self, name: &NetworkName) -> Result<(), Refusal> {
        let Some(network) = self.state.networks.get(name) else {
            return Err(unknown(format!("network `{name}`")));
        };
        if !network.removing || !self.state.is_unused(name) {
            return Err(conflict(format!("network `{name}` is in use")));
        }
        let (stack, nodes) = (network.stack.clone(), network.nodes.clone());
        self.state.networks.remove(name);
        self.state.touched.stacks.insert(stack);
        self.state.touched.nodes.extend(nodes);
        self.state.touched.room = true;
        self.touch_network(name);
        Ok(())
    }

    fn forget_volume(&mut self, name: &VolumeName) -> Result<(), Refusal> {
        let Some(volume) = self.state.volumes.get(name) else {
            return Err(unknown(format!("volume `{name}`")));
        };
        if !volume.removing || volume.node.is_some() {
            return Err(conflict(format!("volume `{name}` still has data")));
        }
        let stack = volume.stack.clone();
        self.state.volumes.remove(name);
        self.state.touched.stacks.insert(stack);
        self.touch_volume(name);
        Ok(())
    }

    fn forget_stack(&mut self, name: &StackName) -> Result<(), Refusal> {
        let Some(stack) = self.state.stacks.get(name) else { return Err(unknown(format!("stack `{name}`"))) };
        if !stack.removing || !stack.services.is_empty() {
            return Err(conflict(format!("stack `{name}` is in use")));
        }
        self.state.stacks.remove(name);
        self.touch_stack(name);
        Ok(())
    }
}

impl State {
    /// Whether a node has a session.
    #[must_use]
    pub fn is_ready(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.state == NodeState::Ready)
    }

    /// Whether nobody takes part in a network and no machine that can be asked has anything of it.
    #[must_use]
    pub fn is_unused(&self, name: &NetworkName) -> bool {
        let Some(network) = self.networks.get(name) else { return true };
        self.tasks_in(name).next().is_none()
            && !self.services_in(name).any(|key| self.service(key).is_some_and(|service| !service.removing))
            && !network.nodes.iter().any(|node| self.is_ready(*node))
    }
}

fn unknown(object: String) -> Refusal {
    Refusal::Unknown { object }
}
