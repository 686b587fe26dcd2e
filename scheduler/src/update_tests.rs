//! Replacements a few at a time, as text: who goes when, and what follows a failure.

use cluster::{
    ChangeKind, ContainerState, ContainerStatus, Exit, Health, NodeId, Phase, Task, TaskStatus, Timestamp,
    UpdateState,
};
use serde_json::{Value, json};

use crate::optimistic_reports;
use crate::testing::{Bench, key, wish};

fn web(image: &str, replicas: u32, deploy: &Value) -> cluster::PutStack {
    let mut deploy = deploy.clone();
    deploy["replicas"] = json!(replicas);
    wish(json!({"name": "hello", "services": {"web": {"image": image, "deploy": deploy}}}))
}

/// A cluster on which `web` runs as image `old`, and to which image `new` was then wished.
fn updated(replicas: u32, deploy: &Value) -> Bench {
    let mut bench = Bench::with_nodes(1);
    bench.up(web("old", replicas, deploy)).unwrap();
    bench.settle();
    bench.up(web("new", replicas, deploy)).unwrap();
    bench
}

#[track_caller]
fn check(got: &str, expect: &str) {
    let trim =
        |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(trim(got), trim(expect), "\n--- got\n{got}");
}

/// Time passes, and whoever asked to be woken looks.
fn wait(bench: &mut Bench, ms: u64) {
    bench.now = bench.now.plus_ms(ms);
}

/// The machines do all they are told, once.
fn work(bench: &mut Bench) {
    for report in optimistic_reports(&bench.state, bench.now) {
        bench.apply(report).unwrap();
    }
}

/// The task of a slot with this image.
fn task<'b>(bench: &'b Bench, slot: u32, image: &str) -> &'b Task {
    let mut tasks = bench.state.tasks.values();
    let fits = |task: &&Task| task.slot == slot && task.spec.compose.image.as_deref() == Some(image);
    tasks.find(fits).expect("such a task")
}

fn say(bench: &mut Bench, slot: u32, image: &str, change: impl Fn(&mut TaskStatus, Timestamp)) {
    let task = task(bench, slot, image);
    let (id, node, mut status) = (task.id, task.node, task.status.clone());
    change(&mut status, bench.now);
    let statuses = vec![(id, status)];
    bench.apply(ChangeKind::Report { node, statuses, ended: Default::default() }).unwrap();
}

fn runs(bench: &mut Bench, slot: u32, image: &str, health: Health) {
    say(bench, slot, image, |status, now| {
        status.phase = Phase::Started;
        status.container = Some(ContainerStatus {
            state: ContainerState::Running,
            generation: 1,
            pid: Some(1),
            started_at: Some(now),
            restarts: 0,
            exit: None,
            health: health.clone(),
            checks: Vec::new(),
            image: String::new(),
        });
    });
}

fn crashes(bench: &mut Bench, slot: u32, image: &str) {
    runs(bench, slot, image, Health::None);
    say(bench, slot, image, |status, at| {
        let container = status.container.as_mut().unwrap();
        container.state = ContainerState::Exited;
        container.exit = Some(Exit { code: 3, oom: false, error: None, unhealthy: false, at });
    });
}

fn state(bench: &Bench) -> Option<UpdateState> {
    bench.state.service(&key("web")).unwrap().update.as_ref().map(|update| update.state.clone())
}

#[test]
fn as_many_at_once_as_the_file_says_each_after_the_pause() {
    let mut bench =
        updated(3, &json!({"update_config": {"parallelism": 2, "delay": "10s", "monitor": "1s"}}));
    check(&bench.decide().0, "remove web.1\nremove web.2");
    check(
        &bench.waits(),
        "web.1: waits for its former container to stop\nweb.2: waits for its former container to stop\nweb.3: waits for its turn to be replaced",
    );
    work(&mut bench);
    check(&bench.decide().0, "forget task web.1\nforget task web.2\ncreate web.1 on a\ncreate web.2 on a");
    work(&mut bench);
    let (text, decision) = bench.decide();
    check(&text, "");
    let settled = task(&bench, 1, "new").settled_at.unwrap();
    assert_eq!(decision.wake_at, Some(settled.plus_ms(1_000)), "the end of the watch");
    wait(&mut bench, 9_000);
    assert_eq!(bench.decide().1.wake_at, Some(settled.plus_ms(10_000)), "the end of the pause");
    wait(&mut bench, 1_000);
    check(&bench.decide().0, "remove web.3");
    check(&bench.settle(), "forget task web.3\ncreate web.3 on a");
    assert_eq!(state(&bench), Some(UpdateState::Running));
    wait(&mut bench, 1_000);
    check(&bench.decide().0, "finish update of web");
    assert_eq!(state(&bench), None);
}

#[test]
fn one_at_a_time_is_what_an_update_config_means_when_it_says_nothing_and_all_at_once_without_it() {
    check(&updated(3, &json!({"update_config": {}})).decide().0, "remove web.1");
    check(
        &updated(3, &json!({"update_config": {"parallelism": 0}})).decide().0,
        "remove web.1\nremove web.2\nremove web.3",
    );
    check(&updated(3, &json!({})).decide().0, "remove web.1\nremove web.2\nremove web.3");
}

#[test]
fn start_first_makes_the_new_one_ready_before_the_old_one_goes() {
    let mut bench = updated(2, &json!({"update_config": {"order": "start-first"}}));
    check(
        &bench.decide().0,
        "web gets 1=10.201.0.4 in hello_default
         create web.1 on a, before the old one stops",
    );
    let (old, new) = (task(&bench, 1, "old").endpoints[0].v4, task(&bench, 1, "new").endpoints[0].v4);
    assert_ne!(old, new, "both run at once");
    check(
        &bench.waits(),
        "web.1: waits for its successor to be ready\nweb.2: waits for its turn to be replaced",
    );
    runs(&mut bench, 1, "new", Health::Starting);
    check(&bench.decide().0, "");
    runs(&mut bench, 1, "new", Health::Healthy);
    check(
        &bench.decide().0,
        "remove web.1
         web gets 2=10.201.0.5 in hello_default
         create web.2 on a, before the old one stops",
    );
    check(&bench.settle(), "forget task web.1\nremove web.2\nforget task web.2");
}

#[test]
fn a_successor_whose_node_is_lost_is_given_up_and_made_again_beside_the_old_one() {
    let deploy = json!({"update_config": {"order": "start-first"}});
    let mut bench = Bench::with_nodes(2);
    bench.up(web("old", 1, &deploy)).unwrap();
    bench.settle();
    bench.up(web("new", 1, &deploy)).unwrap();
    check(
        &bench.decide().0,
        "web gets 1=10.201.0.3 in hello_default\ncreate web.1 on b, before the old one stops",
    );
    let (node, version) = (task(&bench, 1, "new").node, bench.state.nodes[&NodeId(2)].version);
    bench.apply(ChangeKind::NodeDown { node, version }).unwrap();
    wait(&mut bench, crate::limits::LOST_AFTER_MS);
    check(
        &bench.decide().0,
        "remove web.1\nforget task web.1\nweb gets 1=10.201.0.4 in hello_default\ncreate web.1 on a, before the old one stops",
    );
    check(&bench.settle(), "remove web.1\nforget task web.1");
    assert_eq!(task(&bench, 1, "new").node, NodeId(1));
}

#[test]
fn a_task_that_has_not_answered_yet_holds_the_next_update_up_too() {
    let deploy = json!({"update_config": {"delay": "0s"}});
    let mut bench = updated(2, &deploy);
    check(&bench.decide().0, "remove web.1");
    work(&mut bench);
    check(&bench.decide().0, "forget task web.1\ncreate web.1 on a");
    // Wished for and taken back: the task of slot 1 is right again, though an update before made it.
    bench.up(web("old", 2, &deploy)).unwrap();
    bench.up(web("new", 2, &deploy)).unwrap();
    check(&bench.decide().0, "");
    runs(&mut bench, 1, "new", Health::Healthy);
    check(&bench.decide().0, "remove web.2");
}

#[test]
fn what_can_be_there_only_once_stops_first_and_the_plan_says_so() {
    let service = |image: &str| {
        json!({"name": "hello", "services": {"web": {
            "image": image,
            "networks": {"default": {"ipv4_address": "10.201.0.9"}},
            "deploy": {"update_config": {"order": "start-first"}}
        }}, "networks": {"default": {}}})
    };
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(service("old"))).unwrap();
    bench.settle();
    let change = ChangeKind::PutStack(Box::new(wish(service("new"))));
    let plan = crate::dry_run(&bench.state, cluster::Change { at: bench.now, kind: change }).unwrap();
    check(&plan.to_string(), "replace web.1  (image changed; the old one stops first: its address is fixed)");
}

#[test]
fn the_plan_tells_the_order() {
    let mut bench = Bench::with_nodes(1);
    let deploy = json!({"update_config": {"order": "start-first", "delay": "1h"}});
    bench.up(web("old", 2, &deploy)).unwrap();
    bench.settle();
    let change = ChangeKind::PutStack(Box::new(web("new", 2, &deploy)));
    let plan = crate::dry_run(&bench.state, cluster::Change { at: bench.now, kind: change }).unwrap();
    check(
        &plan.to_string(),
        "replace web.1  (image changed; the new one starts first)
         replace web.2  (image changed; the new one starts first)",
    );
}

#[test]
fn too_many_failures_pause_it_until_the_next_up() {
    let deploy = json!({"update_config": {"monitor": "5s"}});
    let mut bench = updated(2, &deploy);
    bench.decide();
    work(&mut bench);
    bench.decide();
    crashes(&mut bench, 1, "new");
    check(&bench.decide().0, "update of web: web.1 ended with exit code 3\npause update of web");
    assert_eq!(state(&bench), Some(UpdateState::Paused("web.1 ended with exit code 3".into())));
    check(&bench.waits(), "web.2: the update is paused");
    bench.up(web("new", 2, &deploy)).unwrap();
    assert_eq!(state(&bench), Some(UpdateState::Running));
    check(&bench.decide().0, "open web.1\nremove web.2");
}

#[test]
fn a_share_of_failures_may_be_allowed() {
    let mut bench = updated(2, &json!({"update_config": {"max_failure_ratio": 0.5}}));
    bench.decide();
    work(&mut bench);
    bench.decide();
    crashes(&mut bench, 1, "new");
    check(&bench.decide().0, "update of web: web.1 ended with exit code 3\nremove web.2");
}

#[test]
fn a_failed_update_takes_itself_back() {
    let mut bench = updated(
        2,
        &json!({"update_config": {"order": "start-first", "failure_action": "rollback", "monitor": "5s"}}),
    );
    bench.decide();
    runs(&mut bench, 1, "new", Health::Unhealthy { failing_streak: 3, output: "no\n".into() });
    check(&bench.decide().0, "update of web: web.1 is unhealthy: no\nroll web back\nremove web.1");
    assert!(task(&bench, 1, "old").is_ready(), "the old one was there all the time");
    check(&bench.settle(), "finish update of web\nforget task web.1");
    assert_eq!(state(&bench), Some(UpdateState::RolledBack("web.1 is unhealthy: no".into())));
    assert_eq!(bench.state.tasks.len(), 2);
    let service = bench.state.service(&key("web")).unwrap();
    assert_eq!(service.spec.compose.image.as_deref(), Some("old"));
}

#[test]
fn a_slot_that_was_replaced_already_is_replaced_back() {
    let mut bench = updated(2, &json!({"update_config": {"failure_action": "rollback"}}));
    bench.decide();
    work(&mut bench);
    bench.decide();
    work(&mut bench);
    check(&bench.decide().0, "remove web.2");
    work(&mut bench);
    bench.decide();
    crashes(&mut bench, 2, "new");
    check(&bench.decide().0, "update of web: web.2 ended with exit code 3\nroll web back\nremove web.2");
    check(
        &bench.settle(),
        "forget task web.2
         create web.2 on a
         remove web.1
         forget task web.1
         create web.1 on a",
    );
    wait(&mut bench, 5_000);
    check(&bench.decide().0, "finish update of web");
    assert!(matches!(state(&bench), Some(UpdateState::RolledBack(_))));
}

#[test]
fn a_failure_after_the_watch_is_nothing_to_the_update() {
    let mut bench = updated(2, &json!({"update_config": {"monitor": "1s", "delay": "1m"}}));
    bench.decide();
    work(&mut bench);
    bench.decide();
    work(&mut bench);
    wait(&mut bench, 1_000);
    crashes(&mut bench, 1, "new");
    check(&bench.decide().0, "");
    assert_eq!(state(&bench), Some(UpdateState::Running));
}

#[test]
fn what_answers_is_not_taken_away_before_its_successor_may_start() {
    let project = |image: &str| {
        json!({"name": "hello", "services": {
            "db": {"image": image},
            "web": {"image": image, "depends_on": {"db": {"condition": "service_healthy"}}}
        }})
    };
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(project("old"))).unwrap();
    bench.settle();
    bench.up(wish(project("new"))).unwrap();
    check(&bench.decide().0, "remove db.1");
    assert!(
        bench.waits().contains("web.1: is replaced later: waits for `db` to be healthy"),
        "{}",
        bench.waits()
    );
    check(
        &bench.settle(),
        "forget task db.1\ncreate db.1 on a\nremove web.1\nforget task web.1\ncreate web.1 on a",
    );
}

#[test]
fn a_network_that_is_defined_anew_needs_all_out_at_once() {
    let project = |label: &str| {
        json!({"name": "hello", "services": {"web": {
            "image": "x",
            "deploy": {"replicas": 2, "update_config": {"parallelism": 1}}
        }}, "networks": {"default": {"labels": {"a": label}}}})
    };
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(project("1"))).unwrap();
    bench.settle();
    bench.up(wish(project("2"))).unwrap();
    check(&bench.decide().0, "remove web.1\nremove web.2");
    bench.settle();
    assert!(bench.state.tasks.values().all(Task::is_ready));
}

#[test]
fn anonymous_volumes_are_renewed_only_for_what_is_replaced() {
    let mut bench = Bench::with_nodes(1);
    let renewing = |image: &str| cluster::PutStack { renew_volumes: true, ..web(image, 1, &json!({})) };
    bench.up(web("old", 1, &json!({}))).unwrap();
    bench.settle();
    bench.up(renewing("old")).unwrap();
    bench.settle();
    assert_eq!(task(&bench, 1, "old").volumes_renewed, 0, "nothing was replaced");
    bench.up(web("new", 1, &json!({}))).unwrap();
    bench.settle();
    assert_eq!(task(&bench, 1, "new").volumes_renewed, 0, "nobody asked for it");
    bench.up(renewing("newer")).unwrap();
    bench.settle();
    assert_eq!(task(&bench, 1, "newer").volumes_renewed, 1);
}
