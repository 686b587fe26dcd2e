//! Containers that share something with others: a network, an IPC or process namespace, mounts.

use crate::support::{Machine, Outcome, eventually};

fn inside(machine: &Machine, service: &str, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", service, "demo"], tool].concat())
}

/// Where a namespace of a container's first process leads to; a container is known by its command line.
fn namespace(machine: &Machine, command: &str, kind: &str) -> String {
    let pids = machine.pids_of(command);
    let [pid] = pids[..] else { return format!("{} processes `{command}`", pids.len()) };
    machine.shell(&format!("readlink /proc/{pid}/ns/{kind}")).stdout.trim().to_owned()
}

/// Two containers, known by their command lines, are in one namespace.
fn share(machine: &Machine, kind: &str, one: &str, other: &str) -> bool {
    let namespace = |command| namespace(machine, command, kind);
    namespace(one).starts_with(kind) && namespace(one) == namespace(other)
}

const PAIR: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve, '80']
    hostname: front
    ports: ['8080:9081']
    extra_hosts: ['known=192.0.2.7']
  side:
    image: orc/demo
    command: [demo, serve, '9081']
    network_mode: service:web
    x-probe: {http: 9081/}
  other: {image: orc/demo, command: [demo, sleep, '1000']}
";

#[test]
fn a_network_of_another_service_must_be_shared_with_its_names() {
    let machine = Machine::new("network-of-service");
    machine.compose(PAIR);
    machine.orc(&["up", "-d", "--wait"]).ok();
    // The port that its owner publishes leads to whoever listens in that network.
    machine.answers("127.0.0.1:8080");
    inside(&machine, "side", &["get", "http://127.0.0.1:80/"]).ok();
    inside(&machine, "side", &["resolve", "other"]).ok();
    for file in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"] {
        let (own, shared) =
            (inside(&machine, "web", &["cat", file]), inside(&machine, "side", &["cat", file]));
        assert_eq!(own.ok(), shared.ok(), "{file}");
    }
    inside(&machine, "side", &["cat", "/etc/hosts"]).exits(0).says("known").says("front");
    inside(&machine, "side", &["cat", "/proc/sys/kernel/hostname"]).exits(0).says("front");
    machine.leaves_nothing();
}

#[test]
fn who_shares_a_network_must_survive_the_crash_of_its_owner_and_follow_its_replacement() {
    let machine = Machine::new("network-follows");
    machine.compose(&PAIR.replace("hostname: front", "restart: always"));
    machine.orc(&["up", "-d", "--wait"]).ok();
    let (owner, guest) = (machine.pids_of("serve 80")[0], machine.pids_of("serve 9081")[0]);
    machine.kill(owner, "KILL");
    eventually("the owner is back", || machine.pids_of("serve 80").iter().any(|pid| *pid != owner));
    eventually("both share a network", || share(&machine, "net", "serve 80", "serve 9081"));
    assert_eq!(machine.pids_of("serve 9081"), [guest], "the network of a task outlives its container");
    machine.compose(&PAIR.replace("hostname: front", "hostname: newer"));
    machine.orc(&["up", "-d", "--wait"]).ok();
    assert_ne!(machine.pids_of("serve 9081"), [guest], "the former network is gone");
    assert!(share(&machine, "net", "serve 80", "serve 9081"));
    machine.answers("127.0.0.1:8080");
    inside(&machine, "side", &["cat", "/etc/hosts"]).exits(0).says("newer");
    machine.leaves_nothing();
}

#[test]
fn a_shared_network_must_outlive_the_engine_and_come_back_after_a_reboot() {
    let mut machine = Machine::new("network-reboot");
    machine.compose(
        &PAIR
            .replace("image: orc/demo", "image: orc/demo\n    restart: always")
            .replace("other: {image: orc/demo\n    restart: always", "other: {image: orc/demo"),
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    let guest = machine.pids_of("serve 9081");
    machine.orc(&["engine", "stop"]).ok();
    machine.orc(&["up", "-d", "--wait"]).ok();
    assert_eq!(machine.pids_of("serve 9081"), guest, "nothing has changed for it");
    machine.reboot();
    machine.orc(&["ps"]).ok();
    machine.answers("127.0.0.1:8080");
    assert!(share(&machine, "net", "serve 80", "serve 9081"));
    machine.leaves_nothing();
}

#[test]
fn a_network_without_interfaces_must_be_shared_too() {
    let machine = Machine::new("network-none-shared");
    machine.compose(
        "
services:
  alone: {image: orc/demo, command: [demo, serve, '80'], network_mode: none, restart: always}
  side: {image: orc/demo, command: [demo, sleep, '1000'], network_mode: 'service:alone'}
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    eventually("it listens", || inside(&machine, "side", &["get", "http://127.0.0.1:80/"]).code == 0);
    machine.kill(machine.pids_of("serve 80")[0], "KILL");
    eventually("it answers again", || inside(&machine, "side", &["get", "http://127.0.0.1:80/"]).code == 0);
    machine.leaves_nothing();
}

#[test]
fn ipc_and_process_namespaces_must_be_shared_and_followed() {
    let machine = Machine::new("ipc-pid-shared");
    machine.compose(
        "
services:
  owner:
    image: orc/demo
    command: [demo, sleep, '1000']
    ipc: shareable
    restart: always
  memory: {image: orc/demo, command: [demo, sleep, '2000'], ipc: 'service:owner'}
  looker: {image: orc/demo, command: [demo, sleep, '3000'], pid: 'service:owner'}
  without: {image: orc/demo, command: [demo, sleep, '4000'], ipc: none}
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    let together = || {
        share(&machine, "ipc", "sleep 1000", "sleep 2000")
            && share(&machine, "pid", "sleep 1000", "sleep 3000")
    };
    assert!(together());
    inside(&machine, "owner", &["write", "/dev/shm/x", "shared"]).ok();
    inside(&machine, "memory", &["cat", "/dev/shm/x"]).exits(0).says("shared");
    inside(&machine, "looker", &["cat", "/proc/1/cmdline"]).exits(0).says("1000");
    assert_ne!(inside(&machine, "without", &["ls", "/dev/shm"]).code, 0, "there is no shared memory");
    let before = machine.pids_of("sleep 2000");
    machine.kill(machine.pids_of("sleep 1000")[0], "KILL");
    eventually("all of them are together again", || machine.pids_of("sleep 2000") != before && together());
    machine.leaves_nothing();
}

#[test]
fn what_is_not_lent_must_not_be_had() {
    let machine = Machine::new("ipc-private");
    machine.compose(
        "
services:
  owner: {image: orc/demo, command: [demo, sleep]}
  memory: {image: orc/demo, command: [demo, sleep, '2000'], ipc: 'service:owner'}
",
    );
    machine.orc(&["up", "-d"]).exits(1).says("say `ipc: shareable` there");
    assert!(machine.pids_of("sleep 2000").is_empty());
    machine.leaves_nothing();
}

#[test]
fn a_container_of_another_stack_must_be_waited_for_and_joined() {
    let machine = Machine::new("network-of-container");
    machine.file(
        "guest.yaml",
        "
name: guest
services:
  side: {image: orc/demo, command: [demo, sleep, '1000'], network_mode: 'container:front'}
",
    );
    machine.compose(
        "
services:
  web: {image: orc/demo, command: [demo, serve, '80'], container_name: front}
",
    );
    let orc = |args: &[&str]| machine.orc(&[&["-f", "guest.yaml"], args].concat());
    let missing = "container `front`, whose network it shares, is not there";
    orc(&["up", "-d"]).exits(1).says(missing);
    orc(&["ps", "-a"]).exits(0).says(missing);
    machine.orc(&["up", "-d"]).ok();
    eventually("it joins", || share(&machine, "net", "serve 80", "sleep 1000"));
    // Whose network is about to go stops first, and waits for the next one.
    machine.orc(&["down", "-t", "1"]).ok();
    eventually("it has left", || machine.pids_of("sleep 1000").is_empty());
    orc(&["down", "-t", "1"]).ok();
    machine.leaves_nothing();
}

#[test]
fn mounts_of_others_must_be_had_as_they_are_lent() {
    let machine = Machine::new("volumes-from");
    machine.file("host/file", "from the machine").compose(
        "
services:
  owner:
    image: orc/demo
    command: [demo, sleep, '1000']
    volumes: ['data:/data', './host:/host', '/anonymous']
  writer: {image: orc/demo, command: [demo, sleep, '2000'], volumes_from: [owner]}
  reader:
    image: orc/demo
    command: [demo, sleep, '3000']
    volumes_from: ['owner:ro']
    volumes: ['own:/host']
  named: {image: orc/demo, command: [demo, sleep, '4000'], volumes_from: ['container:volumes-from-owner-1:ro']}
name: volumes-from
volumes: {data: {}, own: {}}
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    for file in ["/data/x", "/anonymous/x"] {
        inside(&machine, "writer", &["write", file, "written"]).ok();
        for reader in ["owner", "reader", "named"] {
            inside(&machine, reader, &["cat", file]).exits(0).says("written");
        }
        for reader in ["reader", "named"] {
            inside(&machine, reader, &["write", file, "no"]).says("Read-only");
        }
    }
    inside(&machine, "writer", &["cat", "/host/file"]).exits(0).says("from the machine");
    assert_ne!(inside(&machine, "reader", &["cat", "/host/file"]).code, 0, "its own mount is in that place");
    machine.leaves_nothing();
}
