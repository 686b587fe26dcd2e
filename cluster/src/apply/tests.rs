//! What is refused, and in which words; what the state takes from agents.

use std::collections::BTreeMap;

use compose_spec::Project;
use serde_json::{Value, json};

use crate::{
    Change, ChangeKind, ContainerState, ContainerStatus, Ended, Event, Exit, FileDigests, Forgotten, Gate,
    Health, NodeDescription, NodeId, Phase, Problem, PutStack, Refusal, Run, RunAction, ServiceKey,
    StackName, StackSpec, State, StopHow, TaskStatus, Timestamp, Version,
};

fn put(project: Value) -> PutStack {
    let project: Project = serde_json::from_value(project).expect("a project");
    PutStack::new(StackSpec::from_project(&project, &FileDigests::default()).expect("a wish"))
}

/// A stack of one service.
fn one(stack: &str, service: Value) -> PutStack {
    put(json!({"name": stack, "services": {"web": service}}))
}

fn apply(state: &mut State, kind: ChangeKind) -> Result<Vec<Event>, Refusal> {
    let before = state.clone();
    let result = state.apply(Change { at: Timestamp(7), kind });
    if result.is_err() {
        assert_eq!(*state, before, "a refused change has changed something");
    }
    result
}

fn up(state: &mut State, put: PutStack) -> Result<Vec<Event>, Refusal> {
    apply(state, ChangeKind::PutStack(Box::new(put)))
}

fn refusal(state: &mut State, put: PutStack) -> String {
    let refusal = up(state, put).expect_err("granted");
    match refusal.hint() {
        Some(hint) => format!("{refusal}; {hint}"),
        None => refusal.to_string(),
    }
}

fn key(service: &str) -> ServiceKey {
    ServiceKey::new(&StackName("shop".to_owned()), service)
}

/// A state with node 1 and a running `shop/web`.
fn running() -> State {
    let mut state = State::new();
    let node = NodeId(1);
    apply(&mut state, ChangeKind::PutNode { node, description: NodeDescription::default() }).unwrap();
    up(&mut state, one("shop", json!({"image": "x", "network_mode": "host"}))).unwrap();
    let version = state.service(&key("web")).unwrap().version;
    let create = ChangeKind::CreateTask {
        service: key("web"),
        version,
        slot: 1,
        node,
        gate: Gate::Held,
        beside: None,
    };
    apply(&mut state, create).unwrap();
    state
}

fn status(phase: Phase, container: Option<(ContainerState, u64)>) -> TaskStatus {
    let container = container.map(|(container, generation)| ContainerStatus {
        state: container,
        generation,
        pid: None,
        started_at: None,
        restarts: 0,
        exit: (container == ContainerState::Exited).then_some(Exit {
            code: 0,
            oom: false,
            error: None,
            unhealthy: false,
            at: Timestamp(1),
        }),
        health: Health::None,
        checks: Vec::new(),
        image: String::new(),
    });
    TaskStatus { phase, container, ..TaskStatus::default() }
}

fn report(state: &mut State, node: u64, status: TaskStatus) -> Result<Vec<Event>, Refusal> {
    let task = *state.tasks.keys().next().expect("a task");
    let statuses = vec![(task, status)];
    apply(state, ChangeKind::Report { node: NodeId(node), statuses, ended: Ended::default() })
}

#[test]
fn what_another_stack_has_cannot_be_wished_for() {
    let mut state = State::new();
    let port = |ip: Value, published: &str| json!([{"target": 80, "published": published, "host_ip": ip}]);
    let ports = port(Value::Null, "8080");
    up(&mut state, one("shop", json!({"image": "x", "ports": ports, "container_name": "me"}))).unwrap();
    let cases = [
        (
            json!({"image": "x", "ports": ports}),
            "host port 8080/tcp is already published by service `web` of stack `shop`",
        ),
        (
            json!({"image": "x", "ports": port(json!("127.0.0.1"), "8080")}),
            "host port 8080/tcp is already published by service `web` of stack `shop`",
        ),
        (
            json!({"image": "x", "container_name": "me"}),
            "the container name `me` is already used by service `web` of stack `shop`",
        ),
        (
            json!({"image": "x", "container_name": "you", "scale": 2}),
            "service `web` asks for 2 replicas that would all be named `you`; remove `container_name`: replicas are \
             then named STACK-SERVICE-NUMBER",
        ),
        (
            json!({"image": "x", "scale": 20_000}),
            "service `web` asks for 20000 replicas, and 10000 is the limit",
        ),
    ];
    for (service, expect) in cases {
        assert_eq!(refusal(&mut state, one("blog", service)), expect);
    }
    let udp = json!([{"target": 80, "published": "8080", "protocol": "udp"}]);
    up(&mut state, one("blog", json!({"image": "x", "ports": udp}))).unwrap();
}

#[test]
fn what_is_stopped_leaves_its_ports_to_others_until_it_is_started() {
    let mut state = State::new();
    let service =
        json!({"image": "x", "ports": [{"target": 80, "published": "8080"}], "container_name": "me"});
    let other = json!({"image": "x", "ports": service["ports"]});
    up(&mut state, one("shop", service)).unwrap();
    let run = |action: RunAction| ChangeKind::SetRun { services: vec![key("web")], action };
    apply(&mut state, run(RunAction::Stop(StopHow::default()))).unwrap();
    up(&mut state, one("blog", other.clone())).unwrap();
    let taken = "host port 8080/tcp is already published by service `web` of stack `blog`";
    let scale = ChangeKind::Scale { replicas: BTreeMap::from([(key("web"), 1)]) };
    for start in [run(RunAction::Start), run(RunAction::Restart(StopHow::default())), scale] {
        assert_eq!(apply(&mut state, start).unwrap_err().to_string(), taken);
    }
    let stack = StackName("blog".into());
    let down = ChangeKind::RemoveStack { stack, volumes: false, only: None, how: StopHow::default() };
    apply(&mut state, down).unwrap();
    apply(&mut state, run(RunAction::Start)).unwrap();
    let taken = "host port 8080/tcp is already published by service `web` of stack `shop`";
    assert_eq!(refusal(&mut state, one("again", other)), taken);
}

#[test]
fn what_the_same_stack_has_is_told_as_such() {
    let mut state = State::new();
    let ports = json!([{"target": 80, "published": "8080"}]);
    let service = json!({"image": "x", "ports": ports});
    let both = json!({"name": "shop", "services": {"web": service, "api": service}});
    assert_eq!(refusal(&mut state, put(both)), "services `api` and `web` both publish host port 8080/tcp");
    up(&mut state, one("shop", service.clone())).unwrap();
    let renamed = json!({"name": "shop", "services": {"api": service}});
    assert_eq!(
        refusal(&mut state, put(renamed.clone())),
        "host port 8080/tcp is already published by service `web`; \
         it is not among what is wished for: remove it with --remove-orphans"
    );
    up(&mut state, PutStack { remove_orphans: true, ..put(renamed) }).unwrap();
}

#[test]
fn networks_and_volumes_of_others_are_external_or_refused() {
    let mut state = State::new();
    let project = |stack: &str, network: Value, volume: Value| {
        put(json!({
            "name": stack,
            "services": {"web": {
                "image": "x",
                "networks": {"n": null},
                "volumes": [{"type": "volume", "source": "v", "target": "/v"}]
            }},
            "networks": {"n": network},
            "volumes": {"v": volume}
        }))
    };
    let external = |name: &str| json!({"name": name, "external": true});
    assert_eq!(
        refusal(&mut state, project("blog", external("shop_n"), json!({}))),
        "network `shop_n` is external, and there is no such network; bring up the stack that makes it first, or \
         take `external: true` away"
    );
    up(&mut state, project("shop", json!({}), json!({}))).unwrap();
    assert_eq!(
        refusal(&mut state, project("blog", json!({}), json!({"name": "shop_v"}))),
        "volume `shop_v` belongs to stack `shop`; to use it together, say `external: true`"
    );
    assert_eq!(
        refusal(
            &mut state,
            project("shop", json!({}), json!({"driver_opts": {"type": "tmpfs", "device": "tmpfs"}}))
        ),
        "volume `shop_v` exists with another driver or other driver options; its data would be lost; to make it \
         anew, remove it first: `orc down -v`"
    );
    up(&mut state, project("blog", json!({}), external("shop_v"))).unwrap();
    assert_eq!(state.volumes.len(), 1);
}

#[test]
fn a_wish_that_was_made_for_another_version_is_stale() {
    let mut state = State::new();
    let service = json!({"image": "x"});
    up(&mut state, one("shop", service.clone())).unwrap();
    let version = state.stacks[&StackName("shop".into())].version;
    let expecting = |version| PutStack { expected: Some(version), ..one("shop", json!({"image": "y"})) };
    up(&mut state, expecting(version)).unwrap();
    assert_eq!(
        refusal(&mut state, expecting(version)),
        format!("stack `shop` has changed meanwhile: this was decided on version {version}, and it is at 2")
    );
    let fresh = PutStack { expected: Some(Version(0)), ..one("new", service) };
    up(&mut state, fresh).unwrap();
}

#[test]
fn a_part_of_a_file_makes_no_orphans_and_the_whole_one_does() {
    let mut state = State::new();
    let both = json!({"name": "shop", "services": {"web": {"image": "x"}, "db": {"image": "x"}}});
    let web = json!({"name": "shop", "services": {"web": {"image": "x"}}});
    up(&mut state, put(both)).unwrap();
    let orphan = |state: &State| state.service(&key("db")).map(|db| (db.orphan, db.removing));
    assert_eq!(up(&mut state, PutStack { partial: true, ..put(web.clone()) }).unwrap(), vec![]);
    assert_eq!(orphan(&state), Some((false, false)));
    // One of a disabled profile.
    up(&mut state, PutStack { named: ["db".to_owned()].into(), ..put(web.clone()) }).unwrap();
    assert_eq!(orphan(&state), Some((false, false)));
    up(&mut state, put(web.clone())).unwrap();
    assert_eq!(orphan(&state), Some((true, false)));
    up(&mut state, PutStack { remove_orphans: true, ..put(web) }).unwrap();
    assert_eq!(orphan(&state), Some((true, true)));
}

#[test]
fn scale_and_flags_of_up() {
    let mut state = State::new();
    let two = json!({"image": "x", "scale": 2});
    let scaled = PutStack { scale: BTreeMap::from([("web".to_owned(), 5)]), ..one("shop", two.clone()) };
    up(&mut state, scaled).unwrap();
    assert_eq!(state.service(&key("web")).unwrap().replicas, 5);
    up(&mut state, one("shop", two)).unwrap();
    assert_eq!(state.service(&key("web")).unwrap().replicas, 2);
    let other = PutStack { no_recreate: true, ..one("shop", json!({"image": "y", "scale": 3})) };
    up(&mut state, other).unwrap();
    let web = state.service(&key("web")).unwrap();
    assert_eq!((web.replicas, web.spec.compose.image.as_deref()), (2, Some("x")));
    let unknown = PutStack { services: vec!["nope".into()], ..one("shop", json!({"image": "x"})) };
    assert_eq!(refusal(&mut state, unknown), "there is no service `nope` in stack `shop`");
}

#[test]
fn a_wish_can_be_asked_for_all_that_is_wrong_with_it() {
    let mut wish = put(json!({"name": "shop", "services": {
        "a": {"image": "x", "container_name": "same", "ports": [{"target": 80, "published": "8080"}]},
        "b": {"image": "x", "container_name": "same"},
        "c": {"image": "x", "scale": 2, "container_name": "one"},
        "d": {"image": "x", "ports": [{"target": 80, "published": "8080"}]},
    }}));
    wish.scale.insert("e".to_owned(), 1);
    let refusals: Vec<String> = wish.check().iter().map(ToString::to_string).collect();
    assert_eq!(
        refusals,
        [
            "there is no service `e` in stack `shop`",
            "services `a` and `b` both name their container `same`",
            "service `c` asks for 2 replicas that would all be named `one`",
            "services `a` and `d` both publish host port 8080/tcp",
        ]
    );
    assert_eq!(up(&mut State::new(), wish).unwrap_err().to_string(), refusals[0]);
}

#[test]
fn scale_starts_what_was_stopped() {
    for action in [RunAction::Stop(StopHow::default()), RunAction::Remove(StopHow::default())] {
        let mut state = running();
        report(&mut state, 1, status(Phase::Started, Some((ContainerState::Exited, 1)))).unwrap();
        apply(&mut state, ChangeKind::SetRun { services: vec![key("web")], action }).unwrap();
        assert_ne!(state.service(&key("web")).unwrap().run, Run::Started);
        apply(&mut state, ChangeKind::Scale { replicas: [(key("web"), 2)].into() }).unwrap();
        let service = state.service(&key("web")).unwrap();
        assert_eq!((service.replicas, &service.run), (2, &Run::Started));
        let task = state.tasks_of(&key("web")).next().unwrap();
        assert_eq!((task.generation, task.finished()), (2, None), "it starts anew");
    }
}

#[test]
fn a_status_only_moves_forward() {
    let mut state = running();
    let running = |generation| status(Phase::Started, Some((ContainerState::Running, generation)));
    assert_eq!(report(&mut state, 1, running(1)).unwrap().len(), 1);
    assert_eq!(report(&mut state, 1, running(1)).unwrap(), vec![], "no news");
    assert_eq!(report(&mut state, 1, status(Phase::Preparing, None)).unwrap(), vec![], "late");
    report(&mut state, 1, running(2)).unwrap();
    assert_eq!(report(&mut state, 1, running(1)).unwrap(), vec![], "late");
    report(&mut state, 1, status(Phase::Removed, None)).unwrap();
    assert_eq!(report(&mut state, 1, running(3)).unwrap(), vec![], "from the dead");
}

#[test]
fn a_node_speaks_for_its_own_tasks_only() {
    let mut state = running();
    apply(&mut state, ChangeKind::PutNode { node: NodeId(2), description: NodeDescription::default() })
        .unwrap();
    let error = report(&mut state, 2, status(Phase::Preparing, None)).unwrap_err().to_string();
    assert!(error.ends_with("which is another node's"), "{error}");
    let error = report(&mut state, 3, status(Phase::Preparing, None)).unwrap_err().to_string();
    assert_eq!(error, "there is no node 00000003");
}

#[test]
fn what_a_container_says_is_cut_to_its_limit() {
    let mut state = running();
    let mut long = status(Phase::Preparing, None);
    long.problem = Some(Problem { message: "ä".repeat(10_000), retry_at: None });
    report(&mut state, 1, long).unwrap();
    let problem = state.tasks.values().next().unwrap().status.problem.clone().unwrap();
    assert_eq!(problem.message.len(), crate::limits::REPORTED_TEXT);
}

#[test]
fn decisions_that_no_longer_fit_are_refused_and_looked_at_again() {
    let mut state = running();
    let task = state.tasks.values().next().unwrap().clone();
    report(&mut state, 1, status(Phase::Preparing, None)).unwrap();
    state.take_touched();
    let open = ChangeKind::OpenGate { task: task.id, version: task.version };
    assert!(matches!(apply(&mut state, open), Err(Refusal::Stale { .. })));
    assert!(state.touched.services.contains(&key("web")), "the scheduler has to look there again");
    let version = state.service(&key("web")).unwrap().version;
    let again = ChangeKind::CreateTask {
        service: key("web"),
        version,
        slot: 1,
        node: NodeId(1),
        gate: Gate::Open,
        beside: None,
    };
    assert!(matches!(apply(&mut state, again), Err(Refusal::Conflict { .. })));
    for what in [
        Forgotten::Task(task.id),
        Forgotten::Slot(key("web"), 1),
        Forgotten::Service(key("web")),
        Forgotten::Stack(StackName("shop".into())),
    ] {
        assert!(apply(&mut state, ChangeKind::Forget(what.clone())).is_err(), "{what:?}");
    }
}

#[test]
fn nothing_of_what_is_not_there_can_be_changed() {
    let mut state = State::new();
    let stack = StackName("shop".to_owned());
    let how = StopHow::default();
    let error =
        apply(&mut state, ChangeKind::RemoveStack { stack, volumes: true, only: None, how }).unwrap_err();
    assert_eq!(error.to_string(), "there is no stack `shop`");
    let error = apply(&mut state, ChangeKind::Scale { replicas: [(key("web"), 2)].into() }).unwrap_err();
    assert_eq!(error.to_string(), "there is no service `web` in stack `shop`");
}

#[test]
fn differences_of_assignments_lead_from_one_to_the_next() {
    let mut state = running();
    let old = state.assignments(NodeId(1));
    report(&mut state, 1, status(Phase::Preparing, None)).unwrap();
    let new = state.assignments(NodeId(1));
    let delta = old.delta(&new);
    assert_eq!((delta.tasks.len(), delta.services.len(), delta.is_empty()), (1, 0, false));
    let mut agent = old.clone();
    agent.apply_delta(delta.clone()).unwrap();
    assert_eq!(agent, new);
    let wrong = agent.apply_delta(delta).unwrap_err();
    assert!(wrong.to_string().starts_with("the assignments are at version"), "{wrong}");
    assert!(new.delta(&new).is_empty());
}
