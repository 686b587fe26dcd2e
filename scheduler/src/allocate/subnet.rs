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
    let asked6 = asked.iter().find_map(|net| match net {
        IpNet::V6(net) => Some(net.trunc()),
        IpNet::V4(_) => None,
    });
    let subnet4 = match asked4 {
        _ if !spec.has_ipv4() => None,
        Some(subnet) => Some(asked_for(round, spec, subnet.into(), 30).map(|()| subnet)?),
        None => Some(free(round, spec)?),
    };
    let subnet6 = match asked6 {
        _ if !spec.has_ipv6() => None,
        Some(subnet) => Some(asked_for(round, spec, subnet.into(), 126).map(|()| subnet)?),
        None => Some(unique_local(&spec.name.0, subnet4)),
    };
    let pools = spec.compose.ipam.iter().flat_map(|ipam| &ipam.config);
    let gateways: Vec<IpAddr> = pools.filter_map(|pool| pool.gateway.as_deref()?.parse().ok()).collect();
    let gateway4 = gateways.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => subnet4?.contains(ip).then_some(*ip),
        IpAddr::V6(_) => None,
    });
    let gateway6 = gateways.iter().find_map(|ip| match ip {
        IpAddr::V6(ip) => subnet6?.contains(ip).then_some(*ip),
        IpAddr::V4(_) => None,
    });
    Ok(Network {
        spec: spec.clone(),
        stack: stack.clone(),
        subnet4,
        gateway4: subnet4.map(|subnet| gateway4.unwrap_or_else(|| first_host(subnet))),
        subnet6,
        gateway6: subnet6.map(|subnet| gateway6.unwrap_or_else(|| nth_v6(subnet, 1))),
        nodes: Default::default(),
        removing: false,
        version: round.state.networks.get(&spec.name).map_or(Version(0), |old| old.version),
    })
}

/// Refuses a subnet that is too small (`longest` is the longest prefix that is not) or that another network has.
fn asked_for(round: &Round<'_>, spec: &NetworkSpec, subnet: IpNet, longest: u8) -> Result<(), No> {
    if subnet.prefix_len() > longest {
        let message = format!("network `{}`: subnet {subnet} has no room for containers", spec.name);
        return Err(No::never(message));
    }
    match networks(round, spec).find_map(|other| Some((other, other.overlap(subnet)?))) {
        Some((other, theirs)) => Err(No::not_now(format!(
            "network `{}` waits for subnet {subnet}, which overlaps with {theirs} of network `{}`",
            spec.name, other.spec.name
        ))),
        None => Ok(()),
    }
}

fn free(round: &Round<'_>, spec: &NetworkSpec) -> Result<Ipv4Net, No> {
    let nodes = round.state.nodes.values().map(|node| &node.description);
    let mut taken: Vec<IpNet> = networks(round, spec).flat_map(Network::subnets).collect();
    for description in nodes {
        // The default route leads everywhere, and says nothing about what is taken.
        taken.extend(description.routes.iter().filter(|route| route.prefix_len() > 0));
        taken.extend(description.addresses.iter().copied().map(IpNet::from));
    }
    (FIRST_POOL..=LAST_POOL)
        .flat_map(|pool| (0..SUBNETS_PER_POOL).filter_map(move |n| Some((pool, u8::try_from(n).ok()?))))
        .filter_map(|(pool, number)| Ipv4Net::new(pool_subnet(pool, number), 24).ok())
        .find(|subnet| !taken.iter().any(|other| overlap(*other, (*subnet).into())))
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
fn unique_local(name: &str, subnet4: Option<Ipv4Net>) -> Ipv6Net {
    let beside = subnet4.map(|subnet| subnet.network().octets());
    let hash = stable_hash(name.bytes().chain(beside.into_iter().flatten()));
    let prefix = (0xfd_u128 << 120) | (u128::from(hash & 0x00ff_ffff_ffff_ffff) << 64);
    Ipv6Net::new_assert(Ipv6Addr::from(prefix), 64)
}
