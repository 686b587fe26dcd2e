//! Other programs change the kernel; engines die.

use std::process::Command;
use std::time::Duration;

use super::machine::{ENGINE, HOST, LAN, Machine, endpoint, network, on_a_machine};
use crate::Protocol::Tcp;
use crate::link::{Links, Requests};
use crate::netlink::{ACK, CREATE, DUMP, Family, Message, REQUEST, Socket};
use crate::nft::Names;
use crate::spec::NetworkSpec;
use crate::sysctl;
use crate::tables::Tables;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10 << 8;
const NEW_TABLE: u16 = NFTABLES;
const DEL_TABLE: u16 = NFTABLES | 2;
const NEW_CHAIN: u16 = NFTABLES | 3;

/// What `nft` or `iptables-nft` would send.
fn nft(messages: Vec<Message>) {
    let mut all = vec![Message::new(BATCH_BEGIN, REQUEST, &[0, 0, 0, 10])];
    all.extend(messages);
    all.push(Message::new(BATCH_END, REQUEST, &[0, 0, 0, 10]));
    Socket::open(Family::Netfilter, 0).unwrap().transaction(all).unwrap();
}

/// `nft flush ruleset`: delete the tables of all families.
fn flush_ruleset() {
    nft(vec![Message::new(DEL_TABLE, REQUEST, &[0, 0, 0, 0])]);
}

/// How many tables there are.
fn tables() -> usize {
    let mut count = 0;
    let list = Message::new(NFTABLES | 1, REQUEST | DUMP, &[0; 4]);
    Socket::open(Family::Netfilter, 0).unwrap().dump(list, |_, _| count += 1).unwrap();
    count
}

/// `iptables -P FORWARD DROP`.
fn forward_drop() {
    let mut table = Message::new(NEW_TABLE, REQUEST | CREATE, &[2, 0, 0, 0]);
    table.attr_str(1, "filter").attr_be32(2, 0);
    let mut chain = Message::new(NEW_CHAIN, REQUEST | CREATE, &[2, 0, 0, 0]);
    chain.attr_str(1, "filter").attr_str(3, "FORWARD");
    chain.nest(4, |m| {
        m.attr_be32(1, 2).attr_be32(2, 0);
    });
    chain.attr_be32(5, 0).attr_str(7, "filter");
    nft(vec![table, chain]);
}

async fn published(machine: &Machine) {
    machine.network(1).await;
    machine.container("a", &[1], 10).await;
    machine.publish(None, 8080, Tcp, &["10.1.0.10"]).await;
    answers(machine).await;
}

async fn answers(machine: &Machine) {
    assert_eq!(machine.ask(LAN, "192.168.50.1:8080").await, "a 192.168.50.2");
    assert_eq!(machine.ask(HOST, "127.0.0.1:8080").await, "a 10.1.0.1");
}

/// Waits until the port answers as it should.
async fn recovers(machine: &Machine) {
    let recovered = async {
        while machine.ask(LAN, "192.168.50.1:8080").await != "a 192.168.50.2" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), recovered).await.expect("the port recovers");
    answers(machine).await;
}

#[test]
fn a_foreign_flush_is_repaired() {
    on_a_machine(async |machine| {
        published(machine).await;
        flush_ruleset();
        recovers(machine).await;
    });
}

/// `ip link set NAME down` for the links whose names begin so.
fn take_down(prefix: &str) {
    let links = Links::open().unwrap().list().unwrap();
    let lowered = links.iter().filter(|link| link.name.starts_with(prefix)).map(|link| {
        let mut body = [0; 16];
        body[4..8].copy_from_slice(&link.index.to_ne_bytes());
        // Of the flags the first, which is to be up, shall become zero.
        body[12..16].copy_from_slice(&1_u32.to_ne_bytes());
        Message::new(16, REQUEST | ACK, &body)
    });
    let lowered: Vec<_> = lowered.collect();
    assert!(!lowered.is_empty(), "there is no {prefix}");
    Socket::open(Family::Route, 0).unwrap().request(lowered, None).unwrap();
}

#[test]
fn what_is_taken_down_is_set_up_again() {
    on_a_machine(async |machine| {
        // With IPv6 the addresses that the kernel takes away would tell as well.
        machine.net.ensure_network(&NetworkSpec { v6: None, ..network(1) }).await.unwrap();
        machine.container("a", &[1], 10).await;
        machine.publish(None, 8080, Tcp, &["10.1.0.10"]).await;
        for kind in ["b", "v"] {
            take_down(&format!("o{ENGINE}{kind}"));
            recovers(machine).await;
        }
    });
}

#[test]
fn a_removed_bridge_is_made_again() {
    on_a_machine(async |machine| {
        published(machine).await;
        let mut links = Links::open().unwrap();
        let bridge = |links: &mut Links| {
            let all = links.list().unwrap();
            all.into_iter().find(|link| link.name.starts_with(&format!("o{ENGINE}b"))).unwrap().name
        };
        let name = bridge(&mut links);
        links.remove(&[&name], 0).unwrap();
        recovers(machine).await;
        assert_eq!(bridge(&mut links), name);
    });
}

#[test]
fn a_forward_chain_that_drops_lets_us_pass() {
    on_a_machine(async |machine| {
        forward_drop();
        published(machine).await;
        assert_eq!(machine.ask("a", "192.168.50.2:9").await, "connection refused", "replies come back");
    });
}

#[test]
fn a_forward_chain_that_begins_to_drop_lets_us_pass() {
    on_a_machine(async |machine| {
        published(machine).await;
        forward_drop();
        recovers(machine).await;
    });
}

/// Runs the program of the legacy packet filter; `false` where there is none.
fn iptables_legacy(arguments: &str) -> bool {
    let arguments = arguments.split(' ');
    Command::new("iptables-legacy").args(arguments).status().is_ok_and(|status| status.success())
}

#[test]
#[allow(clippy::print_stderr)] // A test has no other way to say that it did not look.
fn a_legacy_filter_that_drops_is_told() {
    on_a_machine(async |machine| {
        let is_told = async || machine.net.obstacle().await.unwrap().is_some();
        assert!(!is_told().await, "there is no such filter");
        if !iptables_legacy("-P FORWARD DROP") {
            eprintln!("skipped: there is no `iptables-legacy`");
            return;
        }
        assert!(is_told().await);
        assert!(iptables_legacy("-A FORWARD -p tcp -j DROP"));
        assert!(iptables_legacy("-A FORWARD -i eth0 -j ACCEPT"));
        assert!(iptables_legacy(&format!("-I FORWARD -i o{ENGINE}b+ -j ACCEPT")));
        assert!(is_told().await, "what goes there is dropped");
        assert!(iptables_legacy(&format!("-I FORWARD -o o{ENGINE}b+ -j ACCEPT")));
        assert!(!is_told().await, "both ways are open");
        assert!(iptables_legacy("-F FORWARD"));
        assert!(is_told().await);
        assert!(iptables_legacy("-P FORWARD ACCEPT"));
        assert!(!is_told().await);
    });
}

#[test]
fn what_an_engine_made_survives_it_and_is_adopted() {
    on_a_machine(async |machine| {
        let balance = machine.published_balance(8080, "10.1.0.10");
        let first = machine.reopen().await;
        first.ensure_network(&network(1)).await.unwrap();
        first.create_netns("a").await.unwrap();
        first.attach("a", &[endpoint(1, 0, 10)]).await.unwrap();
        assert_eq!(first.set_balance(&balance).await.unwrap(), []);
        machine.serve("a", "a", 80);
        answers(machine).await;
        drop(first);
        answers(machine).await;

        let next = machine.reopen().await;
        let inventory = next.inventory().await.unwrap();
        assert_eq!((inventory.networks, inventory.netns), (vec!["net1".to_owned()], vec!["a".to_owned()]));
        let before = Links::open().unwrap().list().unwrap();
        next.ensure_network(&network(1)).await.unwrap();
        next.attach("a", &[endpoint(1, 0, 10)]).await.unwrap();
        assert_eq!(Links::open().unwrap().list().unwrap(), before, "adopting changes no link");
        answers(machine).await;
        // Until the sockets of the first engine are closed, the port is not free.
        while !next.set_balance(&balance).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        answers(machine).await;
        assert_eq!(machine.ask(HOST, "[::1]:8080").await, "a 10.1.0.1");
    });
}

#[test]
fn nothing_is_left_when_the_last_network_goes() {
    on_a_machine(async |machine| {
        forward_drop();
        let settings = ["net/ipv4/ip_forward", "net/ipv4/conf/all/send_redirects"];
        let before = settings.map(sysctl::read);
        published(machine).await;
        assert_eq!(sysctl::read("net/ipv4/ip_forward").as_deref(), Some("1"));
        machine.net.remove_netns("a").await.unwrap();
        machine.net.remove_netns("a").await.unwrap();
        // While somebody else filters forwarded packets, forwarding is theirs as well.
        nft(vec![{
            let mut message = Message::new(DEL_TABLE, REQUEST, &[2, 0, 0, 0]);
            message.attr_str(1, "filter");
            message
        }]);
        machine.net.remove_network("net1").await.unwrap();
        let links = Links::open().unwrap().list().unwrap();
        assert_eq!(links.iter().filter(|link| link.name.contains(ENGINE)).count(), 0);
        assert_eq!(machine.net.inventory().await.unwrap(), crate::Inventory::default());
        assert_eq!(tables(), 0, "no table is left");
        assert_eq!(settings.map(sysctl::read), before);
    });
}

#[test]
fn a_lost_namespace_is_an_error_with_its_path() {
    on_a_machine(async |machine| {
        machine.network(1).await;
        let error = machine.net.attach("ghost", &[endpoint(1, 0, 10)]).await.unwrap_err().to_string();
        assert!(
            error.starts_with("cannot open the network namespace ") && error.contains("/ghost"),
            "{error}"
        );
        // The failed attempt leaves nothing behind.
        machine.container("a", &[1], 10).await;
        let links = Links::open().unwrap().list().unwrap();
        assert_eq!(links.iter().filter(|link| link.name.starts_with(&format!("o{ENGINE}v"))).count(), 1);
    });
}

#[test]
fn the_rests_of_an_interrupted_engine_are_removed() {
    on_a_machine(async |machine| {
        let mut links = Links::open().unwrap();
        let before = links.list().unwrap();
        for name in ["bxxxxx", "bxxxxy", "vxxxxx"] {
            links.add_bridge(&format!("o{ENGINE}{name}"), [2, 0, 0, 0, 0, 9], None).unwrap();
        }
        Tables::open(&Names::new(ENGINE)).unwrap().install().unwrap();
        let folder = machine.run_dir().join("netns");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("half"), "").unwrap();
        assert_eq!(tables(), 2);
        machine.reopen().await;
        assert_eq!(links.list().unwrap(), before);
        assert_eq!(tables(), 0);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    });
}

#[test]
fn more_requests_at_once_than_answers_fit_into_a_socket_are_carried_out() {
    on_a_machine(async |_| {
        let mut requests = Requests::default();
        (0..5_000).for_each(|_| requests.up(1));
        Links::open().unwrap().apply(requests).unwrap();
    });
}
