//! How a running container is ended.

use cluster::{Desired, StopHow};
use serde_json::json;

use super::bench::{Bench, plain, stop};
use crate::core::signal_number;

#[test]
fn out_of_the_balance_first_then_the_signal_then_the_kill() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"stop_signal": "SIGINT", "stop_grace_period": "3s"}));
    bench.publish("web");
    bench.up();
    bench.clear();
    bench.change(1, |task| task.desired = Desired::Stop(stop()));
    bench.check(
        "zone shop_default web=
         do balance 8080/tcp -> 80 of []",
    );
    bench.work();
    bench.check("do signal 1 2\nsay 1 started stopping generation 1");
    bench.pass(2_999);
    bench.check("");
    bench.pass(1);
    bench.check("do kill 1");
    bench.exit(1, 137);
    bench.check("say 1 started exited generation 1 exit 137");
}

#[test]
fn while_others_take_over_connections_drain() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.task("web", 2, plain());
    bench.publish("web");
    bench.up();
    bench.clear();
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    bench.check(
        "zone shop_default web=10.0.0.3
         do balance 8080/tcp -> 80 of [10.0.0.3]",
    );
    bench.pass(99);
    bench.check("");
    bench.pass(1);
    bench.check("do signal 1 15\nsay 1 started stopping generation 1");
}

#[test]
fn who_was_told_to_go_while_it_started_goes() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.publish("web");
    bench.complete();
    bench.work_until("start 1");
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work_until("start 1");
    bench.clear();
    bench.work();
    bench.check("do watch 1\ndo signal 1 15\nsay 1 started stopping generation 1");
}

#[test]
fn the_user_may_say_how() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.clear();
    let how = StopHow { signal: Some("SIGKILL".into()), grace_ms: Some(0) };
    bench.change(1, |task| task.desired = Desired::Stop(how));
    bench.work();
    bench.check(
        "zone shop_default web=
         do kill 1
         say 1 started stopping generation 1",
    );
}

#[test]
fn a_shorter_grace_counts_at_once() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.change(1, |task| task.desired = Desired::Stop(stop()));
    bench.work();
    bench.pass(2_000);
    bench.clear();
    bench.change(1, |task| task.desired = Desired::Remove(StopHow { signal: None, grace_ms: Some(1_000) }));
    bench.check("do kill 1");
}

#[test]
fn a_stopped_container_starts_again_whatever_its_policy() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.change(1, |task| task.desired = Desired::Stop(stop()));
    bench.work();
    bench.exit(1, 0);
    bench.work();
    bench.clear();
    bench.change(1, |task| task.desired = Desired::Run);
    bench.work();
    assert_eq!(bench.last_words(), "say 1 started running generation 1 exit 0");
}

#[test]
fn a_crash_while_it_is_stopped_is_no_reason_to_restart() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"restart": "always"}));
    bench.up();
    bench.change(1, |task| task.desired = Desired::Stop(stop()));
    bench.work();
    bench.clear();
    bench.exit(1, 1);
    bench.check("say 1 started exited generation 1 exit 1");
    bench.pass(100_000);
    bench.check("");
}

#[test]
fn what_does_not_die_is_told_and_killed_again() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.change(1, |task| task.desired = Desired::Stop(StopHow { signal: None, grace_ms: Some(0) }));
    bench.work();
    bench.pass(0);
    bench.clear();
    bench.pass(10_000);
    assert!(bench.has_seen("do kill 1"));
}

#[test]
fn signals_have_names_and_numbers() {
    for (text, number) in [
        ("SIGTERM", Some(15)),
        ("term", Some(15)),
        ("15", Some(15)),
        ("SIGKILL", Some(9)),
        ("SIGIOT", Some(6)),
        ("SIGRTMIN", Some(34)),
        ("SIGRTMIN+3", Some(37)),
        ("RTMAX-1", Some(63)),
        ("SIGRTMIN+99", None),
        ("SIGRTMIN-1", None),
        ("0", None),
        ("65", None),
        ("-9", None),
        ("", None),
        ("SIG", None),
        ("SIGNAL", None),
    ] {
        assert_eq!(signal_number(text), number, "{text}");
    }
}
