//! What keeps a wish from being granted beside what is there already.

use std::collections::BTreeMap;

use crate::apply::{check_version, conflict, conflict_with_hint};
use crate::view::{PortChoice, PublishedPort, port_choice};
use crate::{
    NetworkSpec, PutStack, Refusal, Service, ServiceKey, ServiceSpec, StackSpec, State, Version, limits,
};

/// Checks a whole wish; nothing is changed before all of it has passed.
pub(super) fn check_wish(state: &State, put: &PutStack) -> Result<(), Refusal> {
    let name = &put.spec.name;
    if let Some(expected) = put.expected {
        let found = state.stacks.get(name).map_or(Version::default(), |stack| stack.version);
        check_version(|| format!("stack `{name}`"), expected, found)?;
    }
    let (wished, refusals) = check_alone(put);
    if let Some(first) = refusals.into_iter().next() {
        return Err(first);
    }
    for (key, service) in state.services().filter(|(key, service)| stays(key, service, put)) {
        wished.check_beside(&key, service, put)?;
    }
    for spec in put.spec.networks.values() {
        check_network(state, put, spec)?;
    }
    check_volumes(state, put)
}

impl PutStack {
    /// All that can never be granted, whatever else there is; for those who want to know before they ask.
    #[must_use]
    pub fn check(&self) -> Vec<Refusal> {
        check_alone(self).1
    }
}

/// Checks a wish by itself.
fn check_alone(put: &PutStack) -> (Wished, Vec<Refusal>) {
    let name = &put.spec.name;
    let mut refusals: Vec<Refusal> = check_limits(&put.spec).err().into_iter().collect();
    let named = put.services.iter().chain(put.scale.keys());
    let unknown = named.filter(|service| !put.spec.services.contains_key(*service));
    refusals.extend(
        unknown.map(|service| Refusal::Unknown { object: format!("service `{service}` in stack `{name}`") }),
    );
    let mut wished = Wished::default();
    for (service, spec) in put.spec.services.iter().filter(|(service, _)| put.selects(service)) {
        let key = ServiceKey::new(name, service);
        let replicas = put.scale.get(service).copied().unwrap_or_else(|| spec.replicas());
        refusals.extend(check_replicas(&key, spec, replicas).err());
        refusals.extend(check_attachments(&put.spec, &key, spec).err());
        refusals.extend(wished.add(key, spec).err());
    }
    (wished, refusals)
}

/// Checks services of one stack of which nothing runs yet and something shall, beside what is there: a one-off, or
/// what is scaled from nothing or was stopped.
pub(super) fn check_more(state: &State, more: &[(&ServiceKey, &ServiceSpec)]) -> Result<(), Refusal> {
    let Some(name) = more.first().map(|(key, _)| &key.stack) else { return Ok(()) };
    let Some(stack) = state.stacks.get(name).filter(|stack| !stack.removing) else {
        return Err(Refusal::Unknown { object: format!("stack `{name}`") });
    };
    let mut wished = Wished::default();
    for (key, spec) in more {
        for network in spec.networks.keys() {
            if !stack.networks.values().any(|known| known.name == *network) {
                return Err(Refusal::Unknown { object: format!("network `{network}` in stack `{name}`") });
            }
        }
        wished.add((*key).clone(), spec)?;
    }
    let (services, networks, volumes) = Default::default();
    let nothing = StackSpec { name: name.clone(), services, networks, volumes };
    let none = PutStack { partial: true, ..PutStack::new(nothing) };
    for (other, service) in state.services() {
        // A service of which nothing is to run has no port yet, and its one-offs may have it.
        let beside = !service.removing && service.replicas > 0;
        if beside && more.iter().all(|(key, _)| **key != other) {
            wished.check_beside(&other, service, &none)?;
        }
    }
    Ok(())
}

/// Checks a number of replicas.
pub(super) fn check_replicas(key: &ServiceKey, spec: &ServiceSpec, replicas: u32) -> Result<(), Refusal> {
    if replicas > limits::REPLICAS {
        return Err(conflict(format!(
            "service `{}` asks for {replicas} replicas, and {} is the limit",
            key.service,
            limits::REPLICAS
        )));
    }
    if spec.is_global() && replicas != 1 {
        return Err(conflict(format!(
            "service `{}` runs once on each node: it has no number of replicas",
            key.service
        )));
    }
    match &spec.compose.container_name {
        Some(name) if replicas > 1 => Err(conflict_with_hint(
            format!(
                "service `{}` asks for {replicas} replicas that would all be named `{name}`",
                key.service
            ),
            "remove `container_name`: replicas are then named STACK-SERVICE-NUMBER",
        )),
        _ => Ok(()),
    }
}

fn check_limits(spec: &StackSpec) -> Result<(), Refusal> {
    let ports = spec.services.values().map(|service| service.compose.ports.len()).max().unwrap_or(0);
    let counts = [
        ("services", spec.services.len(), limits::SERVICES),
        ("networks", spec.networks.len(), limits::NETWORKS),
        ("volumes", spec.volumes.len(), limits::VOLUMES),
        ("ports in one service", ports, limits::PORTS),
    ];
    match counts.into_iter().find(|(_, count, limit)| count > limit) {
        Some((what, count, limit)) => {
            Err(conflict(format!("stack `{}` has {count} {what}, and {limit} is the limit", spec.name)))
        }
        None => Ok(()),
    }
}

fn check_attachments(stack: &StackSpec, key: &ServiceKey, spec: &ServiceSpec) -> Result<(), Refusal> {
    match spec.networks.keys().find(|name| !stack.networks.values().any(|known| known.name == **name)) {
        Some(name) => {
            Err(Refusal::Unknown { object: format!("network `{name}` for service `{}`", key.service) })
        }
        None => Ok(()),
    }
}

/// Whether a service will still be there beside the wish, and is not what the wish is about.
fn stays(key: &ServiceKey, service: &Service, put: &PutStack) -> bool {
    let renewed = key.stack == put.spec.name
        && put.spec.services.contains_key(&key.service)
        && put.selects(&key.service);
    let orphan = key.stack == put.spec.name
        && put.remove_orphans
        && !put.partial
        && put.services.is_empty()
        && service.spec.one_off.is_none();
    !service.removing && !renewed && !orphan
}

/// What is wished for and can be had only once.
#[derive(Default)]
struct Wished {
    names: BTreeMap<String, ServiceKey>,
    ports: BTreeMap<u16, Vec<(PublishedPort, ServiceKey)>>,
}

impl Wished {
    fn add(&mut self, key: ServiceKey, spec: &ServiceSpec) -> Result<(), Refusal> {
        if let Some(name) = &spec.compose.container_name
            && let Some(other) = self.names.insert(name.clone(), key.clone())
        {
            return Err(conflict(format!(
                "services `{}` and `{}` both name their container `{name}`",
                other.service, key.service
            )));
        }
        for port in fixed_ports(spec) {
            let taken = self.ports.entry(port.host_port).or_default();
            if let Some((_, other)) = taken.iter().find(|(other, _)| other.collides_with(&port)) {
                if *other == key {
                    continue;
                }
                return Err(conflict(format!(
                    "services `{}` and `{}` both publish host port {}/{}",
                    other.service, key.service, port.host_port, port.protocol
                )));
            }
            taken.push((port, key.clone()));
        }
        Ok(())
    }

    /// Refuses the wish when `service`, which stays beside it, already has what it asks for.
    fn check_beside(&self, key: &ServiceKey, service: &Service, put: &PutStack) -> Result<(), Refusal> {
        let whose = describe(key, put);
        let left_over =
            !put.partial && key.stack == put.spec.name && !put.spec.services.contains_key(&key.service);
        let hint = left_over
            .then(|| "it is not among what is wished for: remove it with --remove-orphans".to_owned());
        if let Some(name) = &service.spec.compose.container_name
            && self.names.contains_key(name)
        {
            let message = format!("the container name `{name}` is already used by {whose}");
            return Err(Refusal::Conflict { message, hint });
        }
        for port in service.published_ports() {
            let wished = self.ports.get(&port.host_port).into_iter().flatten();
            if wished.into_iter().any(|(wish, _)| wish.collides_with(&port)) {
                let message =
                    format!("host port {}/{} is already published by {whose}", port.host_port, port.protocol);
                return Err(Refusal::Conflict { message, hint });
            }
        }
        Ok(())
    }
}

fn describe(key: &ServiceKey, put: &PutStack) -> String {
    if key.stack == put.spec.name {
        format!("service `{}`", key.service)
    } else {
        format!("service `{}` of stack `{}`", key.service, key.stack)
    }
}

/// The host ports that the file fixes.
fn fixed_ports(spec: &ServiceSpec) -> impl Iterator<Item = PublishedPort> {
    spec.compose.ports.iter().filter_map(|port| match port_choice(port) {
        PortChoice::Fixed(host_port) => PublishedPort::of(port, host_port, None),
        PortChoice::Any | PortChoice::Range(..) => None,
    })
}

fn check_network(state: &State, put: &PutStack, spec: &NetworkSpec) -> Result<(), Refusal> {
    let name = &spec.name;
    match state.networks.get(name) {
        Some(found) if spec.compose.external && found.stack == put.spec.name => Err(conflict_with_hint(
            format!("network `{name}` is external, but this stack itself has made it"),
            "take `external: true` away, or bring the stack down first",
        )),
        Some(found) if !spec.compose.external && found.stack != put.spec.name => Err(conflict_with_hint(
            format!("network `{name}` belongs to stack `{}`", found.stack),
            "to use it together, say `external: true`",
        )),
        None if spec.compose.external => Err(conflict_with_hint(
            format!("network `{name}` is external, and there is no such network"),
            "bring up the stack that makes it first, or take `external: true` away",
        )),
        _ => check_subnets(state, spec),
    }
}

/// Refuses a network without any address, and subnets that are none, that cannot be its, or that overlap with those of
/// other networks.
fn check_subnets(state: &State, spec: &NetworkSpec) -> Result<(), Refusal> {
    let name = &spec.name;
    if !spec.has_ipv4() && !spec.has_ipv6() {
        return Err(conflict_with_hint(
            format!("network `{name}` would have neither IPv4 nor IPv6"),
            "say `enable_ipv6: true`, or take `enable_ipv4: false` away",
        ));
    }
    for text in spec.subnets() {
        let subnet: ipnet::IpNet = text
            .parse()
            .map_err(|_| conflict(format!("network `{name}`: `{text}` is no subnet in CIDR notation")))?;
        match subnet {
            ipnet::IpNet::V4(_) if !spec.has_ipv4() => {
                return Err(conflict(format!(
                    "network `{name}` has no IPv4, and subnet {subnet} is asked for"
                )));
            }
            // Docker ignores it as well.
            ipnet::IpNet::V6(_) if !spec.has_ipv6() => continue,
            _ => {}
        }
        let mut others = state.networks.values().filter(|other| other.spec.name != *name);
        if let Some((other, theirs)) = others.find_map(|other| Some((other, other.overlap(subnet)?))) {
            return Err(conflict(format!(
                "network `{name}`: subnet {subnet} overlaps with {theirs} of network `{}`",
                other.spec.name
            )));
        }
    }
    Ok(())
}

fn check_volumes(state: &State, put: &PutStack) -> Result<(), Refusal> {
    for spec in put.spec.volumes.values() {
        let name = &spec.name;
        match state.volumes.get(name) {
            None if spec.compose.external => {
                return Err(conflict_with_hint(
                    format!("volume `{name}` is external, and there is no such volume"),
                    "bring up the stack that makes it first, or take `external: true` away",
                ));
            }
            Some(found) if !spec.compose.external && found.stack != put.spec.name => {
                return Err(conflict_with_hint(
                    format!("volume `{name}` belongs to stack `{}`", found.stack),
                    "to use it together, say `external: true`",
                ));
            }
            Some(found)
                if !spec.compose.external
                    && !found.removing
                    && (found.spec.compose.driver != spec.compose.driver
                        || found.spec.compose.driver_opts != spec.compose.driver_opts) =>
            {
                return Err(conflict_with_hint(
                    format!("volume `{name}` exists with another driver or other driver options"),
                    "its data would be lost; to make it anew, remove it first: `orc down -v`",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
