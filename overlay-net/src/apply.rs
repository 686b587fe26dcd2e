//! Carries out planned steps, and says which table elements a network or an endpoint needs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::host::{Host, endpoint_owner};
use crate::link::{Link, Links, Peer, Requests};
use crate::nft::names::{FamilyNames, OPEN, SAME, V4, V6};
use crate::nft::{Datum, Element, Value};
use crate::plan::{self, NetOp};
use crate::spec::{EndpointSpec, NetworkSpec, Reach};
use crate::tables::{Changes, Entry};
use crate::{Error, Result, sysctl};

/// Routing tables of interfaces other than the one with the default route: this plus the interface's index.
const FIRST_TABLE: u32 = 1_000;
/// How much of a link-local address its subnet is, of IPv4 and IPv6 (RFC 3927, RFC 4291).
const LINK_LOCAL_LENGTHS: (u8, u8) = (16, 64);

/// An interface as it is set up inside its namespace.
#[derive(Debug)]
struct Interface {
    name: String,
    addresses: Vec<(IpNet, IpAddr)>,
    link_local: Vec<IpNet>,
    gateway_mac: [u8; 6],
    has_default_route: bool,
    sysctls: BTreeMap<String, String>,
}

impl Host {
    /// Carries out steps in order. New ports are completed together at the end, since the routes of a namespace
    /// depend on all of its interfaces.
    pub(crate) fn run(&mut self, ops: &[NetOp]) -> Result<()> {
        self.remove_links(ops)?;
        let mut touched = BTreeSet::new();
        let mut new_ports = Vec::new();
        for op in ops {
            match op {
                // Removed together below, before anything is made.
                NetOp::RemoveLink { .. } => {}
                NetOp::AddBridge { name, alias, network } => self.add_bridge(name, alias, network)?,
                NetOp::AddPort { name, alias, network, netns, interface } => {
                    self.add_port(name, network, netns, interface)?;
                    touched.insert(netns);
                    new_ports.push((name, alias, network));
                }
                NetOp::Enslave { port, alias, network, netns, interface } => {
                    self.fix_neighbours(network, netns, interface)?;
                    self.complete_port(port, alias, network)?;
                }
            }
        }
        for netns in touched {
            self.configure(netns)?;
        }
        new_ports.into_iter().try_for_each(|(name, alias, network)| self.complete_port(name, alias, network))
    }

    fn remove_links(&mut self, ops: &[NetOp]) -> Result<()> {
        let doomed = ops.iter().filter_map(|op| match op {
            NetOp::RemoveLink { name } => Some(name.as_str()),
            _ => None,
        });
        let doomed: Vec<_> = doomed.collect();
        self.links.remove(&doomed, self.names.group())?;
        for name in doomed {
            let gone = self.observed.links.remove(name).map(|link| link.index);
            for port in
                self.observed.links.values_mut().filter(|link| link.master.is_some() && link.master == gone)
            {
                port.master = None;
            }
        }
        Ok(())
    }

    /// Marks the ports of a namespace that is about to be removed.
    pub(crate) fn let_ports_leave(&mut self, netns: &str) -> Result<()> {
        let mut requests = Requests::default();
        let names: Vec<_> = self.observed.ports(netns).map(|link| link.name.clone()).collect();
        for name in names {
            let Some(link) = self.observed.links.get_mut(&name) else { continue };
            requests.alias(link.index, plan::LEAVING);
            link.alias = Some(plan::LEAVING.to_owned());
        }
        self.links.apply_unless(rustix::io::Errno::NODEV, requests)
    }

    fn add_bridge(&mut self, name: &str, alias: &str, network: &str) -> Result<()> {
        let spec = self.wanted.networks[network].clone();
        self.links.add_bridge(name, plan::gateway_mac(&self.names, network), spec.mtu)?;
        let link = Link { alias: Some(alias.to_owned()), ..self.links.get(name)? };
        for (setting, value) in [
            // 127.0.0.1 of this machine leads to containers; the guard chain keeps others out.
            (format!("net/ipv4/conf/{name}/route_localnet"), "1"),
            (format!("net/ipv4/conf/{name}/send_redirects"), "0"),
            (format!("net/ipv6/conf/{name}/addr_gen_mode"), "1"),
            (format!("net/ipv6/conf/{name}/accept_ra"), "0"),
            (format!("net/ipv6/conf/{name}/accept_dad"), "0"),
        ] {
            sysctl::write_if_known(&setting, value)?;
        }
        let mut requests = Requests::default();
        raise_bridge(&mut requests, link.index, &spec);
        requests.alias(link.index, alias);
        self.links.apply(requests)?;
        self.observed.links.insert(name.to_owned(), link);
        Ok(())
    }

    /// Puts back addresses and neighbours that somebody may have flushed, and sets up what may be down.
    pub(crate) fn refresh_bridges(&mut self) -> Result<()> {
        let mut requests = Requests::default();
        for spec in self.wanted.networks.values() {
            let Some(bridge) = self.observed.bridge(&spec.id).map(|link| link.index) else { continue };
            raise_bridge(&mut requests, bridge, spec);
            for (netns, endpoint) in plan::endpoints_of(&self.wanted, &spec.id) {
                if let Some(port) = self.observed.port(netns, &endpoint.interface).filter(|port| !port.up) {
                    requests.up(port.index);
                }
                for ip in endpoint.addresses() {
                    requests.neighbour(bridge, ip, plan::endpoint_mac(endpoint));
                }
            }
        }
        self.links.apply(requests)
    }

    fn add_port(&mut self, name: &str, network: &str, netns: &str, interface: &str) -> Result<()> {
        let bridge = self.bridge_index(network)?;
        let mtu = self.wanted.networks[network].mtu;
        let mac = plan::endpoint_mac(self.endpoint(netns, interface)?);
        let namespace = self.namespaces.open(netns)?;
        let peer = Peer { name: interface, mac, netns: namespace.as_fd() };
        self.links.add_port(name, bridge, mtu, &peer)?;
        let link = self.links.get(name)?;
        self.observed.links.insert(name.to_owned(), link);
        self.fix_neighbours(network, netns, interface)
    }

    /// Tells the bridge which hardware address each address of the endpoint has.
    fn fix_neighbours(&mut self, network: &str, netns: &str, interface: &str) -> Result<()> {
        let bridge = self.bridge_index(network)?;
        let endpoint = self.endpoint(netns, interface)?;
        let mac = plan::endpoint_mac(endpoint);
        let mut requests = Requests::default();
        for ip in endpoint.addresses() {
            requests.neighbour(bridge, ip, mac);
        }
        self.links.apply(requests)
    }

    fn complete_port(&mut self, name: &str, alias: &str, network: &str) -> Result<()> {
        let bridge = self.bridge_index(network)?;
        let Some(link) = self.observed.links.get_mut(name) else {
            return Err(Error::Invalid(format!("the port {name} is not there")));
        };
        let mut requests = Requests::default();
        requests.port(link.index, bridge, alias);
        self.links.apply(requests)?;
        link.alias = Some(alias.to_owned());
        link.master = Some(bridge);
        self.links.settle(name)?;
        let bridge = self.observed.bridge(network).map(|link| link.name.clone()).unwrap_or_default();
        self.links.settle(&bridge)
    }

    fn bridge_index(&self, network: &str) -> Result<u32> {
        let bridge = self.observed.bridge(network);
        bridge
            .map(|link| link.index)
            .ok_or_else(|| Error::Invalid(format!("the network {network} is not there")))
    }

    fn endpoint(&self, netns: &str, interface: &str) -> Result<&EndpointSpec> {
        let endpoints = self.wanted.endpoints.get(netns);
        let found = endpoints.and_then(|list| list.iter().find(|endpoint| endpoint.interface == interface));
        found.ok_or_else(|| Error::Invalid(format!("{netns} has no interface {interface}")))
    }

    /// Sets up addresses and routes inside the namespace.
    fn configure(&self, netns: &str) -> Result<()> {
        let Some(endpoints) = self.wanted.endpoints.get(netns) else { return Ok(()) };
        let leads_out = |endpoint: &EndpointSpec| !self.wanted.networks[&endpoint.network].internal;
        // The last of several equal ones is found; so from behind.
        let best = endpoints.iter().rev().max_by_key(|spec| (spec.gateway_priority, leads_out(spec)));
        let default = best.map(|endpoint| &endpoint.interface);
        let interfaces: Vec<_> = endpoints
            .iter()
            .map(|endpoint| Interface {
                name: endpoint.interface.clone(),
                addresses: pair_with_gateways(endpoint, &self.wanted.networks[&endpoint.network]),
                link_local: endpoint.link_local.iter().copied().filter_map(link_local_net).collect(),
                gateway_mac: plan::gateway_mac(&self.names, &endpoint.network),
                has_default_route: Some(&endpoint.interface) == default,
                sysctls: endpoint.sysctls.clone(),
            })
            .collect();
        self.namespaces.within(netns, || {
            let mut links = Links::open().map_err(|source| Error::system("open route netlink", source))?;
            for interface in &interfaces {
                configure_interface(&mut links, interface)?;
            }
            Ok(())
        })
    }

    /// The elements of a network.
    pub(crate) fn network_entry(&self, spec: &NetworkSpec) -> Result<Entry> {
        let Some(bridge) = self.observed.bridge(&spec.id) else {
            return Err(Error::Invalid(format!("the network {} is not there", spec.id)));
        };
        let name = Datum::Ifname(bridge.name.clone());
        let mut entry = Entry::default();
        if spec.members_meet {
            entry.inet.insert(Element::new(SAME, vec![name.clone(), name.clone()], Value::None));
        }
        if !spec.internal {
            entry.inet.insert(Element::new(OPEN, vec![name], Value::None));
        }
        Ok(entry)
    }

    /// The elements of a namespace's endpoints.
    pub(crate) fn endpoint_entries(&self, netns: &str) -> Result<Changes> {
        let mut changes = Changes::new();
        for endpoint in self.wanted.endpoints.get(netns).into_iter().flatten() {
            let Some(port) = self.observed.port(netns, &endpoint.interface) else {
                return Err(Error::Invalid(format!("{netns} has no port for {}", endpoint.interface)));
            };
            let network = &self.wanted.networks[&endpoint.network];
            let owner = endpoint_owner(netns, &endpoint.interface);
            changes.insert(owner, Some(endpoint_entry(endpoint, &port.name, network)));
        }
        Ok(changes)
    }
}

fn endpoint_entry(endpoint: &EndpointSpec, port: &str, network: &NetworkSpec) -> Entry {
    let mut entry = Entry::default();
    let mac = Datum::Mac(plan::endpoint_mac(endpoint));
    let names = |ip: IpAddr| -> &FamilyNames { if ip.is_ipv4() { &V4 } else { &V6 } };
    let own = |ip: &Datum| vec![Datum::Ifname(port.to_owned()), mac.clone(), ip.clone()];
    for ip in endpoint.link_local.iter().copied().filter(|_| network.members_meet) {
        let own = own(&Datum::ip(ip));
        entry.bridge.insert(Element::new(names(ip).own, own.clone(), Value::None));
        entry.bridge.insert(Element::new(names(ip).link, own, Value::None));
    }
    for ip in endpoint.addresses() {
        let reach = if ip.is_ipv4() { network.reach4 } else { network.reach6 };
        let masquerade = network.masquerade && !network.internal && reach != Reach::Opened;
        let names = names(ip);
        let ip = Datum::ip(ip);
        match reach {
            _ if network.internal => {}
            Reach::Published => {}
            Reach::All => _ = entry.inet.insert(Element::new(names.bare, vec![ip.clone()], Value::None)),
            Reach::Opened => entry.inet.extend(endpoint.open.iter().map(|(protocol, port)| {
                let key = vec![ip.clone(), Datum::Proto(*protocol), Datum::Port(*port)];
                Element::new(names.opened, key, Value::None)
            })),
        }
        entry.bridge.insert(Element::new(names.own, own(&ip), Value::None));
        entry.inet.insert(Element::new(names.itself, vec![ip.clone(), ip.clone()], Value::None));
        if masquerade {
            entry.inet.insert(Element::new(names.out, vec![ip], Value::None));
        }
    }
    entry
}

fn configure_interface(links: &mut Links, interface: &Interface) -> Result<()> {
    let index = links.get(&interface.name)?.index;
    for (name, value) in &interface.sysctls {
        let name = name.replacen("IFNAME", &interface.name, 1);
        sysctl::write(&name.replace('.', "/"), value)?;
    }
    let mut requests = Requests::default();
    for (address, _) in &interface.addresses {
        requests.address(index, *address, false);
    }
    for address in &interface.link_local {
        requests.address(index, *address, true);
    }
    requests.up(index);
    let table = Some(FIRST_TABLE + index).filter(|_| !interface.has_default_route);
    for (address, gateway) in &interface.addresses {
        let everywhere = everywhere(*gateway);
        requests.route(IpNet::from(*gateway), None, index, None);
        requests.neighbour(index, *gateway, interface.gateway_mac);
        requests.route(address.trunc(), Some(*gateway), index, None);
        if let Some(table) = table {
            // What belongs to this address leaves through its own network, e.g. answers to the outside.
            requests.route(IpNet::from(*gateway), None, index, Some(table));
            requests.rule(address.addr(), table);
        }
        requests.route(everywhere, Some(*gateway), index, table);
    }
    links.apply(requests)?;
    links.settle(&interface.name)
}

fn raise_bridge(requests: &mut Requests, bridge: u32, spec: &NetworkSpec) {
    for (address, _) in gateways(spec) {
        requests.address(bridge, address, true);
    }
    requests.up(bridge);
}

/// The gateway's addresses with their subnets' lengths.
fn gateways(spec: &NetworkSpec) -> Vec<(IpNet, IpAddr)> {
    let v4 = spec.v4.and_then(|v4| with_length(v4.gateway.into(), v4.subnet.prefix_len()));
    let v6 = spec.v6.and_then(|v6| with_length(v6.gateway.into(), v6.subnet.prefix_len()));
    let all = [v4, v6].into_iter().flatten();
    all.map(|net| (net, net.addr())).collect()
}

/// The endpoint's addresses with their subnets' lengths, each with its gateway.
fn pair_with_gateways(endpoint: &EndpointSpec, spec: &NetworkSpec) -> Vec<(IpNet, IpAddr)> {
    let of = |ip: IpAddr| gateways(spec).into_iter().find(|(net, _)| net.addr().is_ipv4() == ip.is_ipv4());
    let pair = |ip| of(ip).and_then(|(net, gateway)| Some((with_length(ip, net.prefix_len())?, gateway)));
    endpoint.addresses().filter_map(pair).collect()
}

fn link_local_net(ip: IpAddr) -> Option<IpNet> {
    let (v4, v6) = LINK_LOCAL_LENGTHS;
    with_length(ip, if ip.is_ipv4() { v4 } else { v6 })
}

fn with_length(ip: IpAddr, length: u8) -> Option<IpNet> {
    IpNet::new(ip, length).ok()
}

fn everywhere(like: IpAddr) -> IpNet {
    match like {
        IpAddr::V4(_) => Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
