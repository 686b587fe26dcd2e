//! How many containers an update replaces at a time, how long it waits and watches, and how it is taken back.

use std::process::Stdio;

use crate::support::{Machine, eventually};

/// A service whose update is said by `deploy`.
fn service(revision: u32, command: &str, deploy: &str) -> String {
    format!(
        "
services:
  web:
    image: orc/demo
    command: {command}
    environment: {{REVISION: '{revision}'}}
    deploy: {{{deploy}}}
"
    )
}

const SLEEP: &str = "[demo, sleep]";
const FAIL: &str = "[demo, exit, '3']";

/// When the service's containers were started, in milliseconds, the first one first.
fn starts(machine: &Machine) -> Vec<u64> {
    let ids = machine.orc(&["ps", "-q", "web"]).ok().to_owned();
    let start = |id: &str| {
        let path = format!("\"$ORC_DATA_DIR\"/containers/{id}/started.json");
        let at = machine.shell(&format!("grep -o '\"started_at_ms\":[0-9]*' {path} | cut -d: -f2"));
        at.ok().parse().expect("a time")
    };
    let mut starts: Vec<u64> = ids.lines().map(start).collect();
    starts.sort_unstable();
    starts
}

fn revisions(machine: &Machine) -> Vec<String> {
    let replicas = machine.orc(&["ps", "-q", "web"]).ok().lines().count();
    let revision = |index: usize| {
        let index = index.to_string();
        let env = ["exec", "-T", "--index", &index, "web", "demo", "env", "REVISION"];
        machine.orc(&env).stdout.trim().to_owned()
    };
    (1..=replicas).map(revision).collect()
}

#[test]
fn an_update_must_take_so_many_at_a_time_and_pause_between_them() {
    let machine = Machine::new("update-pace");
    let deploy = |config: &str| format!("replicas: 3, update_config: {{monitor: 100ms, {config}}}");
    let up = |revision: u32, config: &str| {
        machine.compose(&service(revision, SLEEP, &deploy(config)));
        machine.orc(&["up", "-d", "--wait", "-t", "1"]).ok();
        assert_eq!(revisions(&machine), vec![revision.to_string(); 3]);
    };
    up(1, "parallelism: 1");
    up(2, "parallelism: 1, delay: 2s");
    let paced = starts(&machine);
    assert!(paced[1] >= paced[0] + 2_000 && paced[2] >= paced[1] + 2_000, "{paced:?}");
    // All at once: who went one by one would pause for an hour.
    up(3, "parallelism: 0, delay: 1h");
    machine.leaves_nothing();
}

#[test]
fn an_update_must_go_on_after_as_many_failures_as_allowed() {
    let machine = Machine::new("update-failures");
    for go_on in ["failure_action: continue", "failure_action: pause, max_failure_ratio: 1"] {
        let deploy = format!("replicas: 2, update_config: {{{go_on}}}");
        machine.compose(&service(1, SLEEP, &deploy));
        machine.orc(&["up", "-d", "--wait"]).ok();
        machine.compose(&service(2, FAIL, &deploy));
        machine.orc(&["up", "-d", "-t", "1"]);
        eventually(&format!("all were replaced: {go_on}"), || {
            machine.pids_of("demo sleep").is_empty() && machine.ps().iter().all(|web| web["ExitCode"] == 3)
        });
        machine.orc(&["down", "-t", "1"]).ok();
    }
    machine.leaves_nothing();
}

/// An update that fails in all replicas at once, and is taken back as `rollback` says.
fn taken_back(machine: &Machine, rollback: &str) {
    let deploy = |rollback: &str| {
        format!(
            "replicas: 3, update_config: {{parallelism: 0, monitor: 10s, failure_action: rollback}}, \
             rollback_config: {{{rollback}}}"
        )
    };
    machine.compose(&service(1, SLEEP, &deploy(rollback)));
    machine.orc(&["up", "-d", "--wait"]).ok();
    machine.compose(&service(2, FAIL, &deploy(rollback)));
    machine.orc(&["up", "-d", "--wait", "-t", "1"]).exits(1).says("rolled back");
    assert_eq!(revisions(machine), ["1", "1", "1"]);
}

#[test]
fn what_is_taken_back_must_go_as_fast_as_its_own_rules_say() {
    let machine = Machine::new("rollback-pace");
    taken_back(&machine, "parallelism: 1, delay: 2s, monitor: 100ms");
    // A slot whose old container had gone and whose new one was not there yet is filled at once; what failed, in its turn.
    let paced = starts(&machine);
    assert!(paced[2] >= paced[0] + 2_000, "{paced:?}");
    machine.orc(&["down", "-t", "1"]).ok();
    taken_back(&machine, "parallelism: 0, delay: 1h, monitor: 100ms");
    machine.leaves_nothing();
}

/// A service that is well while a file is there, with more of its `first` check; from its second revision on it never
/// is.
fn checked(revision: u32, first: &str, rollback: &str) -> String {
    let test = if revision == 1 {
        format!("[CMD, demo, stat, /state/ok], {first}")
    } else {
        "[CMD, demo, exit, '1']".to_owned()
    };
    let deploy = format!(
        "update_config: {{failure_action: rollback, order: stop-first}}, rollback_config: {{{rollback}}}"
    );
    let health = format!("    x-on-unhealthy: none\n    healthcheck: {{test: {test}, interval: 200ms}}\n");
    let more = format!("{health}    volumes: ['state:/state']\n    deploy:");
    let volumes = "volumes: {state: {external: true, name: tool_state}}\n";
    service(revision, SLEEP, &deploy).replace("    deploy:", &more) + volumes
}

/// Another stack on a machine, which has the service's volume: what its containers do there, `web` finds.
fn with_state(name: &str) -> Machine {
    let machine = Machine::new(name);
    machine.file(
        "tool.yaml",
        "
name: tool
services: {box: {image: orc/demo, command: [demo, stubborn], volumes: ['state:/state']}}
volumes: {state: }
",
    );
    machine.orc(&["-f", "tool.yaml", "up", "-d"]).ok();
    machine
}

fn state(machine: &Machine, tool: &[&str]) {
    machine.orc(&[&["-f", "tool.yaml", "exec", "-T", "box", "demo"], tool].concat()).ok();
}

fn forget(machine: &Machine) {
    machine.orc(&["-f", "tool.yaml", "down", "-v", "-t", "0"]).ok();
}

#[test]
fn a_way_back_that_fails_must_end_as_its_rules_say() {
    let machine = with_state("rollback-fails");
    for (rollback, end) in [
        ("failure_action: pause", "update paused"),
        ("failure_action: continue", "rolled back"),
        ("failure_action: pause, max_failure_ratio: 1", "rolled back"),
    ] {
        state(&machine, &["write", "/state/ok", "yes"]);
        machine.compose(&checked(1, "retries: 3", rollback));
        machine.orc(&["up", "-d", "--wait"]).ok();
        state(&machine, &["rm", "/state/ok"]);
        machine.compose(&checked(2, "", rollback));
        machine.orc(&["up", "-d", "--wait", "-t", "1"]).exits(1).says(end);
        machine.orc(&["down", "-t", "1"]).ok();
    }
    forget(&machine);
    machine.leaves_nothing();
}

#[test]
fn what_is_taken_back_must_start_first_and_be_watched_where_that_is_asked_for() {
    let machine = with_state("rollback-order");
    let rollback = "order: start-first, monitor: 8s";
    let first = "start_period: 10m, start_interval: 200ms, retries: 3";
    state(&machine, &["write", "/state/ok", "yes"]);
    machine.compose(&checked(1, first, rollback));
    machine.orc(&["up", "-d", "--wait"]).ok();
    state(&machine, &["rm", "/state/ok"]);
    machine.compose(&checked(2, "", rollback));
    let mut up = machine
        .orc_command(&["up", "-d", "--wait", "-t", "1"])
        .stderr(Stdio::null())
        .spawn()
        .expect("orc starts");
    // What comes back is not well yet, and what failed stays until it is.
    eventually("both run", || machine.pids_of("demo sleep").len() == 2);
    state(&machine, &["write", "/state/ok", "yes"]);
    assert_eq!(up.wait().expect("it ends").code(), Some(1));
    let now = machine.shell("date +%s%3N").ok().parse::<u64>().expect("milliseconds");
    assert_eq!(revisions(&machine), ["1"]);
    assert!(now >= starts(&machine)[0] + 8_000, "it is watched for longer than when nothing is said");
    machine.orc(&["down", "-t", "1"]).ok();
    forget(&machine);
    machine.leaves_nothing();
}
