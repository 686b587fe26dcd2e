//! Secrets and configs: from where they come, and where, whose and how they are inside.

use crate::support::{Machine, Outcome};

fn inside(machine: &Machine, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", "box", "demo"], tool].concat())
}

#[test]
fn a_grant_must_be_where_and_whose_the_service_says() {
    let machine = Machine::new("grants");
    machine.file("password", "hunter2").file(".env", "GREETING=good day\n").compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    secrets:
      - {source: password, target: /etc/pass, uid: '1000', gid: '1001', mode: 0440}
      - {source: password, target: renamed}
    configs:
      - {source: greeting, target: /etc/greeting, uid: '1002', gid: '1003', mode: 0400}
      - greeting
secrets: {password: {file: ./password, name: the-password, labels: {of: secrets}}}
configs: {greeting: {environment: GREETING, name: the-greeting, labels: {of: configs}}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    for (path, content, owner) in [
        ("/etc/pass", "hunter2", "file 0440 1000:1001 "),
        ("/run/secrets/renamed", "hunter2", "file 0444 0:0 "),
        ("/etc/greeting", "good day", "file 0400 1002:1003 "),
        ("/greeting", "good day", "file 0444 0:0 "),
    ] {
        assert_eq!(inside(&machine, &["cat", path]).ok(), content, "{path}");
        inside(&machine, &["stat", path]).exits(0).says(owner);
    }
    // Names and labels are for who reads the file: a container sees the content alone.
    let config = machine.orc(&["config"]);
    config
        .exits(0)
        .says("name: the-password")
        .says("of: secrets")
        .says("name: the-greeting")
        .says("of: configs");
    machine.leaves_nothing();
}
