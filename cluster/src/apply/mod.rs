//! The only function that changes the state.
//!
//! It is total: no change makes it panic, and one that cannot be taken over leaves the state as it was.
//! Each handler checks everything first and changes things after that.

mod conflict;
mod decision;
mod forget;
mod report;
mod run;
mod update;
mod wish;

use std::collections::BTreeSet;

use crate::{
    Change, ChangeKind, Event, NetworkName, NodeId, Refusal, Service, ServiceKey, StackName, State, Task,
    TaskId, Timestamp, Version, VolumeName,
};

impl State {
    /// Takes one change over: all of it, or nothing. An answer without events means that it changed nothing.
    ///
    /// # Errors
    /// It is stale, names what is not there, or cannot be granted beside what is there.
    pub fn apply(&mut self, change: Change) -> Result<Vec<Event>, Refusal> {
        let subject = subject(self, &change.kind);
        let version = Version(self.index.0.saturating_add(1));
        let mut step = Step { state: self, at: change.at, version, events: BTreeSet::new() };
        match step.take_over(change.kind) {
            Ok(()) => {
                let events = step.events;
                if !events.is_empty() {
                    self.index = version;
                }
                Ok(events.into_iter().collect())
            }
            Err(refusal) => {
                // The scheduler decided on something that has moved on: it has to look there again.
                self.touched.services.extend(subject);
                Err(refusal)
            }
        }
    }
}

/// The service that a decision of the scheduler is about.
fn subject(state: &State, kind: &ChangeKind) -> Option<ServiceKey> {
    match kind {
        ChangeKind::Allocate { service, .. }
        | ChangeKind::CreateTask { service, .. }
        | ChangeKind::Update { service, .. } => Some(service.clone()),
        ChangeKind::OpenGate { task, .. } | ChangeKind::SetDesired { task, .. } => {
            state.tasks.get(task).map(|task| task.service.clone())
        }
        _ => None,
    }
}

/// One change on its way into the state.
struct Step<'a> {
    state: &'a mut State,
    at: Timestamp,
    /// The version that what it touches gets.
    version: Version,
    events: BTreeSet<Event>,
}

impl Step<'_> {
    fn take_over(&mut self, kind: ChangeKind) -> Result<(), Refusal> {
        match kind {
            ChangeKind::PutStack(put) => self.put_stack(*put),
            ChangeKind::RemoveStack { stack, volumes, only, how } => {
                let doomed = self.doomed(&stack, volumes, only.as_ref());
                self.remove_stack(&stack, doomed, &how)
            }
            ChangeKind::PutOneOff { service, spec, held } => self.put_one_off(service, *spec, held),
            ChangeKind::ReleaseOneOff { service } => {
                self.release_one_off(&service);
                Ok(())
            }
            ChangeKind::SetRun { services, action } => self.set_run(&services, &action),
            ChangeKind::Scale { replicas } => self.scale(&replicas),
            ChangeKind::PutNode { node, description } => self.put_node(node, description),
            ChangeKind::NodeDown { node, version } => self.node_down(node, version),
            ChangeKind::Report { node, statuses, ended } => self.report(node, statuses, &ended),
            ChangeKind::PutNetwork(network) => self.put_network(*network),
            ChangeKind::Allocate { service, version, addresses, vips, host_ports } => {
                self.allocate(&service, version, decision::Allocation { addresses, vips, host_ports })
            }
            ChangeKind::CreateTask { service, version, slot, node, gate, beside } => {
                self.create_task(&service, version, decision::NewTask { slot, node, gate, beside })
            }
            ChangeKind::Update { service, version, step } => self.step_update(&service, version, step),
            ChangeKind::OpenGate { task, version } => self.open_gate(task, version),
            ChangeKind::SetDesired { task, version, desired } => self.set_desired(task, version, desired),
            ChangeKind::Forget(what) => self.forget(what),
        }
    }

    /// Says that a service changed: it, what depends on it and what it depends on have to be looked at, and
    /// the nodes that reach it know it by its old endpoints.
    fn touch_service(&mut self, key: &ServiceKey) {
        self.look_around(key);
        let homes: Vec<NodeId> = self.state.tasks_of(key).map(|task| task.node).collect();
        self.state.touched.nodes.extend(homes);
        self.state.touched.stacks.insert(key.stack.clone());
        let service = self.state.service(key);
        self.events.insert(match service {
            Some(_) => Event::Service(key.clone()),
            None => Event::ServiceGone(key.clone()),
        });
    }

    /// Says that a task of a service is new, changed or gone.
    fn touch_task(&mut self, id: TaskId, service: &ServiceKey, node: NodeId) {
        self.look_around(service);
        self.state.touched.nodes.insert(node);
        let endpoints = self.state.tasks.get(&id).map_or(Vec::new(), |task| task.endpoints.clone());
        self.tell_nodes_in(endpoints.iter().map(|endpoint| &endpoint.network));
        self.events.insert(match self.state.tasks.get(&id) {
            Some(_) => Event::Task(id, service.clone()),
            None => Event::TaskGone(id, service.clone()),
        });
    }

    /// The nodes in these networks know who answers there: they have to hear of what changed.
    fn tell_nodes_in<'n>(&mut self, networks: impl Iterator<Item = &'n NetworkName>) {
        for network in networks.filter_map(|name| self.state.networks.get(name)) {
            self.state.touched.nodes.extend(&network.nodes);
        }
    }

    fn look_around(&mut self, key: &ServiceKey) {
        let state = &mut *self.state;
        let touched = &mut state.touched;
        touched.services.insert(key.clone());
        touched.services.extend(state.lookup.dependents_of(key).cloned());
        let service = state.stacks.get(&key.stack).and_then(|stack| stack.services.get(&key.service));
        if let Some(service) = service {
            let dependencies = service.spec.compose.depends_on.keys();
            touched.services.extend(dependencies.map(|name| ServiceKey::new(&key.stack, name)));
            for network in service.spec.networks.keys().filter_map(|name| state.networks.get(name)) {
                touched.nodes.extend(&network.nodes);
            }
        }
        state.lookup.note_service(key, service, &state.tasks);
    }

    fn touch_network(&mut self, name: &NetworkName) {
        self.state.touched.networks.insert(name.clone());
        if let Some(network) = self.state.networks.get(name) {
            self.state.touched.nodes.extend(&network.nodes);
            self.state.touched.stacks.insert(network.stack.clone());
        }
        self.events.insert(Event::Network(name.clone()));
    }

    fn touch_volume(&mut self, name: &VolumeName) {
        self.state.touched.volumes.insert(name.clone());
        if let Some(volume) = self.state.volumes.get(name) {
            self.state.touched.nodes.extend(volume.node);
            self.state.touched.stacks.insert(volume.stack.clone());
        }
        self.events.insert(Event::Volume(name.clone()));
    }

    fn touch_stack(&mut self, name: &StackName) {
        self.state.touched.stacks.insert(name.clone());
        self.events.insert(match self.state.stacks.get(name) {
            Some(_) => Event::Stack(name.clone()),
            None => Event::StackGone(name.clone()),
        });
    }

    fn touch_node(&mut self, node: NodeId) {
        self.state.touched.nodes.insert(node);
        self.state.touched.room = true;
        self.events.insert(Event::Node(node));
    }

    /// Puts a service in its place, new or instead of what was there.
    fn store_service(&mut self, key: &ServiceKey, mut service: Service) {
        service.version = self.version;
        service.changed_at = self.at;
        // What leads nowhere from now on may be given to others, and is not this service's when it grows again.
        let slots = if service.removing { 0 } else { service.replicas };
        service.host_ports.retain(|key, _| slots > 0 && crate::view::host_port_slot(key) <= slots);
        let Some(stack) = self.state.stacks.get_mut(&key.stack) else { return };
        self.state.lookup.add_service(key, &service);
        if let Some(old) = stack.services.insert(key.service.clone(), service) {
            let new = &stack.services[&key.service];
            self.state.lookup.remove_service(key, &old);
            self.state.lookup.add_service(key, new);
            self.tell_nodes_in(old.spec.networks.keys());
            self.drop_former_addresses(key);
        }
        self.state.touched.room = true;
        self.touch_service(key);
    }

    /// Changes the tasks of a service that `change` says it changed.
    fn change_tasks(&mut self, key: &ServiceKey, change: impl Fn(&mut Task) -> bool) -> bool {
        let ids: Vec<TaskId> = self.state.lookup.tasks_of_service(key).copied().collect();
        let mut changed = false;
        for id in ids {
            if let Some(task) = self.state.tasks.get_mut(&id).filter(|task| task.is_wanted())
                && change(task)
            {
                task.version = self.version;
                let node = task.node;
                self.touch_task(id, key, node);
                changed = true;
            }
        }
        changed
    }
}

/// Refuses a change that was decided on another version of an object.
fn check_version(object: impl Fn() -> String, expected: Version, found: Version) -> Result<(), Refusal> {
    if expected == found { Ok(()) } else { Err(Refusal::Stale { object: object(), expected, found }) }
}

fn conflict(message: String) -> Refusal {
    Refusal::Conflict { message, hint: None }
}

fn conflict_with_hint(message: String, hint: &str) -> Refusal {
    Refusal::Conflict { message, hint: Some(hint.to_owned()) }
}

#[cfg(test)]
mod tests;
