//! Networks that somebody else takes apart, and names that are asked for without end.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::support::{Machine, eventually};

const STACK: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    ports: ['8080:80']
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 50ms}
  client: {image: orc/demo, command: [demo, sleep]}
";

/// Somebody flushes the packet filter, takes the stack's bridge down, then deletes it: all comes back by itself, and the
/// port and the names answer as before.
#[test]
fn f30_networks_must_mend_themselves() {
    let machine = Machine::new("network-repair");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web", "client"]).ok();
    let works = |what: &str| {
        machine.answers("127.0.0.1:8080");
        eventually(what, || machine.orc(&["exec", "-T", "client", "demo", "get", "http://web/"]).code == 0);
    };
    works("at first");
    let serving = machine.pids_of("demo serve");
    machine.flush_packet_filter();
    works("after the packet filter was flushed");
    machine.lower_bridges();
    works("after the bridge was taken down");
    machine.delete_bridges();
    works("after the bridge was deleted");
    assert_eq!(machine.pids_of("demo serve"), serving, "no container is started anew for that");
    machine.leaves_nothing();
}

/// The machine has a route (a VPN's, say) to the addresses that a network would get: the network gets others, and
/// containers reach what is behind the route.
#[test]
fn f30_a_network_must_keep_away_from_the_machines_routes() {
    let machine = Machine::new("routes-kept");
    // The first network that asks for no addresses gets 10.201.0.0/24 where nobody has it.
    let outside = machine.outside_at([10, 201, 0, 7].into(), [10, 201, 0, 8].into());
    outside.serve("10.201.0.8:7000");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web", "client"]).ok();
    machine.orc(&["exec", "-T", "client", "demo", "cat", "/etc/hosts"]).exits(0).never_says("10.201.0.");
    let get = |url: &str| machine.orc(&["exec", "-T", "client", "demo", "get", url]);
    get("http://10.201.0.8:7000/").exits(0).says("from outside");
    get("http://web/").exits(0);
    machine.leaves_nothing();
}

/// A container asks for names without end, most of which do not exist: others are answered meanwhile, and the engine's
/// memory stays small.
#[test]
fn f34_a_flood_of_questions_must_not_drown_others() {
    let machine = Machine::new("dns-flood");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web", "client"]).ok();
    let web = machine.pids_of("demo serve")[0];
    let end = Instant::now() + Duration::from_secs(3);
    let asked = machine.inside(web, || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket in the container's namespace");
        socket.set_nonblocking(true).expect("a socket");
        let mut asked = 0_u32;
        let mut answer = [0; 512];
        while Instant::now() < end {
            asked += 1;
            // What the kernel does not take is lost, as datagrams are.
            let _ = socket.send_to(&question(asked), "127.0.0.11:53");
            while socket.recv(&mut answer).is_ok() {}
            if asked.is_multiple_of(1_000) {
                let found = machine.orc(&["exec", "-T", "client", "demo", "resolve", "web"]);
                assert_eq!(found.code, 0, "{found}");
            }
        }
        asked
    });
    assert!(asked > 1_000, "{asked} questions are no flood");
    machine.orc(&["exec", "-T", "web", "demo", "resolve", "client"]).ok();
    let engine = machine.engine().expect("an engine");
    let rss = machine.shell(&format!("grep VmRSS /proc/{engine}/status | tr -dc 0-9"));
    let kib: u64 = rss.ok().parse().expect("a number of KiB");
    assert!(kib < 300_000, "questions are not kept: {kib} KiB");
    machine.leaves_nothing();
}

/// An `A` question for a name of its own.
fn question(number: u32) -> Vec<u8> {
    let mut bytes = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [format!("n{number}"), "no-such-name".to_owned()] {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}
