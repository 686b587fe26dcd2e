//! What this machine has to offer, as the kernel tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cluster::NodeDescription;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Processors, memory, addresses and routes. What cannot be read is left out: a node that says less is given
/// less. Labels are what its owner says of it.
pub(crate) fn describe(labels: &BTreeMap<String, String>) -> NodeDescription {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (v6, route4, route6) =
        (read("/proc/net/if_inet6"), read("/proc/net/route"), read("/proc/net/ipv6_route"));
    let mut addresses: BTreeSet<IpAddr> = local_v4(&read("/proc/net/fib_trie")).map(IpAddr::V4).collect();
    addresses.extend(local_v6(&v6).map(IpAddr::V6));
    let routes: BTreeSet<IpNet> =
        routes_v4(&route4).map(IpNet::V4).chain(routes_v6(&route6).map(IpNet::V6)).collect();
    NodeDescription {
        name: read("/proc/sys/kernel/hostname").trim().to_owned(),
        cpu_nanos: cores * 1_000_000_000,
        memory_bytes: memory(&read("/proc/meminfo")).unwrap_or(0),
        os: "linux".to_owned(),
        architecture: architecture().to_owned(),
        labels: labels.clone(),
        addresses: addresses.into_iter().collect(),
        routes: routes.into_iter().collect(),
    }
}

/// The name that image indexes use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `MemTotal:  16316412 kB`
fn memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Addresses above a line that says `/32 host LOCAL`, but for loopback.
fn local_v4(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs: Vec<(&str, &str)> = lines.iter().copied().zip(lines.iter().copied().skip(1)).collect();
    pairs
        .into_iter()
        .filter(|(_, below)| below.trim() == "/32 host LOCAL")
        .filter_map(|(address, _)| address.trim().strip_prefix("|-- ")?.parse::<Ipv4Addr>().ok())
        .filter(|address| !address.is_loopback())
}

/// `fd00000000000000000000000000000a 02 40 00 80     eth0`: address, index, prefix, scope (20 is link-local).
fn local_v6(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = v6_address(words.next()?)?;
        let scope = words.nth(2)?;
        (scope != "20" && !address.is_loopback()).then_some(address)
    })
}

/// `eth0 0001000A 00000000 0001 0 0 0 00FFFFFF ...`: destination and mask as the machine's own numbers; the
/// default route says nothing of where networks are.
fn routes_v4(text: &str) -> impl Iterator<Item = Ipv4Net> {
    text.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| u32::from_str_radix(word, 16).ok().map(u32::to_le_bytes);
        let address = Ipv4Addr::from(number(words.get(1)?)?);
        let mask = Ipv4Addr::from(number(words.get(7)?)?);
        let network = Ipv4Net::with_netmask(address, mask).ok()?;
        (network.prefix_len() > 0).then_some(network)
    })
}

/// `fd00... 40 0000... 00 ...`: destination and prefix in hexadecimal.
fn routes_v6(text: &str) -> impl Iterator<Item = Ipv6Net> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = v6_address(words.next()?)?;
        let prefix = u8::from_str_radix(words.next()?, 16).ok()?;
        let network = Ipv6Net::new(address, prefix).ok()?;
        let ours = !address.is_loopback() && !address.is_multicast() && !address.is_unicast_link_local();
        (prefix > 0 && prefix < 128 && ours).then_some(network)
    })
}

/// Thirty-two hexadecimal digits without colons.
fn v6_address(digits: &str) -> Option<Ipv6Addr> {
    (digits.len() == 32).then(|| u128::from_str_radix(digits, 16).ok()).flatten().map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list<T: ToString>(all: impl Iterator<Item = T>) -> String {
        all.map(|one| one.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_kernels_tables_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     \
                    |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(list(local_v4(trie)), "10.0.0.5");
        let inet6 = "fd00000000000000000000000000000a 02 40 00 80     eth0\n\
                     fe800000000000000000000000000001 02 40 20 80     eth0\n\
                     00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(list(local_v6(inet6)), "fd00::a");
        let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                     eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(list(routes_v4(route)), "10.0.0.0/24");
        let zeros = "0".repeat(32);
        let route6 = format!(
            "fd000000000000000000000000000000 40 {zeros} 00\nfe800000000000000000000000000000 40 {zeros} 00\n\
             {zeros} 00 {zeros} 00\n"
        );
        assert_eq!(list(routes_v6(&route6)), "fd00::/64");
        assert_eq!(memory("MemFree: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
    }

    #[test]
    fn nonsense_gives_nothing() {
        for text in ["", "\n\n", "a b c d e f g h i", "zz 40\n|-- x\n/32 host LOCAL"] {
            assert_eq!(list(local_v4(text)), "");
            assert_eq!(list(local_v6(text)), "");
            assert_eq!(list(routes_v4(text)), "");
            assert_eq!(list(routes_v6(text)), "");
            assert_eq!(memory(text), None);
        }
    }

    #[test]
    fn this_machine_has_something() {
        let machine = describe(&BTreeMap::new());
        assert!(machine.cpu_nanos >= 1_000_000_000 && machine.memory_bytes > 0 && !machine.name.is_empty());
    }
}
