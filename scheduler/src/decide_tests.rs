//! What is decided, as text.

use cluster::{
    ChangeKind, ContainerState, Desired, Forgotten, Gate, Health, NodeId, OneOff, Phase, RunAction,
    StackName, StopHow,
};
use serde_json::json;

use crate::testing::{Bench, hello, key, one, wish};

fn check(got: &str, expect: &str) {
    let trim =
        |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(trim(got), trim(expect), "\n--- got\n{got}");
}

#[test]
fn hello_starts_in_order_of_its_gates() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    check(
        &bench.settle(),
        "
        network hello_default gets 10.201.0.0/24
        seed gets 1=10.201.0.2 in hello_default
        create seed.1 on a, held
        store gets 1=10.201.0.3 in hello_default
        create store.1 on a
        web gets 1=10.201.0.4 in hello_default, 2=10.201.0.5 in hello_default, 3=10.201.0.6 in hello_default
        create web.1 on a, held
        create web.2 on a, held
        create web.3 on a, held
        open seed.1
        open web.1
        open web.2
        open web.3
        ",
    );
    assert_eq!(bench.waits(), "");
    assert!(bench.state.tasks.values().all(|task| task.is_running() || task.finished().is_some()));
}

#[test]
fn a_held_task_says_what_it_waits_for() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.decide();
    check(
        &bench.waits(),
        "seed.1: waits for `store` to be healthy
         web.1: waits for `seed` to complete
         web.2: waits for `seed` to complete
         web.3: waits for `seed` to complete",
    );
    bench.report("store", 1, |status| {
        status.phase = Phase::Preparing;
        status.problem = Some(cluster::Problem { message: "no such image: orc/demo".into(), retry_at: None });
        status.generation = 1;
    });
    check(
        &bench.waits(),
        "seed.1: waits for `store` to be healthy: no such image: orc/demo (hopeless)
         web.1: waits for `store` to be healthy: no such image: orc/demo (hopeless)
         web.2: waits for `store` to be healthy: no such image: orc/demo (hopeless)
         web.3: waits for `store` to be healthy: no such image: orc/demo (hopeless)",
    );
}

#[test]
fn a_failed_dependency_makes_the_wait_hopeless_until_it_runs_again() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.decide();
    running(&mut bench, "store", Health::Healthy);
    bench.decide();
    running(&mut bench, "seed", Health::None);
    bench.ends("seed", 1);
    assert!(
        bench
            .waits()
            .starts_with("web.1: waits for `seed` to complete: it ended with exit code 1 (hopeless)")
    );
    bench.up(wish(hello())).unwrap();
    assert_eq!(bench.task("seed", 1).generation, 2, "an explicit up starts a finished job again");
    assert!(bench.waits().starts_with("web.1: waits for `seed` to complete\n"), "{}", bench.waits());
    check(&bench.settle(), "open seed.1\nopen web.1\nopen web.2\nopen web.3");
}

fn running(bench: &mut Bench, service: &str, health: Health) {
    let generation = bench.task(service, 1).generation;
    bench.report(service, 1, |status| {
        status.phase = Phase::Started;
        status.container = Some(cluster::ContainerStatus {
            state: ContainerState::Running,
            generation,
            pid: Some(7),
            started_at: None,
            restarts: 0,
            exit: None,
            health: health.clone(),
            checks: Vec::new(),
            image: String::new(),
        });
    });
}

#[test]
fn a_second_up_changes_nothing_but_runs_finished_jobs_again() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let before = bench.state.clone();
    let events = bench.up(wish(hello())).unwrap();
    let expect = vec![
        cluster::Event::Stack(StackName("hello".into())),
        cluster::Event::Task(bench.task("seed", 1).id, key("seed")),
    ];
    assert_eq!(events, expect);
    check(&bench.settle(), "open seed.1");
    for task in bench.state.tasks.values() {
        assert_eq!(task.gate, Gate::Open, "the gate of what runs stays open");
        assert_eq!(task.status.container.as_ref().map(|c| c.generation), Some(task.generation));
    }
    assert_eq!(before.tasks.keys().collect::<Vec<_>>(), bench.state.tasks.keys().collect::<Vec<_>>());

    let mut quiet = Bench::with_nodes(1);
    quiet.up(one(json!({"image": "x"}))).unwrap();
    quiet.settle();
    assert_eq!(quiet.up(one(json!({"image": "x"}))).unwrap(), vec![], "an unchanged wish says so");
}

#[test]
fn a_changed_service_is_replaced_slot_by_slot_and_keeps_its_address() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let address = bench.task("web", 2).endpoints.clone();
    let mut changed = hello();
    changed["services"]["web"]["environment"] = json!({"A": "1"});
    bench.up(wish(changed)).unwrap();
    check(
        &bench.settle(),
        "
        open seed.1
        remove web.1
        remove web.2
        remove web.3
        forget task web.1
        forget task web.2
        forget task web.3
        create web.1 on a
        create web.2 on a
        create web.3 on a
        ",
    );
    assert_eq!(bench.task("web", 2).endpoints, address);
}

#[test]
fn down_stops_dependents_first_and_leaves_the_volume() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let how = StopHow::default();
    let stack = StackName("hello".into());
    bench
        .apply(ChangeKind::RemoveStack { stack: stack.clone(), volumes: false, only: None, how: how.clone() })
        .unwrap();
    check(
        &bench.settle(),
        "
        remove web.1
        remove web.2
        remove web.3
        remove seed.1
        remove store.1
        forget task web.1
        forget task web.2
        forget task web.3
        forget service web
        forget task seed.1
        forget service seed
        forget task store.1
        forget service store
        forget network hello_default
        forget stack hello
        ",
    );
    assert_eq!(bench.state.volumes.len(), 1);
    bench.apply(ChangeKind::RemoveStack { stack, volumes: true, only: None, how }).unwrap();
    check(&bench.settle(), "forget volume hello_data\nforget stack hello");
    let again = Bench::with_nodes(1).state;
    assert_eq!(
        (&bench.state.stacks, &bench.state.networks, &bench.state.volumes),
        (&again.stacks, &again.networks, &again.volumes)
    );
}

#[test]
fn scaling_down_gives_slots_up_and_up_again_takes_the_lowest() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    bench.apply(ChangeKind::Scale { replicas: [(key("web"), 1)].into() }).unwrap();
    check(
        &bench.settle(),
        "remove web.2
         remove web.3
         forget task web.2
         forget task web.3
         forget slot web.2
         forget slot web.3",
    );
    bench.apply(ChangeKind::Scale { replicas: [(key("web"), 2)].into() }).unwrap();
    check(&bench.settle(), "web gets 2=10.201.0.5 in hello_default\ncreate web.2 on a");
}

#[test]
fn stop_keeps_containers_and_start_takes_it_back() {
    let mut bench = Bench::with_nodes(1);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let services = vec![key("web"), key("store"), key("seed")];
    let stop = RunAction::Stop(StopHow::default());
    bench.apply(ChangeKind::SetRun { services: services.clone(), action: stop }).unwrap();
    check(&bench.settle(), "stop web.1\nstop web.2\nstop web.3\nstop seed.1\nstop store.1");
    assert!(bench.state.tasks.values().all(|task| matches!(task.desired, Desired::Stop(_))));
    bench.apply(ChangeKind::SetRun { services, action: RunAction::Start }).unwrap();
    check(
        &bench.settle(),
        "
        run seed.1
        run store.1
        run web.1
        run web.2
        run web.3
        open store.1
        open seed.1
        open web.1
        open web.2
        open web.3
        ",
    );
    assert!(bench.task("web", 1).is_running());
    assert!(bench.task("web", 1).generation > 1, "it is started anew");
}

#[test]
fn stopped_containers_can_be_removed_until_the_next_up() {
    let mut bench = Bench::with_nodes(1);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.settle();
    let services = vec![key("web")];
    let run = |action| ChangeKind::SetRun { services: services.clone(), action };
    bench.apply(run(RunAction::Remove(StopHow::default()))).unwrap();
    check(&bench.settle(), "");
    bench.apply(run(RunAction::Stop(StopHow::default()))).unwrap();
    bench.settle();
    bench.apply(run(RunAction::Remove(StopHow::default()))).unwrap();
    check(&bench.settle(), "remove web.1\nforget task web.1");
    assert!(bench.apply(run(RunAction::Start)).is_err());
    bench.up(one(json!({"image": "x"}))).unwrap();
    check(&bench.settle(), "create web.1 on a");
}

#[test]
fn ports_left_to_the_engine_are_chosen_once() {
    let mut bench = Bench::with_nodes(1);
    let ports = json!([{"target": 80}, {"target": 81, "published": "8000-8002"}]);
    bench.up(one(json!({"image": "x", "scale": 3, "ports": ports}))).unwrap();
    bench.settle();
    let ports = &bench.state.service(&key("web")).unwrap().host_ports;
    let expect = [("0/0", 49_152), ("1/1", 8_000), ("1/2", 8_001), ("1/3", 8_002)];
    assert_eq!(ports.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>(), expect);
    bench.apply(ChangeKind::Scale { replicas: [(key("web"), 4)].into() }).unwrap();
    bench.settle();
    assert_eq!(bench.waits(), "web.4: waits for a free host port of 8000-8002: all are taken");
}

#[test]
fn a_host_port_that_was_given_on_is_not_taken_back() {
    let project = |a: u32, b: u32| {
        let service = |scale: u32| json!({"image": "x", "scale": scale, "ports": [{"target": 80, "published": "7000-7002"}]});
        wish(json!({"name": "hello", "services": {"a": service(a), "b": service(b)}}))
    };
    let ports = |bench: &Bench, name: &str| {
        let service = bench.state.service(&key(name)).unwrap();
        service.published_ports().into_iter().map(|port| port.host_port).collect::<Vec<_>>()
    };
    let mut bench = Bench::with_nodes(1);
    bench.up(project(2, 0)).unwrap();
    bench.settle();
    assert_eq!(ports(&bench, "a"), [7000, 7001]);
    bench.up(project(1, 1)).unwrap();
    bench.decide();
    let given = ports(&bench, "b");
    bench.up(project(2, 1)).unwrap();
    bench.settle();
    assert_eq!((ports(&bench, "b"), ports(&bench, "a").len()), (given.clone(), 2));
    assert!(!ports(&bench, "a").contains(&given[0]), "{given:?}");
}

#[test]
fn a_virtual_address_comes_from_the_top_of_the_network() {
    let mut bench = Bench::with_nodes(1);
    bench.up(one(json!({"image": "x", "scale": 2, "deploy": {"endpoint_mode": "vip"}}))).unwrap();
    check(
        &bench.settle(),
        "network hello_default gets 10.201.0.0/24
         web gets 1=10.201.0.2 in hello_default, 2=10.201.0.3 in hello_default, vip 10.201.0.254 in hello_default
         create web.1 on a
         create web.2 on a",
    );
}

#[test]
fn subnets_keep_clear_of_what_machines_route_and_of_each_other() {
    let mut bench = Bench::with_nodes(0);
    bench.node(1, |d| d.routes = vec!["0.0.0.0/0".parse().unwrap(), "10.201.0.0/22".parse().unwrap()]);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.up(wish(json!({"name": "other", "services": {"web": {"image": "x"}}}))).unwrap();
    bench.settle();
    let subnets: Vec<_> = bench.state.networks.values().map(|n| n.subnets_text()).collect();
    assert_eq!(subnets, ["10.201.4.0/24", "10.201.5.0/24"]);
}

#[test]
fn tasks_spread_over_nodes_and_follow_their_volume() {
    let mut bench = Bench::with_nodes(3);
    bench.up(wish(hello())).unwrap();
    bench.settle();
    let nodes = |bench: &Bench, service: &str| {
        let tasks = bench.state.tasks.values().filter(|t| t.service.service == service);
        tasks.map(|t| t.node).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(nodes(&bench, "web").len(), 3);
    let home = nodes(&bench, "store");
    let mut put = wish(hello());
    put.force_recreate = put.spec.services.keys().cloned().collect();
    bench.up(put).unwrap();
    bench.settle();
    assert_eq!(nodes(&bench, "store"), home);
}

#[test]
fn tasks_of_a_lost_node_move_if_there_is_a_place() {
    let mut bench = Bench::with_nodes(2);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.settle();
    let (home, id) = (bench.task("web", 1).node, bench.task("web", 1).id);
    let version = bench.state.nodes[&home].version;
    bench.apply(ChangeKind::NodeDown { node: home, version }).unwrap();
    let (text, decision) = bench.decide();
    check(&text, "");
    let due = decision.wake_at.expect("the node may come back until then");
    bench.now = due;
    let (text, _) = bench.decide();
    check(&text, "remove web.1\nforget task web.1\ncreate web.1 on b");
    assert!(!bench.state.tasks.contains_key(&id));
    assert_eq!(bench.task("web", 1).node, NodeId(2));

    let mut alone = Bench::with_nodes(1);
    alone.up(one(json!({"image": "x"}))).unwrap();
    alone.settle();
    let version = alone.state.nodes[&NodeId(1)].version;
    alone.apply(ChangeKind::NodeDown { node: NodeId(1), version }).unwrap();
    alone.now = alone.now.plus_ms(crate::limits::LOST_AFTER_MS);
    check(&alone.decide().0, "");
    assert_eq!(alone.waits(), "web.1: its node `a` is down, and no node is ready: 1 down");
}

#[test]
fn what_is_on_a_node_that_is_down_opens_no_gate() {
    let mut bench = Bench::with_nodes(2);
    let services = json!({"db": {"image": "x"}, "web": {"image": "x", "depends_on": {"db": {"condition": "service_started"}}}});
    bench.up(wish(json!({"name": "hello", "services": services}))).unwrap();
    bench.decide();
    let (node, at) = (bench.task("db", 1).node, bench.now);
    for report in crate::optimistic_reports(&bench.state, at) {
        bench.apply(report).unwrap();
    }
    let version = bench.state.nodes[&node].version;
    bench.apply(ChangeKind::NodeDown { node, version }).unwrap();
    bench.decide();
    assert_eq!(bench.waits(), "web.1: waits for `db` to start: its node is down");
    bench.node(node.0, |_| {});
    check(&bench.decide().0, "open web.1");
}

#[test]
fn a_container_that_vanished_is_made_anew() {
    let mut bench = Bench::with_nodes(1);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.settle();
    bench.report("web", 1, |status| {
        status.phase = Phase::Removed;
        status.container = None;
    });
    check(&bench.settle(), "forget task web.1\ncreate web.1 on a");
}

#[test]
fn a_network_that_changes_is_made_anew_when_its_containers_have_gone() {
    let mut bench = Bench::with_nodes(1);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.settle();
    let other = json!({"name": "hello", "services": {"web": {"image": "x"}},
        "networks": {"default": {"ipam": {"config": [{"subnet": "172.30.0.0/24"}]}}}});
    bench.up(wish(other)).unwrap();
    check(
        &bench.settle(),
        "remove web.1
         forget task web.1
         network hello_default gets 172.30.0.0/24
         web gets 1=172.30.0.2 in hello_default
         create web.1 on a",
    );
}

#[test]
fn up_while_going_down_comes_back_after_the_last_container_has_gone() {
    let mut bench = Bench::with_nodes(1);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.settle();
    let stack = StackName("hello".into());
    bench
        .apply(ChangeKind::RemoveStack { stack, volumes: false, only: None, how: StopHow::default() })
        .unwrap();
    check(&bench.decide().0, "remove web.1");
    bench.up(one(json!({"image": "x"}))).unwrap();
    check(&bench.decide().0, "");
    assert_eq!(bench.waits(), "web.1: waits for its former container to stop");
    check(&bench.settle(), "forget task web.1\ncreate web.1 on a");
}

#[test]
fn a_removal_under_way_can_be_hurried() {
    let mut bench = Bench::with_nodes(1);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.settle();
    let down = |how: StopHow| ChangeKind::RemoveStack {
        stack: StackName("hello".into()),
        volumes: false,
        only: None,
        how,
    };
    bench.apply(down(StopHow::default())).unwrap();
    check(&bench.decide().0, "remove web.1");
    bench.apply(down(StopHow::default())).unwrap();
    check(&bench.decide().0, "");
    let now = StopHow { signal: None, grace_ms: Some(0) };
    bench.apply(down(now.clone())).unwrap();
    check(&bench.decide().0, "remove web.1");
    assert_eq!(bench.task("web", 1).desired, Desired::Remove(now));
    let killed = StopHow { signal: Some("SIGKILL".into()), grace_ms: Some(0) };
    let kill = RunAction::Stop(killed.clone());
    bench.apply(ChangeKind::SetRun { services: vec![key("web")], action: kill }).unwrap();
    check(&bench.decide().0, "remove web.1");
    assert_eq!(bench.task("web", 1).desired, Desired::Remove(killed));
}

#[test]
fn what_restarts_with_its_dependency_restarts_in_place_when_that_is_healthy_again() {
    let project = |image: &str| {
        wish(json!({"name": "hello", "services": {
            "db": {"image": image},
            "web": {"image": "x", "depends_on": {"db": {"condition": "service_healthy", "restart": true}}},
            "log": {"image": "x", "depends_on": {"db": {"condition": "service_healthy"}}},
            "top": {"image": "x", "depends_on": {"web": {"condition": "service_started", "restart": true}}}
        }}))
    };
    let mut bench = Bench::with_nodes(1);
    bench.up(project("one")).unwrap();
    bench.settle();
    bench.up(project("two")).unwrap();
    check(&bench.settle(), "remove db.1\nforget task db.1\ncreate db.1 on a\nopen web.1\nopen top.1");
    let generations = |bench: &Bench| ["db", "web", "log", "top"].map(|name| bench.task(name, 1).generation);
    assert_eq!(generations(&bench), [1, 2, 1, 2]);

    let action = RunAction::Restart(StopHow::default());
    bench.apply(ChangeKind::SetRun { services: vec![key("db")], action }).unwrap();
    check(&bench.settle(), "open web.1\nopen top.1");
    assert_eq!(generations(&bench), [2, 3, 1, 3]);
}

#[test]
fn a_one_off_comes_and_goes_beside_its_stack() {
    let mut bench = Bench::with_nodes(1);
    bench.up(one(json!({"image": "x"}))).unwrap();
    bench.settle();
    let mut spec = (*bench.state.service(&key("web")).unwrap().spec).clone();
    spec.compose.ports.clear();
    spec.one_off = Some(OneOff { of: "web".to_owned(), fleeting: false });
    let put = ChangeKind::PutOneOff { service: key("web-run-1"), spec: Box::new(spec), held: false };
    bench.apply(put).unwrap();
    check(
        &bench.settle(),
        "web-run-1 gets 1=10.201.0.3 in hello_default
         create web-run-1.1 on a",
    );
    bench.up(one(json!({"image": "x"}))).unwrap();
    let action = RunAction::Remove(StopHow::default());
    bench.apply(ChangeKind::SetRun { services: vec![key("web-run-1")], action }).unwrap();
    check(
        &bench.settle(),
        "remove web-run-1.1
         forget task web-run-1.1
         forget service web-run-1",
    );
    let forget = ChangeKind::Forget(Forgotten::Service(key("web")));
    assert!(bench.apply(forget).is_err(), "a service that is wished for is not forgotten");
}

#[test]
fn a_one_off_that_nobody_waits_for_goes_unless_it_is_to_stay() {
    let check = |fleeting: bool, held: bool, release: bool, goes: bool| {
        let mut bench = Bench::with_nodes(1);
        bench.up(one(json!({"image": "x"}))).unwrap();
        bench.settle();
        let mut spec = (*bench.state.service(&key("web")).unwrap().spec).clone();
        spec.compose.ports.clear();
        spec.one_off = Some(OneOff { of: "web".to_owned(), fleeting });
        let service = key("web-run-1");
        let put = ChangeKind::PutOneOff { service: service.clone(), spec: Box::new(spec), held };
        bench.apply(put).unwrap();
        bench.settle();
        if release {
            bench.apply(ChangeKind::ReleaseOneOff { service: service.clone() }).unwrap();
        } else {
            bench.ends("web-run-1", 3);
        }
        bench.settle();
        let there = bench.state.service(&service).is_some();
        assert_eq!(there, !goes, "fleeting {fleeting}, held {held}, release {release}");
    };
    check(true, false, true, true);
    check(false, true, true, true);
    check(false, false, true, false);
    check(true, false, false, true);
    check(false, false, false, false);
}

#[test]
fn addresses_of_both_families_are_nobody_elses() {
    let mut bench = Bench::with_nodes(1);
    let fixed = json!({"lan": {"ipv4_address": "10.77.3.80", "ipv6_address": "fd77::2"}});
    bench
        .up(wish(json!({
            "name": "hello",
            "services": {
                "client": {"image": "orc/demo", "networks": {"lan": null}, "deploy": {"replicas": 3}},
                "web": {"image": "orc/demo", "networks": fixed},
            },
            // The gateways' numbers differ, so that an address is free in one family and taken in the other.
            "networks": {"lan": {"enable_ipv6": true, "ipam": {"config": [
                {"subnet": "10.77.3.0/24", "gateway": "10.77.3.9"}, {"subnet": "fd77::/64"}]}}}})))
        .unwrap();
    bench.settle();
    let address = |service: &str, slot| {
        let endpoint = &bench.task(service, slot).endpoints[0];
        format!("{} {}", endpoint.v4.expect("and IPv4"), endpoint.v6.expect("the network has IPv6"))
    };
    assert_eq!(address("web", 1), "10.77.3.80 fd77::2");
    assert_eq!(address("client", 1), "10.77.3.1 fd77::3");
    assert_eq!(address("client", 2), "10.77.3.2 fd77::4");
    assert_eq!(address("client", 3), "10.77.3.3 fd77::5");
}
