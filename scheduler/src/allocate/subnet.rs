//! Which subnet a network gets: the one it asks for, else the first that is free and that no machine routes
//! elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cluster::{Network, NetworkSpec, StackName, Version, overlap, stable_hash};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::decide::Round;
use crate::limits::{FIRST_POOL, LAST_POOL, SUBNETS_PER_POOL, pool_subnet};
use crate::replicas::No;

pub(crate) fn choose(round: &Round<'_>, stack: &StackName, spec: &NetworkSpec) -> Result<Network, No> {
    let asked: Vec<IpNet> = spec.subnets().filter_map(|text| text.parse().ok()).collect();
    let asked4 = asked.iter().find_map(|net| match net {
        IpNet::V4(net) => Some(net.trunc()),
        IpNet::V6(_) => None,
    });
    let subnet4 = match asked4 {
        Some(subnet) => asked_for(round, spec, subnet)?,
        None => free(round, spec)?,
    };
    let subnet6 = spec.compose.enable_ipv6.unwrap_or(false).then(|| {
        let asked6 = asked.iter().find_map(|net| match net {
            IpNet::V6(net) => Some(net.trunc()),
            IpNet::V4(_) => None,
        });
        asked6.unwrap_or_else(|| unique_local(&spec.name.0, subnet4))
    });
    let gateways: Vec<IpAddr> = spec
        .compose
        .ipam
        .iter()
        .flat_map(|ipam| &ipam.config)
        .filter_map(|pool| pool.gateway.as_deref()?.parse().ok())
        .collect();
    let gateway4 = gateways.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => subnet4.contains(ip).then_some(*ip),
        IpAddr::V6(_) => None,
    });
    let gateway6 = gateways.iter().find_map(|ip| match ip {
        IpAddr::V6(ip) => Some(*ip),
        IpAddr::V4(_) => None,
    });
    Ok(Network {
        spec: spec.clone(),
        stack: stack.clone(),
        subnet4,
        gateway4: gateway4.unwrap_or_else(|| first_host(subnet4)),
        subnet6,
        gateway6: subnet6.map(|subnet| gateway6.unwrap_or_else(|| nth_v6(subnet, 1))),
        nodes: Default::default(),
        removing: false,
        version: round.state.networks.get(&spec.name).map_or(Version(0), |old| old.version),
    })
}

fn asked_for(round: &Round<'_>, spec: &NetworkSpec, subnet: Ipv4Net) -> Result<Ipv4Net, No> {
    if subnet.prefix_len() > 30 {
        let message = format!("network `{}`: subnet {subnet} has no room for containers", spec.name);
        return Err(No::never(message));
    }
    match networks(round, spec).find(|other| overlap(other.subnet4, subnet)) {
        Some(other) => Err(No::not_now(format!(
            "network `{}` waits for subnet {subnet}, which overlaps with {} of network `{}`",
            spec.name, other.subnet4, other.spec.name
        ))),
        None => Ok(subnet),
    }
}

fn free(round: &Round<'_>, spec: &NetworkSpec) -> Result<Ipv4Net, No> {
    let nodes = round.state.nodes.values().map(|node| &node.description);
    let mut taken: Vec<Ipv4Net> = networks(round, spec).map(|network| network.subnet4).collect();
    for description in nodes {
        taken.extend(description.routes.iter().filter_map(|route| match route {
            // The default route leads everywhere, and says nothing about what is taken.
            IpNet::V4(route) if route.prefix_len() > 0 => Some(*route),
            _ => None,
        }));
        taken.extend(description.addresses.iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(Ipv4Net::from(*address)),
            IpAddr::V6(_) => None,
        }));
    }
    (FIRST_POOL..=LAST_POOL)
        .flat_map(|pool| (0..SUBNETS_PER_POOL).filter_map(move |n| Some((pool, u8::try_from(n).ok()?))))
        .filter_map(|(pool, number)| Ipv4Net::new(pool_subnet(pool, number), 24).ok())
        .find(|subnet| !taken.iter().any(|other| overlap(*other, *subnet)))
        .ok_or_else(|| No::not_now(format!("network `{}` waits for a subnet: all are taken", spec.name)))
}

/// The other networks, those that this round makes included.
fn networks<'a>(round: &'a Round<'_>, spec: &'a NetworkSpec) -> impl Iterator<Item = &'a cluster::Network> {
    let known = round.state.networks.values().chain(round.ledger.networks.values());
    known.filter(move |other| other.spec.name != spec.name)
}

fn first_host(subnet: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()).saturating_add(1))
}

/// The address number `n` of an IPv6 subnet.
pub(crate) fn nth_v6(subnet: Ipv6Net, n: u32) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(subnet.network()).saturating_add(u128::from(n)))
}

/// A unique local subnet (RFC 4193) that follows from the network's name and IPv4 subnet: a hash
/// instead of the random number that the RFC asks for, because decisions have no randomness.
fn unique_local(name: &str, subnet4: Ipv4Net) -> Ipv6Net {
    let hash = stable_hash(name.bytes().chain(subnet4.network().octets()));
    let prefix = (0xfd_u128 << 120) | (u128::from(hash & 0x00ff_ffff_ffff_ffff) << 64);
    Ipv6Net::new_assert(Ipv6Addr::from(prefix), 64)
}
