//! A cluster for tests: wishes in Compose JSON, machines on which all goes well unless a test says otherwise.

use cluster::{
    Change, ChangeKind, ContainerState, Event, FileDigests, NodeDescription, NodeId, PutStack, Refusal,
    ServiceKey, StackName, StackSpec, State, Task, TaskStatus, Timestamp,
};

use crate::{Decision, decide, optimistic_reports};

/// A state with a clock.
pub(crate) struct Bench {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
}

/// The wish that a project in Compose's canonical JSON (relaxed YAML-like by `json!`) states.
pub(crate) fn wish(project: serde_json::Value) -> PutStack {
    let project = serde_json::from_value(project).expect("a project");
    PutStack::new(StackSpec::from_project(&project, &FileDigests::default()).expect("a wish"))
}

/// A stack `hello` with the service `web` alone.
pub(crate) fn one(service: serde_json::Value) -> PutStack {
    wish(serde_json::json!({"name": "hello", "services": {"web": service}}))
}

/// The three services of examples/stacks/hello.
pub(crate) fn hello() -> serde_json::Value {
    serde_json::json!({
        "name": "hello",
        "services": {
            "store": {"image": "orc/demo", "volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
            "seed": {"image": "orc/demo", "depends_on": {"store": {"condition": "service_healthy"}}},
            "web": {
                "image": "orc/demo",
                "deploy": {"replicas": 3},
                "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}],
                "depends_on": {
                    "store": {"condition": "service_healthy"},
                    "seed": {"condition": "service_completed_successfully"}
                }
            }
        },
        "volumes": {"data": {}}
    })
}

impl Bench {
    /// A cluster of machines named `a`, `b`, ... with 4 cores and 8 GiB.
    pub(crate) fn with_nodes(count: u64) -> Self {
        let mut bench = Self { state: State::new(), now: Timestamp(1_000) };
        for id in 1..=count {
            bench.node(id, |_| {});
        }
        bench
    }

    pub(crate) fn node(&mut self, id: u64, describe: impl Fn(&mut NodeDescription)) {
        let letter = u8::try_from(id).expect("few nodes") + b'a' - 1;
        let mut description = NodeDescription {
            name: char::from(letter).to_string(),
            cpu_nanos: 4_000_000_000,
            memory_bytes: 8 << 30,
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..NodeDescription::default()
        };
        describe(&mut description);
        self.apply(ChangeKind::PutNode { node: NodeId(id), description }).expect("a node");
    }

    pub(crate) fn apply(&mut self, kind: ChangeKind) -> Result<Vec<Event>, Refusal> {
        self.now = self.now.plus_ms(1);
        self.state.apply(Change { at: self.now, kind })
    }

    pub(crate) fn up(&mut self, put: PutStack) -> Result<Vec<Event>, Refusal> {
        self.apply(ChangeKind::PutStack(Box::new(put)))
    }

    /// Decides and applies until nothing is left to decide; nothing happens on the machines.
    pub(crate) fn decide(&mut self) -> (String, Decision) {
        let mut text = String::new();
        for _ in 0..1_000 {
            let touched = self.state.take_touched();
            let decision = decide(&self.state, &touched, self.now);
            let lines = Decision { changes: decision.changes.clone(), ..Decision::default() };
            text.push_str(&lines.to_text(&self.state));
            for kind in decision.changes.clone() {
                self.apply(kind).expect("what was just decided fits");
            }
            if decision.changes.is_empty() {
                return (text, decision);
            }
        }
        panic!("no fixpoint:\n{text}");
    }

    /// Lets the machines do what they are told, and decides, until nothing moves.
    pub(crate) fn settle(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..1_000 {
            text.push_str(&self.decide().0);
            let reports = optimistic_reports(&self.state, self.now);
            if reports.is_empty() {
                return text;
            }
            for report in reports {
                self.apply(report).expect("a report");
            }
        }
        panic!("no rest:\n{text}");
    }

    /// What waits, looking at everything.
    pub(crate) fn waits(&self) -> String {
        let decision = crate::decide_all(&self.state, self.now);
        let mut waits: Vec<String> = decision
            .blocked
            .values()
            .flatten()
            .map(|b| {
                let mark = if b.wait.hopeless { " (hopeless)" } else { "" };
                format!("{}.{}: {}{mark}", b.service.service, b.slot, b.wait.reason)
            })
            .collect();
        waits.sort();
        waits.join("\n")
    }

    pub(crate) fn task(&self, service: &str, slot: u32) -> &Task {
        let task = self.state.tasks.values().find(|t| t.service.service == service && t.slot == slot);
        task.expect("such a task")
    }

    /// Reports another status of a task than there is.
    pub(crate) fn report(&mut self, service: &str, slot: u32, change: impl Fn(&mut TaskStatus)) {
        let task = self.task(service, slot);
        let (id, node, mut status) = (task.id, task.node, task.status.clone());
        change(&mut status);
        let ended = Default::default();
        self.apply(ChangeKind::Report { node, statuses: vec![(id, status)], ended }).expect("a report");
    }

    /// Reports that a container ended for good.
    pub(crate) fn ends(&mut self, service: &str, code: i32) {
        let at = self.now;
        self.report(service, 1, |status| {
            let container = status.container.as_mut().expect("a container");
            container.state = ContainerState::Exited;
            container.exit = Some(cluster::Exit { code, oom: false, error: None, unhealthy: false, at });
        });
    }
}

/// The key of a service of the stack `hello`.
pub(crate) fn key(service: &str) -> ServiceKey {
    ServiceKey::new(&StackName("hello".to_owned()), service)
}
