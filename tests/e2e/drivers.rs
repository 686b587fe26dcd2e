//! What the drivers of networks and volumes are told: their options, as containers see them.

use crate::support::{Machine, Outcome, eventually};

fn inside(machine: &Machine, service: &str, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", service, "demo"], tool].concat())
}

#[test]
fn options_of_a_network_must_hold_for_its_members() {
    let machine = Machine::new("network-options");
    machine.compose(
        "
services:
  web: {image: orc/demo, command: [demo, serve], networks: [apart], ports: ['8080:80']}
  client:
    image: orc/demo
    command: [demo, sleep]
    networks:
      apart:
        driver_opts:
          com.docker.network.endpoint.ifname: lan0
          com.docker.network.endpoint.sysctls: net.ipv4.conf.IFNAME.log_martians=1
networks:
  apart:
    driver: bridge
    attachable: true
    driver_opts:
      com.docker.network.driver.mtu: 1400
      com.docker.network.bridge.enable_icc: 'false'
      com.docker.network.bridge.host_binding_ipv4: 127.0.0.1
    ipam: {config: [{subnet: 10.78.1.0/24}]}
",
    );
    let outside = machine.outside();
    outside.serve("198.51.100.2:7000");
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "client", &["cat", "/sys/class/net/lan0/mtu"]).exits(0).says("1400");
    inside(&machine, "client", &["cat", "/proc/sys/net/ipv4/conf/lan0/log_martians"]).exits(0).says("1");
    // Its members do not reach one another, but the way out and published ports are open.
    assert_ne!(inside(&machine, "client", &["get", "http://web/"]).code, 0);
    inside(&machine, "client", &["get", "http://198.51.100.2:7000/"]).exits(0).says("from outside");
    machine.answers("127.0.0.1:8080");
    assert!(outside.get("198.51.100.1:8080", "/").is_err(), "it is published on loopback only");
    machine.orc(&["port", "web", "80"]).exits(0).says("127.0.0.1:8080");
    machine.leaves_nothing();
}

#[test]
fn without_masquerading_the_outside_must_see_a_containers_own_address() {
    let machine = Machine::new("no-masquerade");
    machine.compose(
        "
services:
  plain: {image: orc/demo, command: [demo, sleep], networks: [plain]}
  routed: {image: orc/demo, command: [demo, sleep], networks: [routed]}
networks:
  plain:
  routed:
    driver_opts: {com.docker.network.bridge.enable_ip_masquerade: 'false'}
    ipam: {config: [{subnet: 10.78.2.0/24}]}
",
    );
    let outside = machine.outside();
    machine.orc(&["up", "-d"]).ok();
    let seen = |service: &str, port: u16| {
        let address = format!("198.51.100.2:{port}");
        let peer = outside.peer_of_one(&address);
        inside(&machine, service, &["get", &format!("http://{address}/")]);
        peer.join().expect("somebody came").to_string()
    };
    assert_eq!(seen("plain", 7001), "198.51.100.1");
    let own = seen("routed", 7002);
    assert!(own.starts_with("10.78.2."), "{own}");
    machine.leaves_nothing();
}

#[test]
fn the_outside_must_reach_what_a_networks_gateway_mode_opens() {
    let machine = Machine::new("gateway-mode");
    machine.compose(
        "
services:
  bare: {image: orc/demo, command: [demo, serve], networks: {bare: {ipv4_address: 10.78.4.10}}}
  routed:
    image: orc/demo
    command: [demo, serve]
    networks: {routed: {ipv4_address: 10.78.5.10}}
    ports: ['8085:80']
  shut: {image: orc/demo, command: [demo, serve], networks: {routed: {ipv4_address: 10.78.5.11}}}
networks:
  bare:
    driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: nat-unprotected}
    ipam: {config: [{subnet: 10.78.4.0/24}]}
  routed:
    driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: routed}
    ipam: {config: [{subnet: 10.78.5.0/24}]}
",
    );
    let outside = machine.outside();
    machine.orc(&["up", "-d"]).ok();
    for address in ["10.78.4.10:80", "10.78.5.10:80", "198.51.100.1:8085"] {
        eventually(&format!("{address} answers"), || {
            outside.get(address, "/").is_ok_and(|answer| answer.body.starts_with("hello from"))
        });
    }
    eventually("it listens", || inside(&machine, "shut", &["get", "http://127.0.0.1/"]).code == 0);
    assert!(outside.get("10.78.5.11:80", "/").is_err(), "it publishes nothing");
    let peer = outside.peer_of_one("198.51.100.2:7001");
    inside(&machine, "routed", &["get", "http://198.51.100.2:7001/"]);
    assert_eq!(peer.join().expect("somebody came").to_string(), "10.78.5.10");
    machine.leaves_nothing();
}

#[test]
fn what_a_driver_does_not_know_must_be_refused_with_its_place() {
    let machine = Machine::new("driver-refused");
    let up = |top: &str| {
        let mounts = if top.starts_with("volumes") { "volumes: ['data:/x']" } else { "networks: [x]" };
        machine.compose(&format!("services:\n  box:\n    image: orc/demo\n    {mounts}\n{top}\n"));
        machine.orc(&["up", "-d"])
    };
    up("networks:\n  x: {driver: macvlan}").exits(1).says("compose.yaml:6:15").says("network drivers");
    let unknown = up("networks:\n  x: {driver_opts: {parent: eth1}}");
    unknown.exits(1).says("compose.yaml:6:21").says("a bridge takes `com.docker.network.driver.mtu`");
    up("networks:\n  x: {driver_opts: {com.docker.network.driver.mtu: 12}}")
        .exits(1)
        .says("from 1280 to 65535");
    up("networks:\n  x: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: isolated}}")
        .exits(1)
        .says("gateway_mode_ipv4: isolated` is not `nat`, `nat-unprotected` or `routed`");
    up("networks:\n  x: {driver_opts: {com.docker.network.bridge.name: br7}}")
        .exits(1)
        .says("by which its rules know it");
    up("volumes:\n  data: {driver: rexray}").exits(1).says("compose.yaml:6:18").says("volume drivers");
    up("volumes:\n  data: {driver_opts: {mountpoint: /x}}").exits(1).says("compose.yaml:6:24");
    up("volumes:\n  data: {driver_opts: {type: nfs}}").exits(1).says("needs `type` and `device`");
    machine.shows_nothing_left();
}

#[test]
fn a_volume_must_be_what_its_options_mount() {
    let machine = Machine::new("volume-options");
    let folder = machine.work().join("elsewhere");
    machine.file("elsewhere/file", "of the machine").compose(&format!(
        "
services:
  one: {{image: orc/demo, command: [demo, sleep], volumes: ['memory:/memory', 'folder:/folder']}}
  two: {{image: orc/demo, command: [demo, sleep], volumes: ['memory:/memory']}}
volumes:
  memory: {{driver: local, driver_opts: {{type: tmpfs, device: tmpfs, o: 'size=2m,uid=1000,noexec'}}}}
  folder: {{driver_opts: {{type: none, o: bind, device: '{}'}}}}
",
        folder.display()
    ));
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "one", &["cat", "/folder/file"]).exits(0).says("of the machine");
    inside(&machine, "one", &["write", "/folder/back", "from inside"]).ok();
    machine.shell("grep -q 'from inside' elsewhere/back").ok();
    inside(&machine, "one", &["cat", "/proc/self/mountinfo"]).exits(0).says("size=2048k").says("uid=1000");
    // Both have the same memory, for as long as one of them runs.
    inside(&machine, "one", &["write", "/memory/x", "shared"]).ok();
    inside(&machine, "two", &["cat", "/memory/x"]).exits(0).says("shared");
    machine.orc(&["stop", "-t", "1", "one"]).ok();
    machine.kill_engine();
    machine.orc(&["start", "one"]).ok();
    inside(&machine, "one", &["cat", "/memory/x"]).exits(0).says("shared");
    machine.orc(&["stop", "-t", "1"]).ok();
    machine.shell("! grep -q volumes /proc/self/mountinfo").ok();
    machine.orc(&["start"]).ok();
    assert_ne!(inside(&machine, "one", &["cat", "/memory/x"]).code, 0, "memory does not last");
    // What is mounted is not deleted with the volume.
    machine.orc(&["down", "-v", "-t", "1"]).ok();
    machine.shell("grep -q 'of the machine' elsewhere/file").ok();
    machine.leaves_nothing();
}

#[test]
fn what_cannot_be_mounted_must_be_told_with_the_kernels_word() {
    let machine = Machine::new("volume-unmountable");
    machine.compose(
        "
services: {box: {image: orc/demo, command: [demo, sleep], volumes: ['data:/data']}}
volumes: {data: {driver_opts: {type: nosuchfs, device: /dev/null}}}
",
    );
    machine
        .orc(&["up", "-d"])
        .exits(1)
        .says("cannot mount `/dev/null` (type `nosuchfs`")
        .says("No such device");
    machine.leaves_nothing();
}

#[test]
fn labels_must_be_given_to_volumes_when_they_are_made() {
    let machine = Machine::new("volume-labels");
    machine.compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    volumes: ['data:/data', {type: volume, target: /own, volume: {labels: {kind: anonymous}}}]
volumes: {data: {labels: {kind: named}}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    let volumes = machine.data().join("volumes");
    let facts = machine.shell(&format!("cat {}/*/volume.json", volumes.display()));
    facts.exits(0).says(r#""kind":"anonymous""#).says(r#""kind":"named""#);
    machine.leaves_nothing();
}
