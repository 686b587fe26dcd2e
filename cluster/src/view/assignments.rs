//! What one node has to do and to know.

use std::collections::{BTreeMap, BTreeSet};

use crate::view::{Assignments, AssignmentsDelta, ServiceEndpoints, TaskEndpoint};
use crate::{Endpoint, NetworkName, NodeId, Service, ServiceKey, ServiceSpec, State, Task};

impl State {
    /// All that a node has to do and to know.
    #[must_use]
    pub fn assignments(&self, node: NodeId) -> Assignments {
        let tasks: BTreeMap<_, _> = self.tasks_on(node).map(|task| (task.id, task.clone())).collect();
        let reachable: BTreeSet<&NetworkName> =
            tasks.values().flat_map(|task| &task.endpoints).map(|endpoint| &endpoint.network).collect();
        let services = reachable
            .iter()
            .flat_map(|network| self.services_in(network).cloned())
            .chain(tasks.values().map(|task| task.service.clone()))
            .collect::<BTreeSet<_>>();
        Assignments {
            version: self.index,
            networks: self
                .networks
                .iter()
                .filter(|(name, network)| network.nodes.contains(&node) || reachable.contains(name))
                .map(|(name, network)| (name.clone(), network.clone()))
                .collect(),
            volumes: self
                .volumes
                .iter()
                .filter(|(_, volume)| volume.node == Some(node))
                .map(|(name, volume)| (name.clone(), volume.clone()))
                .collect(),
            services: services
                .into_iter()
                .filter_map(|key| {
                    let service = self.service(&key)?;
                    let endpoints = self.endpoints(&key, service);
                    Some((key, endpoints))
                })
                .collect(),
            tasks,
        }
    }

    /// Who answers for a service: its tasks that have a container or will have one.
    #[must_use]
    pub fn endpoints(&self, key: &ServiceKey, service: &Service) -> ServiceEndpoints {
        ServiceEndpoints {
            aliases: service
                .spec
                .networks
                .iter()
                .map(|(network, attachment)| (network.clone(), attachment.aliases.clone()))
                .collect(),
            vips: service.vips.clone(),
            ports: service.published_ports(),
            tasks: self.tasks_of(key).map(|task| (task.id, task_endpoint(task))).collect(),
            slots: if service.wants_slot(1) { service.replicas } else { 0 },
            volumes_renewed: service.volumes_renewed,
        }
    }
}

fn task_endpoint(task: &Task) -> TaskEndpoint {
    TaskEndpoint {
        slot: task.slot,
        node: task.node,
        container_name: task.container_name(),
        addresses: task.endpoints.iter().map(|e| (e.network.clone(), e.addresses())).collect(),
        running: task.is_serving(),
        ready: task.is_ready(),
    }
}

impl Task {
    /// The name of its container.
    #[must_use]
    pub fn container_name(&self) -> String {
        self.spec.container_name(&self.service, self.slot)
    }
}

impl ServiceSpec {
    /// The name of a slot's container: what the file says, or `STACK-SERVICE-SLOT`; a one-off's is its
    /// service's (`shop-web-run-1f0c`).
    #[must_use]
    pub fn container_name(&self, service: &ServiceKey, slot: u32) -> String {
        match &self.compose.container_name {
            Some(name) => name.clone(),
            None if self.one_off.is_some() => format!("{}-{}", service.stack, service.service),
            None => format!("{}-{}-{slot}", service.stack, service.service),
        }
    }
}

impl Endpoint {
    /// Its addresses without its network.
    #[must_use]
    pub fn addresses(&self) -> crate::Addresses {
        crate::Addresses { v4: self.v4, v6: self.v6 }
    }
}

impl Assignments {
    /// What leads from these assignments to `new`.
    #[must_use]
    pub fn delta(&self, new: &Assignments) -> AssignmentsDelta {
        AssignmentsDelta {
            from: self.version,
            version: new.version,
            tasks: difference(&self.tasks, &new.tasks),
            networks: difference(&self.networks, &new.networks),
            volumes: difference(&self.volumes, &new.volumes),
            services: difference(&self.services, &new.services),
        }
    }

    /// Takes a difference over. Refused, with nothing changed, when it was made from another version: the
    /// whole must be asked for then.
    ///
    /// # Errors
    /// The difference does not start here.
    pub fn apply_delta(&mut self, delta: AssignmentsDelta) -> Result<(), WrongVersion> {
        if delta.from != self.version {
            return Err(WrongVersion { from: delta.from, found: self.version });
        }
        self.version = delta.version;
        take_over(&mut self.tasks, delta.tasks);
        take_over(&mut self.networks, delta.networks);
        take_over(&mut self.volumes, delta.volumes);
        take_over(&mut self.services, delta.services);
        Ok(())
    }
}

impl AssignmentsDelta {
    /// Nothing but the version differs: there is no need to send it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
            && self.networks.is_empty()
            && self.volumes.is_empty()
            && self.services.is_empty()
    }
}

/// A difference of assignments that starts at another version than the one there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongVersion {
    /// Where it starts.
    pub from: crate::Version,
    /// What there is.
    pub found: crate::Version,
}

impl std::fmt::Display for WrongVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the assignments are at version {}, and the difference starts at {}", self.found, self.from)
    }
}

impl std::error::Error for WrongVersion {}

fn difference<K: Ord + Clone, V: PartialEq + Clone>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> BTreeMap<K, Option<V>> {
    let gone = old.keys().filter(|key| !new.contains_key(key)).map(|key| (key.clone(), None));
    let changed = new
        .iter()
        .filter(|(key, value)| old.get(key) != Some(value))
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    gone.chain(changed).collect()
}

fn take_over<K: Ord, V>(map: &mut BTreeMap<K, V>, difference: BTreeMap<K, Option<V>>) {
    for (key, value) in difference {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}
