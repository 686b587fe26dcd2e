//! What holds for every sequence of wishes and happenings: decisions come to an end, nothing is given twice,
//! gates are respected, and looking only where something was touched gives what looking everywhere gives.

use std::collections::{BTreeMap, BTreeSet};

use cluster::compose_spec::{
    Condition, Dependency, Mount, MountKind, Network, Port, Project, Service, UpdateConfig, Volume,
};
use cluster::view::PublishedPort;
use cluster::{
    Change, ChangeKind, ContainerState, FileDigests, Gate, Health, NodeDescription, NodeId, Phase, PutStack,
    Refusal, RunAction, ServiceKey, StackName, StackSpec, State, StopHow, Timestamp,
};
use proptest::prelude::*;
use scheduler::{decide, decide_all, optimistic_reports};

const SERVICES: [&str; 4] = ["a", "b", "c", "d"];

/// One thing that a user, a machine or a container does.
#[derive(Clone, Debug)]
enum Happening {
    Up {
        stack: u8,
        shape: Vec<ServiceShape>,
        force: bool,
        orphans: bool,
    },
    Down {
        stack: u8,
        volumes: bool,
    },
    Scale {
        stack: u8,
        service: u8,
        replicas: u32,
    },
    Run {
        stack: u8,
        service: u8,
        action: u8,
    },
    NodeUp(u8),
    NodeDown(u8),
    /// The agents do all they are told.
    Work,
    /// One container ends with a status.
    End {
        which: u8,
        code: i32,
    },
    /// One container becomes unhealthy.
    Sicken {
        which: u8,
    },
    /// One container is found missing.
    Vanish {
        which: u8,
    },
    Wait(u16),
    Decide,
}

#[derive(Clone, Debug)]
struct ServiceShape {
    replicas: u32,
    image: u8,
    port: u8,
    vip: bool,
    volume: bool,
    /// In a second network too, which has IPv6, and in one of the stacks nothing else.
    extra: bool,
    /// How it is updated.
    update: u8,
    /// What each earlier service is to this one: nothing, or a condition.
    depends: [u8; 4],
}

fn shape() -> impl Strategy<Value = ServiceShape> {
    (0..4_u32, 0..2_u8, 0..5_u8, any::<[bool; 3]>(), 0..4_u8, [0..5_u8, 0..5, 0..5, 0..5]).prop_map(
        |(replicas, image, port, [vip, volume, extra], update, depends)| ServiceShape {
            replicas,
            image,
            port,
            vip,
            volume,
            extra,
            update,
            depends,
        },
    )
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..2_u8, prop::collection::vec(shape(), 0..4), any::<bool>(), any::<bool>())
            .prop_map(|(stack, shape, force, orphans)| Happening::Up { stack, shape, force, orphans }),
        1 => (0..2_u8, any::<bool>()).prop_map(|(stack, volumes)| Happening::Down { stack, volumes }),
        1 => (0..2_u8, 0..4_u8, 0..4_u32)
            .prop_map(|(stack, service, replicas)| Happening::Scale { stack, service, replicas }),
        1 => (0..2_u8, 0..4_u8, 0..4_u8)
            .prop_map(|(stack, service, action)| Happening::Run { stack, service, action }),
        1 => (0..3_u8).prop_map(Happening::NodeUp),
        1 => (0..3_u8).prop_map(Happening::NodeDown),
        5 => Just(Happening::Work),
        1 => (any::<u8>(), 0..2_i32).prop_map(|(which, code)| Happening::End { which, code }),
        1 => any::<u8>().prop_map(|which| Happening::Sicken { which }),
        1 => any::<u8>().prop_map(|which| Happening::Vanish { which }),
        1 => any::<u16>().prop_map(Happening::Wait),
        4 => Just(Happening::Decide),
    ]
}

fn project(stack: u8, shapes: &[ServiceShape]) -> Project {
    let mut project = Project { name: format!("s{stack}"), ..Project::default() };
    for (index, shape) in shapes.iter().enumerate() {
        let mut service = Service {
            image: Some(format!("image:{}", shape.image)),
            scale: Some(shape.replicas),
            ..Service::default()
        };
        service.ports = match shape.port {
            0 => vec![port(None)],
            1 => vec![port(Some("7000-7002"))],
            2 => vec![port(Some(&format!("80{}", shape.image)))],
            _ => vec![],
        };
        service.deploy = Some(Box::new(cluster::compose_spec::Deploy {
            endpoint_mode: shape.vip.then(|| "vip".into()),
            update_config: update_config(shape.update),
            ..Default::default()
        }));
        if shape.extra {
            service.networks = [("default".to_owned(), None), ("extra".to_owned(), None)].into();
            let families =
                Network { enable_ipv4: Some(stack > 0), enable_ipv6: Some(true), ..Network::default() };
            project.networks.insert("extra".into(), families);
        }
        if shape.volume {
            service.volumes = vec![Mount {
                kind: MountKind::Volume,
                source: Some("data".into()),
                target: "/data".into(),
                read_only: false,
                consistency: None,
                bind: None,
                volume: None,
                tmpfs: None,
                image: None,
            }];
            project.volumes.insert("data".into(), Volume::default());
        }
        for (earlier, kind) in shape.depends.iter().enumerate().take(index) {
            let condition = match kind {
                1 => Condition::Started,
                2 => Condition::Healthy,
                3 => Condition::CompletedSuccessfully,
                _ => continue,
            };
            let dependency = Dependency { condition, restart: *kind == 2, required: shape.image == 0 };
            service.depends_on.insert(SERVICES[earlier].into(), dependency);
        }
        project.services.insert(SERVICES[index].into(), Box::new(service));
    }
    project
}

fn update_config(kind: u8) -> Option<UpdateConfig> {
    let (order, parallelism, action) = match kind {
        1 => ("start-first", 1, "rollback"),
        2 => ("stop-first", 1, "pause"),
        3 => ("start-first", 0, "continue"),
        _ => return None,
    };
    Some(UpdateConfig {
        order: Some(order.into()),
        parallelism: Some(parallelism),
        failure_action: Some(action.into()),
        ..UpdateConfig::default()
    })
}

fn port(published: Option<&str>) -> Port {
    Port { target: 80, published: published.map(str::to_owned), ..Port::default() }
}

struct World {
    state: State,
    now: Timestamp,
    gates_opened: BTreeSet<cluster::TaskId>,
}

impl World {
    fn new() -> Self {
        let mut world = Self { state: State::new(), now: Timestamp(0), gates_opened: BTreeSet::new() };
        world.happen(&Happening::NodeUp(0));
        world.happen(&Happening::NodeUp(1));
        world
    }

    /// A refusal is an answer like any other here; what matters is that the state stays sound.
    fn apply(&mut self, kind: ChangeKind) -> Result<(), Refusal> {
        self.now = self.now.plus_ms(1);
        let before = self.state.clone();
        let nodes_before = std::mem::take(&mut self.state.touched.nodes);
        let result = self.state.apply(Change { at: self.now, kind: kind.clone() });
        if result.as_ref().map_or(true, Vec::is_empty) {
            assert_eq!(self.state, before, "changed without saying so: {kind:?} -> {result:?}");
        }
        for node in self.state.nodes.keys() {
            let delta = before.assignments(*node).delta(&self.state.assignments(*node));
            let told = self.state.touched.nodes.contains(node);
            assert!(delta.is_empty() || told, "{node} is not told of {kind:?}: {delta:?}");
        }
        self.state.touched.nodes.extend(nodes_before);
        result.map(|_| ())
    }

    fn happen(&mut self, happening: &Happening) {
        let how = StopHow::default();
        let key = |stack: u8, service: u8| {
            ServiceKey::new(&StackName(format!("s{stack}")), SERVICES[usize::from(service) % 4])
        };
        match happening {
            Happening::Up { stack, shape, force, orphans } => {
                let spec = StackSpec::from_project(&project(*stack, shape), &FileDigests::default());
                let spec = spec.expect("a project that makes sense");
                let forced = spec.services.keys().filter(|_| *force).cloned().collect();
                let put =
                    PutStack { force_recreate: forced, remove_orphans: *orphans, ..PutStack::new(spec) };
                let _ = self.apply(ChangeKind::PutStack(Box::new(put)));
            }
            Happening::Down { stack, volumes } => {
                let stack = StackName(format!("s{stack}"));
                let _ = self.apply(ChangeKind::RemoveStack { stack, volumes: *volumes, only: None, how });
            }
            Happening::Scale { stack, service, replicas } => {
                let _ =
                    self.apply(ChangeKind::Scale { replicas: [(key(*stack, *service), *replicas)].into() });
            }
            Happening::Run { stack, service, action } => {
                let action = match action {
                    0 => RunAction::Start,
                    1 => RunAction::Stop(how),
                    2 => RunAction::Restart(how),
                    _ => RunAction::Remove(how),
                };
                let _ = self.apply(ChangeKind::SetRun { services: vec![key(*stack, *service)], action });
            }
            Happening::NodeUp(n) => {
                let description =
                    NodeDescription { name: n.to_string(), os: "linux".into(), ..Default::default() };
                let _ = self.apply(ChangeKind::PutNode { node: NodeId(u64::from(*n)), description });
            }
            Happening::NodeDown(n) => {
                let node = NodeId(u64::from(*n));
                let version = self.state.nodes.get(&node).map_or(Default::default(), |node| node.version);
                let _ = self.apply(ChangeKind::NodeDown { node, version });
            }
            Happening::Work => {
                for report in optimistic_reports(&self.state, self.now) {
                    self.apply(report).expect("a report always fits");
                }
            }
            Happening::End { which, code } => self.change_container(*which, |status, at| {
                if let Some(container) = &mut status.container {
                    container.state = ContainerState::Exited;
                    container.exit =
                        Some(cluster::Exit { code: *code, oom: false, error: None, unhealthy: false, at });
                }
            }),
            Happening::Sicken { which } => self.change_container(*which, |status, _| {
                if let Some(container) = &mut status.container {
                    container.health = Health::Unhealthy { failing_streak: 3, output: String::new() };
                }
            }),
            Happening::Vanish { which } => self.change_container(*which, |status, _| {
                status.phase = Phase::Removed;
                status.container = None;
            }),
            Happening::Wait(ms) => self.now = self.now.plus_ms(u64::from(*ms)),
            Happening::Decide => self.decide_to_fixpoint(),
        }
        // Only a wish to start anew may close a gate again; decisions are checked as they are taken.
        let open =
            |id: &cluster::TaskId| self.state.tasks.get(id).is_some_and(|task| task.gate == Gate::Open);
        self.gates_opened.retain(open);
    }

    fn change_container(&mut self, which: u8, change: impl Fn(&mut cluster::TaskStatus, Timestamp)) {
        let running: Vec<_> = self.state.tasks.values().filter(|task| task.is_running()).collect();
        let Some(task) = running.get(usize::from(which) % running.len().max(1)) else { return };
        let (node, id, mut status) = (task.node, task.id, task.status.clone());
        change(&mut status, self.now);
        let _ =
            self.apply(ChangeKind::Report { node, statuses: vec![(id, status)], ended: Default::default() });
    }

    fn decide_to_fixpoint(&mut self) {
        for _ in 0..100 {
            let touched = self.state.take_touched();
            let decision = decide(&self.state, &touched, self.now);
            assert_eq!(decision, decide(&self.state, &touched, self.now), "the same input, the same output");
            if decision.changes.is_empty() {
                let full = decide_all(&self.state, self.now);
                assert!(
                    full.changes.is_empty(),
                    "looking everywhere finds more: {}",
                    full.to_text(&self.state)
                );
                return;
            }
            for kind in decision.changes {
                let now = self.now;
                let applied = self.apply(kind.clone());
                assert!(applied.is_ok(), "a decision does not fit: {kind:?}: {applied:?}");
                self.now = now;
                self.check(&kind);
            }
        }
        panic!("decisions do not come to an end");
    }

    fn check(&mut self, last: &ChangeKind) {
        check_once(&self.state);
        let opened = match last {
            ChangeKind::OpenGate { task, .. } => Some(*task),
            ChangeKind::CreateTask { gate: Gate::Open, .. } => {
                self.state.tasks.values().max_by_key(|task| task.version).map(|task| task.id)
            }
            _ => None,
        };
        if let Some(id) = opened {
            self.gates_opened.insert(id);
            check_gate(&self.state, id);
        }
        for id in self.gates_opened.iter().filter_map(|id| self.state.tasks.get(id)) {
            assert_eq!(id.gate, Gate::Open, "a gate has closed again");
        }
    }
}

/// Nothing is given twice.
fn check_once(state: &State) {
    let mut slots: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for task in state.tasks.values().filter(|task| task.holds_slot()) {
        slots.entry((&task.service, task.slot)).or_default().push(task);
    }
    for ((service, slot), tasks) in slots {
        assert!(tasks.len() <= 2, "{} tasks in {service}.{slot}", tasks.len());
        if let [one, other] = tasks.as_slice() {
            let current =
                |task: &cluster::Task| state.service(service).is_some_and(|service| service.is_current(task));
            assert!(!(current(one) && current(other)), "two tasks in {service}.{slot}");
            let shared = one.endpoints.iter().find(|endpoint| other.endpoints.contains(endpoint));
            assert_eq!(shared, None, "two tasks with one address in {service}.{slot}");
        }
    }
    let mut addresses = BTreeMap::new();
    for (key, service) in state.services() {
        for (slot, value) in &service.slots {
            let each =
                value.addresses.iter().flat_map(|(network, all)| all.each().map(move |ip| (network, ip)));
            for (network, address) in each {
                let owner = addresses.insert((network.clone(), address), (key.clone(), *slot));
                assert_eq!(owner, None, "{address} given twice");
                // What is on its way out may outlive its network.
                let known = state.networks.get(network);
                assert!(known.is_some() || service.removing, "an address in {network}, which is not there");
                assert!(known.is_none_or(|network| network.has_room_at(address)), "{address} in {network}");
            }
        }
        for (network, vip) in &service.vips {
            assert_eq!(
                addresses.insert((network.clone(), *vip), (key.clone(), 0)),
                None,
                "{vip} given twice"
            );
        }
    }
    let mut ports: Vec<(ServiceKey, PublishedPort)> = Vec::new();
    for (key, service) in state.services() {
        for port in service.published_ports() {
            let other = ports.iter().find(|(other, taken)| *other != key && taken.collides_with(&port));
            assert_eq!(other, None, "port {} given twice", port.host_port);
            ports.push((key.clone(), port));
        }
    }
    for task in state.tasks.values().filter(|task| task.is_wanted()) {
        for volume in task.spec.volumes.values() {
            assert_eq!(state.volumes[volume].node, Some(task.node), "volume {volume} in two places");
        }
    }
    let networks: Vec<_> = state.networks.values().collect();
    for (index, network) in networks.iter().enumerate() {
        for other in &networks[..index] {
            assert!(network.subnets().all(|subnet| other.overlap(subnet).is_none()), "subnets overlap");
        }
    }
}

/// The conditions of a gate that was just opened hold, by a reading of their own.
fn check_gate(state: &State, id: cluster::TaskId) {
    let task = &state.tasks[&id];
    let Some(service) = state.service(&task.service) else { return };
    for (name, dependency) in service.spec.compose.depends_on.iter().filter(|(_, d)| d.required) {
        let key = ServiceKey::new(&task.service.stack, name);
        let Some(found) = state.service(&key).filter(|found| !found.removing) else { continue };
        let mut good = 0;
        for task in state.tasks_of(&key).filter(|task| found.is_current(task)) {
            let Some(container) = task.container().filter(|c| c.generation == task.generation) else {
                continue;
            };
            good += u32::from(match dependency.condition {
                Condition::Started => container.state != ContainerState::Created,
                Condition::Healthy => container.health == Health::Healthy && task.is_running(),
                Condition::CompletedSuccessfully => {
                    container.state == ContainerState::Exited
                        && container.exit.as_ref().is_some_and(|e| e.code == 0)
                }
            });
        }
        assert!(
            good >= found.replicas,
            "{} started before `{name}` was {:?}",
            task.service,
            dependency.condition
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_sound(happenings in prop::collection::vec(happening(), 1..40)) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
            check_once(&world.state);
        }
    }

    #[test]
    fn all_wishes_are_fulfilled_when_all_goes_well(happenings in prop::collection::vec(happening(), 1..25)) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        world.happen(&Happening::NodeUp(0));
        world.happen(&Happening::NodeUp(1));
        world.happen(&Happening::NodeUp(2));
        for stack in 0..2 {
            let shape = ServiceShape { replicas: 2, image: 0, port: 0, vip: true, volume: true, extra: true, update: 0, depends: [0; 4] };
            let waits = ServiceShape { port: 4, depends: [2; 4], ..shape.clone() };
            world.happen(&Happening::Up { stack, shape: vec![shape, waits], force: false, orphans: true });
        }
        let mut rest = 0;
        while rest < 2 {
            world.happen(&Happening::Decide);
            let before = world.state.index;
            world.happen(&Happening::Work);
            rest = if world.state.index == before { rest + 1 } else { 0 };
            prop_assert!(world.state.index.0 < 100_000, "no rest");
        }
        for (key, service) in world.state.services() {
            prop_assert!(!service.removing, "{} stays", key);
            let running = world.state.tasks_of(&key).filter(|task| task.is_running() && service.is_current(task));
            let waits = decide_all(&world.state, world.now).blocked;
            prop_assert_eq!(running.count(), 2, "{}: {:?}", key, waits);
        }
        prop_assert_eq!(world.state.tasks.len(), 8);
    }

    #[test]
    fn a_stored_state_reads_back_equal_and_decides_alike(happenings in prop::collection::vec(happening(), 1..25)) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
        }
        let text = serde_json::to_string(&world.state).unwrap();
        let read: State = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &world.state);
        prop_assert_eq!(decide_all(&read, world.now), decide_all(&world.state, world.now));
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
