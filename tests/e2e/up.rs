//! What `up` replaces, and what it leaves alone.

use std::collections::BTreeMap;

use crate::support::{Machine, eventually, eventually_some};

const THREE: &str = "
services:
  one:
    image: orc/demo
    command: [demo, sleep]
    environment: {A: '1'}
  two:
    image: orc/demo
    command: [demo, sleep]
    deploy: {replicas: 2}
  job:
    image: orc/demo
    command: [demo, exit, '0']
";

/// The process of each running container, by the container's name. The job's comes and goes.
fn pids(machine: &Machine) -> BTreeMap<String, u64> {
    let lasting =
        |container: &serde_json::Value| container["State"] == "running" && container["Service"] != "job";
    let pid = |container: serde_json::Value| {
        let name = container["Name"].as_str().expect("a name").to_owned();
        (name, container["Pid"].as_u64().expect("what runs has a process"))
    };
    machine.ps().into_iter().filter(lasting).map(pid).collect()
}

/// How often the job has run, as its log tells when it prints once a run.
fn job_runs(machine: &Machine) -> usize {
    machine.orc(&["logs", "--no-log-prefix", "job"]).stdout.lines().count()
}

#[test]
fn a_second_up_must_change_nothing_and_say_so() {
    let machine = Machine::new("up-twice");
    machine.compose(&THREE.replace("[demo, exit, '0']", "[demo, echo, ran]"));
    machine.orc(&["up", "-d"]).ok();
    let ended = || machine.ps().iter().any(|c| c["Service"] == "job" && c["State"] == "exited");
    eventually("the job has run to its end", || job_runs(&machine) == 1 && ended());
    let before = pids(&machine);
    assert_eq!(before.len(), 3, "{before:?}");
    machine.orc(&["up", "-d"]).exits(0);
    assert_eq!(pids(&machine), before);
    eventually("only the finished job ran again", || job_runs(&machine) == 2);
    machine.leaves_nothing();
}

#[test]
fn only_the_service_that_was_edited_must_be_replaced() {
    let machine = Machine::new("edit");
    machine.compose(THREE);
    machine.orc(&["up", "-d"]).ok();
    let before = pids(&machine);
    // The same file, its keys in another order: nothing is another wish.
    machine.compose(&THREE.replace(
        "    image: orc/demo\n    command: [demo, sleep]\n    environment: {A: '1'}\n",
        "    environment: {A: '1'}\n    command: [demo, sleep]\n    image: orc/demo\n",
    ));
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(pids(&machine), before);

    machine.compose(&THREE.replace("A: '1'", "A: '2'"));
    machine.orc(&["up", "-d"]).ok();
    let after = pids(&machine);
    let changed: Vec<_> = before.iter().filter(|(name, pid)| after.get(*name) != Some(pid)).collect();
    assert_eq!(changed.len(), 1, "{before:?} {after:?}");
    machine.orc(&["exec", "one", "demo", "env", "A"]).exits(0).says("2");
    machine.leaves_nothing();
}

#[test]
fn scale_must_add_and_remove_only_the_difference() {
    let machine = Machine::new("scale");
    machine.compose(THREE);
    machine.orc(&["up", "-d"]).ok();
    let before = pids(&machine);
    machine.orc(&["scale", "two=4"]).ok();
    let more = eventually_some("four replicas run", || Some(pids(&machine)).filter(|pids| pids.len() == 5));
    assert!(before.iter().all(|(name, pid)| more.get(name) == Some(pid)), "{before:?} {more:?}");
    machine.orc(&["up", "-d", "--scale", "two=1"]).ok();
    eventually("one replica is left", || pids(&machine).len() == 2);
    machine.leaves_nothing();
}

#[test]
fn a_service_must_wait_for_what_it_depends_on() {
    let machine = Machine::new("depends");
    machine.compose(
        "
services:
  base:
    image: orc/demo
    command: [demo, store]
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 100ms}
  fails:
    image: orc/demo
    command: [demo, exit, '3']
  after:
    image: orc/demo
    command: [demo, get, 'http://base/healthz']
    depends_on: {base: {condition: service_healthy}}
  never:
    image: orc/demo
    command: [demo, sleep]
    depends_on: {fails: {condition: service_completed_successfully}}
",
    );
    let up = machine.orc(&["up", "-d"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("fails").says("3");
    eventually("the client found the store at its first try", || {
        let containers = machine.ps();
        let after = containers.iter().find(|container| container["Service"] == "after");
        after.is_some_and(|after| after["State"] == "exited" && after["ExitCode"] == 0)
    });
    let never = machine.ps().into_iter().find(|container| container["Service"] == "never");
    assert!(never.is_none_or(|never| never["State"] != "running"));
    machine.leaves_nothing();
}

#[test]
fn stop_start_and_restart_must_keep_the_container() {
    let machine = Machine::new("stop-start");
    machine.compose(THREE);
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "one", "demo", "write", "/kept", "yes"]).ok();
    machine.orc(&["stop", "-t", "1", "one"]).ok();
    assert!(!pids(&machine).keys().any(|name| name.contains("one")));
    machine.orc(&["start", "one"]).ok();
    machine.orc(&["restart", "-t", "1", "one"]).ok();
    machine.orc(&["exec", "one", "demo", "cat", "/kept"]).exits(0).says("yes");
    machine.leaves_nothing();
}

#[test]
fn attached_up_must_show_logs_and_carry_on_until_all_ended() {
    let machine = Machine::new("attached");
    machine.compose(
        "
services:
  a: {image: orc/demo, command: [demo, echo, from-a]}
  b: {image: orc/demo, command: [demo, echo, from-b]}
",
    );
    machine.orc(&["up"]).exits(0).says("from-a").says("from-b");
    machine.leaves_nothing();
}

#[test]
fn no_deps_must_neither_start_nor_wait_for_what_a_service_depends_on() {
    let machine = Machine::new("no-deps");
    machine.compose(
        "
services:
  base: {image: orc/demo, command: [demo, sleep]}
  top: {image: orc/demo, command: [demo, sleep], depends_on: [base]}
",
    );
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["stop", "-t", "1"]).ok();
    machine.orc(&["up", "-d", "--no-deps", "top"]).ok();
    assert_eq!(pids(&machine).into_keys().collect::<Vec<_>>(), ["work-top-1"]);
    machine.leaves_nothing();
}

#[test]
fn a_stopped_stack_must_start_again_in_the_order_of_its_dependencies() {
    let machine = Machine::new("again-in-order");
    machine.compose(
        "
services:
  base:
    image: orc/demo
    command: [demo, store]
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 100ms}
  after:
    image: orc/demo
    command: [demo, get, 'http://base/healthz']
    depends_on: {base: {condition: service_healthy}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    for again in [&["up", "-d"][..], &["start"]] {
        machine.orc(&["stop", "-t", "1"]).ok();
        machine.orc(again).ok();
        let ended = eventually_some("the client has run again", || {
            let after = machine.ps().into_iter().find(|container| container["Service"] == "after")?;
            (after["State"] == "exited").then_some(after)
        });
        assert_eq!(ended["ExitCode"], 0, "the client found the store at its first try: {ended}");
    }
    machine.leaves_nothing();
}
