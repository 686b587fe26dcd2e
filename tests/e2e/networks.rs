//! What networks and a service's place in them look like from inside.

use crate::support::{Machine, Outcome, eventually};

fn inside(machine: &Machine, service: &str, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", service, "demo"], tool].concat())
}

#[test]
fn chosen_subnets_and_addresses_must_be_had() {
    let machine = Machine::new("addresses");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    networks: {lan: {ipv4_address: 10.77.3.50, ipv6_address: 'fd77::50'}}
  client: {image: orc/demo, command: [demo, sleep], networks: [lan]}
networks:
  lan:
    enable_ipv6: true
    ipam:
      config:
        - {subnet: 10.77.3.0/24, gateway: 10.77.3.9}
        - {subnet: 'fd77::/64'}
",
    );
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "web", &["cat", "/etc/hosts"]).exits(0).says("10.77.3.50").says("fd77::50");
    inside(&machine, "client", &["get", "http://10.77.3.50/"]).exits(0).says("hello from");
    inside(&machine, "client", &["get", "http://[fd77::50]/"]).exits(0).says("hello from");
    // The default route as the kernel writes it: the gateway's bytes from behind.
    inside(&machine, "client", &["cat", "/proc/net/route"]).exits(0).says("eth0\t00000000\t09034D0A");
    machine.leaves_nothing();
}

#[test]
fn a_network_without_ipv4_must_have_names_balance_and_ports_in_ipv6() {
    let machine = Machine::new("ipv6-only");
    let stack = |families: &str, web: &str| {
        machine.compose(&format!(
            "
services:
  web: {{image: orc/demo, command: [demo, serve], ports: ['8085:80'], networks: {{lan: {{{web}}}}}}}
  even:
    image: orc/demo
    command: [demo, serve]
    deploy: {{endpoint_mode: vip, replicas: 2}}
    networks: [lan]
  client: {{image: orc/demo, command: [demo, sleep], networks: [lan]}}
networks: {{lan: {{{families}}}}}
"
        ));
    };
    stack("enable_ipv4: false", "");
    machine.orc(&["up", "-d"]).exits(1).says("network `work_lan` would have neither IPv4 nor IPv6");
    let only_six = "enable_ipv4: false, enable_ipv6: true";
    stack(only_six, "ipv4_address: 10.77.3.4");
    machine.orc(&["up", "-d"]).exits(1).says("has no IPv4, and 10.77.3.4 is asked for");

    stack(only_six, "");
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(inside(&machine, "client", &["cat", "/proc/net/route"]).exits(0).stdout.lines().count(), 1);
    inside(&machine, "client", &["resolve", "web"]).exits(0).says("fd").never_says("10.");
    for name in ["web", "even"] {
        inside(&machine, "client", &["get", &format!("http://{name}/")]).exits(0).says("hello from");
    }
    machine.answers("[::1]:8085");
    assert!(machine.get("127.0.0.1:8085", "/").is_err(), "nobody is there");
    machine.orc(&["plan"]).exits(0).says("nothing to do");
    machine.leaves_nothing();
}

#[test]
fn an_internal_network_must_lead_nowhere_but_to_its_members() {
    let machine = Machine::new("internal");
    machine.compose(
        "
services:
  web: {image: orc/demo, command: [demo, serve], networks: [closed]}
  client: {image: orc/demo, command: [demo, sleep], networks: [closed]}
  open: {image: orc/demo, command: [demo, sleep], networks: [outer]}
networks:
  closed: {internal: true}
  outer:
",
    );
    let outside = machine.outside();
    outside.serve("198.51.100.2:7000");
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "open", &["get", "http://198.51.100.2:7000/"]).exits(0).says("from outside");
    assert_ne!(inside(&machine, "client", &["get", "http://198.51.100.2:7000/"]).code, 0);
    inside(&machine, "client", &["get", "http://web/"]).exits(0).says("hello from");
    machine.leaves_nothing();
}

/// A stack whose network others join.
const FIRST: &str = "
name: first
services: {web: {image: orc/demo, command: [demo, serve], networks: [shared]}}
networks: {shared: {name: common}}
";

#[test]
fn a_stack_must_be_able_to_join_another_ones_network() {
    let machine = Machine::new("external");
    machine.file("first.yaml", FIRST);
    machine.file(
        "second.yaml",
        "
name: second
services: {client: {image: orc/demo, command: [demo, sleep], networks: [theirs]}}
networks: {theirs: {name: common, external: true}}
",
    );
    let second = |args: &[&str]| machine.orc(&[&["-f", "second.yaml"], args].concat());
    second(&["up", "-d"]).exits(1).says("`common` is external, and there is no such network");
    machine.orc(&["-f", "first.yaml", "up", "-d"]).ok();
    second(&["up", "-d"]).ok();
    second(&["exec", "-T", "client", "demo", "get", "http://web/"]).exits(0).says("hello from");
    second(&["down", "-t", "1"]).ok();
    machine.orc(&["-f", "first.yaml", "exec", "-T", "web", "demo", "get", "http://127.0.0.1/"]).exits(0);
    machine.orc(&["-f", "first.yaml", "down", "-t", "1"]).ok();
    machine.orc(&["engine", "stop"]).ok();
    machine.shows_nothing_left();
}

#[test]
fn interfaces_must_be_as_the_service_says() {
    let machine = Machine::new("interfaces");
    machine.compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    networks:
      front: {mac_address: '02:42:ac:11:00:63', interface_name: lan0}
      back: {gw_priority: 1, priority: 5}
networks:
  front:
  back:
",
    );
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "box", &["cat", "/sys/class/net/lan0/address"]).exits(0).says("02:42:ac:11:00:63");
    inside(&machine, "box", &["cat", "/proc/net/route"]).exits(0).says("eth0\t00000000\t");
    machine.leaves_nothing();
}

#[test]
fn a_link_must_be_a_name_that_only_its_service_knows() {
    let machine = Machine::new("links");
    machine.compose(
        "
services:
  db: {image: orc/demo, command: [demo, serve]}
  web: {image: orc/demo, command: [demo, sleep], links: ['db:database']}
  other: {image: orc/demo, command: [demo, sleep]}
",
    );
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "web", &["get", "http://database/"]).exits(0).says("hello from");
    assert_ne!(inside(&machine, "other", &["resolve", "database"]).code, 0);
    machine.leaves_nothing();
}

#[test]
fn the_machines_own_network_and_none_must_be_joinable_as_external_ones() {
    let machine = Machine::new("external-host");
    machine.compose(
        "
services:
  open: {image: orc/demo, command: [demo, serve, '8124'], networks: [machine]}
  shut: {image: orc/demo, command: [demo, sleep], networks: [nothing]}
  both: {image: orc/demo, profiles: [both], networks: [machine, default]}
networks:
  machine: {name: host, external: true}
  nothing: {name: none, external: true}
",
    );
    machine.orc(&["up", "-d"]).ok();
    machine.answers("127.0.0.1:8124");
    assert_eq!(inside(&machine, "shut", &["ls", "/sys/class/net"]).exits(0).stdout.trim(), "lo");
    let both = machine.orc(&["--profile", "both", "up", "-d"]);
    both.exits(1).says("network `host` cannot be joined together with others");
    machine.leaves_nothing();
}

#[test]
fn an_external_link_must_lead_to_a_container_of_another_stack_while_it_runs() {
    let machine = Machine::new("external-links");
    machine.file("first.yaml", FIRST);
    machine.file(
        "second.yaml",
        "
name: second
services:
  client:
    image: orc/demo
    command: [demo, sleep]
    networks: [theirs]
    external_links: ['first-web-1:partner', first-web-1, 'nobody-1:ghost']
  other: {image: orc/demo, command: [demo, sleep], networks: [theirs]}
networks: {theirs: {name: common, external: true}}
",
    );
    let first = |args: &[&str]| machine.orc(&[&["-f", "first.yaml"], args].concat());
    let second = |args: &[&str]| machine.orc(&[&["-f", "second.yaml"], args].concat());
    let resolves =
        |service: &str, name: &str| second(&["exec", "-T", service, "demo", "resolve", name]).code == 0;
    first(&["up", "-d"]).ok();
    second(&["up", "-d"]).ok();
    for name in ["partner", "first-web-1"] {
        let url = format!("http://{name}/");
        second(&["exec", "-T", "client", "demo", "get", &url]).exits(0).says("hello from");
    }
    assert!(!resolves("client", "ghost"), "nobody has this name");
    assert!(!resolves("other", "partner"), "the alias is of one service");
    first(&["stop", "-t", "1"]).ok();
    eventually("what is stopped has no address", || !resolves("client", "partner"));
    first(&["start"]).ok();
    eventually("what runs again has one", || resolves("client", "partner"));
    second(&["down", "-t", "1"]).ok();
    first(&["down", "-t", "1"]).ok();
    machine.orc(&["engine", "stop"]).ok();
    machine.shows_nothing_left();
}

#[test]
fn link_local_addresses_must_be_had_and_reach_one_another() {
    let machine = Machine::new("link-local");
    let stack = |address: &str| {
        machine.compose(&format!(
            "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    networks: {{lan: {{link_local_ips: [{address}, 'fe80::7:1']}}}}
  client:
    image: orc/demo
    command: [demo, sleep]
    networks: {{lan: {{link_local_ips: [169.254.7.2]}}}}
networks: {{lan: {{enable_ipv6: true}}}}
"
        ));
    };
    stack("10.77.4.1");
    machine.orc(&["up", "-d"]).exits(1).says("`10.77.4.1` is no address of 169.254.0.0/16 or fe80::/10");
    stack("169.254.7.1");
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "client", &["get", "http://169.254.7.1/"]).exits(0).says("hello from");
    // Without an interface to say, `fe80::7:1` leads nowhere; the kernel's list says that it is of this link (20).
    let addresses = inside(&machine, "web", &["cat", "/proc/net/if_inet6"]);
    addresses.exits(0).says("fe800000000000000000000000070001").says(" 40 20 ");
    // Another address is another interface.
    stack("169.254.7.9");
    machine.orc(&["up", "-d", "-t", "1"]).ok();
    inside(&machine, "client", &["get", "http://169.254.7.9/"]).exits(0).says("hello from");
    machine.leaves_nothing();
}

#[test]
fn dockers_common_network_must_be_refused_with_what_to_do() {
    let machine = Machine::new("common-network");
    for mode in ["bridge", "default"] {
        machine.compose(&format!("services:\n  box:\n    image: orc/demo\n    network_mode: {mode}\n"));
        let refused = machine.orc(&["up", "-d"]);
        refused.exits(1).says("compose.yaml:4:").says("there is no network that all stacks");
    }
    machine.shows_nothing_left();
}

#[test]
fn addresses_must_come_from_where_the_network_says() {
    let machine = Machine::new("ip-range");
    machine.compose(
        "
services:
  box: {image: orc/demo, command: [demo, serve], scale: 3, networks: [lan]}
networks:
  lan:
    name: chosen-lan
    attachable: true
    labels: {of: the-file}
    ipam:
      driver: default
      config:
        - subnet: 10.77.4.0/24
          ip_range: 10.77.4.128/29
          aux_addresses: {printer: 10.77.4.129, scanner: 10.77.4.130}
",
    );
    machine.file(
        "second.yaml",
        "
name: second
services: {client: {image: orc/demo, command: [demo, sleep], networks: [theirs]}}
networks: {theirs: {external: {name: chosen-lan}}}
",
    );
    machine.orc(&["up", "-d"]).exits(0).says("chosen-lan");
    machine.orc(&["-f", "second.yaml", "up", "-d"]).exits(0).says("external.name` is obsolete");
    let found = machine.orc(&["-f", "second.yaml", "exec", "-T", "client", "demo", "resolve", "box"]);
    let last = |line: &str| line.trim().rsplit('.').next().and_then(|number| number.parse::<u8>().ok());
    let addresses: Vec<u8> = found.ok().lines().filter_map(last).collect();
    assert_eq!(addresses.len(), 3, "{found}");
    assert!(addresses.iter().all(|last| [128, 131, 132, 133, 134, 135].contains(last)), "{found}");
    machine.orc(&["-f", "second.yaml", "down", "-t", "1"]).ok();
    machine.orc(&["config"]).exits(0).says("of: the-file");
    machine.compose("services: {box: {image: orc/demo}}\nnetworks: {default: {ipam: {driver: dhcp}}}\n");
    machine.orc(&["up", "-d"]).exits(1).says("other address management");
    machine.leaves_nothing();
}

#[test]
fn the_first_interface_must_be_that_of_the_network_with_priority() {
    let machine = Machine::new("priority");
    machine.compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    mac_address: '02:42:ac:11:00:77'
    networks: {first: {}, second: {priority: 10}}
networks:
  first: {ipam: {config: [{subnet: 10.77.5.0/24}]}}
  second: {ipam: {config: [{subnet: 10.77.6.0/24}]}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "box", &["cat", "/proc/net/route"])
        .exits(0)
        .says("eth0\t00064D0A")
        .says("eth1\t00054D0A");
    inside(&machine, "box", &["cat", "/sys/class/net/eth0/address"]).exits(0).says("02:42:ac:11:00:77");
    machine.leaves_nothing();
}
