//! Devices that files on the machine describe (CDI), as containers see them: harmless ones under other names.

use crate::support::{Machine, Outcome};

fn inside(machine: &Machine, service: &str, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", service, "demo"], tool].concat())
}

/// Puts a file where files that describe devices are looked for; `/run` is the machine's own.
fn describe(machine: &Machine, name: &str, content: &str) {
    machine.file(name, content);
    machine.shell(&format!("mkdir -p /run/cdi && cp {name} /run/cdi/{name}")).ok();
}

#[test]
fn a_named_device_must_bring_all_that_its_file_says() {
    let machine = Machine::new("cdi");
    let work = machine.work();
    machine.file("thing.conf", "of the machine");
    describe(
        &machine,
        "thing.yaml",
        &format!(
            "
cdiVersion: 0.6.0
kind: example.com/thing
devices:
  - name: one
    containerEdits:
      deviceNodes: [{{path: /dev/thing, hostPath: /dev/zero, permissions: r}}]
      env: [THING=one]
  - name: two
    containerEdits:
      deviceNodes: [{{path: /dev/other, hostPath: /dev/null}}]
containerEdits:
  env: [THINGS=yes]
  additionalGids: [4711]
  mounts: [{{hostPath: {0}/thing.conf, containerPath: /etc/thing.conf, options: [ro, bind]}}]
  hooks: [{{hookName: createRuntime, path: /bin/sh, args: [sh, -c, 'echo ran >> {0}/hook']}}]
",
            work.display()
        ),
    );
    machine.compose(
        "
services:
  box:
    image: orc/demo
    entrypoint: [demo, sleep]
    devices: [example.com/thing=one]
    deploy:
      resources:
        reservations: {devices: [{driver: cdi, device_ids: [example.com/thing=two], capabilities: [x]}]}
  env: {image: orc/demo, command: [demo, env], devices: [example.com/thing=one]}
  id: {image: orc/demo, command: [demo, id], user: '1000', devices: [example.com/thing=one]}
",
    );
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "box", &["stat", "/dev/thing", "/dev/other"]).exits(0).says("/dev/thing").says("device");
    inside(&machine, "box", &["cat", "/etc/thing.conf"]).exits(0).says("of the machine");
    assert_ne!(inside(&machine, "box", &["write", "/etc/thing.conf", "x"]).code, 0, "it is read-only");
    machine.orc(&["wait", "env", "id"]);
    machine.orc(&["logs", "--no-log-prefix", "env"]).exits(0).says("THING=one").says("THINGS=yes");
    machine.orc(&["logs", "--no-log-prefix", "id"]).exits(0).says("4711");
    assert_eq!(machine.shell("wc -l < hook").ok().trim(), "3", "once for each container");
    machine.leaves_nothing();
}

#[test]
fn gpus_must_be_found_by_the_names_that_vendors_give_them() {
    let machine = Machine::new("gpus");
    let device = |name: &str, path: &str| {
        format!(
            r#"{{"name": "{name}", "containerEdits": {{"deviceNodes": [{{"path": "/dev/{path}", "hostPath": "/dev/null"}}]}}}}"#
        )
    };
    let devices = [device("all", "gpu-all"), device("0", "gpu0"), device("1", "gpu1")].join(",");
    let file = format!(r#"{{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{devices}]}}"#);
    describe(&machine, "nvidia.json", &file);
    machine.compose(
        "
services:
  all: {image: orc/demo, command: [demo, sleep], gpus: all}
  two: {image: orc/demo, command: [demo, sleep], gpus: [{count: 2}]}
  second:
    image: orc/demo
    command: [demo, sleep]
    deploy: {resources: {reservations: {devices: [{capabilities: [gpu], device_ids: ['1']}]}}}
  first:
    image: orc/demo
    command: [demo, sleep]
    deploy: {resources: {reservations: {devices: [{capabilities: [gpu], driver: nvidia, count: 1}]}}}
  named:
    image: orc/demo
    command: [demo, sleep]
    gpus: [{driver: nvidia, device_ids: ['1'], capabilities: [gpu]}]
  none:
    image: orc/demo
    command: [demo, sleep]
    profiles: [none]
    gpus: [{driver: amd, count: all}]
",
    );
    machine.orc(&["up", "-d"]).ok();
    let has = |service: &str, path: &str| inside(&machine, service, &["stat", path]).code == 0;
    assert!(has("all", "/dev/gpu-all") && !has("all", "/dev/gpu0"));
    assert!(has("two", "/dev/gpu0") && has("two", "/dev/gpu1"));
    assert!(has("second", "/dev/gpu1") && !has("second", "/dev/gpu0"));
    assert!(has("first", "/dev/gpu0") && !has("first", "/dev/gpu1"));
    assert!(has("named", "/dev/gpu1") && !has("named", "/dev/gpu0"));
    let none = machine.orc(&["--profile", "none", "up", "-d", "none"]);
    none.exits(1).says("describes device `amd.com/gpu=all`").says("`nvidia.com/gpu=1`");
    machine.leaves_nothing();
}
