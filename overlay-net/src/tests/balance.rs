//! Balancing: evenly, only over what is listed, and without disturbing what is established.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use tokio::io::AsyncWriteExt;

use super::machine::{HOST, HOST_IP, LAN, Machine, hear, hear_udp, network, on_a_machine};
use crate::Protocol::{Tcp, Udp};
use crate::{Balance, Vip, sysctl};

const BACKENDS4: [&str; 3] = ["10.1.0.10", "10.1.0.11", "10.1.0.12"];
const BACKENDS6: [&str; 3] = ["fd10:1::10", "fd10:1::11", "fd10:1::12"];

async fn three_replicas(machine: &Machine) {
    machine.network(1).await;
    for (name, last) in [("a", 10), ("b", 11), ("c", 12)] {
        machine.container(name, &[1], last).await;
    }
    machine.container("client", &[1], 20).await;
}

/// How often each replica answered.
async fn count(machine: &Machine, from: &str, to: &str, requests: usize) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for _ in 0..requests {
        let answer = machine.ask(from, to).await;
        *count.entry(answer.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    count
}

/// Each of three replicas gets a third of 300 connections: five standard deviations are 41.
fn assert_even(count: &BTreeMap<String, usize>) {
    assert_eq!(count.keys().collect::<Vec<_>>(), ["a", "b", "c"], "{count:?}");
    assert!(count.values().all(|n| (59..=141).contains(n)), "{count:?}");
}

fn vip(bridge_filter: &'static str) {
    on_a_machine(async move |machine| {
        for family in ["iptables", "ip6tables"] {
            sysctl::write_if_known(&format!("net/bridge/bridge-nf-call-{family}"), bridge_filter).unwrap();
        }
        three_replicas(machine).await;
        machine.network(2).await;
        machine.container("stranger", &[2], 12).await;
        machine.vip(1, "10.1.0.200", &BACKENDS4).await;
        machine.vip(1, "fd10:1::200", &BACKENDS6).await;
        assert_even(&count(machine, "client", "10.1.0.200:80", 300).await);
        assert_even(&count(machine, "client", "[fd10:1::200]:80", 300).await);
        assert_eq!(machine.ask_udp("client", "10.1.0.200:80").await.split(' ').nth(1), Some("10.1.0.20"));
        // A replica reaches its own service, itself included.
        assert_even(&count(machine, "a", "10.1.0.200:80", 300).await);
        assert_eq!(machine.ask("stranger", "10.1.0.200:80").await, "host unreachable");
    });
}

#[test]
fn a_vip_is_even_and_private() {
    vip("0");
}

#[test]
fn a_vip_is_even_when_bridged_packets_are_filtered() {
    vip("1");
}

#[test]
fn a_published_port_is_even() {
    on_a_machine(async |machine| {
        three_replicas(machine).await;
        machine.publish(None, 8080, Tcp, &[BACKENDS4, BACKENDS6].concat()).await;
        assert_even(&count(machine, HOST, "127.0.0.1:8080", 300).await);
        assert_even(&count(machine, LAN, &format!("{HOST_IP}:8080"), 300).await);
        assert_even(&count(machine, HOST, "[::1]:8080", 300).await);
    });
}

#[test]
fn without_backends_connections_are_refused_at_once() {
    on_a_machine(async |machine| {
        three_replicas(machine).await;
        machine.vip(1, "10.1.0.200", &[]).await;
        machine.publish(None, 8080, Tcp, &[]).await;
        machine.publish(None, 8080, Udp, &[]).await;
        for (from, to) in [
            ("client", "10.1.0.200:80"),
            (HOST, "127.0.0.1:8080"),
            (HOST, "[::1]:8080"),
            (LAN, "192.168.50.1:8080"),
            (LAN, "[fd50::1]:8080"),
        ] {
            assert_eq!(machine.ask(from, to).await, "connection refused", "{from} -> {to}");
            assert_eq!(machine.ask_udp(from, to).await, "connection refused", "udp {from} -> {to}");
        }
        // And accepted as soon as there is one.
        machine.vip(1, "10.1.0.200", &BACKENDS4[..1]).await;
        machine.publish(None, 8080, Tcp, &BACKENDS4[..1]).await;
        assert_eq!(machine.ask("client", "10.1.0.200:80").await, "a 10.1.0.20");
        assert_eq!(machine.ask(HOST, "127.0.0.1:8080").await, "a 10.1.0.1");
    });
}

#[test]
fn a_leaving_backend_keeps_its_connections_and_gets_no_new_ones() {
    on_a_machine(async |machine| {
        three_replicas(machine).await;
        machine.publish(None, 8080, Tcp, &["10.1.0.10"]).await;
        let mut old = machine.connect(LAN, "192.168.50.1:8080".parse().unwrap()).await.unwrap();
        assert_eq!(hear(&mut old).await, "a 192.168.50.2");
        machine.publish(None, 8080, Tcp, &["10.1.0.11", "10.1.0.12"]).await;
        let new = count(machine, LAN, "192.168.50.1:8080", 40).await;
        assert_eq!(new.keys().collect::<Vec<_>>(), ["b", "c"]);
        old.write_all(b"still there?").await.unwrap();
        assert_eq!(hear(&mut old).await, "still there?");
    });
}

#[test]
fn udp_clients_follow_when_their_backend_leaves() {
    on_a_machine(async |machine| {
        three_replicas(machine).await;
        machine.publish(None, 8080, Udp, &["10.1.0.10"]).await;
        let client = machine.udp(LAN, "0.0.0.0:0".parse().unwrap());
        client.connect("192.168.50.1:8080").await.unwrap();
        assert_eq!(hear_udp(&client).await, "a 192.168.50.2");
        machine.publish(None, 8080, Udp, &["10.1.0.11"]).await;
        // Old flows are forgotten a moment later, before the worker's next job.
        machine.net.inventory().await.unwrap();
        assert_eq!(hear_udp(&client).await, "b 192.168.50.2");
    });
}

#[test]
fn a_port_that_another_program_has_is_reported_with_the_program() {
    on_a_machine(async |machine| {
        machine.network(1).await;
        machine.container("a", &[1], 10).await;
        machine.serve(HOST, "host", 8080);
        let conflicts = machine.publish(None, 8080, Tcp, &["10.1.0.10"]).await;
        assert_eq!(conflicts.len(), 1, "{conflicts:?}");
        assert_eq!(conflicts[0].owner.as_ref().map(|owner| owner.pid), Some(std::process::id()));
        // What is ours cannot be taken by another program.
        assert_eq!(machine.publish(None, 8081, Tcp, &["10.1.0.10"]).await.len(), 1);
        assert_eq!(machine.ask(LAN, "192.168.50.1:8081").await, "a 192.168.50.2");
        for taken in ["0.0.0.0:8081", "127.0.0.1:8081", "[::]:8081"] {
            assert!(tokio::net::TcpListener::bind(taken).await.is_err(), "{taken}");
        }
    });
}

/// Not a limit, a measurement of what the worker does: `cargo test -p overlay-net update_cost -- --nocapture`.
#[test]
#[allow(clippy::print_stderr)]
fn update_cost() {
    on_a_machine(async |machine| {
        let mut host = machine.host();
        host.ensure_network(network(1)).unwrap();
        let mut balance = Balance::default();
        for number in 0..200 {
            let ip = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 21 + number));
            let backends = BACKENDS4.iter().map(|ip| ip.parse().unwrap()).collect();
            balance.vips.insert(ip, Vip { network: "net1".into(), backends });
        }
        host.set_balance(&balance).unwrap();
        let mut times = Vec::new();
        for round in 0..101 {
            let vip = balance.vips.values_mut().next().unwrap();
            vip.backends = BACKENDS4[..2 + round % 2].iter().map(|ip| ip.parse().unwrap()).collect();
            let start = Instant::now();
            host.set_balance(&balance).unwrap();
            times.push(start.elapsed());
        }
        times.sort();
        let (best, p50, p99) = (times[0], times[50], times[99]);
        eprintln!("one backend of 200 VIPs: best {best:?}, p50 {p50:?}, p99 {p99:?}");
        assert!(best.as_millis() < 100, "an update is a matter of microseconds");
    });
}
