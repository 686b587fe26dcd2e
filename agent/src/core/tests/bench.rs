//! A machine on which every action does what is expected of it, unless the test says otherwise.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cluster::compose_spec::Service;
use cluster::view::{Assignments, PublishedPort, ServiceEndpoints, TaskEndpoint};
use cluster::{
    Addresses, Attachment, Desired, Endpoint, Gate, Network, NetworkName, NetworkSpec, NodeId, ServiceKey,
    ServiceSpec, StackName, StopHow, Task, TaskId, TaskStatus, Timestamp, Version, VolumeName,
};
use runtime::image::ImageConfig;
use runtime::{Exit, Joined, JoinedRuns, Started};
use serde_json::json;

use crate::core::{
    Action, ActionId, AgentCore, Failure, FailureKind, Input, Outcome, Output, ProbeResult, Update,
};

pub(super) const NODE: NodeId = NodeId(1);
const START: u64 = 1_000_000;

/// A core with a machine below it, and a list of what was seen.
pub(super) struct Bench {
    core: AgentCore,
    now: Timestamp,
    open: BTreeMap<ActionId, Action>,
    pub(super) assigned: Assignments,
    pub(super) trace: Vec<String>,
    wake: Option<Timestamp>,
    pub(super) image: ImageConfig,
    pids: u32,
    /// The first process of each task's last start.
    runs: BTreeMap<TaskId, u32>,
    /// Whose namespaces the containers are to be in.
    joined: BTreeMap<TaskId, Joined>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let image = ImageConfig { cmd: vec!["serve".to_owned()], ..ImageConfig::default() };
        let mut bench = Bench {
            core: AgentCore::new(NODE),
            now: Timestamp(START),
            open: BTreeMap::new(),
            assigned: Assignments::default(),
            trace: Vec::new(),
            wake: None,
            image,
            pids: 100,
            runs: BTreeMap::new(),
            joined: BTreeMap::new(),
        };
        bench.assigned.networks.insert(network_name(), network());
        bench
    }

    /// A task of a service as its Compose file has it, in slot and with id `number`.
    pub(super) fn task(&mut self, service: &str, number: u64, compose: serde_json::Value) -> &mut Task {
        let compose: Service = serde_json::from_value(compose).expect("a service");
        let key = ServiceKey::new(&StackName("shop".into()), service);
        let volumes = BTreeMap::from([("data".to_owned(), VolumeName("shop_data".into()))]);
        let used = compose.volumes.iter().any(|mount| mount.source.as_deref() == Some("data"));
        let spec = ServiceSpec {
            compose: Service { image: Some("demo".into()), ..compose },
            networks: BTreeMap::from([(network_name(), Attachment::default())]),
            files: Vec::new(),
            volumes: if used { volumes } else { BTreeMap::new() },
            hash: String::new(),
            one_off: None,
        };
        let task = Task {
            id: TaskId(number),
            service: key.clone(),
            slot: u32::try_from(number).unwrap(),
            spec: Arc::new(spec),
            node: NODE,
            endpoints: vec![Endpoint { network: network_name(), v4: Some(address(number)), v6: None }],
            desired: Desired::Run,
            gate: Gate::Open,
            generation: 1,
            restart_how: stop(),
            status: TaskStatus::default(),
            forced: 0,
            volumes_renewed: 0,
            created_at: Timestamp(START),
            settled_at: None,
            version: Version(1),
        };
        let endpoint = TaskEndpoint {
            slot: task.slot,
            node: NODE,
            container_name: task.container_name(),
            addresses: BTreeMap::from([(network_name(), Addresses { v4: Some(address(number)), v6: None })]),
            running: false,
            ready: false,
        };
        let endpoints = self.assigned.services.entry(key).or_insert_with(|| ServiceEndpoints {
            aliases: BTreeMap::from([(network_name(), Default::default())]),
            ..ServiceEndpoints::default()
        });
        endpoints.tasks.insert(task.id, endpoint);
        self.assigned.tasks.entry(task.id).insert_entry(task).into_mut()
    }

    /// Publishes port 80 of a service at port 8080.
    pub(super) fn publish(&mut self, service: &str) {
        let key = ServiceKey::new(&StackName("shop".into()), service);
        let port =
            PublishedPort { host_ip: None, host_port: 8080, protocol: "tcp".into(), target: 80, slot: None };
        self.assigned.services.get_mut(&key).expect("the service").ports.push(port);
    }

    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut Task)) {
        change(self.assigned.tasks.get_mut(&TaskId(number)).expect("the task"));
        self.complete();
    }

    /// The manager gives the complete assignments.
    pub(super) fn complete(&mut self) {
        self.assigned.version.0 += 1;
        let update = Update::Complete(self.assigned.clone());
        self.give(Input::Assigned(Box::new(update)));
    }

    /// Assigns, and lets everything that needs no time happen.
    pub(super) fn up(&mut self) {
        self.complete();
        self.work();
    }

    pub(super) fn give(&mut self, input: Input) {
        let outputs = self.core.step(input, self.now);
        for output in outputs {
            self.see(output);
        }
    }

    fn see(&mut self, output: Output) {
        match output {
            Output::Do(id, action) => {
                self.trace.push(format!("do {}", short(&action.to_string())));
                self.open.insert(id, action);
            }
            Output::Zone(network, zone) => {
                let names = zone.map(|zone| zone.names).unwrap_or_default();
                let web = names.get("web").map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
                self.trace.push(format!("zone {network} web={}", web.unwrap_or_default().join(",")));
            }
            Output::View(..) => {}
            Output::Report(report) => {
                for (id, status) in report.statuses {
                    if let Some(task) = self.assigned.tasks.get_mut(&id) {
                        task.status = status.clone();
                    }
                    self.trace.push(format!("say {}", short(&format!("{id} {}", words(&status)))));
                }
                for network in report.ended.networks {
                    self.trace.push(format!("say {network} ended"));
                }
                for volume in report.ended.volumes {
                    self.trace.push(format!("say {volume} ended"));
                }
            }
            Output::WakeAt(at) => self.wake = Some(at),
            Output::Resync => self.trace.push("resync".into()),
        }
    }

    /// Ends every action that ends by itself, until there is none.
    pub(super) fn work(&mut self) {
        while let Some(id) = self.next_open("", true) {
            self.end(id, None);
        }
    }

    fn next_open(&self, prefix: &str, only_short: bool) -> Option<ActionId> {
        let lasting = |action: &Action| {
            matches!(
                action,
                Action::Watch(_)
                    | Action::Probe(..)
                    | Action::Knock(..)
                    | Action::Hook(..)
                    | Action::RunBefore(..)
            )
        };
        let mut open = self.open.iter();
        let fits = |action: &Action| short(&action.to_string()).starts_with(prefix);
        open.find(|(_, action)| fits(action) && !(only_short && lasting(action))).map(|(id, _)| *id)
    }

    fn end(&mut self, id: ActionId, result: Option<Result<Outcome, Failure>>) {
        let action = self.open.remove(&id).expect("an open action");
        let result = result.unwrap_or_else(|| Ok(self.usual(&action)));
        self.give(Input::Done(id, result));
    }

    fn usual(&mut self, action: &Action) -> Outcome {
        match action {
            Action::PullImage { .. } => {
                Outcome::Image { id: "sha256:1".into(), config: Arc::new(self.image.clone()) }
            }
            Action::CreateNetns(task) => Outcome::Path(PathBuf::from(format!("/run/netns/{task}"))),
            Action::EnsureVolume(name, _) => Outcome::Path(PathBuf::from(format!("/volumes/{name}"))),
            Action::FetchBlob { digest } => Outcome::Blob(digest.clone().into_bytes()),
            Action::Start(task) => {
                self.pids += 1;
                self.runs.insert(*task, self.pids);
                let run = |id: &Option<String>| {
                    id.as_ref().and_then(|id| self.runs.get(&id.parse().ok()?)).copied()
                };
                let joined = self.joined.get(task).map_or_else(JoinedRuns::default, |joined| JoinedRuns {
                    network: None,
                    ipc: run(&joined.ipc),
                    pid: run(&joined.pid),
                });
                Outcome::Started(Started { pid: self.pids, started_at_ms: self.now.0, joined })
            }
            Action::CreateContainer(config) => {
                if let Ok(task) = config.id.parse() {
                    self.joined.insert(task, config.joined.clone());
                }
                Outcome::Done
            }
            Action::SetBalance(_) => Outcome::Balanced(Vec::new()),
            _ => Outcome::Done,
        }
    }

    /// The first open action whose text begins so ends with this.
    pub(super) fn finish(&mut self, prefix: &str, result: Result<Outcome, Failure>) {
        let id = self.next_open(prefix, false).unwrap_or_else(|| panic!("no open action `{prefix}`"));
        self.end(id, Some(result));
    }

    pub(super) fn fail(&mut self, prefix: &str, message: &str, kind: FailureKind) {
        self.finish(prefix, Err(Failure { message: message.into(), kind }));
    }

    /// The container of a task ends by itself.
    pub(super) fn exit(&mut self, number: u64, code: i32) {
        let started = self.assigned.tasks.get(&TaskId(number)).and_then(|task| task.container()?.started_at);
        let exit = Exit {
            code,
            signal: None,
            oom: false,
            error: None,
            started_at_ms: started.unwrap_or(self.now).0,
            finished_at_ms: self.now.0,
        };
        self.finish(&format!("watch {number}"), Ok(Outcome::Exited(exit)));
    }

    /// An open action takes long.
    pub(super) fn slow(&mut self, prefix: &str) {
        let id = self.next_open(prefix, false).unwrap_or_else(|| panic!("no open action `{prefix}`"));
        self.give(Input::Slow(id));
    }

    /// The first process of a task's container dies; how it ended is not known yet.
    pub(super) fn die(&mut self, number: u64) {
        self.give(Input::Dying(self.watch_of(number)));
    }

    /// The action that waits for the end of a task's container.
    pub(super) fn watch_of(&self, number: u64) -> ActionId {
        self.next_open(&format!("watch {number}"), false).expect("it is waited for")
    }

    pub(super) fn probe(&mut self, number: u64, code: i32) {
        let result = ProbeResult { code, timed_out: false, output: "said".into() };
        self.finish(&format!("probe {number}"), Ok(Outcome::Probed(result)));
    }

    /// Time passes; the core is woken when it asked for it, and what needs no time happens.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(at) = self.wake.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.wake = None;
            self.give(Input::Wake);
            self.work();
        }
        self.now = end;
    }

    /// Milliseconds from the start of the test to the next alarm.
    pub(super) fn alarm(&self) -> Option<u64> {
        self.wake.map(|at| at.0 - START)
    }

    /// Milliseconds from the start of the test to now.
    pub(super) fn clock(&self) -> u64 {
        self.now.0 - START
    }

    /// The next alarm goes off, and nothing else happens.
    pub(super) fn jump_to_alarm(&mut self) {
        self.now = self.wake.take().expect("an alarm");
        self.give(Input::Wake);
    }

    /// Ends actions until this one is begun, and gives it.
    pub(super) fn work_until(&mut self, prefix: &str) -> Action {
        loop {
            if let Some(id) = self.next_open(prefix, true) {
                return self.open[&id].clone();
            }
            let id = self.next_open("", true).unwrap_or_else(|| panic!("`{prefix}` is never begun"));
            self.end(id, None);
        }
    }

    /// The manager gives a difference between versions.
    pub(super) fn delta(&mut self, from: u64, version: u64) {
        let (from, version) = (Version(from), Version(version));
        let delta = cluster::view::AssignmentsDelta { from, version, ..Default::default() };
        self.give(Input::Assigned(Box::new(Update::Delta(delta))));
    }

    /// The service's view of a task gets this slot.
    pub(super) fn slot_of(&mut self, number: u64, slot: u32) {
        for service in self.assigned.services.values_mut() {
            if let Some(endpoint) = service.tasks.get_mut(&TaskId(number)) {
                endpoint.slot = slot;
            }
        }
    }

    /// A line that begins so was seen.
    pub(super) fn has_seen(&self, prefix: &str) -> bool {
        let bare = prefix.strip_prefix("do ").unwrap_or(prefix);
        self.trace.iter().any(|line| line.starts_with(prefix) || line.starts_with(&format!("do {bare}")))
    }

    /// What was last told of a task.
    pub(super) fn last_words(&self) -> String {
        self.trace.iter().rfind(|line| line.starts_with("say ")).cloned().unwrap_or_default()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.core.is_idle()
    }

    /// Forgets what was seen.
    pub(super) fn clear(&mut self) {
        self.trace.clear();
    }

    /// What was seen since the last call, a line each.
    #[track_caller]
    pub(super) fn check(&mut self, expected: &str) {
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let seen = std::mem::take(&mut self.trace);
        assert_eq!(seen, expected, "seen:\n{}\n", seen.join("\n"));
    }
}

pub(super) fn network_name() -> NetworkName {
    NetworkName("shop_default".into())
}

pub(super) fn network() -> Network {
    Network {
        spec: NetworkSpec { name: network_name(), compose: Default::default() },
        stack: StackName("shop".into()),
        subnet4: "10.0.0.0/24".parse().ok(),
        gateway4: "10.0.0.1".parse().ok(),
        subnet6: None,
        gateway6: None,
        nodes: Default::default(),
        removing: false,
        version: Version(1),
    }
}

pub(super) fn address(number: u64) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::new(10, 0, 0, u8::try_from(number + 1).unwrap())
}

pub(super) fn service(value: serde_json::Value) -> serde_json::Value {
    value
}

pub(super) fn plain() -> serde_json::Value {
    service(json!({}))
}

pub(super) fn stop() -> StopHow {
    StopHow::default()
}

/// Task ids without their zeros.
fn short(text: &str) -> String {
    text.replace("000000000000000", "")
}

/// A status in one line, times left out.
fn words(status: &TaskStatus) -> String {
    let mut text = format!("{:?}", status.phase).to_lowercase();
    if let Some(container) = &status.container {
        let state = match container.state {
            cluster::ContainerState::Restarting { at } => {
                format!("restarting at {}", i128::from(at.0) - i128::from(START))
            }
            other => format!("{other:?}").to_lowercase(),
        };
        text += &format!(" {state} generation {}", container.generation);
        if container.restarts > 0 {
            text += &format!(" restarts {}", container.restarts);
        }
        if let Some(exit) = &container.exit {
            text += &format!(" exit {}", exit.code);
            text += &exit.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        }
        match &container.health {
            cluster::Health::None => {}
            cluster::Health::Unhealthy { failing_streak, output } => {
                text += &format!(" unhealthy {failing_streak} `{output}`");
            }
            other => text += &format!(" {}", format!("{other:?}").to_lowercase()),
        }
    }
    if let Some(problem) = &status.problem {
        let retry = problem
            .retry_at
            .map(|at| format!(", again at {}", i128::from(at.0) - i128::from(START)))
            .unwrap_or_default();
        text += &format!(" problem: {}{retry}", problem.message);
    }
    text
}
