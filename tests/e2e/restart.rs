//! Restart policies: attempts, pauses, and what a stop means to them.

use crate::support::{Machine, eventually};

#[test]
fn attempts_must_be_counted_and_then_given_up() {
    let machine = Machine::new("attempts");
    machine.compose(
        "
services:
  deployed:
    image: orc/demo
    command: [demo, exit, '3']
    deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}
  plain:
    image: orc/demo
    command: [demo, exit, '4']
    restart: on-failure:1
",
    );
    machine.orc(&["up", "-d"]);
    eventually("both have given up", || {
        let ps = machine.orc(&["ps", "-a"]);
        let text = ps.ok();
        // Between two ends it runs, with the same count.
        let ended = text.contains("exited (3)") && text.contains("exited (4)");
        ended && text.contains("restarted 2 times") && text.contains("restarted once")
    });
    let codes: Vec<_> = machine.ps().iter().map(|container| container["ExitCode"].clone()).collect();
    assert!(codes.contains(&3.into()) && codes.contains(&4.into()), "{codes:?}");
    machine.leaves_nothing();
}

#[test]
fn a_crash_loop_must_tell_its_next_attempt() {
    let machine = Machine::new("crash-loop");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, exit, '3']
    restart: always
",
    );
    machine.orc(&["up", "-d"]);
    eventually("the pause is shown", || machine.orc(&["ps"]).ok().contains("restarting in"));
    machine.leaves_nothing();
}

#[test]
fn what_was_stopped_must_stay_so_whatever_its_policy_and_whoever_dies() {
    let machine = Machine::new("stopped");
    machine.compose(
        "
services:
  web: {image: orc/demo, command: [demo, serve], restart: always}
  one: {image: orc/demo, command: [demo, sleep], restart: unless-stopped}
",
    );
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["stop", "-t", "1", "one"]).ok();
    machine.kill_engine();
    eventually("another engine knows the stack", || machine.ps().len() == 2);
    assert!(machine.pids_of("demo sleep").is_empty());
    assert_eq!(machine.pids_of("demo serve").len(), 1);
    machine.leaves_nothing();
}

#[test]
fn attempts_must_be_forgotten_after_the_window_and_wait_for_the_delay() {
    let machine = Machine::new("window");
    machine.compose(
        "
services:
  lasting:
    image: orc/demo
    command: [demo, exit, '3', '1']
    deploy: {restart_policy: {condition: any, max_attempts: 1, window: 500ms}}
  short:
    image: orc/demo
    command: [demo, exit, '4', '1']
    deploy: {restart_policy: {condition: any, max_attempts: 1, window: 1h}}
  waiting:
    image: orc/demo
    command: [demo, exit, '5']
    deploy: {restart_policy: {condition: on-failure, delay: 2h}}
  never:
    image: orc/demo
    command: [demo, exit, '6']
    deploy: {restart_policy: {condition: none}}
",
    );
    machine.orc(&["up", "-d"]);
    let restarts = |service: &str| machine.container(service)["Restarts"].as_u64().unwrap_or_default();
    eventually("who ran for long enough is started again and again", || restarts("lasting") >= 3);
    assert_eq!((restarts("short"), restarts("waiting"), restarts("never")), (1, 0, 0));
    machine.orc(&["ps", "waiting"]).exits(0).says("restarting in 1h");
    assert_eq!(machine.container("never")["State"], "exited");
    machine.leaves_nothing();
}
