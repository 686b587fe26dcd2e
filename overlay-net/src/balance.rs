//! Which map elements make the kernel balance as wanted. Pure; the elements print as text.
//!
//! Each VIP and each published port is one *entry* with an owner's name. Its backends have slots 0..n; when a backend
//! leaves, the last slot moves into the hole, so at most four elements change and the choice stays exactly uniform.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits;
use crate::nft::names::{FamilyNames, V4, V6};
use crate::nft::table::balance_chain_name;
use crate::nft::{Datum, Element, Value};
use crate::spec::Published;
use crate::tables::Entry;

/// The slots of one entry, by address family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) v4: Vec<IpAddr>,
    pub(crate) v6: Vec<IpAddr>,
}

impl Slots {
    /// Gives the wanted backends slots, moving as few as possible.
    pub(crate) fn assign(&self, backends: &[IpAddr]) -> Slots {
        let of = |v4: bool| backends.iter().copied().filter(move |ip| ip.is_ipv4() == v4).collect();
        Slots { v4: assign(&self.v4, of(true)), v6: assign(&self.v6, of(false)) }
    }

    /// All backends, of both families.
    pub(crate) fn all(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.v4.iter().chain(&self.v6).copied()
    }
}

fn assign(former: &[IpAddr], wanted: BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let mut slots: Vec<Option<IpAddr>> =
        former.iter().map(|ip| Some(*ip).filter(|ip| wanted.contains(ip))).collect();
    let mut new: Vec<IpAddr> = wanted.iter().filter(|ip| !former.contains(ip)).copied().collect();
    new.truncate(limits::MAX_BACKENDS.saturating_sub(slots.iter().flatten().count()));
    new.reverse();
    for slot in slots.iter_mut().filter(|slot| slot.is_none()) {
        *slot = new.pop();
    }
    // Holes that no new backend fills are filled from the end.
    let mut at = 0;
    while at < slots.len() {
        if slots[at].is_none() {
            slots.swap_remove(at);
        } else {
            at += 1;
        }
    }
    slots.into_iter().flatten().chain(new.into_iter().rev()).collect()
}

impl Entry {
    /// Balances connections to `key` over `backends`, or refuses them.
    fn balance(&mut self, maps: &Maps, key: &Key, backends: &[IpAddr], port: Option<u16>) {
        if backends.is_empty() {
            self.inet.insert(Element::new(maps.none, key.entry.clone(), Value::None));
            return;
        }
        let chain = balance_chain_name(maps.backends, backends.len());
        self.chains.insert((maps.backends, backends.len()));
        self.inet.insert(Element::new(maps.entry, key.entry.clone(), Value::Goto(chain)));
        for (slot, backend) in (0..).zip(backends) {
            let key = [key.backends.clone(), vec![Datum::Slot(slot)]].concat();
            let value = [Some(Datum::ip(*backend)), port.map(Datum::Port)];
            let value = Value::Data(value.into_iter().flatten().collect());
            self.inet.insert(Element::new(maps.backends, key, value));
        }
    }
}

/// The three sets that belong together.
struct Maps {
    entry: &'static str,
    backends: &'static str,
    none: &'static str,
}

struct Key {
    entry: Vec<Datum>,
    backends: Vec<Datum>,
}

/// The elements of a VIP. Only packets that come in through the network's bridge are translated.
pub(crate) fn vip_entry(ip: IpAddr, bridge: &str, slots: &Slots) -> Entry {
    let (names, backends) = if ip.is_ipv4() { (&V4, &slots.v4) } else { (&V6, &slots.v6) };
    let maps = Maps { entry: names.vip, backends: names.vip_be, none: names.vip_none };
    let key =
        Key { entry: vec![Datum::Ifname(bridge.to_owned()), Datum::ip(ip)], backends: vec![Datum::ip(ip)] };
    let mut entry = Entry::default();
    entry.balance(&maps, &key, backends, None);
    entry
}

/// The elements of a published port.
pub(crate) fn published_entry(published: &Published, slots: &Slots) -> Entry {
    let mut entry = Entry::default();
    let Published { protocol, host_port, target_port, .. } = published;
    let port = vec![Datum::Proto(*protocol), Datum::Port(*host_port)];
    for (names, backends) in [(&V4, &slots.v4), (&V6, &slots.v6)] {
        let Some(at) = at_family(published.host_ip, names) else { continue };
        // Without IPv6 backends the proxy takes what comes over IPv6.
        if names.family == V6.family && backends.is_empty() && !slots.v4.is_empty() {
            continue;
        }
        let (maps, key) = match at {
            None => (Maps { entry: names.any, backends: names.any_be, none: names.any_none }, port.clone()),
            Some(ip) => (
                Maps { entry: names.addr, backends: names.addr_be, none: names.addr_none },
                [vec![Datum::ip(ip)], port.clone()].concat(),
            ),
        };
        let key = Key { entry: key.clone(), backends: key };
        entry.balance(&maps, &key, backends, Some(*target_port));
    }
    entry
}

/// Whether a port is published in this family, and if so at which address (`None`: all).
fn at_family(host_ip: Option<IpAddr>, names: &FamilyNames) -> Option<Option<IpAddr>> {
    match host_ip {
        None => Some(None),
        Some(ip) if ip.is_ipv4() != (names.family == V4.family) => None,
        Some(ip) => Some(Some(ip).filter(|ip| !ip.is_unspecified())),
    }
}

/// The address at which the port is held for us on IPv4, so that no other program takes it.
pub(crate) fn reserved_address(published: &Published) -> Option<Ipv4Addr> {
    match published.host_ip {
        None => Some(Ipv4Addr::UNSPECIFIED),
        Some(IpAddr::V4(ip)) => Some(ip),
        Some(IpAddr::V6(_)) => None,
    }
}

/// The address at which a proxy listens on IPv6: the kernel cannot translate connections to `::1`, nor from IPv6 to
/// IPv4. All other packets are translated before they reach it.
pub(crate) fn proxy_address(published: &Published) -> Option<Ipv6Addr> {
    match published.host_ip {
        None => Some(Ipv6Addr::UNSPECIFIED),
        Some(IpAddr::V4(_)) => None,
        Some(IpAddr::V6(ip)) => Some(ip),
    }
}

/// Where the proxy connects to.
pub(crate) fn proxy_backends(published: &Published, slots: &Slots) -> Vec<SocketAddr> {
    slots.all().map(|ip| SocketAddr::new(ip, published.target_port)).collect()
}

/// Names the entry of a VIP.
pub(crate) fn vip_owner(ip: IpAddr) -> String {
    format!("vip {ip}")
}

/// Names the entry of a published port.
pub(crate) fn published_owner(published: &Published) -> String {
    let host = published.host_ip.map_or("*".to_owned(), |ip| ip.to_string());
    format!("{} {host} {}", published.protocol, published.host_port)
}

/// Backends that left and may have connections which never end by themselves.
pub(crate) fn departed(former: &Slots, now: &Slots) -> Vec<IpAddr> {
    former.all().filter(|ip| !now.all().any(|other| other == *ip)).collect()
}

/// Ports that are wanted twice: the positions of all but the first.
pub(crate) fn duplicates(published: &[Published]) -> BTreeSet<usize> {
    let mut seen = BTreeMap::new();
    let mut double = BTreeSet::new();
    for (index, entry) in published.iter().enumerate() {
        let key = (entry.protocol, entry.host_port);
        let hosts: &mut Vec<Option<IpAddr>> = seen.entry(key).or_default();
        if hosts.contains(&entry.host_ip) {
            double.insert(index);
        }
        hosts.push(entry.host_ip);
    }
    double
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Protocol;

    fn ips(ips: &[&str]) -> Vec<IpAddr> {
        ips.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn slots(backends: &[&str]) -> Slots {
        Slots::default().assign(&ips(backends))
    }

    fn text(entry: &Entry) -> Vec<String> {
        entry.inet.iter().map(Element::to_string).collect()
    }

    #[test]
    fn the_last_slot_moves_into_the_hole() {
        let check = |former: &[&str], wanted: &[&str], expect: &[&str]| {
            assert_eq!(assign(&ips(former), ips(wanted).into_iter().collect()), ips(expect));
        };
        let [a, b, c, d] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
        check(&[], &[b, a, a], &[a, b]);
        check(&[a, b, c], &[a, b, c], &[a, b, c]);
        check(&[a, b, c], &[b, c], &[c, b]);
        check(&[a, b, c], &[a, b], &[a, b]);
        check(&[a, b, c], &[a, c, d], &[a, d, c]);
        check(&[a, b], &[a, b, c, d], &[a, b, c, d]);
        check(&[a, b], &[], &[]);
        check(&[a, b, c, d], &[d], &[d]);
    }

    #[test]
    fn more_backends_than_there_is_room_for_are_left_out() {
        let many = (0..2_000_u32).map(|number| IpAddr::V4(Ipv4Addr::from(number))).collect();
        assert_eq!(assign(&[], many).len(), limits::MAX_BACKENDS);
    }

    #[test]
    fn a_vip_in_the_kernel() {
        let entry =
            vip_entry("10.1.0.200".parse().unwrap(), "br1", &slots(&["10.1.0.2", "10.1.0.3", "fd10::2"]));
        assert_eq!(
            text(&entry),
            [
                "vip4 { \"br1\" . 10.1.0.200 : goto vip-4-2 }",
                "vip_be4 { 10.1.0.200 . 0 : 10.1.0.2 }",
                "vip_be4 { 10.1.0.200 . 1 : 10.1.0.3 }",
            ]
        );
        let entry = vip_entry("fd10::200".parse().unwrap(), "br1", &slots(&["10.1.0.2"]));
        assert_eq!(text(&entry), ["vip_none6 { \"br1\" . fd10::200 }"]);
    }

    fn published(host_ip: Option<&str>) -> Published {
        let host_ip = host_ip.map(|ip| ip.parse().unwrap());
        Published { host_ip, host_port: 8080, protocol: Protocol::Tcp, target_port: 80, backends: Vec::new() }
    }

    #[test]
    fn a_published_port_in_the_kernel() {
        let check = |host_ip, backends: &[&str], expect: &[&str]| {
            assert_eq!(text(&published_entry(&published(host_ip), &slots(backends))), expect, "{host_ip:?}");
        };
        let any4 = ["any4 { tcp . 8080 : goto any-4-1 }", "any_be4 { tcp . 8080 . 0 : 10.1.0.2 . 80 }"];
        let any6 = ["any6 { tcp . 8080 : goto any-6-1 }", "any_be6 { tcp . 8080 . 0 : fd10::2 . 80 }"];
        check(None, &["10.1.0.2", "fd10::2"], &[any4[0], any6[0], any4[1], any6[1]]);
        check(None, &["10.1.0.2"], &any4);
        check(Some("0.0.0.0"), &["10.1.0.2", "fd10::2"], &any4);
        check(Some("::"), &["10.1.0.2", "fd10::2"], &any6);
        check(None, &[], &["any_none4 { tcp . 8080 }", "any_none6 { tcp . 8080 }"]);
        check(
            Some("127.0.0.1"),
            &["10.1.0.2"],
            &[
                "addr4 { 127.0.0.1 . tcp . 8080 : goto addr-4-1 }",
                "addr_be4 { 127.0.0.1 . tcp . 8080 . 0 : 10.1.0.2 . 80 }",
            ],
        );
        check(Some("127.0.0.1"), &[], &["addr_none4 { 127.0.0.1 . tcp . 8080 }"]);
        check(Some("::1"), &["10.1.0.2"], &[]);
    }

    #[test]
    fn a_port_published_twice_is_found() {
        let all = [published(None), published(Some("127.0.0.1")), published(None)];
        assert_eq!(duplicates(&all), [2].into());
    }
}
