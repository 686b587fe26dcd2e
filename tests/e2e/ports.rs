//! Published ports, from everywhere they should be reached and from where they should not.

use crate::support::{Machine, eventually};

const STACK: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    ports: ['8080:80', '127.0.0.1:8081:80', '8090-8091:80-81']
  echo:
    image: orc/demo
    command: [demo, udp-echo, '5353']
    ports: ['5353:5353/udp']
  same: {image: orc/demo, command: [demo, sleep]}
  far: {image: orc/demo, command: [demo, sleep], networks: [elsewhere]}
networks:
  elsewhere:
";

#[test]
fn a_published_port_must_be_reached_from_everywhere_it_says() {
    let machine = Machine::new("ports");
    machine.compose(STACK);
    let outside = machine.outside();
    machine.orc(&["up", "-d"]).ok();
    let answers = |address: &str| machine.get(address, "/").is_ok_and(|response| response.status == 200);
    eventually("by 127.0.0.1", || answers("127.0.0.1:8080"));
    assert!(answers("[::1]:8080"), "by [::1]");
    assert!(answers("198.51.100.1:8080"), "by the machine's own address");
    assert!(answers("127.0.0.1:8090"), "the range");
    assert!(answers("127.0.0.1:8081"), "bound to 127.0.0.1");
    assert!(outside.get("198.51.100.1:8080", "/").is_ok(), "from outside");
    assert!(outside.get("198.51.100.1:8081", "/").is_err(), "bound to 127.0.0.1 must not answer outside");
    for from in ["same", "far", "web"] {
        let inside = machine.orc(&["exec", "-T", from, "demo", "get", "http://198.51.100.1:8080/"]);
        inside.exits(0).says("hello from");
    }
    machine
        .orc(&["exec", "-T", "far", "demo", "udp-send", "198.51.100.1:5353", "ping"])
        .exits(0)
        .says("ping");
    machine.orc(&["port", "web", "80"]).exits(0).says(":8080");
    machine.leaves_nothing();
}

#[test]
fn a_port_in_use_must_be_told_before_anything_starts() {
    let machine = Machine::new("port-in-use");
    machine.compose("services: {web: {image: orc/demo, command: [demo, serve], ports: ['8080:80']}}\n");
    let orc = env!("CARGO_BIN_EXE_orc");
    let mut squatter = machine.orc_command(&["demo", "serve", "8080"]).spawn().expect("it starts");
    eventually("the other program answers", || machine.get("127.0.0.1:8080", "/healthz").is_ok());
    let up = machine.orc(&["up", "-d"]);
    assert_ne!(up.code, 0, "{up} {orc}");
    up.says("8080").says("orc");
    assert!(machine.ps().is_empty());
    for pid in machine.pids_of("demo serve 8080") {
        machine.kill(pid, "KILL");
    }
    squatter.wait().expect("it ends");
    machine.orc(&["up", "-d"]).ok();
    machine.leaves_nothing();
}

#[test]
fn a_port_in_its_long_form_must_say_as_much() {
    let machine = Machine::new("long-ports");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, serve, '8000']
    ports:
      - name: page
        target: 8000
        published: '8080'
        host_ip: 127.0.0.1
        protocol: tcp
        app_protocol: http
        mode: ingress
  echo: {image: orc/demo, command: [demo, udp-echo, '5353'], ports: [{target: 5353, published: 5354, protocol: udp}]}
  own: {image: orc/demo, command: [demo, serve, '8000'], ports: [{target: 8000, published: '8082', mode: host}]}
",
    );
    let outside = machine.outside();
    machine.orc(&["up", "-d"]).ok();
    machine.answers("127.0.0.1:8080");
    assert!(outside.get("198.51.100.1:8080", "/").is_err(), "it is bound to 127.0.0.1");
    machine.answers("127.0.0.1:8082");
    assert!(outside.get("198.51.100.1:8082", "/").is_ok());
    let send = ["exec", "-T", "own", "demo", "udp-send", "198.51.100.1:5354", "ping"];
    machine.orc(&send).exits(0).says("ping");
    // A port of the machine is one replica's, one that is balanced is all replicas'.
    machine.orc(&["scale", "web=2"]).ok();
    let two = machine.orc(&["up", "-d", "--scale", "own=2", "--wait", "--wait-timeout", "3"]);
    two.exits(1).says("host port 8082");
    // What a port is called, and what is spoken there, is for who reads the file.
    machine.orc(&["config"]).exits(0).says("name: page").says("app_protocol: http");
    machine.leaves_nothing();
}

#[test]
fn a_port_of_a_stopped_service_must_be_free_for_others() {
    let machine = Machine::new("stopped-ports");
    machine.compose("services: {web: {image: orc/demo, command: [demo, serve], ports: ['8080:80']}}\n");
    let answers = || machine.get("127.0.0.1:8080", "/").is_ok_and(|response| response.status == 200);
    machine.orc(&["-p", "one", "up", "-d"]).ok();
    machine
        .orc(&["-p", "two", "up", "-d"])
        .exits(1)
        .says("already published by service `web` of stack `one`");
    machine.orc(&["-p", "one", "stop", "-t", "1"]).ok();
    machine.orc(&["-p", "two", "up", "-d"]).ok();
    eventually("the other one answers", answers);
    machine.orc(&["-p", "one", "start"]).exits(1).says("already published by service `web` of stack `two`");
    machine.orc(&["-p", "two", "down", "-t", "1"]).ok();
    machine.orc(&["-p", "one", "start"]).ok();
    eventually("it answers again", answers);
    machine.orc(&["-p", "one", "down", "-t", "1"]).ok();
    machine.leaves_nothing();
}
