//! What names and balanced ports shall lead to: the manager's view of services, corrected by what this agent
//! knows of its own tasks at this instant.
//!
//! The meaning of a name, and of a published port or a VIP, is Compose's: the ready tasks of the service, and
//! all running ones while none is ready. `tasks.NAME` means all running ones.

use std::collections::{BTreeMap, BTreeSet};

use ::core::net::IpAddr;
use cluster::compose_spec::Service;
use cluster::view::{Assignments, PublishedPort, ServiceEndpoints, TaskEndpoint};
use cluster::{Network, NetworkName, NodeId, ServiceKey, TaskId};
use overlay_net::limits::MAX_BACKENDS;
use overlay_net::{Balance, Published, View, Vip, Zone};

use super::translate::{protocol, short_id};

/// What this agent knows of a task of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Local {
    /// Its container runs and is not about to end.
    pub running: bool,
    /// New connections may be sent to it.
    pub ready: bool,
}

/// The services as this node sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    /// What the manager says.
    pub assigned: &'a Assignments,
    /// This node: of its tasks the agent knows better.
    pub node: NodeId,
    /// What the agent knows; a task that is missing here does not run.
    pub local: &'a BTreeMap<TaskId, Local>,
    /// The networks that this node has.
    pub networks: &'a BTreeSet<NetworkName>,
}

impl Sight<'_> {
    fn knows(&self, id: TaskId, endpoint: &TaskEndpoint) -> Local {
        if endpoint.node == self.node {
            return self.local.get(&id).copied().unwrap_or_default();
        }
        Local { running: endpoint.running, ready: endpoint.ready }
    }

    /// The tasks that new connections go to.
    fn answering<'s>(&self, service: &'s ServiceEndpoints) -> Vec<(TaskId, &'s TaskEndpoint)> {
        self.best(service.tasks.iter())
    }

    /// The ready ones of these tasks, or all that run while none is ready.
    fn best<'s>(
        &self,
        tasks: impl Iterator<Item = (&'s TaskId, &'s TaskEndpoint)> + Clone,
    ) -> Vec<(TaskId, &'s TaskEndpoint)> {
        let chosen = |wanted: fn(Local) -> bool| -> Vec<_> {
            let tasks = tasks.clone().map(|(id, endpoint)| (*id, endpoint));
            tasks.filter(|(id, endpoint)| wanted(self.knows(*id, endpoint))).collect()
        };
        let ready = chosen(|task| task.ready);
        if ready.is_empty() { chosen(|task| task.running) } else { ready }
    }

    /// Others of the service answer when `task` does not.
    #[must_use]
    pub(super) fn has_others(&self, service: &ServiceKey, task: TaskId) -> bool {
        let Some(service) = self.assigned.services.get(service) else { return false };
        service.tasks.iter().any(|(id, endpoint)| *id != task && self.knows(*id, endpoint).ready)
    }

    /// The names of a network; `None` when no service is in it.
    #[must_use]
    pub(super) fn zone(&self, network: &NetworkName) -> Option<Zone> {
        let mut names: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut reverse = BTreeMap::new();
        let mut found = false;
        for (key, service) in &self.assigned.services {
            if !service.aliases.contains_key(network) {
                continue;
            }
            found = true;
            let all: BTreeSet<IpAddr> = self
                .answering(service)
                .into_iter()
                .flat_map(|(_, endpoint)| addresses(endpoint, network))
                .collect();
            let vip = service.vips.get(network).map(|vip| BTreeSet::from([*vip]));
            let meaning = vip.unwrap_or(all);
            let aliases = service.aliases.get(network).into_iter().flatten().cloned();
            let own = [key.service.clone(), format!("{}.{}", key.service, key.stack)];
            for name in own.into_iter().chain(aliases) {
                names.entry(name).or_default().extend(&meaning);
            }
            for (id, endpoint) in &service.tasks {
                if !self.knows(*id, endpoint).running {
                    continue;
                }
                for address in addresses(endpoint, network) {
                    let tasks = format!("tasks.{}", key.service);
                    for name in [tasks, endpoint.container_name.clone(), short_id(*id)] {
                        names.entry(name).or_default().insert(address);
                    }
                    reverse.insert(address, format!("{}.{network}", endpoint.container_name));
                }
            }
        }
        let names = names
            .into_iter()
            .filter(|(_, addresses)| !addresses.is_empty())
            .map(|(name, addresses)| (name, addresses.into_iter().collect()))
            .collect();
        found.then_some(Zone { names, reverse })
    }

    /// All balanced addresses and ports of this node.
    #[must_use]
    pub(super) fn balance(&self) -> Balance {
        let mut balance = Balance::default();
        for service in self.assigned.services.values() {
            if service.vips.is_empty() && service.ports.is_empty() {
                continue;
            }
            let answering = self.answering(service);
            for (network, address) in &service.vips {
                if !self.networks.contains(network) {
                    continue;
                }
                let all = answering.iter().flat_map(|(_, endpoint)| addresses(endpoint, network));
                let mut backends: Vec<IpAddr> =
                    all.filter(|backend| backend.is_ipv4() == address.is_ipv4()).collect();
                backends.truncate(MAX_BACKENDS);
                balance.vips.insert(*address, Vip { network: network.0.clone(), backends });
            }
            let published = service.ports.iter().filter_map(|port| self.published(port, service, &answering));
            balance.published.extend(published);
        }
        balance
    }

    fn published(
        &self,
        port: &PublishedPort,
        service: &ServiceEndpoints,
        answering: &[(TaskId, &TaskEndpoint)],
    ) -> Option<Published> {
        let protocol = protocol(&port.protocol)?;
        // A port of one slot leads there or nowhere, whatever the others do.
        let of_slot: Vec<(TaskId, &TaskEndpoint)> = match port.slot {
            None => answering.to_vec(),
            Some(slot) => self.best(service.tasks.iter().filter(|(_, endpoint)| endpoint.slot == slot)),
        };
        let mut backends: Vec<IpAddr> =
            of_slot.iter().flat_map(|(_, endpoint)| self.public_addresses(endpoint)).collect();
        backends.truncate(MAX_BACKENDS);
        Some(Published {
            host_ip: port.host_ip,
            host_port: port.host_port,
            protocol,
            target_port: port.target,
            backends,
        })
    }

    /// A task's addresses in the first of its networks that leads out; `internal` ones do not.
    fn public_addresses(&self, endpoint: &TaskEndpoint) -> Vec<IpAddr> {
        let leads_out = |network: &&NetworkName| !self.network(network).is_some_and(is_internal);
        let network = endpoint.addresses.keys().find(leads_out);
        network.map(|network| addresses(endpoint, network)).unwrap_or_default()
    }

    fn network(&self, name: &NetworkName) -> Option<&Network> {
        self.assigned.networks.get(name)
    }
}

fn is_internal(network: &Network) -> bool {
    network.spec.compose.internal
}

fn addresses(endpoint: &TaskEndpoint, network: &NetworkName) -> Vec<IpAddr> {
    endpoint.addresses.get(network).into_iter().flat_map(cluster::Addresses::each).collect()
}

/// What a task's namespace may resolve: the names of its networks, and what its service says of names. Of a
/// container that nobody has asked for any more the service is not known.
///
/// A link stands for a name of these networks, whoever has it whenever it is asked for: of `links` a service, of
/// `external_links` a container of whatever stack. As with Docker, one that is not there yet has no address.
#[must_use]
pub(super) fn view(networks: &BTreeSet<NetworkName>, service: Option<&Service>) -> View {
    let links = service.into_iter().flat_map(|service| service.links.iter().chain(&service.external_links));
    let servers = service.into_iter().flat_map(|service| &service.dns);
    View {
        networks: networks.iter().map(|network| network.0.clone()).collect(),
        aliases: links
            .filter_map(|link| link.split_once(':'))
            .map(|(name, alias)| (alias.to_owned(), name.to_owned()))
            .collect(),
        // Others than addresses were refused with the container.
        resolvers: servers.filter_map(|server| server.parse().ok()).collect(),
    }
}
