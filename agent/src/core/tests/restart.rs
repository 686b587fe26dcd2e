//! When a container that ended is started again.

use serde_json::{Value, json};

use super::bench::{Bench, plain};
use crate::core::FailureKind;

/// What becomes of a container that ends so, after so many milliseconds.
#[track_caller]
fn check(compose: Value, code: i32, ran_ms: u64, expected: &str) {
    let mut bench = Bench::new();
    bench.task("web", 1, compose.clone());
    bench.up();
    bench.pass(ran_ms);
    bench.clear();
    bench.exit(1, code);
    let says = bench.last_words();
    assert_eq!(says, format!("say 1 started {expected}"), "{compose} code {code} after {ran_ms} ms");
}

#[test]
fn the_policy_decides() {
    let stays = "exited generation 1 exit";
    let again = "restarting at 200 generation 1 exit";
    for (policy, zero, one) in [
        (json!({}), stays, stays),
        (json!({"restart": "no"}), stays, stays),
        (json!({"restart": "wat"}), stays, stays),
        (json!({"restart": "always"}), again, again),
        (json!({"restart": "unless-stopped"}), again, again),
        (json!({"restart": "on-failure"}), stays, again),
        (json!({"restart": "on-failure:2"}), stays, again),
        (json!({"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}}), stays, stays),
        (json!({"deploy": {"restart_policy": {"condition": "on-failure"}}}), stays, again),
        (json!({"deploy": {"restart_policy": {}}}), again, again),
        (json!({"deploy": {"restart_policy": {"max_attempts": 0}}}), stays, stays),
    ] {
        check(policy.clone(), 0, 100, &format!("{zero} 0"));
        check(policy, 1, 100, &format!("{one} 1"));
    }
    let delayed = json!({"deploy": {"restart_policy": {"delay": "5s"}}});
    check(delayed, 0, 100, "restarting at 5100 generation 1 exit 0");
}

#[test]
fn short_runs_double_the_pause_and_a_long_one_resets_it() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"restart": "always"}));
    bench.up();
    let mut pauses = Vec::new();
    for ran in [0, 0, 0, 9_999, 10_000, 0] {
        bench.pass(ran);
        let before = bench.clock();
        bench.exit(1, 1);
        let at = bench.alarm().expect("it is started again");
        pauses.push(at - before);
        bench.pass(at - before);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 100, 200]);
}

#[test]
fn a_restart_is_written_down_before_it_happens() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"restart": "always"}));
    bench.up();
    bench.clear();
    bench.exit(1, 3);
    bench.pass(100);
    bench.check(
        "zone shop_default web=
         say 1 started restarting at 100 generation 1 exit 3
         do keep 1 generation 1 restarts 1 streak 1
         do start 1
         say 1 started restarting at 100 generation 1 restarts 1 exit 3
         do watch 1
         zone shop_default web=10.0.0.2
         say 1 started running generation 1 restarts 1 exit 3",
    );
}

#[test]
fn attempts_are_counted_and_then_it_stays() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"restart": "on-failure:2"}));
    bench.up();
    for _ in 0..2 {
        bench.exit(1, 1);
        bench.pass(1_000);
    }
    bench.clear();
    bench.exit(1, 1);
    assert_eq!(bench.last_words(), "say 1 started exited generation 1 restarts 2 exit 1");
}

#[test]
fn a_command_that_is_not_there_is_an_exit() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.complete();
    bench.work_until("start 1");
    bench.fail("start 1", "no `serve` in PATH", FailureKind::Command(127));
    assert_eq!(bench.last_words(), "say 1 started exited generation 1 exit 127 (no `serve` in PATH)");
}

#[test]
fn a_raised_generation_starts_a_finished_container_again() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.exit(1, 0);
    bench.clear();
    bench.change(1, |task| task.generation = 2);
    bench.finish("keep", Ok(crate::core::Outcome::Done));
    // Until it runs, the old end belongs to the old generation.
    bench.check("do keep 1 generation 2 restarts 0 streak 0\ndo start 1");
    bench.work();
    assert_eq!(bench.last_words(), "say 1 started running generation 2 exit 0");
}

#[test]
fn a_raised_generation_stops_a_running_container_first() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.clear();
    bench.change(1, |task| task.generation = 2);
    bench.work();
    bench.exit(1, 143);
    bench.work();
    bench.check(
        "zone shop_default web=
         do signal 1 15
         say 1 started stopping generation 1
         do keep 1 generation 2 restarts 0 streak 0
         say 1 started exited generation 1 exit 143
         do start 1
         do watch 1
         zone shop_default web=10.0.0.2
         say 1 started running generation 2 exit 143",
    );
}

#[test]
fn an_end_that_nobody_saw_is_an_end() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.clear();
    bench.fail("watch 1", "its shim is gone", FailureKind::Gone);
    assert_eq!(bench.last_words(), "say 1 started exited generation 1 exit 255 (its shim is gone)");
}
