//! The machine starts anew: every process, interface and mount is gone, and what is on the disk is there.

use crate::support::Machine;

const STACK: &str = "
services:
  db:
    image: orc/demo
    command: [demo, store]
    restart: always
    volumes: ['data:/data']
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 50ms}
  web:
    image: orc/demo
    command: [demo, serve]
    restart: unless-stopped
    ports: ['8080:80']
    depends_on: {db: {condition: service_healthy}}
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 50ms}
  idle: {image: orc/demo, command: [demo, sleep, '1000'], restart: unless-stopped}
  once: {image: orc/demo, command: [demo, sleep, '2000']}
volumes: {data: {}}
";

/// The time at which a service's container was started, as the engine tells it.
fn started(machine: &Machine, service: &str) -> String {
    let id = machine.orc(&["ps", "-q", service]).ok().to_owned();
    let path = format!("\"$ORC_DATA_DIR\"/containers/{id}/started.json");
    machine.shell(&format!("grep -o '\"started_at_ms\":[0-9]*' {path} | cut -d: -f2")).ok().to_owned()
}

/// The machine is started anew: what has a restart policy comes back in the order of `depends_on`, with its data and
/// its port; what was stopped by hand stays stopped, and what has no policy as well.
#[test]
fn f29_a_stack_must_come_back_in_order_after_a_reboot() {
    let mut machine = Machine::new("reboot");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "db", "web", "idle", "once"]).ok();
    machine.orc(&["exec", "-T", "db", "demo", "put", "http://127.0.0.1/kv/kept", "yes"]).ok();
    machine.orc(&["stop", "-t", "0", "idle"]).ok();
    machine.reboot();
    // The first command starts the engine; at a boot the service of `orc engine install` does.
    machine.orc(&["ps"]).ok();
    machine.answers("127.0.0.1:8080");
    assert!(started(&machine, "db") < started(&machine, "web"), "in the order of `depends_on`");
    machine.orc(&["exec", "-T", "db", "demo", "get", "http://127.0.0.1/kv/kept"]).exits(0).says("yes");
    assert!(machine.pids_of("demo sleep").is_empty(), "what was stopped stays so, and what has no policy");
    let states = machine.ps();
    let exited = |service: &str| {
        states.iter().any(|container| container["Service"] == service && container["State"] == "exited")
    };
    assert!(exited("idle") && exited("once"), "{states:?}");
    machine.leaves_nothing();
}

/// While the machine was down somebody else has taken a published port: the conflict is told with who has it, other
/// services run, and the port is the stack's again when it is free.
#[test]
fn f29_a_port_that_is_taken_after_a_reboot_must_be_told() {
    let mut machine = Machine::new("reboot-port");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "db", "web"]).ok();
    machine.reboot();
    let taken = machine.listen("0.0.0.0:8080");
    machine.orc(&["ps"]).ok();
    crate::support::eventually("the conflict is told", || {
        machine.orc(&["ps", "-a"]).stdout.contains("cannot publish port 8080/tcp")
    });
    drop(taken);
    machine.answers("127.0.0.1:8080");
    machine.leaves_nothing();
}
