//! From an assignment to a running container, and away again.

use cluster::{Desired, Gate};
use serde_json::json;

use super::bench::{Bench, plain, stop};
use crate::core::{FailureKind, Outcome};

#[test]
fn a_task_is_prepared_step_by_step_and_started() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.up();
    bench.check(
        "do pull demo (Missing)
         do ensure network shop_default
         zone shop_default web=
         do balance nothing
         say 1 preparing
         do create netns 1
         do attach 1 eth0=10.0.0.2
         do serve dns 1
         do create 1
         do start 1
         say 1 prepared created generation 1
         do watch 1
         zone shop_default web=10.0.0.2
         say 1 started running generation 1",
    );
}

#[test]
fn who_hears_that_it_runs_can_connect() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"healthcheck": {"test": ["CMD", "ok"], "interval": "10s"}}));
    bench.task("web", 2, json!({"healthcheck": {"test": ["CMD", "ok"], "interval": "10s"}}));
    bench.publish("web");
    bench.complete();
    bench.work_until("balance 8080/tcp -> 80 of [10.0.0.2]");
    bench.clear();
    bench.finish("balance", Ok(Outcome::Balanced(Vec::new())));
    bench.check("say 1 started running generation 1 starting");
    bench.work();
    bench.pass(10_000);
    bench.clear();
    bench.probe(2, 0);
    bench.check("zone shop_default web=10.0.0.3\ndo balance 8080/tcp -> 80 of [10.0.0.3]");
    bench.work();
    bench.check("say 2 started running generation 1 healthy");
}

#[test]
fn a_start_that_does_not_end_is_told_and_can_still_succeed() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.complete();
    bench.work_until("start 1");
    bench.slow("start 1");
    assert!(bench.last_words().contains("starting the container has taken"), "{}", bench.last_words());
    bench.work();
    assert_eq!(bench.last_words(), "say 1 started running generation 1");
}

#[test]
fn a_death_is_told_although_the_balance_is_being_changed() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.publish("web");
    bench.complete();
    bench.work_until("balance 8080/tcp -> 80 of [10.0.0.2]");
    bench.clear();
    bench.exit(1, 3);
    bench.check("say 1 started exited generation 1 exit 3");
}

#[test]
fn a_port_that_cannot_be_had_keeps_nobody_waiting() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.publish("web");
    bench.complete();
    bench.work_until("balance 8080/tcp -> 80 of [10.0.0.2]");
    bench.fail("balance", "no", FailureKind::Passing);
    assert_eq!(bench.last_words(), "say 1 started running generation 1");
}

#[test]
fn a_held_task_is_prepared_and_started_when_the_gate_opens() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain()).gate = Gate::Held;
    bench.up();
    bench.clear();
    bench.change(1, |task| task.gate = Gate::Open);
    bench.check("do start 1");
}

#[test]
fn a_task_that_is_stopped_before_its_first_start_is_only_created() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain()).desired = Desired::Stop(stop());
    bench.up();
    bench.clear();
    bench.change(1, |task| {
        task.desired = Desired::Run;
        task.generation = 2;
    });
    bench.work();
    bench.check(
        "do keep 1 generation 2 restarts 0 streak 0
         do start 1
         do watch 1
         zone shop_default web=10.0.0.2
         say 1 started running generation 2",
    );
}

#[test]
fn what_cannot_be_had_is_told_and_tried_again() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.complete();
    bench.clear();
    bench.fail("pull", "cannot pull `demo`: no such host", FailureKind::Passing);
    bench.check("say 1 preparing problem: cannot pull `demo`: no such host, again at 1000");
    assert_eq!(bench.alarm(), Some(1_000));
    bench.pass(999);
    bench.clear();
    bench.pass(1);
    assert!(bench.alarm().is_none(), "nothing is left to wait for");
}

#[test]
fn the_pause_before_the_next_attempt_doubles() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.complete();
    let mut alarms = Vec::new();
    for _ in 0..8 {
        bench.fail("pull", "no", FailureKind::Passing);
        let at = bench.alarm().expect("an alarm");
        alarms.push(at);
        // Not `pass`, which would let the pull succeed.
        bench.jump_to_alarm();
    }
    let pauses: Vec<u64> =
        alarms.iter().scan(0, |last, at| Some(at - std::mem::replace(last, *at))).collect();
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
}

#[test]
fn what_cannot_be_honoured_waits_for_another_wish() {
    let mut bench = Bench::new();
    bench.task("web", 1, json!({"security_opt": ["apparmor:special"]}));
    bench.up();
    bench.clear();
    assert_eq!(bench.alarm(), None);
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    bench.check("do remove netns 1\nsay 1 preparing\nsay 1 removed");
}

#[test]
fn a_removed_task_leaves_nothing_and_its_network_goes_with_the_last() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.task("web", 2, plain());
    bench.up();
    for network in bench.assigned.networks.values_mut() {
        network.removing = true;
    }
    for number in [1, 2] {
        bench.change(number, |task| task.desired = Desired::Remove(stop()));
    }
    bench.work();
    bench.exit(1, 0);
    bench.work();
    bench.clear();
    bench.exit(2, 0);
    bench.work();
    bench.check(
        "do remove 2
         say 2 started exited generation 1 exit 0
         do remove netns 2
         do remove network shop_default
         say 2 removed exited generation 1 exit 0
         say shop_default ended",
    );
    bench.assigned = Default::default();
    bench.complete();
    assert!(bench.is_idle());
}

#[test]
fn a_task_that_is_to_go_does_not_wait_for_its_image() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.complete();
    bench.clear();
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.check("say 1 removed");
}

#[test]
fn a_volume_is_made_for_its_first_user_and_deleted_when_that_is_said() {
    let mut bench = Bench::new();
    let mount = json!({"volumes": [{"type": "volume", "source": "data", "target": "/data"}]});
    bench.task("web", 1, mount);
    let name = cluster::VolumeName("shop_data".into());
    let spec = cluster::VolumeSpec { name: name.clone(), compose: Default::default() };
    let volume = cluster::Volume {
        spec,
        stack: cluster::StackName("shop".into()),
        node: None,
        removing: false,
        version: cluster::Version(1),
    };
    bench.assigned.volumes.insert(name.clone(), volume);
    bench.complete();
    bench.clear();
    bench.work();
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    bench.exit(1, 0);
    bench.work();
    bench.clear();
    bench.assigned.volumes.get_mut(&name).unwrap().removing = true;
    bench.complete();
    bench.work();
    bench.check("do remove volume shop_data\nsay shop_data ended");
}

#[test]
fn a_difference_that_does_not_fit_asks_for_the_whole() {
    let mut bench = Bench::new();
    bench.up();
    bench.clear();
    bench.delta(7, 9);
    bench.check("resync");
}

#[test]
fn a_slots_own_volume_goes_to_its_next_task_or_away() {
    let mut bench = Bench::new();
    bench.image.volumes = vec!["/data".to_owned()];
    bench.task("web", 1, plain());
    bench.up();
    bench.task("web", 2, plain()).slot = 1;
    bench.slot_of(2, 1);
    bench.change(1, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    bench.exit(1, 0);
    bench.clear();
    bench.work();
    assert!(!bench.has_seen("remove volume"), "the next task of the slot has it");
    bench.change(2, |task| task.desired = Desired::Remove(stop()));
    bench.work();
    bench.exit(2, 0);
    bench.clear();
    bench.work();
    assert!(bench.has_seen("remove volume shop.web.1."));
}

#[test]
fn a_network_that_changes_while_it_is_made_is_made_again() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.complete();
    for network in bench.assigned.networks.values_mut() {
        network.subnet4 = "10.9.0.0/24".parse().ok();
        network.gateway4 = "10.9.0.1".parse().ok();
    }
    bench.complete();
    bench.clear();
    bench.finish("ensure network", Ok(Outcome::Done));
    assert!(bench.has_seen("do ensure network shop_default"), "the first one is not what is wished");
}
