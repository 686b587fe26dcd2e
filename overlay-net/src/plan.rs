//! Which links have to be made or removed: what is wanted, compared with what is there. Pure; prints as text.
//!
//! A link's alias says completely what it is (`ip link` shows it). It is written when the link is ready, so a link
//! of ours without alias is the rest of an interrupted attempt, and one with another alias is out of date.

use std::collections::BTreeMap;
use std::fmt;

use crate::link::Link;
use crate::nft::Names;
use crate::spec::{EndpointSpec, NetnsId, NetworkId, NetworkSpec};

/// What shall be on this machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) networks: BTreeMap<NetworkId, NetworkSpec>,
    pub(crate) endpoints: BTreeMap<NetnsId, Vec<EndpointSpec>>,
}

/// This engine's links, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) links: BTreeMap<String, Link>,
}

/// One step, in the order in which it must be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NetOp {
    RemoveLink { name: String },
    AddBridge { name: String, alias: String, network: NetworkId },
    AddPort { name: String, alias: String, network: NetworkId, netns: NetnsId, interface: String },
    Enslave { port: String, alias: String, network: NetworkId, netns: NetnsId, interface: String },
}

impl fmt::Display for NetOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetOp::RemoveLink { name } => write!(f, "remove {name}"),
            NetOp::AddBridge { name, alias, .. } => write!(f, "bridge {name} ({alias})"),
            NetOp::AddPort { name, alias, .. } => write!(f, "port {name} ({alias})"),
            NetOp::Enslave { port, network, .. } => write!(f, "enslave {port} to the bridge of {network}"),
        }
    }
}

impl Observed {
    /// Of all links of the namespace, those of this engine.
    pub(crate) fn new(names: &Names, links: impl IntoIterator<Item = Link>) -> Observed {
        let (bridges, ports) = (names.bridge_prefix(), names.port_prefix());
        let ours = |link: &Link| link.name.starts_with(&bridges) || link.name.starts_with(&ports);
        Observed { links: links.into_iter().filter(ours).map(|link| (link.name.clone(), link)).collect() }
    }

    /// The bridge of a network.
    pub(crate) fn bridge(&self, network: &str) -> Option<&Link> {
        self.with_prefix(format!("orc network {network} ")).next()
    }

    /// The port of an interface.
    pub(crate) fn port(&self, netns: &str, interface: &str) -> Option<&Link> {
        self.with_prefix(format!("orc port {netns} {interface} ")).next()
    }

    /// The ports of a namespace.
    pub(crate) fn ports(&self, netns: &str) -> impl Iterator<Item = &Link> {
        self.with_prefix(format!("orc port {netns} "))
    }

    /// All networks that have a bridge, with its name.
    pub(crate) fn bridges(&self) -> BTreeMap<NetworkId, String> {
        let network = |link: &Link| {
            let id = link.alias.as_deref()?.strip_prefix("orc network ")?.split(' ').next()?;
            Some((id.to_owned(), link.name.clone()))
        };
        self.links.values().filter_map(network).collect()
    }

    fn with_prefix(&self, prefix: String) -> impl Iterator<Item = &Link> {
        self.links.values().filter(move |link| link.alias.as_deref().is_some_and(|a| a.starts_with(&prefix)))
    }
}

/// Everything: the rests of interrupted attempts, then all networks, then all namespaces.
pub(crate) fn plan(names: &Names, wanted: &Wanted, observed: &Observed) -> Vec<NetOp> {
    let mut ops = plan_rests(observed);
    for spec in wanted.networks.values() {
        ops.extend(plan_network(names, spec, wanted, observed));
    }
    for (netns, endpoints) in &wanted.endpoints {
        ops.extend(plan_netns(names, netns, endpoints, observed));
    }
    ops
}

/// The alias of a port whose namespace was removed: the kernel will remove the port as well, but takes its time.
pub(crate) const LEAVING: &str = "orc leaving";

/// Links that an interrupted attempt left, or that are about to go anyway.
pub(crate) fn plan_rests(observed: &Observed) -> Vec<NetOp> {
    let rests =
        observed.links.values().filter(|link| link.alias.as_deref().is_none_or(|alias| alias == LEAVING));
    rests.map(|link| NetOp::RemoveLink { name: link.name.clone() }).collect()
}

/// One network. The ports of a bridge that has to be made (anew) are put into it.
pub(crate) fn plan_network(
    names: &Names,
    spec: &NetworkSpec,
    wanted: &Wanted,
    observed: &Observed,
) -> Vec<NetOp> {
    let mut ops = Vec::new();
    let alias = network_alias(spec);
    let present = observed.bridge(&spec.id);
    let keep = present.is_some_and(|link| link.alias.as_deref() == Some(&alias));
    if !keep {
        ops.extend(present.map(|link| NetOp::RemoveLink { name: link.name.clone() }));
        let name = free_name(&names.bridge_prefix(), &spec.id, observed);
        ops.push(NetOp::AddBridge { name, alias, network: spec.id.clone() });
    }
    for (netns, endpoint) in endpoints_of(wanted, &spec.id) {
        let Some(port) = observed.port(netns, &endpoint.interface) else { continue };
        let current = port.alias.as_deref() == Some(&port_alias(netns, endpoint));
        if current && (!keep || port.master != present.map(|link| link.index)) {
            ops.push(NetOp::Enslave {
                port: port.name.clone(),
                alias: port_alias(netns, endpoint),
                network: spec.id.clone(),
                netns: netns.clone(),
                interface: endpoint.interface.clone(),
            });
        }
    }
    ops
}

/// The ports of one namespace.
pub(crate) fn plan_netns(
    names: &Names,
    netns: &str,
    endpoints: &[EndpointSpec],
    observed: &Observed,
) -> Vec<NetOp> {
    let wanted: BTreeMap<String, &EndpointSpec> =
        endpoints.iter().map(|endpoint| (port_alias(netns, endpoint), endpoint)).collect();
    let mut present: Vec<_> = observed.ports(netns).collect();
    present.sort_by_key(|link| &link.alias);
    let mut ops = Vec::new();
    for link in &present {
        if !link.alias.as_ref().is_some_and(|alias| wanted.contains_key(alias)) {
            ops.push(NetOp::RemoveLink { name: link.name.clone() });
        }
    }
    for endpoint in endpoints {
        let alias = port_alias(netns, endpoint);
        if present.iter().all(|link| link.alias.as_ref() != Some(&alias)) {
            let name = free_name(&names.port_prefix(), &format!("{netns} {}", endpoint.interface), observed);
            ops.push(NetOp::AddPort {
                name,
                alias,
                network: endpoint.network.clone(),
                netns: netns.to_owned(),
                interface: endpoint.interface.clone(),
            });
        }
    }
    ops
}

/// A network that is not wanted any more, with all ports in it.
pub(crate) fn plan_removal(network: &str, observed: &Observed) -> Vec<NetOp> {
    let Some(bridge) = observed.bridge(network) else { return Vec::new() };
    let ports = observed.links.values().filter(|link| link.master == Some(bridge.index));
    let names = ports.chain([bridge]).map(|link| link.name.clone());
    names.map(|name| NetOp::RemoveLink { name }).collect()
}

/// The endpoints in a network.
pub(crate) fn endpoints_of<'a>(
    wanted: &'a Wanted,
    network: &'a str,
) -> impl Iterator<Item = (&'a NetnsId, &'a EndpointSpec)> {
    let all = wanted.endpoints.iter().flat_map(|(netns, list)| list.iter().map(move |spec| (netns, spec)));
    all.filter(move |(_, endpoint)| endpoint.network == network)
}

/// The hardware address of a network's gateway; the same on each try, since containers have it as a fixed one.
pub(crate) fn gateway_mac(names: &Names, network: &str) -> [u8; 6] {
    let [a, b, c, d, ..] = hash(&format!("{} {network}", names.table())).to_be_bytes();
    [0x02, 0x6f, a, b, c, d]
}

/// The hardware address of an endpoint.
pub(crate) fn endpoint_mac(endpoint: &EndpointSpec) -> [u8; 6] {
    endpoint.mac.unwrap_or_else(|| mac_of(endpoint))
}

/// One that follows from the address, so that it is the same in every life of the container.
fn mac_of(endpoint: &EndpointSpec) -> [u8; 6] {
    let [a, b, c, d] = match (endpoint.addr4, endpoint.addr6) {
        (Some(v4), _) => v4.octets(),
        (None, Some(v6)) => (hash(&v6.to_string()) as u32).to_be_bytes(),
        (None, None) => [0; 4],
    };
    [0x0a, 0x6f, a, b, c, d]
}

fn network_alias(spec: &NetworkSpec) -> String {
    let mut alias = format!("orc network {}", spec.id);
    if let Some(v4) = spec.v4 {
        alias.push_str(&format!(" {} {}", v4.subnet, v4.gateway));
    }
    if let Some(v6) = spec.v6 {
        alias.push_str(&format!(" {} {}", v6.subnet, v6.gateway));
    }
    if let Some(mtu) = spec.mtu {
        alias.push_str(&format!(" mtu {mtu}"));
    }
    alias
}

fn port_alias(netns: &str, endpoint: &EndpointSpec) -> String {
    let EndpointSpec { network, interface, link_local, .. } = endpoint;
    let mut alias = format!("orc port {netns} {interface} {network}");
    for address in endpoint.addresses().chain(link_local.iter().copied()) {
        alias.push_str(&format!(" {address}"));
    }
    for (index, byte) in endpoint_mac(endpoint).iter().enumerate() {
        alias.push_str(&format!("{}{byte:02x}", if index == 0 { ' ' } else { ':' }));
    }
    alias
}

/// An interface's name has room for five characters behind the prefix; in the rare case that two things get the
/// same ones, the later takes others. Names are looked up by alias, never computed twice.
fn free_name(prefix: &str, thing: &str, observed: &Observed) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut number = hash(thing);
    loop {
        let mut name = prefix.to_owned();
        let mut rest = number;
        for _ in 0..5 {
            name.push(char::from(DIGITS[(rest % 36) as usize]));
            rest /= 36;
        }
        // A link that is about to be replaced may keep its name: it is removed first.
        let taken_by_another = |link: &Link| {
            link.alias
                .as_deref()
                .is_some_and(|alias| !alias.splitn(3, ' ').nth(2).is_some_and(|a| a.starts_with(thing)))
        };
        if !observed.links.get(&name).is_some_and(taken_by_another) {
            return name;
        }
        number = number.wrapping_add(1);
    }
}

/// FNV-1a; only to spread names.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
