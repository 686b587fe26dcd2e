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

/// Somebody flushes the packet filter, then deletes the stack's bridge: both come back by themselves, and the port and
/// the names answer as before.
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
    machine.delete_bridges();
    works("after the bridge was deleted");
    assert_eq!(machine.pids_of("demo serve"), serving, "no container is started anew for that");
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
