//! What a name means inside a container, and that stacks do not meet.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Machine, eventually, eventually_some};

const STACK: &str = "
services:
  client: {image: orc/demo, command: [demo, sleep]}
  web:
    image: orc/demo
    command: [demo, serve]
    restart: always
    deploy: {replicas: 3}
    networks: {default: {aliases: [www]}}
    healthcheck: {test: [CMD, demo, stat, /ready], interval: 200ms, start_period: 60s, start_interval: 100ms}
  vip:
    image: orc/demo
    command: [demo, serve]
    deploy: {replicas: 2, endpoint_mode: vip}
";

/// What `demo resolve` in the client prints for the name; empty when there is no such name.
fn resolve(machine: &Machine, name: &str) -> BTreeSet<String> {
    let outcome = machine.orc(&["exec", "-T", "client", "demo", "resolve", name]);
    outcome.stdout.lines().map(str::to_owned).filter(|_| outcome.code == 0).collect()
}

fn make_ready(machine: &Machine, replica: &str) {
    machine.orc(&["exec", "-T", "--index", replica, "web", "demo", "write", "/ready", "yes"]).ok();
}

#[test]
fn a_name_must_mean_the_ready_replicas() {
    let machine = Machine::new("names");
    machine.compose(STACK);
    machine.orc(&["up", "-d"]).ok();
    eventually("all running ones while none is ready", || resolve(&machine, "web").len() == 3);
    make_ready(&machine, "1");
    eventually("one is ready", || resolve(&machine, "web").len() == 1);
    let first = resolve(&machine, "web");
    assert_eq!(resolve(&machine, "tasks.web").len(), 3);
    assert_eq!(resolve(&machine, "www"), first);
    make_ready(&machine, "2");
    make_ready(&machine, "3");
    eventually("three are ready", || resolve(&machine, "web").len() == 3);

    let unknown = machine.orc(&["exec", "-T", "client", "demo", "resolve", "nobody"]);
    assert_ne!(unknown.code, 0, "{unknown}");
    let before = resolve(&machine, "web");
    machine.orc(&["restart", "-t", "1", "web"]).ok();
    eventually("a restarted replica keeps its address", || resolve(&machine, "tasks.web") == before);
    machine.orc(&["up", "-d", "--force-recreate", "-t", "1", "--no-deps", "web"]).ok();
    eventually("a replaced replica keeps its address", || resolve(&machine, "tasks.web") == before);
    machine.leaves_nothing();
}

/// Answers every question for an IPv4 address with the same one, and says how many there were.
fn name_server(socket: &UdpSocket, questions: &AtomicUsize) {
    let mut bytes = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut bytes) {
        questions.fetch_add(1, Ordering::Relaxed);
        let mut answer = bytes[..length].to_vec();
        // A response, recursion available, one answer, no additional records; the question stays as it is.
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
        let end = 12 + answer[12..].iter().position(|byte| *byte == 0).expect("a name has an end") + 5;
        answer.truncate(end);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
        if socket.send_to(&answer, from).is_err() {
            return;
        }
    }
}

#[test]
fn an_outside_name_must_be_forwarded_and_an_unknown_one_be_refused_at_once() {
    let machine = Machine::new("outside-names");
    machine.own_etc("rm -f etc/resolv.conf && echo nameserver 127.0.0.1 > etc/resolv.conf");
    let socket = machine.datagrams("127.0.0.1:53");
    let questions = Arc::new(AtomicUsize::new(0));
    let (server, counter) = (socket.try_clone().expect("another handle"), questions.clone());
    // The thread ends with the test's process.
    std::thread::spawn(move || name_server(&server, &counter));
    machine.compose(STACK);
    machine.orc(&["up", "-d", "client"]).ok();
    let found = resolve(&machine, "somewhere.example.org");
    assert!(found.iter().any(|line| line.ends_with("192.0.2.7")), "{found:?}");
    let asked = questions.load(Ordering::Relaxed);
    assert!(asked > 0, "the machine's name server was asked");
    for unknown in ["nobody", "tasks.nobody"] {
        assert_ne!(machine.orc(&["exec", "-T", "client", "demo", "resolve", unknown]).code, 0);
    }
    assert_eq!(questions.load(Ordering::Relaxed), asked, "nobody else is asked for what only we could know");
    machine.leaves_nothing();
}

#[test]
fn outside_names_must_be_asked_of_the_servers_that_the_service_names() {
    let machine = Machine::new("own-servers");
    // With a cable the machine has an address that is not loopback.
    let _outside = machine.outside();
    let socket = machine.datagrams("198.51.100.1:53");
    let questions = Arc::new(AtomicUsize::new(0));
    let counter = questions.clone();
    // The thread ends with the test's process.
    std::thread::spawn(move || name_server(&socket, &counter));
    machine.compose("services: {client: {image: orc/demo, command: [demo, sleep], dns: [198.51.100.1]}}\n");
    machine.orc(&["up", "-d"]).ok();
    let found = resolve(&machine, "somewhere.example.org");
    assert!(found.iter().any(|line| line.ends_with("192.0.2.7")), "{found:?}");
    assert!(questions.load(Ordering::Relaxed) > 0);
    machine.leaves_nothing();
}

#[test]
fn a_virtual_address_must_spread_connections() {
    let machine = Machine::new("vip");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "client", "vip"]).ok();
    let addresses =
        eventually_some("one address", || Some(resolve(&machine, "vip")).filter(|found| found.len() == 1));
    assert!(!resolve(&machine, "tasks.vip").is_superset(&addresses), "the address is none of the tasks'");
    let mut answers: Vec<String> = Vec::new();
    for _ in 0..20 {
        answers.push(machine.orc(&["exec", "-T", "client", "demo", "get", "http://vip/"]).ok().to_owned());
    }
    let replicas: BTreeSet<&String> = answers.iter().collect();
    assert_eq!(replicas.len(), 2, "{answers:?}");
    machine.leaves_nothing();
}

#[test]
fn a_stack_must_neither_resolve_nor_reach_another() {
    let machine = Machine::new("two-stacks");
    machine.file("other/compose.yaml", "services: {intruder: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.compose("services: {web: {image: orc/demo, command: [demo, serve]}, client: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    let other = |args: &[&str]| machine.orc(&[&["-f", "other/compose.yaml"], args].concat());
    other(&["up", "-d"]).ok();
    let address = resolve(&machine, "web").into_iter().next().expect("web has an address");
    let address = address.split_whitespace().last().expect("a word").to_owned();
    machine.orc(&["exec", "-T", "client", "demo", "get", &format!("http://{address}/")]).ok();
    assert_ne!(other(&["exec", "-T", "intruder", "demo", "resolve", "web"]).code, 0);
    assert_ne!(other(&["exec", "-T", "intruder", "demo", "get", &format!("http://{address}/")]).code, 0);
    other(&["down", "-t", "1"]).ok();
    machine.leaves_nothing();
}
