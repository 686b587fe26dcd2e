//! Containers that share something with others.

use cluster::Desired;
use serde_json::json;

use super::bench::{Bench, plain, stop};

/// An owner in slot 1, and a guest without interfaces of its own.
fn pair(mode: serde_json::Value) -> Bench {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"ipc": "shareable"}));
    bench.task("side", 2, mode).endpoints.clear();
    bench
}

#[test]
fn a_guest_starts_when_its_owner_runs() {
    let mut bench = pair(json!({"network_mode": "service:web"}));
    bench.complete();
    bench.work_until("start 1");
    assert!(!bench.has_seen("do start 2"));
    bench.work();
    assert!(bench.has_seen("do start 2"));
}

#[test]
fn a_guest_leaves_before_its_owner_goes_and_starts_anew_with_the_next() {
    let mut bench = pair(json!({"network_mode": "service:web"}));
    bench.up();
    bench.task("web", 3, plain()).slot = 1;
    bench.clear();
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    assert!(bench.has_seen("do signal 2 15") && !bench.has_seen("do signal 1 15"));
    assert!(bench.has_seen("do start 3") && !bench.has_seen("do start 2"));
    bench.exit(2, 0);
    bench.work();
    // The next one answers already, so that this one is drained first.
    bench.pass(1_000);
    assert!(bench.has_seen("do signal 1 15"));
    // Its configuration names another owner now.
    assert!(bench.has_seen("do create 2") && bench.has_seen("do start 2"));
}

#[test]
fn a_guest_whose_start_is_held_back_leaves_all_the_same() {
    let mut bench = pair(json!({"network_mode": "service:web"}));
    bench.up();
    bench.assigned.tasks.get_mut(&cluster::TaskId(2)).unwrap().gate = cluster::Gate::Held;
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    bench.exit(2, 0);
    bench.work();
    assert!(bench.has_seen("do signal 1 15"));
}

#[test]
fn the_end_of_an_owner_decides_by_what_is_shared() {
    let check = |mode: serde_json::Value, anew: bool| {
        let words = mode.to_string();
        let mut bench = pair(mode);
        bench.up();
        bench.change(1, |task| task.generation = 2);
        bench.exit(1, 0);
        bench.work();
        assert_eq!(bench.has_seen("do signal 2 15"), anew, "{words}");
    };
    check(json!({"network_mode": "service:web"}), false);
    check(json!({"ipc": "service:web"}), true);
    check(json!({"pid": "service:web"}), true);
    check(json!({"volumes_from": ["web"]}), false);
}

#[test]
fn who_does_not_exist_is_told_and_waited_for() {
    let mut bench = Bench::new();
    bench.task("side", 2, json!({"network_mode": "container:front"})).endpoints.clear();
    bench.up();
    assert_eq!(
        bench.last_words(),
        "say 2 preparing problem: container `front`, whose network it shares, is not there"
    );
    bench.task("web", 1, json!({"container_name": "front"}));
    bench.up();
    assert!(bench.has_seen("do start 2"));
}
