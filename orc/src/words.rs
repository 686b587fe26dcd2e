//! What a task does, in words for a person. Pure: the time is an argument.

use cluster::view::TaskView;
use cluster::{ContainerState, Desired, Gate, Health, Phase, Task, Timestamp};

/// The state of a task: for tables, for people, and as Docker's word for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// One of docker's states (`running`, `exited`, ...), or `pending` while there is no container.
    pub(crate) state: &'static str,
    /// `running for 5m (healthy)`.
    pub(crate) status: String,
    /// Why it is not as wished; empty when it is.
    pub(crate) detail: String,
}

/// Describes a task at a time.
pub(crate) fn describe(view: &TaskView, now: Timestamp) -> Words {
    let (state, mut status) = state_of(view, now);
    if !view.current && state != "removing" {
        status.push_str(" (being replaced)");
    }
    Words { state, status, detail: detail_of(view) }
}

fn state_of(view: &TaskView, now: Timestamp) -> (&'static str, String) {
    let task = &view.task;
    if matches!(task.desired, cluster::Desired::Remove(_)) {
        return ("removing", "removing".to_owned());
    }
    let Some(container) = task.container() else {
        let since = view.waits.as_ref().map_or(task.created_at, |wait| wait.since);
        let word = if task.status.phase == Phase::Preparing { "preparing" } else { "pending" };
        return (
            if word == "pending" { "pending" } else { "created" },
            format!("{word} for {}", span(now, since)),
        );
    };
    let ago = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), |at| span(now, at));
    match container.state {
        ContainerState::Created => ("created", "created".to_owned()),
        ContainerState::Running => {
            let health = match &container.health {
                Health::None => "",
                Health::Starting => " (starting)",
                Health::Healthy => " (healthy)",
                Health::Unhealthy { .. } => " (unhealthy)",
            };
            ("running", format!("running for {}{health}", ago(container.started_at)))
        }
        ContainerState::Paused => ("paused", "paused".to_owned()),
        ContainerState::Restarting { at } => {
            let after = match &container.exit {
                Some(exit) if exit.unhealthy => ", because it was unhealthy".to_owned(),
                Some(exit) => format!(" after exit {}", exit.code),
                None => String::new(),
            };
            ("restarting", format!("restarting in {}{after}", span(at, now)))
        }
        ContainerState::Stopping => ("running", "stopping".to_owned()),
        ContainerState::Exited => match &container.exit {
            Some(exit) => ("exited", format!("exited ({}) {} ago", exit.code, span(now, exit.at))),
            None => ("exited", "exited".to_owned()),
        },
    }
}

fn detail_of(view: &TaskView) -> String {
    if let Some(problem) = view.task.problem() {
        return problem.message.clone();
    }
    if let Some(wait) = &view.waits {
        return wait.reason.clone();
    }
    if let Some(reason) = waits_to_share(&view.task) {
        return reason;
    }
    let Some(container) = view.task.container() else { return String::new() };
    let restarts = match container.restarts {
        0 => String::new(),
        1 => "restarted once".to_owned(),
        count => format!("restarted {count} times"),
    };
    let exit = container.exit.as_ref().filter(|_| container.state != ContainerState::Running);
    match (exit, &container.health) {
        (Some(exit), _) if exit.error.is_some() => exit.error.clone().unwrap_or_default(),
        (Some(exit), _) if exit.oom => "killed: out of memory".to_owned(),
        (_, Health::Unhealthy { failing_streak, output }) => {
            format!("{failing_streak} checks failed, the last said: {}", output.trim())
        }
        _ if container.exit.as_ref().is_some_and(|exit| exit.oom) => format!("{restarts}; out of memory"),
        _ if container.exit.as_ref().is_some_and(|exit| exit.unhealthy) && container.restarts > 0 => {
            format!("{restarts}; it was unhealthy")
        }
        _ => restarts,
    }
}

/// Whom a container that may start, and does not, waits for: one whose namespaces or mounts it shares.
pub(crate) fn waits_to_share(task: &Task) -> Option<String> {
    let created = task.container().is_none_or(|container| container.state == ContainerState::Created);
    if !created || task.desired != Desired::Run || task.gate != Gate::Open {
        return None;
    }
    let compose = &task.spec.compose;
    let shared = [
        ("network", &compose.network_mode),
        ("IPC namespace", &compose.ipc),
        ("process namespace", &compose.pid),
    ];
    let whose =
        |mode: &str| mode.strip_prefix("service:").or(mode.strip_prefix("container:")).map(str::to_owned);
    let found = shared.into_iter().find_map(|(what, mode)| Some((what, whose(mode.as_deref()?)?)));
    found.map(|(what, name)| format!("waits for `{name}`, whose {what} it shares"))
}

/// The time from one point to a later one, in the largest unit that fits: `12s`, `5m`, `3h`, `9d`.
pub(crate) fn span(later: Timestamp, earlier: Timestamp) -> String {
    let seconds = later.ms_since(earlier) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A published port as Docker prints it: `0.0.0.0:8080->80/tcp`.
pub(crate) fn port(port: &cluster::view::PublishedPort) -> String {
    let host = match port.host_ip {
        Some(std::net::IpAddr::V6(v6)) => format!("[{v6}]"),
        Some(v4) => v4.to_string(),
        None => "0.0.0.0".to_owned(),
    };
    format!("{host}:{}->{}/{}", port.host_port, port.target, port.protocol)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use cluster::view::{ServiceView, Wait};
    use cluster::{
        ContainerStatus, Desired, Exit, Gate, NodeId, Problem, Run, ServiceKey, ServiceSpec, StackName, Task,
        TaskId, TaskStatus, Version,
    };

    use super::*;

    /// A task with an id, whose container (if any) is in a state.
    pub(crate) fn task(id: u64, state: Option<ContainerState>) -> TaskView {
        let spec: ServiceSpec = serde_json::from_value(serde_json::json!({
            "compose": {}, "networks": {}, "files": [], "volumes": {}, "hash": "",
        }))
        .unwrap();
        let container = state.map(|state| ContainerStatus {
            state,
            generation: 1,
            pid: None,
            started_at: Some(Timestamp(1_000)),
            restarts: 0,
            exit: None,
            health: Health::None,
            checks: Vec::new(),
            image: String::new(),
        });
        let phase = if container.is_some() { Phase::Started } else { Phase::Assigned };
        TaskView {
            task: Task {
                id: TaskId(id),
                service: ServiceKey::new(&StackName("shop".into()), "web"),
                slot: 1,
                spec: Arc::new(spec),
                node: NodeId(1),
                endpoints: Vec::new(),
                desired: Desired::Run,
                gate: Gate::Open,
                generation: 1,
                restart_how: Default::default(),
                status: TaskStatus { phase, container, generation: 1, ..TaskStatus::default() },
                forced: 0,
                volumes_renewed: 0,
                created_at: Timestamp(1_000),
                settled_at: None,
                version: Version(1),
            },
            container_name: "shop-web-1".into(),
            current: true,
            waits: None,
        }
    }

    /// A service that should run with so many replicas, and its tasks.
    pub(crate) fn service(replicas: u32, tasks: Vec<TaskView>) -> ServiceView {
        ServiceView {
            spec: task(0, None).task.spec,
            replicas,
            run: Run::Started,
            removing: false,
            ports: Vec::new(),
            orphan: false,
            update: None,
            tasks: tasks.into_iter().map(|view| (view.task.id, view)).collect(),
            pending: Default::default(),
        }
    }

    #[test]
    fn a_task_says_what_it_does_and_why_not() {
        let now = Timestamp(61_000);
        let check = |view: &TaskView, state: &str, status: &str, detail: &str| {
            let words = describe(view, now);
            assert_eq!((words.state, words.status.as_str(), words.detail.as_str()), (state, status, detail));
        };
        let mut view = task(1, None);
        check(&view, "pending", "pending for 1m", "");
        let reason = "waits for `db` to be healthy".to_owned();
        view.waits = Some(Wait { reason: reason.clone(), hopeless: false, since: Timestamp(51_000) });
        check(&view, "pending", "pending for 10s", &reason);
        view.task.status.problem = Some(Problem { message: "cannot pull `x`".into(), retry_at: None });
        check(&view, "pending", "pending for 10s", "cannot pull `x`");

        let mut view = task(1, Some(ContainerState::Running));
        check(&view, "running", "running for 1m", "");
        let container = view.task.status.container.as_mut().unwrap();
        container.restarts = 2;
        container.health = Health::Unhealthy { failing_streak: 3, output: "no route\n".into() };
        check(&view, "running", "running for 1m (unhealthy)", "3 checks failed, the last said: no route");
        let container = view.task.status.container.as_mut().unwrap();
        container.health = Health::Healthy;
        container.exit = Some(Exit { code: 143, oom: false, error: None, unhealthy: true, at: now });
        check(&view, "running", "running for 1m (healthy)", "restarted 2 times; it was unhealthy");
        view.current = false;
        assert!(describe(&view, now).status.ends_with("(being replaced)"));

        let mut view = task(1, Some(ContainerState::Exited));
        let container = view.task.status.container.as_mut().unwrap();
        container.exit =
            Some(Exit { code: 137, oom: true, error: None, unhealthy: false, at: Timestamp(59_000) });
        check(&view, "exited", "exited (137) 2s ago", "killed: out of memory");
        let container = view.task.status.container.as_mut().unwrap();
        container.state = ContainerState::Restarting { at: Timestamp(64_000) };
        container.exit = Some(Exit {
            code: 127,
            oom: false,
            error: Some("`x` is not there".into()),
            unhealthy: false,
            at: now,
        });
        check(&view, "restarting", "restarting in 3s after exit 127", "`x` is not there");
        let container = view.task.status.container.as_mut().unwrap();
        container.exit = Some(Exit { code: 143, oom: false, error: None, unhealthy: true, at: now });
        check(&view, "restarting", "restarting in 3s, because it was unhealthy", "");

        let mut view = task(1, Some(ContainerState::Created));
        check(&view, "created", "created", "");
        let mut spec = (*view.task.spec).clone();
        spec.compose.network_mode = Some("service:db".into());
        view.task.spec = Arc::new(spec);
        check(&view, "created", "created", "waits for `db`, whose network it shares");
    }
}
