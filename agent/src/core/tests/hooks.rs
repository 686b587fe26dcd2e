//! Commands at the turns of a container's life.

use cluster::{Desired, StopHow};
use serde_json::json;

use super::bench::{Bench, stop};
use crate::core::{FailureKind, Outcome, ProbeResult};

/// What runs before a start ends with this code.
fn stepped(bench: &mut Bench, prefix: &str, code: i32) {
    let exit =
        runtime::Exit { code, signal: None, oom: false, error: None, started_at_ms: 0, finished_at_ms: 0 };
    bench.finish(prefix, Ok(Outcome::Exited(exit)));
    bench.work();
}

fn ended(bench: &mut Bench, prefix: &str, code: i32) {
    let result = ProbeResult { code, timed_out: false, output: "said".into() };
    bench.finish(prefix, Ok(Outcome::Probed(result)));
    bench.work();
}

#[test]
fn after_each_start_one_after_the_other_and_it_counts_as_started_then() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"post_start": [{"command": ["one"]}, {"command": ["two"], "user": "root"}]}));
    bench.up();
    bench.clear();
    ended(&mut bench, "hook 1 one", 0);
    bench.check("do hook 1 two");
    ended(&mut bench, "hook 1 two", 0);
    bench.check("say 1 started running generation 1");
}

#[test]
fn one_that_fails_is_told_and_those_after_it_are_not_run() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"post_start": [{"command": ["one"]}, {"command": ["two"]}]}));
    bench.up();
    ended(&mut bench, "hook 1 one", 3);
    assert!(!bench.has_seen("do hook 1 two"));
    assert_eq!(
        bench.last_words(),
        "say 1 started running generation 1 problem: `post_start` hook `one`: it ended with exit code 3: said"
    );
}

#[test]
fn before_the_stop_signal_and_whatever_comes_of_it() {
    for code in [0, 1] {
        let mut bench = Bench::new();
        bench.task("web", 1, json!({"pre_stop": [{"command": ["bye"]}]}));
        bench.up();
        bench.clear();
        bench.change(1, |task| task.desired = Desired::Stop(stop()));
        bench.work();
        bench.check("zone shop_default web=\ndo hook 1 bye");
        ended(&mut bench, "hook 1 bye", code);
        bench.check("do signal 1 15\nsay 1 started stopping generation 1");
    }
}

#[test]
fn a_kill_and_an_end_of_its_own_run_no_hook() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"pre_stop": [{"command": ["bye"]}]}));
    bench.up();
    bench.change(1, |task| {
        task.desired = Desired::Stop(StopHow { signal: Some("KILL".into()), grace_ms: None });
    });
    bench.work();
    assert!(bench.has_seen("do kill 1") && !bench.has_seen("do hook"));
}

#[test]
fn who_is_to_stop_does_not_wait_for_a_long_hook() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"post_start": [{"command": ["long"]}]}));
    bench.up();
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    assert!(bench.has_seen("do signal 1 15"));
    bench.fail("hook 1 long", "it does not run", FailureKind::Gone);
}

#[test]
fn before_a_start_that_somebody_wishes_and_before_no_other() {
    let mut bench = Bench::new();
    let steps = json!([{"command": ["one"]}, {"command": ["two"]}]);
    bench.task("web", 1, json!({"restart": "always", "pre_start": steps}));
    bench.up();
    assert!(bench.has_seen("do create 1") && !bench.has_seen("do start 1"));
    stepped(&mut bench, "run before 1 one", 0);
    assert!(!bench.has_seen("do start 1"));
    stepped(&mut bench, "run before 1 two", 0);
    assert!(bench.has_seen("do start 1"));
    bench.clear();
    bench.exit(1, 0);
    bench.pass(1_000);
    assert!(bench.has_seen("do start 1") && !bench.has_seen("do run before"));
    bench.clear();
    bench.exit(1, 0);
    bench.change(1, |task| task.generation = 2);
    bench.work();
    assert!(bench.has_seen("do run before 1 one"));
}

#[test]
fn a_step_that_fails_keeps_the_container_from_starting_until_the_wish_changes() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"pre_start": [{"command": ["one"]}, {"command": ["two"]}]}));
    bench.up();
    stepped(&mut bench, "run before 1 one", 0);
    stepped(&mut bench, "run before 1 two", 7);
    assert!(bench.last_words().ends_with("problem: `pre_start` step 2 `two`: it ended with exit code 7"));
    bench.pass(100_000);
    assert!(!bench.has_seen("do start 1"));
    bench.clear();
    bench.change(1, |task| task.generation = 2);
    bench.work();
    assert!(bench.has_seen("do run before 1 one"), "from the first one on");
}

#[test]
fn who_is_to_go_or_to_stop_ends_what_runs_before_it() {
    for (desired, seen) in
        [(Desired::Stop(stop()), "do end before 1"), (Desired::Remove(stop()), "do remove 1")]
    {
        let mut bench = Bench::new();
        bench.task("web", 1, json!({"pre_start": [{"command": ["long"]}]}));
        bench.up();
        bench.change(1, |task| task.desired = desired);
        bench.work();
        assert!(bench.has_seen(seen) && !bench.has_seen("do start 1"), "{seen}");
    }
}
