//! Health checks: when, and what they mean.

use serde_json::{Value, json};

use super::bench::{Bench, plain};

fn check_of(more: Value) -> Value {
    let mut check = json!({"test": ["CMD", "ok"], "interval": "10s", "retries": 2});
    for (key, value) in more.as_object().unwrap() {
        check[key] = value.clone();
    }
    json!({ "healthcheck": check })
}

#[test]
fn the_first_check_comes_after_the_interval_and_never_at_once() {
    let mut bench = Bench::new();
    bench.task("web", 1, check_of(json!({})));
    bench.up();
    bench.clear();
    assert_eq!(bench.alarm(), Some(10_000));
    bench.pass(10_000);
    bench.check("do probe 1 ok");
    bench.probe(1, 0);
    assert_eq!(bench.last_words(), "say 1 started running generation 1 healthy");
    assert_eq!(bench.alarm(), Some(20_000));
}

#[test]
fn within_the_start_period_checks_are_quicker_and_failures_do_not_count() {
    let mut bench = Bench::new();
    bench.task("web", 1, check_of(json!({"start_period": "3s", "start_interval": "1s"})));
    bench.up();
    for at in [1_000, 2_000] {
        assert_eq!(bench.alarm(), Some(at));
        bench.pass(1_000);
        bench.probe(1, 1);
    }
    bench.clear();
    bench.pass(1_000);
    bench.probe(1, 1);
    // Begun at the end of the start period: it counts.
    assert_eq!(bench.alarm(), Some(13_000));
    bench.pass(10_000);
    bench.probe(1, 1);
    assert_eq!(bench.last_words(), "say 1 started running generation 1 unhealthy 2 `said`");
}

#[test]
fn one_success_makes_it_healthy_again() {
    let mut bench = Bench::new();
    bench.task("web", 1, check_of(json!({})));
    bench.up();
    for (code, expected) in
        [(0, "healthy"), (1, "healthy"), (1, "unhealthy 2 `said`"), (1, "unhealthy 3 `said`"), (0, "healthy")]
    {
        bench.pass(10_000);
        bench.probe(1, code);
        assert_eq!(bench.last_words(), format!("say 1 started running generation 1 {expected}"));
    }
}

#[test]
fn a_check_that_takes_long_delays_the_next() {
    let mut bench = Bench::new();
    bench.task("web", 1, check_of(json!({})));
    bench.up();
    bench.pass(17_000);
    bench.probe(1, 0);
    assert_eq!(bench.alarm(), Some(27_000));
}

#[test]
fn only_ready_tasks_are_behind_a_name_unless_there_is_none() {
    let mut bench = Bench::new();
    bench.task("web", 1, check_of(json!({})));
    bench.task("web", 2, check_of(json!({})));
    bench.up();
    assert!(bench.has_seen("zone shop_default web=10.0.0.2,10.0.0.3"), "both run, none is ready");
    bench.pass(10_000);
    bench.clear();
    bench.probe(2, 0);
    assert!(bench.has_seen("zone shop_default web=10.0.0.3"), "one is ready");
}

#[test]
fn the_images_check_counts_where_the_service_says_nothing() {
    let image = runtime::image::HealthCheck {
        test: vec!["CMD-SHELL".into(), "curl localhost".into()],
        interval_nanos: 2_000_000_000,
        ..Default::default()
    };
    for (compose, expected) in [
        (plain(), "do probe 1 /bin/sh -c curl localhost"),
        (json!({"healthcheck": {"timeout": "1s"}}), "do probe 1 /bin/sh -c curl localhost"),
        (json!({"healthcheck": {"test": ["CMD", "own"]}}), "do probe 1 own"),
        (json!({"healthcheck": {"disable": true}}), ""),
        (json!({"healthcheck": {"test": ["NONE"]}}), ""),
    ] {
        let mut bench = Bench::new();
        bench.image.healthcheck = Some(image.clone());
        bench.task("web", 1, compose);
        bench.up();
        bench.clear();
        bench.pass(2_000);
        bench.check(expected);
    }
}

#[test]
fn a_probe_from_outside_begins_at_once_and_comes_again_soon_until_it_is_answered() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"x-probe": {"tcp": 80}, "healthcheck": {"interval": "10s"}}));
    bench.up();
    let first = "do probe 1 Tcp { port: 80 } at 10.0.0.2";
    assert!(bench.has_seen(first), "there was nothing to wait for");
    for pause in [10, 10, 10] {
        bench.clear();
        bench.probe(1, 1);
        bench.pass(pause);
        assert!(bench.has_seen(first));
    }
    bench.clear();
    bench.probe(1, 0);
    assert_eq!(bench.last_words(), "say 1 started running generation 1 healthy");
    assert_eq!(bench.alarm(), Some(10_030), "what is healthy is asked at its interval");
}

#[test]
fn an_unhealthy_container_is_restarted_where_its_policy_restarts_anything() {
    let sick = |more: Value| {
        let mut bench = Bench::new();
        let mut compose = check_of(json!({"retries": 1}));
        for (key, value) in more.as_object().unwrap() {
            compose[key] = value.clone();
        }
        bench.task("web", 1, compose);
        bench.up();
        bench.pass(10_000);
        bench.clear();
        bench.probe(1, 1);
        bench.work();
        bench
    };
    for more in [json!({}), json!({"restart": "always", "x-on-unhealthy": "none"})] {
        assert!(!sick(more.clone()).has_seen("do signal"), "{more}");
    }
    for policy in ["always", "on-failure"] {
        let mut bench = sick(json!({"restart": policy}));
        assert!(bench.has_seen("do signal 1 15"), "{policy}");
        // A clean end is a failure all the same.
        bench.exit(1, 0);
        assert!(
            bench.last_words().starts_with("say 1 started restarting at 10100"),
            "{}",
            bench.last_words()
        );
        bench.pass(100);
        assert!(bench.last_words().contains("running generation 1 restarts 1"), "{}", bench.last_words());
    }
}

#[test]
fn the_last_checks_are_told_when_they_say_something_new() {
    let mut bench = Bench::new();
    bench.task("web", 1, check_of(json!({"retries": 9})));
    bench.up();
    let told = |bench: &Bench| {
        let container = bench.assigned.tasks[&cluster::TaskId(1)].status.container.clone().unwrap();
        container.checks.iter().map(|check| check.code).collect::<Vec<_>>()
    };
    for (code, expected) in [
        (1, vec![1]),
        (1, vec![1]),
        (0, vec![1, 1, 0]),
        (0, vec![1, 1, 0]),
        (2, vec![1, 1, 0, 0, 2]),
        (3, vec![1, 0, 0, 2, 3]),
    ] {
        bench.pass(10_000);
        bench.probe(1, code);
        assert_eq!(told(&bench), expected);
    }
}
