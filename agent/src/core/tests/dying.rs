//! The time between the death of a container's first process and the knowledge of how it ended.

use serde_json::{Value, json};

use super::adoption::{found, running};
use super::bench::{Bench, plain};
use crate::core::{ActionId, Input};

/// What happens when the first of two tasks of such a service dies, before its exit is known.
#[track_caller]
fn check(compose: Value, healthy: &[u64], expected: &str) {
    let mut bench = Bench::new();
    for number in [1, 2] {
        bench.task("web", number, compose.clone());
    }
    bench.publish("web");
    bench.up();
    bench.pass(10_000);
    for number in healthy {
        bench.probe(*number, 0);
        bench.work();
    }
    bench.clear();
    bench.die(1);
    bench.work();
    bench.check(expected);
}

#[test]
fn the_dead_get_no_connection_before_their_exit_is_known() {
    let checked = || json!({"restart": "always", "healthcheck": {"test": ["CMD", "ok"], "interval": "10s"}});
    let other = "zone shop_default web=10.0.0.3\ndo balance 8080/tcp -> 80 of [10.0.0.3]";
    for (compose, healthy, expected) in [
        (plain(), &[][..], other),
        (json!({"restart": "always"}), &[], other),
        (checked(), &[], other),
        (checked(), &[1, 2], other),
        (checked(), &[1], other),
        // It was not behind the port; names of single tasks are no longer its own.
        (checked(), &[2], "zone shop_default web=10.0.0.3"),
    ] {
        check(compose, healthy, expected);
    }
}

#[test]
fn the_only_one_leaves_nothing_behind_its_name() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.publish("web");
    bench.up();
    bench.clear();
    bench.die(1);
    bench.check("zone shop_default web=\ndo balance 8080/tcp -> 80 of []");
}

#[test]
fn what_follows_begins_with_the_exit() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"restart": "always"}));
    bench.up();
    bench.pass(500);
    bench.clear();
    bench.die(1);
    bench.pass(500);
    bench.check("zone shop_default web=");
    bench.exit(1, 137);
    bench.check("say 1 started restarting at 1100 generation 1 exit 137");
    bench.pass(100);
    bench.check(
        "do keep 1 generation 1 restarts 1 streak 1
         do start 1
         say 1 started restarting at 1100 generation 1 restarts 1 exit 137
         do watch 1
         zone shop_default web=10.0.0.2
         say 1 started running generation 1 restarts 1 exit 137",
    );
}

#[test]
fn the_dead_are_not_asked_for_their_health() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"healthcheck": {"test": ["CMD", "ok"], "interval": "10s"}}));
    bench.up();
    bench.die(1);
    bench.clear();
    bench.pass(10_000);
    bench.check("");
}

#[test]
fn an_adopted_container_dies_like_any_other() {
    let (mut bench, inventory) = found(plain(), running());
    bench.publish("web");
    bench.give(Input::Found(Box::new(inventory)));
    bench.up();
    bench.clear();
    bench.die(1);
    bench.check("zone shop_default web=\ndo balance 8080/tcp -> 80 of []");
}

#[test]
fn a_word_about_an_earlier_run_means_nothing() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"restart": "always"}));
    bench.up();
    let earlier = bench.watch_of(1);
    bench.exit(1, 1);
    bench.pass(1_000);
    bench.clear();
    bench.give(Input::Dying(earlier));
    bench.give(Input::Dying(ActionId(1)));
    bench.check("");
}

#[test]
fn a_paused_container_gets_nothing_new_while_another_can_answer() {
    let mut bench = Bench::new();
    for number in [1, 2] {
        bench.task("web", number, plain());
    }
    bench.publish("web");
    bench.up();
    bench.clear();
    let seen = |bench: &mut Bench, paused: bool, zone: &str, behind: &str, state: &str| {
        bench.give(Input::Paused(cluster::TaskId(1), paused));
        bench.work();
        for line in [
            format!("zone shop_default web={zone}"),
            format!("do balance 8080/tcp -> 80 of [{behind}]"),
            format!("say 1 started {state}"),
        ] {
            assert!(bench.has_seen(&line), "{line}");
        }
        bench.clear();
    };
    seen(&mut bench, true, "10.0.0.3", "10.0.0.3", "paused");
    seen(&mut bench, false, "10.0.0.2,10.0.0.3", "10.0.0.2 10.0.0.3", "running");
}
