//! Where tasks run, in which number, and made by what: `deploy` on one node, `platform`, `runtime`.

use crate::support::{Machine, eventually};

fn service(attributes: &str) -> String {
    format!("services:\n  box:\n    image: orc/demo\n    command: [demo, sleep]\n    {attributes}\n")
}

#[test]
fn a_service_must_only_run_where_its_constraints_are_met() {
    let machine = Machine::new("constraints");
    let placed = |constraint: &str| {
        machine.compose(&service(&format!("deploy: {{placement: {{constraints: ['{constraint}']}}}}")));
        machine.orc(&["up", "-d"])
    };
    placed("node.role == manager").ok();
    placed("node.platform.os!=windows").ok();
    placed("node.labels.disk=ssd").exits(1).says("is not `KEY==VALUE` or `KEY!=VALUE`");
    machine.orc(&["down", "-t", "1"]).ok();
    placed("node.labels.disk == ssd").exits(1).says("no node fits: 1 without `disk=ssd`");
    machine.orc(&["ps", "-a", "-q"]).exits(0);
    // Its owner says what the node has.
    machine.orc(&["engine", "stop"]).ok();
    let up = machine.orc_command(&["up", "-d"]).env("ORC_NODE_LABELS", "zone=a,disk=ssd").output();
    assert!(up.expect("orc starts").status.success());
    assert_eq!(machine.ps()[0]["State"], "running");
    machine.leaves_nothing();
}

#[test]
fn a_node_must_not_run_more_replicas_than_allowed() {
    let machine = Machine::new("per-node");
    machine.compose(&service("deploy: {replicas: 2, placement: {max_replicas_per_node: 1}}"));
    machine.orc(&["up", "-d"]).exits(1).says("no node fits: 1 with 1 of its tasks already");
    assert_eq!(machine.ps().len(), 1);
    machine.leaves_nothing();
}

#[test]
fn a_global_service_must_run_once_on_each_node() {
    let machine = Machine::new("global");
    machine
        .compose(&service("deploy: {mode: global, placement: {preferences: [{spread: node.labels.zone}]}}"));
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(machine.ps().len(), 1);
    machine.orc(&["scale", "box=2"]).exits(1).says("`box` runs once on each node");
    machine.compose(&service("deploy: {mode: global, replicas: 2}"));
    machine.orc(&["up", "-d"]).exits(1).says("has no number of replicas");
    machine.leaves_nothing();
}

#[test]
fn a_job_must_be_tried_until_it_has_succeeded_and_then_be_done() {
    let machine = Machine::new("job");
    machine.compose(
        "
services:
  job:
    image: orc/demo
    entrypoint: [demo, cat, /data/ready]
    volumes: ['data:/data']
    deploy: {mode: replicated-job, restart_policy: {delay: 100ms}}
  box: {image: orc/demo, command: [demo, sleep], volumes: ['data:/data']}
volumes: {data: {}}
",
    );
    let job = || machine.ps().into_iter().find(|container| container["Service"] == "job").expect("the job");
    machine.orc(&["up", "-d", "box"]).ok();
    machine.orc(&["up", "-d", "--no-deps", "job"]);
    eventually("it failed and is tried again", || job()["Restarts"].as_u64() >= Some(1));
    machine.orc(&["exec", "-T", "box", "demo", "write", "/data/ready", "yes"]).ok();
    eventually("it is done", || job()["State"] == "exited" && job()["ExitCode"] == 0);
    machine.leaves_nothing();
}

#[test]
fn labels_of_a_service_must_be_its_own_and_change_without_a_new_container() {
    let machine = Machine::new("service-labels");
    machine.compose(&service("deploy: {labels: {team: shop}}"));
    machine.orc(&["up", "-d"]).ok();
    let before = machine.ps();
    assert_eq!(before[0]["ServiceLabels"]["team"], "shop");
    assert!(!before[0]["Labels"].as_str().unwrap_or_default().contains("team"), "{before:?}");
    machine.compose(&service("deploy: {labels: {team: stock}}"));
    machine.orc(&["up", "-d"]).ok();
    let after = machine.ps();
    assert_eq!((&after[0]["ServiceLabels"]["team"], &after[0]["Pid"]), (&"stock".into(), &before[0]["Pid"]));
    machine.leaves_nothing();
}

#[test]
fn only_platforms_of_the_machine_must_run() {
    let machine = Machine::new("platform");
    let own = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        _ => "linux/arm64/v8",
    };
    machine.compose(&service(&format!("platform: {own}")));
    machine.orc(&["up", "-d"]).ok();
    for foreign in ["linux/s390x", "windows", "linux/amd64/v9"] {
        machine.compose(&service(&format!("platform: {foreign}")));
        machine.orc(&["up", "-d"]).exits(1).says("no node fits: 1 of platform linux/");
    }
    machine.leaves_nothing();
}

#[test]
fn the_runtime_must_be_one_that_the_machine_has() {
    let machine = Machine::new("runtime");
    machine.compose(&service("runtime: orc"));
    machine.orc(&["up", "-d"]).ok();
    machine.compose(&service("runtime: runsc"));
    let known = "there is no runtime `runsc`; known are `orc`, `crun`, `runc`, `youki`";
    machine.orc(&["up", "-d"]).exits(1).says(known);
    // What only looks like one: it is found by its name, and asked to make the container.
    machine.shell("mount -t tmpfs none /usr/local/sbin").ok();
    machine.file("youki", "#!/bin/sh\necho \"$@\" >> /usr/local/sbin/calls; exit 1\n");
    machine.shell("install -m 755 youki /usr/local/sbin/youki").ok();
    machine.compose(&service("runtime: youki"));
    machine.orc(&["up", "-d"]).exits(1).says("/usr/local/sbin/youki");
    machine.shell("grep ' create --bundle ' /usr/local/sbin/calls").ok();
    machine.orc(&["down", "-t", "1"]).ok();
    machine.shell("umount /usr/local/sbin").ok();
    machine.leaves_nothing();
}
