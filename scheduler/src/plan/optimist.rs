//! An agent on whose machine all goes well at once.

use std::collections::BTreeMap;

use cluster::compose_spec::Condition;
use cluster::{
    ChangeKind, ContainerState, ContainerStatus, Desired, Ended, Exit, Gate, Health, NodeId, Phase, State,
    Task, TaskId, TaskStatus, Timestamp,
};

/// What ready nodes would report if everything that they are told succeeded at once; empty when there is no
/// news. A service that others wait to see completed ends with 0, and one that they wait to see healthy is.
#[must_use]
pub fn optimistic_reports(state: &State, now: Timestamp) -> Vec<ChangeKind> {
    let mut news: BTreeMap<NodeId, (Vec<(TaskId, TaskStatus)>, Ended)> = BTreeMap::new();
    for task in state.tasks.values().filter(|task| state.is_ready(task.node)) {
        let mut status = outcome(state, task, now);
        status.at = task.status.at;
        if status != task.status {
            news.entry(task.node).or_default().0.push((task.id, status));
        }
    }
    for (name, network) in state.networks.iter().filter(|(_, network)| network.removing) {
        if state.tasks_in(name).next().is_none() {
            for node in network.nodes.iter().filter(|node| state.is_ready(**node)) {
                news.entry(*node).or_default().1.networks.push(name.clone());
            }
        }
    }
    for (name, volume) in state.volumes.iter().filter(|(_, volume)| volume.removing) {
        let in_use = |task: &Task| task.spec.volumes.values().any(|used| used == name);
        if let Some(node) = volume.node.filter(|node| state.is_ready(*node))
            && !state.tasks_on(node).any(in_use)
        {
            news.entry(node).or_default().1.volumes.push(name.clone());
        }
    }
    news.into_iter().map(|(node, (statuses, ended))| ChangeKind::Report { node, statuses, ended }).collect()
}

fn outcome(state: &State, task: &Task, now: Timestamp) -> TaskStatus {
    let mut status = task.status.clone();
    match (&task.desired, &task.gate) {
        (Desired::Remove(_), _) => {
            status.phase = Phase::Removed;
            status.container = None;
        }
        (Desired::Stop(_), _) => {
            status.rests = Some(task.generation);
            match &mut status.container {
                Some(container) if container.is_alive() => end(container, 143, now),
                _ => status.phase = status.phase.max(Phase::Prepared),
            }
        }
        (Desired::Run, Gate::Held) => status.phase = status.phase.max(Phase::Prepared),
        (Desired::Run, Gate::Open) => {
            if !task.is_running() && task.finished().is_none() {
                status.phase = Phase::Started;
                status.container = Some(running(task, now));
            }
            if let Some(container) = &mut status.container
                && container.state == ContainerState::Running
            {
                if is_waited_for(state, task, Condition::CompletedSuccessfully) {
                    end(container, 0, now);
                } else if is_waited_for(state, task, Condition::Healthy) {
                    container.health = Health::Healthy;
                }
            }
        }
    }
    status
}

fn running(task: &Task, now: Timestamp) -> ContainerStatus {
    ContainerStatus {
        state: ContainerState::Running,
        generation: task.generation,
        pid: None,
        started_at: Some(now),
        restarts: 0,
        exit: None,
        health: Health::None,
        checks: Vec::new(),
        image: String::new(),
    }
}

fn end(container: &mut ContainerStatus, code: i32, now: Timestamp) {
    container.state = ContainerState::Exited;
    container.exit = Some(Exit { code, oom: false, error: None, unhealthy: false, at: now });
}

fn is_waited_for(state: &State, task: &Task, condition: Condition) -> bool {
    state.dependents(&task.service).any(|(_, dependent)| {
        let dependency = dependent.spec.compose.depends_on.get(&task.service.service);
        !dependent.removing && dependency.is_some_and(|dependency| dependency.condition == condition)
    })
}
