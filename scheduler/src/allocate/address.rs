//! Which addresses a slot and a service get in a network. Slots count from the bottom of the subnet, virtual
//! addresses from its top.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use cluster::{Addresses, Attachment, Network, Service, State};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::allocate::subnet::nth_v6;
use crate::decide::Round;
use crate::replicas::No;

/// Whether addresses that a slot has are what it would get: in the subnets, and the fixed ones if it asks
/// for some.
pub(crate) fn fits(network: &Network, attachment: &Attachment, owned: Addresses) -> bool {
    let fits = |subnet: Option<IpNet>, fixed: Option<IpAddr>, own: Option<IpAddr>| match (subnet, own) {
        (Some(subnet), Some(own)) => subnet.contains(&own) && fixed.is_none_or(|fixed| fixed == own),
        (None, None) => fixed.is_none(),
        _ => false,
    };
    fits(network.subnet4.map(IpNet::V4), attachment.ipv4, owned.v4.map(IpAddr::V4))
        && fits(network.subnet6.map(IpNet::V6), attachment.ipv6, owned.v6.map(IpAddr::V6))
}

/// The first free addresses, or the fixed ones.
pub(crate) fn choose(
    round: &mut Round<'_>,
    network: &Network,
    attachment: &Attachment,
    service: &Service,
) -> Result<Addresses, No> {
    let fixed4 = fixed(round, network, attachment.ipv4, service)?;
    let fixed6 = fixed(round, network, attachment.ipv6, service)?;
    let reserved = reserved(round.state, network);
    let taken = round.ledger.addresses(&network.spec.name);
    let free = |ip: &IpAddr| !taken.contains(ip) && !reserved.contains(ip);
    let v4 = match (network.subnet4, fixed4) {
        (None, _) => None,
        (Some(_), Some(IpAddr::V4(fixed))) => Some(fixed),
        (Some(subnet), _) => {
            let mut all = range(network, subnet).map(Ipv4Addr::from);
            Some(all.find(|ip| free(&IpAddr::V4(*ip))).ok_or_else(|| all_taken(network, subnet.into()))?)
        }
    };
    let v6 = match (network.subnet6, fixed6) {
        (None, _) => None,
        (Some(_), Some(IpAddr::V6(fixed))) => Some(fixed),
        (Some(subnet), _) => {
            let beside = v4.zip(network.subnet4).map(|(v4, subnet4)| number(v4, subnet4));
            let mut all = range6(network, subnet, beside);
            Some(all.find(|ip| free(&IpAddr::V6(*ip))).ok_or_else(|| all_taken(network, subnet.into()))?)
        }
    };
    Ok(Addresses { v4, v6 })
}

/// The address that a service asks for, if it can be had.
fn fixed(
    round: &mut Round<'_>,
    network: &Network,
    asked: Option<IpAddr>,
    service: &Service,
) -> Result<Option<IpAddr>, No> {
    let Some(asked) = asked else { return Ok(None) };
    let name = &network.spec.name;
    let Some(subnet) = network.subnets().find(|subnet| subnet.addr().is_ipv4() == asked.is_ipv4()) else {
        let family = if asked.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(No::never(format!("network `{name}` has no {family}, and {asked} is asked for")));
    };
    if !network.has_room_at(asked) || asked == subnet.network() || Some(asked) == broadcast(subnet) {
        return Err(No::never(format!("{asked} is no address of network `{name}` ({subnet})")));
    }
    if round.ledger.addresses(name).contains(&asked) {
        let whose = if service.replicas > 1 { ": it is asked for by each replica" } else { "" };
        return Err(No::not_now(format!("waits for address {asked} in network `{name}`{whose}")));
    }
    Ok(Some(asked))
}

/// The last free address, for a service's virtual address; `besides` was chosen for a slot just now.
pub(crate) fn choose_virtual(
    round: &mut Round<'_>,
    network: &Network,
    besides: Option<&Addresses>,
) -> Result<IpAddr, No> {
    let reserved = reserved(round.state, network);
    let taken = round.ledger.addresses(&network.spec.name);
    let free = |ip: &IpAddr| {
        let beside = besides.is_some_and(|besides| besides.each().any(|own| own == *ip));
        !beside && !taken.contains(ip) && !reserved.contains(ip)
    };
    let found = match (network.subnet4, network.subnet6) {
        (Some(subnet), _) => hosts(subnet).rev().map(|ip| IpAddr::V4(ip.into())).find(free),
        (None, Some(subnet)) => hosts6(subnet).rev().map(|n| IpAddr::V6(nth_v6(subnet, n))).find(free),
        (None, None) => None,
    };
    found.ok_or_else(|| match network.subnets().next() {
        Some(subnet) => all_taken(network, subnet),
        None => No::never(format!("network `{}` has no addresses", network.spec.name)),
    })
}

fn all_taken(network: &Network, subnet: IpNet) -> No {
    let name = &network.spec.name;
    No::not_now(format!("waits for a free address in {subnet} of network `{name}`: all are taken"))
}

/// What the address has in its subnet that no other has.
fn number(address: Ipv4Addr, subnet: Ipv4Net) -> u32 {
    u32::from(address).wrapping_sub(u32::from(subnet.network()))
}

/// Where IPv6 addresses that nobody asked for come from: `ip_range`, else all of the subnet. First the one with the
/// same number in its subnet as the IPv4 address has in its own, so that people see what belongs together; then all
/// others, since that one may be the gateway's, or somebody asks for it.
fn range6(network: &Network, subnet: Ipv6Net, beside: Option<u32>) -> impl Iterator<Item = Ipv6Addr> {
    let range = ip_ranges(network).find(|range: &Ipv6Net| subnet.contains(range)).unwrap_or(subnet);
    let beside = beside.map(|number| nth_v6(subnet, number)).filter(move |ip| range.contains(ip));
    let all = (0..u32::MAX).map(move |number| nth_v6(range, number)).take_while(move |ip| range.contains(ip));
    beside.into_iter().chain(all.filter(move |ip| *ip != subnet.network()))
}

/// The numbers of all addresses but the network's own and the broadcast address.
fn hosts(subnet: Ipv4Net) -> std::ops::Range<u32> {
    u32::from(subnet.network()).saturating_add(1)..u32::from(subnet.broadcast())
}

/// The numbers of addresses that a service may be reached at: the first 65,535 are enough.
fn hosts6(subnet: Ipv6Net) -> std::ops::Range<u32> {
    let bits = 128_u32.saturating_sub(subnet.prefix_len().into()).min(16);
    1..1_u32.checked_shl(bits).unwrap_or(u32::MAX)
}

/// The address that is everybody's; IPv6 has none.
fn broadcast(subnet: IpNet) -> Option<IpAddr> {
    match subnet {
        IpNet::V4(subnet) => Some(subnet.broadcast().into()),
        IpNet::V6(_) => None,
    }
}

/// Where IPv4 addresses that nobody asked for come from: `ip_range`, else all of the subnet.
fn range(network: &Network, subnet: Ipv4Net) -> std::ops::Range<u32> {
    let all = hosts(subnet);
    match ip_ranges(network).find(|range: &Ipv4Net| subnet.contains(range)) {
        Some(range) => {
            let (from, to) = (u32::from(range.network()), u32::from(range.broadcast()));
            all.start.max(from)..all.end.min(to.saturating_add(1))
        }
        None => all,
    }
}

/// Every `ip_range` of a family.
fn ip_ranges<N: FromStr>(network: &Network) -> impl Iterator<Item = N> {
    let pools = network.spec.compose.ipam.iter().flat_map(|ipam| &ipam.config);
    pools.filter_map(|pool| pool.ip_range.as_deref()?.parse().ok())
}

/// Addresses that are nobody's to choose: the gateways', `aux_addresses`, and those that services ask for.
fn reserved(state: &State, network: &Network) -> BTreeSet<IpAddr> {
    let name = &network.spec.name;
    let places = state.services_in(name).filter_map(|key| state.service(key)?.spec.networks.get(name));
    let asked = places.flat_map(|place| [place.ipv4, place.ipv6]).flatten();
    let pools = network.spec.compose.ipam.iter().flat_map(|ipam| &ipam.config);
    let aux = pools.flat_map(|pool| pool.aux_addresses.values()).filter_map(|text| text.parse().ok());
    aux.chain(asked).chain(network.gateways()).collect()
}
