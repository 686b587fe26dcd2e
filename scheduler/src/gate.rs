//! May a task start? What it depends on must have come as far as the file says.

use cluster::{
    ContainerState, Desired, Health, Run, Service, ServiceKey, State, Task, Update, UpdateState, compose_spec,
};

/// Why a task may not start yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    /// In words for a person: ``waits for `db` to be healthy``.
    pub(crate) reason: String,
    /// A dependency failed for good.
    pub(crate) hopeless: bool,
}

/// What one dependency has come to.
enum Reached {
    Yes,
    NotYet(String),
    Never(String),
}

/// Why the tasks of a service may not start; `None` when they may. A dependency that is not there (`--no-deps`,
/// a disabled profile) or has no replicas is not waited for, as in docker compose.
pub(crate) fn check(state: &State, key: &ServiceKey, service: &Service) -> Option<Waits> {
    let mut not_yet = None;
    for (name, dependency) in &service.spec.compose.depends_on {
        let target = ServiceKey::new(&key.stack, name);
        let Some(found) = state.service(&target).filter(|found| !found.removing && found.replicas > 0) else {
            continue;
        };
        match reached(state, &target, found, dependency.condition) {
            Reached::Yes => {}
            Reached::Never(_) if !dependency.required => {}
            Reached::Never(reason) => return Some(Waits { reason, hopeless: true }),
            Reached::NotYet(reason) => {
                not_yet.get_or_insert(Waits { reason, hopeless: false });
            }
        }
    }
    not_yet
}

fn reached(
    state: &State,
    key: &ServiceKey,
    service: &Service,
    condition: compose_spec::Condition,
) -> Reached {
    let name = &key.service;
    let (wish, check): (_, fn(&Task) -> Reached) = match condition {
        compose_spec::Condition::Started => ("to start", started),
        compose_spec::Condition::Healthy => ("to be healthy", healthy),
        compose_spec::Condition::CompletedSuccessfully => ("to complete", completed),
    };
    if service.run != Run::Started {
        return Reached::Never(format!("waits for `{name}` {wish}, and it is stopped"));
    }
    let mut ready = 0;
    let mut not_yet = None;
    for task in state.tasks_of(key).filter(|task| service.is_current(task)) {
        if !state.is_ready(task.node) {
            // What was last heard from there may be true no more, and the task may be made anew elsewhere.
            not_yet.get_or_insert("its node is down".to_owned());
            continue;
        }
        match check(task) {
            Reached::Yes => ready += 1,
            Reached::NotYet(why) => {
                not_yet.get_or_insert(why);
            }
            Reached::Never(why) => return Reached::Never(format!("waits for `{name}` {wish}: {why}")),
        }
    }
    if not_yet.is_none() && ready >= service.replicas {
        return Reached::Yes;
    }
    if let Some(Update { state: UpdateState::Paused(why), .. }) = &service.update {
        return Reached::Never(format!("waits for `{name}` {wish}, and its update is paused: {why}"));
    }
    match not_yet {
        None => Reached::NotYet(format!("waits for `{name}` {wish}")),
        Some(why) if why.is_empty() => Reached::NotYet(format!("waits for `{name}` {wish}")),
        Some(why) => Reached::NotYet(format!("waits for `{name}` {wish}: {why}")),
    }
}

/// The present generation was started once, whatever became of it.
fn started(task: &Task) -> Reached {
    let Some(container) = task.container().filter(|c| c.generation >= task.generation) else {
        return preparing(task);
    };
    match &container.exit {
        Some(exit) if container.state == ContainerState::Exited && exit.error.is_some() => {
            Reached::Never(format!("it could not be started: {}", exit.error.as_deref().unwrap_or_default()))
        }
        _ if container.state == ContainerState::Created => Reached::NotYet(String::new()),
        _ => Reached::Yes,
    }
}

fn healthy(task: &Task) -> Reached {
    if let Some(exit) = task.finished() {
        return Reached::Never(format!("it ended with exit code {}", exit.code));
    }
    if !task.is_running() {
        return preparing(task);
    }
    match task.container().map(|container| &container.health) {
        Some(Health::Healthy) => Reached::Yes,
        Some(Health::Unhealthy { failing_streak: 1, .. }) => {
            Reached::Never("a check of it failed".to_owned())
        }
        Some(Health::Unhealthy { failing_streak, .. }) => {
            Reached::Never(format!("{failing_streak} checks of it failed in a row"))
        }
        Some(Health::None) => Reached::Never("it has no health check".to_owned()),
        Some(Health::Starting) | None => Reached::NotYet(String::new()),
    }
}

fn completed(task: &Task) -> Reached {
    match task.finished() {
        Some(exit) if exit.code == 0 => Reached::Yes,
        Some(exit) => Reached::Never(format!("it ended with exit code {}", exit.code)),
        None => preparing(task),
    }
}

/// A task that has not come to anything yet: the agent may know why, and that it never will.
fn preparing(task: &Task) -> Reached {
    match task.problem() {
        Some(problem) if problem.retry_at.is_none() && task.desired == Desired::Run => {
            Reached::Never(problem.message.clone())
        }
        Some(problem) => Reached::NotYet(problem.message.clone()),
        None => Reached::NotYet(String::new()),
    }
}
