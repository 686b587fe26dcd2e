//! What a slot gets before it gets a task: addresses, virtual addresses of its service, host ports. All of it
//! or nothing; what it has it keeps.

mod address;
mod port;
mod subnet;

use std::collections::BTreeMap;
use std::net::IpAddr;

use cluster::view::PublishedPort;
use cluster::{Addresses, ChangeKind, NetworkName, Service, ServiceKey, StackName};

use crate::decide::Round;
use crate::replicas::No;

/// What slots of a service need that they do not have yet.
#[derive(Default)]
pub(crate) struct Needs {
    addresses: BTreeMap<u32, BTreeMap<NetworkName, Addresses>>,
    vips: BTreeMap<NetworkName, IpAddr>,
    host_ports: BTreeMap<String, PublishedPort>,
}

/// Gives the networks that a stack wishes for, and that are not there like this, their subnets.
pub(crate) fn networks(round: &mut Round<'_>, stack: &StackName) {
    let state = round.state;
    let Some(value) = state.stacks.get(stack).filter(|value| !value.removing) else { return };
    for spec in value.networks.values().filter(|spec| !spec.compose.external) {
        let found = state.networks.get(&spec.name);
        if found.is_some_and(|found| found.spec == *spec) || state.tasks_in(&spec.name).next().is_some() {
            continue;
        }
        if let Ok(network) = subnet::choose(round, stack, spec) {
            round.ledger.networks.insert(spec.name.clone(), network.clone());
            round.changes.push(ChangeKind::PutNetwork(Box::new(network)));
        }
    }
}

impl Needs {
    /// What one more slot needs besides what it has and what its service is given already. Nothing is taken yet.
    /// `anew`: the task that has the slot's addresses keeps them, so the slot gets others.
    pub(crate) fn more(
        &self,
        round: &mut Round<'_>,
        key: &ServiceKey,
        service: &Service,
        (slot, anew): (u32, bool),
    ) -> Result<Needs, No> {
        check_volumes(round, service)?;
        let mut needs = Needs::default();
        let mut addresses = BTreeMap::new();
        for (name, attachment) in &service.spec.networks {
            let network = usable_network(round, key, name)?;
            let owned = service.slots.get(&slot).and_then(|slot| slot.addresses.get(name));
            if anew || !owned.is_some_and(|owned| address::fits(&network, attachment, *owned)) {
                addresses.insert(name.clone(), address::choose(round, &network, attachment, service)?);
            }
            let has_vip = service.vips.contains_key(name) || self.vips.contains_key(name);
            if service.spec.wants_virtual_address() && !has_vip {
                let vip = address::choose_virtual(round, &network, addresses.get(name))?;
                needs.vips.insert(name.clone(), vip);
            }
        }
        if !addresses.is_empty() {
            needs.addresses.insert(slot, addresses);
        }
        needs.host_ports = port::choose(round, service, slot, &self.host_ports)?;
        Ok(needs)
    }

    /// Takes what a slot needs.
    pub(crate) fn take(&mut self, round: &mut Round<'_>, needs: Needs) {
        for (network, addresses) in needs.addresses.values().flatten() {
            round.ledger.addresses(network).extend(addresses.each());
        }
        for (network, address) in &needs.vips {
            round.ledger.addresses(network).insert(*address);
        }
        for port in needs.host_ports.values() {
            round.ledger.take_port(port.clone());
        }
        self.addresses.extend(needs.addresses);
        self.vips.extend(needs.vips);
        self.host_ports.extend(needs.host_ports);
    }

    /// The change that gives it all, if there is anything.
    pub(crate) fn into_change(self, key: &ServiceKey, service: &Service) -> Option<ChangeKind> {
        if self.addresses.is_empty() && self.vips.is_empty() && self.host_ports.is_empty() {
            return None;
        }
        Some(ChangeKind::Allocate {
            service: key.clone(),
            version: service.version,
            addresses: self.addresses,
            vips: self.vips,
            host_ports: self.host_ports.into_iter().map(|(key, port)| (key, port.host_port)).collect(),
        })
    }
}

fn check_volumes(round: &Round<'_>, service: &Service) -> Result<(), No> {
    for name in service.spec.volumes.values() {
        match round.state.volumes.get(name) {
            Some(volume) if !volume.removing => {}
            Some(_) => {
                return Err(No::not_now(format!("waits for the data of volume `{name}` to be deleted")));
            }
            None => return Err(No::not_now(format!("waits for volume `{name}`, which does not exist"))),
        }
    }
    Ok(())
}

/// A network that the service's tasks can be put in: there as it is wished for.
fn usable_network(
    round: &mut Round<'_>,
    key: &ServiceKey,
    name: &NetworkName,
) -> Result<cluster::Network, No> {
    let stack = round.state.stacks.get(&key.stack);
    let wished = stack.and_then(|stack| stack.networks.values().find(|spec| spec.name == *name));
    match (round.ledger.network(name), wished) {
        (Some(network), Some(spec)) if spec.compose.external || network.spec == *spec => {
            if network.removing {
                return Err(No::not_now(format!("waits for network `{name}`, which is being removed")));
            }
            Ok(network.clone())
        }
        (Some(_), Some(_)) => {
            Err(No::not_now(format!("waits for network `{name}` to be made anew: containers still use it")))
        }
        (None, Some(spec)) if !spec.compose.external => match subnet::choose(round, &key.stack, spec) {
            Err(no) => Err(no),
            Ok(_) => Err(No::not_now(format!("waits for network `{name}`"))),
        },
        _ => Err(No::never(format!("network `{name}` does not exist"))),
    }
}
