//! Who reaches what, from where, and who is seen as the client.

use super::machine::{HOST, HOST_IP, HOST_IP6, LAN, LAN_IP, LAN_IP6, Machine, on_a_machine};
use crate::Protocol::{Tcp, Udp};
use crate::netns::Namespaces;
use crate::spec::Reach;
use crate::{link::Links, link::Requests, sysctl};

/// Asks over TCP.
async fn check(machine: &Machine, from: &str, to: &str, expect: &str) {
    assert_eq!(machine.ask(from, to).await, expect, "{from} -> {to}");
}

async fn check_udp(machine: &Machine, from: &str, to: &str, expect: &str) {
    assert_eq!(machine.ask_udp(from, to).await, expect, "udp {from} -> {to}");
}

/// Containers a and b in network 1, c in network 2; a is published at 8080.
async fn three_containers(machine: &Machine) {
    for number in [1, 2] {
        machine.network(number).await;
    }
    machine.container("a", &[1], 10).await;
    machine.container("b", &[1], 11).await;
    machine.container("c", &[2], 12).await;
    for protocol in [Tcp, Udp] {
        assert_eq!(machine.publish(None, 8080, protocol, &["10.1.0.10", "fd10:1::10"]).await, []);
    }
}

/// The matrix of a published port, with bridged packets passing the packet filter or not.
fn published_port(bridge_filter: &'static str) {
    on_a_machine(async move |machine| {
        for family in ["iptables", "ip6tables"] {
            sysctl::write_if_known(&format!("net/bridge/bridge-nf-call-{family}"), bridge_filter).unwrap();
        }
        three_containers(machine).await;
        let gateway = "a 10.1.0.1";
        for (from, to, expect) in [
            (HOST, "127.0.0.1:8080", gateway),
            (HOST, &format!("{HOST_IP}:8080"), &format!("a {HOST_IP}")),
            (HOST, &format!("[{HOST_IP6}]:8080"), &format!("a {HOST_IP6}")),
            (LAN, &format!("{HOST_IP}:8080"), &format!("a {LAN_IP}")),
            (LAN, &format!("[{HOST_IP6}]:8080"), &format!("a {LAN_IP6}")),
            ("a", &format!("{HOST_IP}:8080"), gateway),
            ("a", &format!("[{HOST_IP6}]:8080"), "a fd10:1::1"),
            ("b", &format!("{HOST_IP}:8080"), "a 10.1.0.11"),
            ("b", &format!("[{HOST_IP6}]:8080"), "a fd10:1::11"),
            ("b", "10.1.0.1:8080", "a 10.1.0.11"),
            ("c", &format!("{HOST_IP}:8080"), "a 10.2.0.12"),
            ("c", &format!("[{HOST_IP6}]:8080"), "a fd10:2::12"),
        ] {
            check(machine, from, to, expect).await;
            check_udp(machine, from, to, expect).await;
        }
        // Not even the kernel can translate these; the proxy answers, from the gateway's address.
        for answer in [machine.ask(HOST, "[::1]:8080").await, machine.ask_udp(HOST, "[::1]:8080").await] {
            assert!(["a 10.1.0.1", "a fd10:1::1"].contains(&answer.as_str()), "[::1]: {answer}");
        }
    });
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    published_port("0");
}

#[test]
fn a_published_port_is_reached_when_bridged_packets_are_filtered() {
    published_port("1");
}

#[test]
fn containers_reach_their_network_and_the_outside_and_nothing_else() {
    on_a_machine(async |machine| {
        three_containers(machine).await;
        machine.serve(LAN, "lan", 80);
        for (from, to, expect) in [
            ("b", "10.1.0.10:80", "a 10.1.0.11"),
            ("b", "[fd10:1::10]:80", "a fd10:1::11"),
            (HOST, "10.1.0.10:80", "a 10.1.0.1"),
            // The outside sees the machine, not the container.
            ("a", &format!("{LAN_IP}:80"), &format!("lan {HOST_IP}")),
            ("a", &format!("[{LAN_IP6}]:80"), &format!("lan {HOST_IP6}")),
            // Another network says so at once; the outside is not even answered.
            ("c", "10.1.0.10:80", "host unreachable"),
            ("c", "[fd10:1::10]:80", "permission denied"),
            (LAN, "10.1.0.10:80", "silence"),
            (LAN, "[fd10:1::10]:80", "silence"),
        ] {
            check(machine, from, to, expect).await;
        }
    });
}

#[test]
fn an_internal_network_has_no_way_out() {
    on_a_machine(async |machine| {
        let mut spec = super::machine::network(1);
        spec.internal = true;
        machine.net.ensure_network(&spec).await.unwrap();
        machine.container("a", &[1], 10).await;
        machine.container("b", &[1], 11).await;
        machine.serve(LAN, "lan", 80);
        check(machine, "a", "10.1.0.11:80", "b 10.1.0.10").await;
        check(machine, "a", &format!("{LAN_IP}:80"), "host unreachable").await;
    });
}

/// A container with the address 10.1.0.<last>, and with the same number as link-local ones.
async fn with_link_local(machine: &Machine, name: &'static str, last: u8) -> u32 {
    machine.net.create_netns(name).await.unwrap();
    let mut spec = super::machine::endpoint(1, 0, last);
    let texts = [format!("169.254.7.{last}"), format!("fe80::{last}")];
    spec.link_local = texts.iter().map(|text| text.parse().unwrap()).collect();
    machine.net.attach(name, &[spec]).await.unwrap();
    machine.serve(name, name, 80);
    let index = || Ok(Links::open().unwrap().get("eth0").unwrap().index);
    Namespaces::new(&machine.run_dir).within(name, index).unwrap()
}

#[test]
fn link_local_addresses_reach_one_another_without_being_routed() {
    on_a_machine(async |machine| {
        machine.network(1).await;
        with_link_local(machine, "a", 10).await;
        let interface = with_link_local(machine, "b", 11).await;
        machine.container("plain", &[1], 12).await;
        check(machine, "b", "169.254.7.10:80", "a 169.254.7.11").await;
        check(machine, "b", &format!("[fe80::10%{interface}]:80"), "a fe80::11").await;
        check(machine, "b", "10.1.0.10:80", "a 10.1.0.11").await;
        for place in ["plain", HOST] {
            let answer = machine.ask(place, "169.254.7.10:80").await;
            assert!(!answer.starts_with('a'), "{place} has no link-local address: {answer}");
        }
    });
}

#[test]
fn members_who_do_not_meet_do_not_meet_by_link_local_addresses() {
    on_a_machine(async |machine| {
        let mut spec = super::machine::network(1);
        spec.members_meet = false;
        machine.net.ensure_network(&spec).await.unwrap();
        with_link_local(machine, "a", 10).await;
        with_link_local(machine, "b", 11).await;
        let answer = machine.ask("b", "169.254.7.10:80").await;
        assert!(["silence", "host unreachable"].contains(&answer.as_str()), "{answer}");
    });
}

#[test]
fn the_outside_reaches_what_a_network_opens() {
    on_a_machine(async |machine| {
        let mut bare = super::machine::network(1);
        (bare.reach4, bare.reach6) = (Reach::All, Reach::Published);
        let mut routed = super::machine::network(2);
        (routed.reach4, routed.reach6) = (Reach::Opened, Reach::Opened);
        for spec in [bare, routed] {
            machine.net.ensure_network(&spec).await.unwrap();
        }
        machine.container("a", &[1], 10).await;
        machine.net.create_netns("b").await.unwrap();
        let mut spec = super::machine::endpoint(2, 0, 11);
        spec.open = [(Tcp, 80)].into();
        machine.net.attach("b", &[spec]).await.unwrap();
        for port in [80, 81] {
            machine.serve("b", "b", port);
        }
        machine.serve(LAN, "lan", 80);
        for (from, to, expect) in [
            (LAN, "10.1.0.10:80", format!("a {LAN_IP}")),
            (LAN, "[fd10:1::10]:80", "silence".to_owned()),
            (LAN, "10.2.0.11:80", format!("b {LAN_IP}")),
            (LAN, "[fd10:2::11]:80", format!("b {LAN_IP6}")),
            (LAN, "10.2.0.11:81", "silence".to_owned()),
            // Who is seen by the outside.
            ("a", &format!("{LAN_IP}:80"), format!("lan {HOST_IP}")),
            ("b", &format!("{LAN_IP}:80"), "lan 10.2.0.11".to_owned()),
            ("b", &format!("[{LAN_IP6}]:80"), "lan fd10:2::11".to_owned()),
            // Other networks of this machine are not the outside.
            ("a", "10.2.0.11:80", "host unreachable".to_owned()),
            ("b", "10.1.0.10:80", "host unreachable".to_owned()),
        ] {
            check(machine, from, to, &expect).await;
        }
        assert_eq!(machine.ask_udp(LAN, "10.2.0.11:80").await, "silence", "only TCP is open");
    });
}

#[test]
fn a_container_in_two_networks_answers_in_both() {
    on_a_machine(async |machine| {
        for number in [1, 2] {
            machine.network(number).await;
        }
        machine.container("both", &[1, 2], 10).await;
        machine.container("one", &[1], 11).await;
        machine.container("two", &[2], 12).await;
        check(machine, "one", "10.1.0.10:80", "both 10.1.0.11").await;
        check(machine, "two", "10.2.0.10:80", "both 10.2.0.12").await;
        check(machine, "both", "10.2.0.12:80", "two 10.2.0.10").await;
        check(machine, "one", "10.2.0.12:80", "host unreachable").await;
        // Published through its second network, it answers the outside through that one.
        machine.publish(None, 8080, Tcp, &["10.2.0.10"]).await;
        check(machine, LAN, &format!("{HOST_IP}:8080"), &format!("both {LAN_IP}")).await;
    });
}

#[test]
fn a_port_published_at_one_address_is_only_there() {
    on_a_machine(async |machine| {
        machine.network(1).await;
        machine.container("a", &[1], 10).await;
        machine.publish(Some("127.0.0.1"), 8080, Tcp, &["10.1.0.10"]).await;
        machine.publish(Some(HOST_IP), 8081, Tcp, &["10.1.0.10"]).await;
        machine.publish(Some("::1"), 8082, Tcp, &["10.1.0.10"]).await;
        check(machine, HOST, "127.0.0.1:8080", "a 10.1.0.1").await;
        check(machine, HOST, &format!("{HOST_IP}:8080"), "connection refused").await;
        check(machine, LAN, &format!("{HOST_IP}:8080"), "connection refused").await;
        check(machine, LAN, &format!("[{HOST_IP6}]:8080"), "connection refused").await;
        check(machine, LAN, &format!("{HOST_IP}:8081"), &format!("a {LAN_IP}")).await;
        check(machine, HOST, "127.0.0.1:8081", "connection refused").await;
        check(machine, HOST, "[::1]:8082", "a 10.1.0.1").await;
        check(machine, LAN, &format!("[{HOST_IP6}]:8082"), "connection refused").await;
    });
}

#[test]
fn ipv6_clients_reach_a_container_that_has_only_ipv4() {
    on_a_machine(async |machine| {
        machine.network(1).await;
        machine.container("a", &[1], 10).await;
        for protocol in [Tcp, Udp] {
            machine.publish(None, 8080, protocol, &["10.1.0.10"]).await;
        }
        check(machine, LAN, &format!("[{HOST_IP6}]:8080"), "a 10.1.0.1").await;
        check_udp(machine, LAN, &format!("[{HOST_IP6}]:8080"), "a 10.1.0.1").await;
    });
}

#[test]
fn loopback_is_not_open_to_containers() {
    on_a_machine(async |machine| {
        machine.network(1).await;
        machine.container("a", &[1], 10).await;
        machine.serve(HOST, "host", 7000);
        // A container that routes 127.0.0.2 to its gateway, with the kernel's consent on its side.
        Namespaces::new(machine.run_dir())
            .within("a", || {
                sysctl::write_if_known("net/ipv4/conf/eth0/route_localnet", "1")?;
                let mut links = Links::open().unwrap();
                let eth0 = links.get("eth0")?.index;
                let mut requests = Requests::default();
                requests.route(
                    "127.0.0.2/32".parse().unwrap(),
                    Some("10.1.0.1".parse().unwrap()),
                    eth0,
                    Some(99),
                );
                requests.rule("10.1.0.10".parse().unwrap(), 99);
                links.apply(requests)
            })
            .unwrap();
        let socket = machine.udp("a", "10.1.0.10:5000".parse().unwrap());
        socket.connect("127.0.0.2:7000").await.unwrap();
        assert_ne!(super::machine::hear_udp(&socket).await, "host 10.1.0.10");
        check(machine, "a", "10.1.0.1:7000", "host 10.1.0.10").await;
    });
}

#[test]
fn a_container_cannot_speak_in_anothers_name() {
    on_a_machine(async |machine| {
        machine.network(1).await;
        machine.container("a", &[1], 10).await;
        machine.container("b", &[1], 11).await;
        // It may give itself any address; what it sends from there is dropped at its port.
        Namespaces::new(machine.run_dir())
            .within("b", || {
                let mut links = Links::open().unwrap();
                let eth0 = links.get("eth0")?.index;
                let mut requests = Requests::default();
                requests.address(eth0, "10.1.0.99/24".parse().unwrap(), false);
                requests.address(eth0, "fd10:1::99/64".parse().unwrap(), false);
                links.apply(requests)
            })
            .unwrap();
        let server = machine.udp("a", "[::]:5000".parse().unwrap());
        for (from, to) in [("10.1.0.99:1", "10.1.0.10:5000"), ("[fd10:1::99]:1", "[fd10:1::10]:5000")] {
            let forged = machine.udp("b", from.parse().unwrap());
            let _ = forged.send_to(b"forged", to).await;
        }
        for (from, to) in [("10.1.0.11:2", "10.1.0.10:5000"), ("[fd10:1::11]:2", "[fd10:1::10]:5000")] {
            let honest = machine.udp("b", from.parse().unwrap());
            honest.send_to(b"honest", to).await.unwrap();
            // Packets of one sender keep their order, so a forged one would have come first.
            let mut packet = [0; 16];
            let received =
                tokio::time::timeout(std::time::Duration::from_secs(5), server.recv_from(&mut packet));
            let (len, _) = received.await.expect("the honest packet comes").unwrap();
            assert_eq!(&packet[..len], b"honest", "{from}");
        }
    });
}
