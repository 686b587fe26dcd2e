//! What the scheduler decided. Each handler checks that the decision still fits: nothing is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::apply::{Step, check_version, conflict};
use crate::{
    Addresses, Desired, Endpoint, Gate, Network, NetworkName, Node, NodeId, NodeState, Phase, Refusal, Run,
    Service, ServiceKey, State, Task, TaskId, TaskStatus, Version,
};

/// What a service's slots get.
pub(super) struct Allocation {
    pub(super) addresses: BTreeMap<u32, BTreeMap<NetworkName, Addresses>>,
    pub(super) vips: BTreeMap<NetworkName, IpAddr>,
    pub(super) host_ports: BTreeMap<String, u16>,
}

/// A task to be made.
pub(super) struct NewTask {
    pub(super) slot: u32,
    pub(super) node: NodeId,
    pub(super) gate: Gate,
    pub(super) beside: Option<TaskId>,
}

impl Step<'_> {
    pub(super) fn put_network(&mut self, mut network: Network) -> Result<(), Refusal> {
        let name = network.spec.name.clone();
        let wished = self.state.stacks.get(&network.stack).filter(|stack| !stack.removing);
        if !wished.is_some_and(|stack| stack.networks.values().any(|spec| *spec == network.spec)) {
            return Err(conflict(format!("network `{name}` is not wished for like this any more")));
        }
        let old = self.state.networks.get(&name);
        check_version(
            || format!("network `{name}`"),
            network.version,
            old.map_or(Version(0), |old| old.version),
        )?;
        if self.state.tasks_in(&name).next().is_some() {
            return Err(conflict(format!("network `{name}` is in use")));
        }
        let others = self.state.networks.values().filter(|other| other.spec.name != name);
        let clash = |other: &&Network| network.subnets().any(|subnet| other.overlap(subnet).is_some());
        if let Some(other) = others.into_iter().find(clash) {
            return Err(conflict(format!(
                "network `{name}` would overlap with network `{}`",
                other.spec.name
            )));
        }
        network.version = self.version;
        network.nodes = old.map(|old| old.nodes.clone()).unwrap_or_default();
        self.release_addresses_outside(&network);
        self.state.networks.insert(name.clone(), network);
        let services: Vec<ServiceKey> = self.state.services_in(&name).cloned().collect();
        self.state.touched.services.extend(services);
        self.touch_network(&name);
        Ok(())
    }

    /// Slots that had an address in the network as it was before get another one.
    fn release_addresses_outside(&mut self, network: &Network) {
        let name = &network.spec.name;
        let services: Vec<ServiceKey> = self.state.services_in(name).cloned().collect();
        for key in services {
            let Some(service) = service_mut(self.state, &key) else { continue };
            for slot in service.slots.values_mut() {
                slot.addresses.retain(|other, a| other != name || a.each().all(|ip| network.has_room_at(ip)));
            }
            service.vips.retain(|other, ip| other != name || network.has_room_at(*ip));
        }
    }

    pub(super) fn allocate(
        &mut self,
        key: &ServiceKey,
        version: Version,
        allocation: Allocation,
    ) -> Result<(), Refusal> {
        let service = known(self.state, key)?;
        check_version(|| format!("service {key}"), version, service.version)?;
        check_addresses(self.state, key, &allocation)?;
        check_host_ports(self.state, key, service, &allocation.host_ports)?;
        let Some(service) = service_mut(self.state, key) else { return Ok(()) };
        for (slot, addresses) in allocation.addresses {
            service.slots.entry(slot).or_default().addresses.extend(addresses);
        }
        service.vips.extend(allocation.vips);
        service.host_ports.extend(allocation.host_ports);
        self.touch_service(key);
        Ok(())
    }

    pub(super) fn create_task(
        &mut self,
        key: &ServiceKey,
        version: Version,
        new: NewTask,
    ) -> Result<(), Refusal> {
        let service = known(self.state, key)?;
        check_version(|| format!("service {key}"), version, service.version)?;
        let endpoints = check_new_task(self.state, key, service, &new)?;
        let (spec, forced, volumes_renewed) = (service.spec.clone(), service.forced, service.volumes_renewed);
        let desired = match &service.run {
            Run::Stopped(how) => Desired::Stop(how.clone()),
            Run::Started | Run::Absent => Desired::Run,
        };
        let id = scramble(self.state.tasks_made);
        let task = Task {
            id,
            service: key.clone(),
            slot: new.slot,
            spec,
            node: new.node,
            endpoints,
            desired,
            gate: new.gate,
            generation: 1,
            restart_how: Default::default(),
            status: TaskStatus { at: self.at, ..TaskStatus::default() },
            forced,
            volumes_renewed,
            created_at: self.at,
            settled_at: None,
            version: self.version,
        };
        self.state.tasks_made += 1;
        self.occupy(&task);
        if let Some(service) = service_mut(self.state, key) {
            service.slots.entry(new.slot).or_default();
        }
        self.state.lookup.add_task(&task);
        self.state.tasks.insert(id, task);
        self.touch_task(id, key, new.node);
        Ok(())
    }

    /// The node now has the task's networks and volumes.
    fn occupy(&mut self, task: &Task) {
        for endpoint in &task.endpoints {
            let Some(network) = self.state.networks.get_mut(&endpoint.network) else { continue };
            if network.nodes.insert(task.node) {
                network.version = self.version;
                self.touch_network(&endpoint.network);
            }
        }
        for name in task.spec.volumes.values() {
            let Some(volume) = self.state.volumes.get_mut(name) else { continue };
            if volume.node.is_none() {
                volume.node = Some(task.node);
                volume.version = self.version;
                self.touch_volume(name);
            }
        }
    }

    pub(super) fn open_gate(&mut self, id: TaskId, version: Version) -> Result<(), Refusal> {
        let task = known_task(self.state, id, version)?;
        if task.gate == Gate::Held {
            task.gate = Gate::Open;
            self.changed_task(id);
        }
        Ok(())
    }

    pub(super) fn set_desired(
        &mut self,
        id: TaskId,
        version: Version,
        desired: Desired,
    ) -> Result<(), Refusal> {
        let task = known_task(self.state, id, version)?;
        if matches!(task.desired, Desired::Remove(_)) && !matches!(desired, Desired::Remove(_)) {
            return Err(conflict(format!("task {id} is being removed already")));
        }
        if task.desired != desired {
            if matches!(task.desired, Desired::Stop(_)) && desired == Desired::Run {
                // The wish to start raised it, too, but while the agent still knew the stop, and could say of the new
                // generation that it rests. That must not count when the next stop comes.
                task.generation += 1;
            }
            task.desired = desired;
            self.changed_task(id);
        }
        Ok(())
    }

    fn changed_task(&mut self, id: TaskId) {
        let Some(task) = self.state.tasks.get_mut(&id) else { return };
        task.version = self.version;
        let (service, node) = (task.service.clone(), task.node);
        self.touch_task(id, &service, node);
    }
}

impl Task {
    /// Whether it still holds its slot: its container may be alive, and another one in its place would be a
    /// second one.
    #[must_use]
    pub fn holds_slot(&self) -> bool {
        self.status.phase != Phase::Removed
    }
}

/// A number that looks unlike its neighbours, and is no other number's: multiplication by an odd number and
/// exclusive or with a shifted self can both be undone.
fn scramble(count: u64) -> TaskId {
    let mut x = count.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    TaskId(x ^ (x >> 31))
}

pub(super) fn known<'a>(state: &'a State, key: &ServiceKey) -> Result<&'a Service, Refusal> {
    state.service(key).ok_or_else(|| Refusal::Unknown { object: format!("service {key}") })
}

fn known_task(state: &mut State, id: TaskId, version: Version) -> Result<&mut Task, Refusal> {
    let task = state.tasks.get_mut(&id).ok_or_else(|| Refusal::Unknown { object: format!("task {id}") })?;
    check_version(|| format!("task {id}"), version, task.version)?;
    Ok(task)
}

fn service_mut<'a>(state: &'a mut State, key: &ServiceKey) -> Option<&'a mut Service> {
    state.stacks.get_mut(&key.stack)?.services.get_mut(&key.service)
}

/// Refuses addresses outside of their network, and those that another slot or service has.
fn check_addresses(state: &State, key: &ServiceKey, allocation: &Allocation) -> Result<(), Refusal> {
    let new = allocation.addresses.iter().flat_map(|(slot, addresses)| {
        addresses.iter().flat_map(move |(network, both)| both.each().map(move |ip| (network, ip, *slot)))
    });
    let vips = allocation.vips.iter().map(|(network, address)| (network, *address, 0));
    let mut seen: BTreeMap<&NetworkName, BTreeMap<IpAddr, (ServiceKey, u32)>> = BTreeMap::new();
    for (name, address, slot) in new.chain(vips) {
        let Some(network) = state.networks.get(name) else {
            return Err(Refusal::Unknown { object: format!("network `{name}`") });
        };
        if !network.has_room_at(address) {
            return Err(conflict(format!("{address} is no address for a container in network `{name}`")));
        }
        let taken = seen.entry(name).or_insert_with(|| state.addresses_in(name));
        match taken.insert(address, (key.clone(), slot)) {
            Some((other, other_slot)) if (&other, other_slot) != (key, slot) => {
                return Err(conflict(format!("{address} is already {other}.{other_slot}'s")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_host_ports(
    state: &State,
    key: &ServiceKey,
    service: &Service,
    host_ports: &BTreeMap<String, u16>,
) -> Result<(), Refusal> {
    if host_ports.is_empty() {
        return Ok(());
    }
    let mut after = service.clone();
    after.host_ports.extend(host_ports.clone());
    let ports = after.published_ports();
    let mut sorted = BTreeMap::new();
    for port in &ports {
        if sorted.insert((port.host_port, &port.protocol, port.host_ip), port).is_some() {
            return Err(conflict(format!(
                "host port {}/{} would be given twice",
                port.host_port, port.protocol
            )));
        }
    }
    let others = state.services().filter(|(other, _)| other != key);
    for (other, service) in others {
        for port in service.published_ports() {
            if ports.iter().any(|new| new.collides_with(&port)) {
                return Err(conflict(format!(
                    "host port {}/{} is already {other}'s",
                    port.host_port, port.protocol
                )));
            }
        }
    }
    Ok(())
}

/// Checks that a slot can have a task on a node now, and finds its interfaces.
fn check_new_task(
    state: &State,
    key: &ServiceKey,
    service: &Service,
    new: &NewTask,
) -> Result<Vec<Endpoint>, Refusal> {
    let slot = new.slot;
    let ready = |node: &&Node| node.state == NodeState::Ready;
    if state.nodes.get(&new.node).filter(ready).is_none() {
        return Err(Refusal::Unknown { object: format!("ready node {}", new.node) });
    }
    if !service.wants_slot(slot) {
        return Err(conflict(format!("{key}.{slot} is not wished for any more")));
    }
    let mut holders = state.tasks_of(key).filter(|task| task.slot == slot && task.holds_slot());
    if let Some(task) = holders.find(|task| Some(task.id) != new.beside || service.is_current(task)) {
        return Err(conflict(format!("{key}.{slot} still has task {}", task.id)));
    }
    for name in service.spec.volumes.values() {
        let volume = state.volumes.get(name);
        if volume.is_none_or(|volume| volume.removing || volume.node.is_some_and(|node| node != new.node)) {
            return Err(conflict(format!("volume `{name}` is not to be had on node {}", new.node)));
        }
    }
    let addresses = service.slots.get(&slot).map(|slot| &slot.addresses);
    let mut endpoints = Vec::new();
    for (name, _) in service.spec.networks_in_order() {
        let network = state.networks.get(name).filter(|network| !network.removing);
        let Some((_, addresses)) = network.zip(addresses.and_then(|a| a.get(name))) else {
            return Err(conflict(format!("{key}.{slot} has no address in network `{name}`")));
        };
        endpoints.push(Endpoint { network: name.clone(), v4: addresses.v4, v6: addresses.v6 });
    }
    let beside = new.beside.and_then(|id| state.tasks.get(&id));
    if beside.is_some_and(|task| task.endpoints.iter().any(|endpoint| endpoints.contains(endpoint))) {
        return Err(conflict(format!("{key}.{slot} has no address for two tasks at once")));
    }
    Ok(endpoints)
}

impl State {
    /// The addresses in use in a network, those of slots (with their number) and virtual ones (slot 0).
    #[must_use]
    pub fn addresses_in(&self, network: &NetworkName) -> BTreeMap<IpAddr, (ServiceKey, u32)> {
        let mut taken = BTreeMap::new();
        for key in self.services_in(network).collect::<BTreeSet<_>>() {
            let Some(service) = self.service(key) else { continue };
            for (slot, value) in &service.slots {
                if let Some(addresses) = value.addresses.get(network) {
                    taken.extend(addresses.each().map(|ip| (ip, (key.clone(), *slot))));
                }
            }
            if let Some(vip) = service.vips.get(network) {
                taken.insert(*vip, (key.clone(), 0));
            }
        }
        for task in self.tasks_in(network) {
            for endpoint in task.endpoints.iter().filter(|endpoint| endpoint.network == *network) {
                for ip in endpoint.addresses().each() {
                    taken.entry(ip).or_insert_with(|| (task.service.clone(), task.slot));
                }
            }
        }
        taken
    }
}
