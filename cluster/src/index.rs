//! What follows from the state and is looked up often. Kept in step by `apply`, made anew when a state is
//! read from disk, never stored.

use std::collections::{BTreeMap, BTreeSet};

use crate::{NetworkName, NodeId, Service, ServiceKey, State, Task, TaskId, Update};

/// Lookup tables over a [`State`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    by_service: BTreeMap<ServiceKey, BTreeSet<TaskId>>,
    by_node: BTreeMap<NodeId, BTreeSet<TaskId>>,
    by_network: BTreeMap<NetworkName, BTreeSet<TaskId>>,
    services: BTreeMap<NetworkName, BTreeSet<ServiceKey>>,
    dependents: BTreeMap<ServiceKey, BTreeSet<ServiceKey>>,
    short: BTreeSet<ServiceKey>,
    updating: BTreeSet<ServiceKey>,
}

impl Index {
    /// The tables of a state.
    pub(crate) fn of(state: &State) -> Self {
        let mut index = Self::default();
        for task in state.tasks.values() {
            index.add_task(task);
        }
        for (key, service) in state.services() {
            index.add_service(&key, service);
            index.note_service(&key, Some(service), &state.tasks);
        }
        index
    }

    pub(crate) fn add_task(&mut self, task: &Task) {
        self.by_service.entry(task.service.clone()).or_default().insert(task.id);
        self.by_node.entry(task.node).or_default().insert(task.id);
        for endpoint in &task.endpoints {
            self.by_network.entry(endpoint.network.clone()).or_default().insert(task.id);
        }
    }

    pub(crate) fn remove_task(&mut self, task: &Task) {
        remove(&mut self.by_service, &task.service, &task.id);
        remove(&mut self.by_node, &task.node, &task.id);
        for endpoint in &task.endpoints {
            remove(&mut self.by_network, &endpoint.network, &task.id);
        }
    }

    pub(crate) fn add_service(&mut self, key: &ServiceKey, service: &Service) {
        for network in service.spec.networks.keys() {
            self.services.entry(network.clone()).or_default().insert(key.clone());
        }
        for dependency in service.spec.compose.depends_on.keys() {
            let dependency = ServiceKey::new(&key.stack, dependency);
            self.dependents.entry(dependency).or_default().insert(key.clone());
        }
    }

    pub(crate) fn remove_service(&mut self, key: &ServiceKey, service: &Service) {
        for network in service.spec.networks.keys() {
            remove(&mut self.services, network, key);
        }
        for dependency in service.spec.compose.depends_on.keys() {
            remove(&mut self.dependents, &ServiceKey::new(&key.stack, dependency), key);
        }
    }

    /// Notes whether the service wants a task for some slot that has none, and whether it is being updated.
    pub(crate) fn note_service(
        &mut self,
        key: &ServiceKey,
        service: Option<&Service>,
        tasks: &BTreeMap<TaskId, Task>,
    ) {
        let taken: BTreeSet<u32> =
            self.tasks_of_service(key).filter_map(|id| tasks.get(id)).map(|task| task.slot).collect();
        let short = service.is_some_and(|service| {
            service.wants_slot(1) && (1..=service.replicas).any(|slot| !taken.contains(&slot))
        });
        set(&mut self.short, key, short);
        let updating = service.and_then(|service| service.update.as_ref()).is_some_and(Update::is_active);
        set(&mut self.updating, key, updating);
    }

    pub(crate) fn tasks_of_service(&self, service: &ServiceKey) -> impl Iterator<Item = &TaskId> {
        self.by_service.get(service).into_iter().flatten()
    }

    pub(crate) fn tasks_of_node(&self, node: NodeId) -> impl Iterator<Item = &TaskId> {
        self.by_node.get(&node).into_iter().flatten()
    }

    pub(crate) fn tasks_of_network(&self, network: &NetworkName) -> impl Iterator<Item = &TaskId> {
        self.by_network.get(network).into_iter().flatten()
    }

    pub(crate) fn services_of_network(&self, network: &NetworkName) -> impl Iterator<Item = &ServiceKey> {
        self.services.get(network).into_iter().flatten()
    }

    pub(crate) fn dependents_of(&self, service: &ServiceKey) -> impl Iterator<Item = &ServiceKey> {
        self.dependents.get(service).into_iter().flatten()
    }

    pub(crate) fn short(&self) -> impl Iterator<Item = &ServiceKey> {
        self.short.iter()
    }

    pub(crate) fn updating(&self) -> impl Iterator<Item = &ServiceKey> {
        self.updating.iter()
    }
}

/// Puts a key in, or takes it out.
fn set(keys: &mut BTreeSet<ServiceKey>, key: &ServiceKey, inside: bool) {
    if inside {
        keys.insert(key.clone());
    } else {
        keys.remove(key);
    }
}

/// Removes a value, and the key with its last value.
fn remove<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
