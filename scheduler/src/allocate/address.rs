//! Which addresses a slot and a service get in a network. Slots count from the bottom of the subnet, virtual
//! addresses from its top.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cluster::{Addresses, Attachment, Network, Service, State};
use ipnet::Ipv4Net;

use crate::allocate::subnet::nth_v6;
use crate::decide::Round;
use crate::replicas::No;

/// Whether addresses that a slot has are what it would get: in the subnet, and the fixed ones if it asks
/// for some.
pub(crate) fn fits(network: &Network, attachment: &Attachment, owned: Addresses) -> bool {
    network.subnet4.contains(&owned.v4)
        && attachment.ipv4.is_none_or(|fixed| fixed == IpAddr::V4(owned.v4))
        && attachment.ipv6.is_none_or(|fixed| owned.v6.map(IpAddr::V6) == Some(fixed))
        && owned.v6.is_some() == network.subnet6.is_some()
        && owned.v6.is_none_or(|v6| network.subnet6.is_some_and(|subnet| subnet.contains(&v6)))
}

/// The first free address, or the fixed one.
pub(crate) fn choose(
    round: &mut Round<'_>,
    network: &Network,
    attachment: &Attachment,
    service: &Service,
) -> Result<Addresses, No> {
    let name = &network.spec.name;
    let reserved = reserved(round.state, network);
    let taken = round.ledger.addresses(name);
    let v4 = match attachment.ipv4 {
        Some(IpAddr::V4(fixed)) => {
            if !hosts(network.subnet4).contains(&u32::from(fixed)) {
                return Err(No::never(format!(
                    "{fixed} is no address of network `{name}` ({})",
                    network.subnet4
                )));
            }
            if taken.contains(&IpAddr::V4(fixed)) || fixed == network.gateway4 {
                let whose = if service.replicas > 1 { ": it is asked for by each replica" } else { "" };
                return Err(No::not_now(format!("waits for address {fixed} in network `{name}`{whose}")));
            }
            fixed
        }
        _ => range(network)
            .map(Ipv4Addr::from)
            .find(|ip| !taken.contains(&IpAddr::V4(*ip)) && !reserved.contains(&IpAddr::V4(*ip)))
            .ok_or_else(|| {
                No::not_now(format!("waits for a free address in network `{name}`: all are taken"))
            })?,
    };
    let v6 = match (network.subnet6, attachment.ipv6) {
        (None, None) => None,
        (None, Some(fixed)) => {
            return Err(No::never(format!("network `{name}` has no IPv6, and {fixed} is asked for")));
        }
        (Some(subnet), Some(IpAddr::V6(fixed))) => {
            if !subnet.contains(&fixed) || Some(fixed) == network.gateway6 {
                return Err(No::never(format!("{fixed} is no address of network `{name}` ({subnet})")));
            }
            if taken.contains(&IpAddr::V6(fixed)) {
                return Err(No::not_now(format!("waits for address {fixed} in network `{name}`")));
            }
            Some(fixed)
        }
        (Some(subnet), _) => {
            let free =
                |ip: &Ipv6Addr| !taken.contains(&IpAddr::V6(*ip)) && !reserved.contains(&IpAddr::V6(*ip));
            Some(beside(network, subnet, v4).find(free).ok_or_else(|| {
                No::not_now(format!(
                    "waits for a free address in {subnet} of network `{name}`: all are taken"
                ))
            })?)
        }
    };
    Ok(Addresses { v4, v6 })
}

/// The last free address, for a service's virtual address; `besides` was chosen for a slot just now.
pub(crate) fn choose_virtual(
    round: &mut Round<'_>,
    network: &Network,
    besides: Option<&Addresses>,
) -> Result<IpAddr, No> {
    let name = &network.spec.name;
    let reserved = reserved(round.state, network);
    let taken = round.ledger.addresses(name);
    hosts(network.subnet4)
        .rev()
        .map(Ipv4Addr::from)
        .filter(|ip| besides.is_none_or(|besides| besides.v4 != *ip))
        .map(IpAddr::V4)
        .find(|ip| !taken.contains(ip) && !reserved.contains(ip))
        .ok_or_else(|| No::not_now(format!("waits for a free address in network `{name}`: all are taken")))
}

/// The IPv6 address with the same number in its subnet as the IPv4 address has in its own, so that people see
/// what belongs together; then all others, since that one may be the gateway's, or somebody asks for it.
fn beside(network: &Network, subnet: ipnet::Ipv6Net, v4: Ipv4Addr) -> impl Iterator<Item = Ipv6Addr> {
    let number = u32::from(v4).wrapping_sub(u32::from(network.subnet4.network()));
    let others = (1..u32::MAX).map(move |number| nth_v6(subnet, number));
    std::iter::once(nth_v6(subnet, number)).chain(others).take_while(move |ip| subnet.contains(ip))
}

/// The numbers of all addresses but the network's own and the broadcast address.
fn hosts(subnet: Ipv4Net) -> std::ops::Range<u32> {
    u32::from(subnet.network()).saturating_add(1)..u32::from(subnet.broadcast())
}

/// Where addresses that nobody asked for come from: `ip_range`, else all of the subnet.
fn range(network: &Network) -> std::ops::Range<u32> {
    let pools = network.spec.compose.ipam.iter().flat_map(|ipam| &ipam.config);
    let mut ranges = pools.filter_map(|pool| pool.ip_range.as_deref()?.parse::<Ipv4Net>().ok());
    let all = hosts(network.subnet4);
    match ranges.find(|range| network.subnet4.contains(range)) {
        Some(range) => {
            let (from, to) = (u32::from(range.network()), u32::from(range.broadcast()));
            all.start.max(from)..all.end.min(to.saturating_add(1))
        }
        None => all,
    }
}

/// Addresses that are nobody's to choose: the gateways', `aux_addresses`, and those that services ask for.
fn reserved(state: &State, network: &Network) -> BTreeSet<IpAddr> {
    let name = &network.spec.name;
    let places = state.services_in(name).filter_map(|key| state.service(key)?.spec.networks.get(name));
    let asked = places.flat_map(|place| [place.ipv4, place.ipv6]).flatten();
    let gateways = [Some(IpAddr::V4(network.gateway4)), network.gateway6.map(IpAddr::V6)];
    let pools = network.spec.compose.ipam.iter().flat_map(|ipam| &ipam.config);
    let aux = pools.flat_map(|pool| pool.aux_addresses.values()).filter_map(|text| text.parse().ok());
    aux.chain(asked).chain(gateways.into_iter().flatten()).collect()
}
