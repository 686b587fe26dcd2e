//! What becomes of containers that were there before the agent was.

use std::collections::BTreeMap;

use cluster::{Gate, TaskId, Timestamp};
use runtime::{ContainerConfig, Exit, Found, FoundState, Started};
use serde_json::{Value, json};

use super::bench::{Bench, network_name, plain};
use crate::core::{Action, Input, Inventory, ORIGIN_LABEL, Record, Update};

/// The container of task 1 as the agent itself made it, in the given state.
pub(super) fn found(compose: Value, state: FoundState) -> (Bench, Inventory) {
    let mut first = Bench::new();
    first.task("web", 1, compose.clone());
    first.complete();
    let config = first.work_until("create 1");
    let Action::CreateContainer(config) = config else { panic!("it is made") };
    let inventory = Inventory {
        containers: vec![Found { config: *config, state, paused: false }],
        netns: vec![TaskId(1).to_string()],
        networks: vec![network_name()],
        records: BTreeMap::new(),
    };
    let mut bench = Bench::new();
    bench.task("web", 1, compose);
    (bench, inventory)
}

pub(super) fn running() -> FoundState {
    FoundState::Running(Started { pid: 77, started_at_ms: 900_000, joined: Default::default() })
}

fn exited(code: i32) -> FoundState {
    FoundState::Exited(Exit {
        code,
        signal: None,
        oom: false,
        error: None,
        started_at_ms: 900_000,
        finished_at_ms: 999_000,
    })
}

#[test]
fn a_running_container_stays_and_its_names_come_back() {
    let (mut bench, inventory) = found(plain(), running());
    bench.publish("web");
    bench.give(Input::Found(Box::new(inventory)));
    bench.check("do watch 1");
    bench.up();
    bench.check(
        "do create netns 1
         do ensure network shop_default
         say 1 started running generation 1
         do attach 1 eth0=10.0.0.2
         zone shop_default web=10.0.0.2
         do balance 8080/tcp -> 80 of [10.0.0.2]
         do serve dns 1",
    );
}

#[test]
fn a_restart_that_was_wished_for_meanwhile_is_made() {
    let (mut bench, inventory) = found(plain(), running());
    bench.give(Input::Found(Box::new(inventory)));
    bench.change(1, |task| task.generation = 2);
    bench.work();
    // It does not wait for interfaces that it is about to lose.
    bench.check(
        "do watch 1
         do ensure network shop_default
         zone shop_default web=
         do balance nothing
         say 1 started running generation 1
         do signal 1 15
         say 1 started stopping generation 1",
    );
    bench.exit(1, 143);
    bench.work();
    assert_eq!(bench.last_words(), "say 1 started running generation 2 exit 143");
}

#[test]
fn an_end_that_happened_meanwhile_is_told_with_its_code() {
    let (mut bench, inventory) = found(plain(), exited(3));
    bench.give(Input::Found(Box::new(inventory)));
    bench.up();
    assert!(bench.has_seen("say 1 started exited generation 1 exit 3"));
    assert!(!bench.has_seen("do start"));
}

#[test]
fn its_policy_counts_from_the_end_and_what_memory_held_is_given_again() {
    let (mut bench, inventory) = found(json!({"restart": "always"}), exited(3));
    bench.give(Input::Found(Box::new(inventory)));
    bench.complete();
    bench.clear();
    bench.work();
    bench.check(
        "do attach 1 eth0=10.0.0.2
         do serve dns 1
         do create 1
         do keep 1 generation 1 restarts 1 streak 1
         do start 1
         say 1 started restarting at -900 generation 1 restarts 1 exit 3
         do watch 1
         zone shop_default web=10.0.0.2
         say 1 started running generation 1 restarts 1 exit 3",
    );
}

#[test]
fn a_start_that_was_decided_and_not_made_is_made() {
    let (mut bench, mut inventory) = found(plain(), exited(0));
    let record = Record { generation: 2, restarts: 0, streak: 0, at: Timestamp(999_500) };
    inventory.records.insert(TaskId(1), record);
    bench.assigned.tasks.get_mut(&TaskId(1)).unwrap().generation = 2;
    bench.give(Input::Found(Box::new(inventory)));
    bench.up();
    assert!(bench.has_seen("do start 1"));
    assert_eq!(bench.last_words(), "say 1 started running generation 2 exit 0");
}

#[test]
fn a_start_that_was_made_is_not_made_again() {
    let (mut bench, mut inventory) = found(plain(), exited(0));
    let record = Record { generation: 2, restarts: 0, streak: 0, at: Timestamp(899_000) };
    inventory.records.insert(TaskId(1), record);
    bench.assigned.tasks.get_mut(&TaskId(1)).unwrap().generation = 2;
    bench.give(Input::Found(Box::new(inventory)));
    bench.up();
    assert_eq!(bench.last_words(), "say 1 started exited generation 2 exit 0");
}

#[test]
fn health_is_not_lost_over_a_restart_of_the_agent() {
    let check = json!({"healthcheck": {"test": ["CMD", "ok"], "interval": "10s"}});
    let (mut bench, inventory) = found(check, running());
    bench.give(Input::Found(Box::new(inventory)));
    let known = &mut bench.assigned.tasks.get_mut(&TaskId(1)).unwrap().status;
    known.phase = cluster::Phase::Started;
    known.container = Some(cluster::ContainerStatus {
        state: cluster::ContainerState::Running,
        generation: 1,
        pid: Some(77),
        started_at: Some(Timestamp(900_000)),
        restarts: 0,
        exit: None,
        health: cluster::Health::Healthy,
        checks: Vec::new(),
        image: "sha256:1".into(),
    });
    let remembered = bench.assigned.clone();
    bench.clear();
    bench.give(Input::Assigned(Box::new(Update::Remembered(remembered))));
    assert!(!bench.has_seen("say 1"), "nothing has changed");
    // Spread, so that many containers that are found at once are not checked at once.
    assert!(bench.alarm().is_some_and(|at| (1..=10_000).contains(&at)), "{:?}", bench.alarm());
}

#[test]
fn what_nobody_assigns_goes_only_on_the_managers_word() {
    let (mut bench, inventory) = found(plain(), running());
    bench.assigned.tasks.clear();
    bench.assigned.services.clear();
    bench.assigned.networks.clear();
    bench.give(Input::Found(Box::new(inventory)));
    bench.clear();
    bench.give(Input::Assigned(Box::new(Update::Remembered(bench.assigned.clone()))));
    bench.work();
    bench.check("do balance nothing");
    bench.up();
    bench.check("do signal 1 15");
    bench.exit(1, 0);
    bench.work();
    bench.check("do remove 1\ndo remove netns 1\ndo remove network shop_default");
    assert!(bench.is_idle());
}

#[test]
fn nothing_is_told_that_follows_from_an_old_memory() {
    let (mut bench, inventory) = found(json!({"restart": "always"}), exited(137));
    bench.give(Input::Found(Box::new(inventory)));
    bench.give(Input::Assigned(Box::new(Update::Remembered(bench.assigned.clone()))));
    assert!(!bench.has_seen("say"), "the stop may have been forgotten");
    bench.change(1, |task| task.desired = cluster::Desired::Stop(Default::default()));
    assert_eq!(bench.last_words(), "say 1 started exited generation 1 exit 137");
}

#[test]
fn what_is_only_remembered_is_not_made_anew() {
    let mut bench = Bench::new();
    bench.task("web", 1, plain());
    bench.give(Input::Found(Box::default()));
    bench.give(Input::Assigned(Box::new(Update::Remembered(bench.assigned.clone()))));
    bench.work();
    assert!(!bench.has_seen("do create"), "its stack may be gone");
    bench.up();
    assert!(bench.has_seen("do start 1"));
}

#[test]
fn an_old_memory_starts_nothing_before_a_manager_could_have_said_better() {
    let (mut bench, inventory) = found(json!({"restart": "always"}), exited(137));
    bench.give(Input::Found(Box::new(inventory)));
    bench.give(Input::Assigned(Box::new(Update::Remembered(bench.assigned.clone()))));
    bench.work();
    assert!(!bench.has_seen("do start"));
    bench.pass(1_000);
    assert!(bench.has_seen("do start 1"), "there is no manager");
}

#[test]
fn half_made_things_are_taken_away() {
    let mut bench = Bench::new();
    bench.assigned.networks.clear();
    let mut records = BTreeMap::new();
    records.insert(TaskId(3), Record::default());
    let inventory = Inventory {
        netns: vec![TaskId(2).to_string(), "not ours".into()],
        networks: vec![network_name()],
        records,
        ..Inventory::default()
    };
    bench.give(Input::Found(Box::new(inventory)));
    bench.up();
    bench.check(
        "do remove netns 2
         do keep 3 nothing
         do remove network shop_default
         do balance nothing",
    );
    assert!(bench.is_idle());
}

#[test]
fn a_container_of_another_format_can_still_be_removed() {
    let labels = BTreeMap::from([(ORIGIN_LABEL.to_owned(), "{}".to_owned())]);
    let config = ContainerConfig { id: TaskId(1).to_string(), labels, ..ContainerConfig::default() };
    let containers = vec![Found { config, state: running(), paused: false }];
    let mut bench = Bench::new();
    bench.give(Input::Found(Box::new(Inventory { containers, ..Inventory::default() })));
    bench.up();
    assert!(bench.has_seen("do signal 1 15"));
    bench.exit(1, 143);
    bench.work();
    assert!(bench.has_seen("do remove 1"));
}

#[test]
fn a_held_gate_holds_after_a_reboot_too() {
    let (mut bench, inventory) = found(json!({"restart": "always"}), exited(0));
    bench.assigned.tasks.get_mut(&TaskId(1)).unwrap().gate = Gate::Held;
    bench.give(Input::Found(Box::new(inventory)));
    bench.up();
    assert!(!bench.has_seen("do start"));
    bench.change(1, |task| task.gate = Gate::Open);
    bench.work();
    assert!(bench.has_seen("do start 1"));
}

/// A `db` that is checked and a `web` that waits for it, both found dead; and what the machine has of them.
fn dead(db: Value, web: Value) -> Bench {
    let both = |bench: &mut Bench| {
        bench.task("db", 1, db.clone());
        bench.task("web", 2, web.clone());
    };
    let mut first = Bench::new();
    both(&mut first);
    first.complete();
    let containers = [1, 2].map(|number| {
        let Action::CreateContainer(config) = first.work_until(&format!("create {number}")) else {
            panic!("it is made");
        };
        Found { config: *config, state: exited(137), paused: false }
    });
    let inventory = Inventory {
        containers: containers.into(),
        netns: Vec::new(),
        networks: Vec::new(),
        records: BTreeMap::new(),
    };
    let mut bench = Bench::new();
    both(&mut bench);
    bench.give(Input::Found(Box::new(inventory)));
    bench.up();
    bench.pass(1_000);
    bench
}

fn checked(restart: &str) -> Value {
    json!({"restart": restart, "healthcheck": {"test": ["CMD", "ok"], "interval": "10s", "retries": 1}})
}

fn dependent() -> Value {
    json!({"restart": "always", "depends_on": {"db": {"condition": "service_healthy"}}})
}

#[test]
fn the_dead_come_back_in_the_order_of_their_dependencies() {
    let mut bench = dead(checked("always"), dependent());
    assert!(bench.has_seen("do start 1") && !bench.has_seen("do start 2"));
    bench.pass(10_000);
    bench.probe(1, 0);
    bench.work();
    assert!(bench.has_seen("do start 2"));
}

#[test]
fn nobody_waits_for_what_does_not_come_back() {
    let bench = dead(checked("no"), dependent());
    assert!(!bench.has_seen("do start 1") && bench.has_seen("do start 2"));

    let mut sick = dead(checked("always"), dependent());
    sick.pass(10_000);
    sick.probe(1, 1);
    sick.work();
    assert!(sick.has_seen("do start 2"), "an unhealthy one keeps nobody");

    let mut looping = dead(checked("always"), dependent());
    looping.exit(1, 1);
    looping.work();
    assert!(looping.has_seen("do start 2"), "neither does one that ends again");
}

#[test]
fn who_dies_later_waits_for_nobody() {
    let mut bench = dead(checked("always"), dependent());
    bench.pass(10_000);
    bench.probe(1, 0);
    bench.work();
    bench.exit(1, 1);
    bench.exit(2, 1);
    bench.clear();
    bench.pass(10_000);
    assert!(bench.has_seen("do start 2"));
}
