//! What happened to containers, from how a stack was and how it is. Pure.

use std::collections::BTreeMap;

use cluster::view::{StackView, TaskView};
use cluster::{ContainerState, Health, TaskId, Timestamp};

/// Something that happened to one container, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) at: Timestamp,
    pub(crate) task: TaskId,
    pub(crate) service: String,
    /// `create`, `start`, `die`, `health_status: healthy`, ...
    pub(crate) action: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What happened between two views of a stack, in order. `now` is when that what has no time of its own was seen.
pub(crate) fn between(
    before: Option<&StackView>,
    after: Option<&StackView>,
    now: Timestamp,
) -> Vec<Happening> {
    let (old, new) = (containers(before), containers(after));
    let mut happenings = Vec::new();
    for (id, task) in &new {
        let known = old.get(id).copied();
        let mut add = |at: Timestamp, action: &str| happenings.push(happening(task, at, action));
        if known.is_none() {
            add(task.task.created_at, "create");
        }
        let (was, is) = (known.and_then(|task| task.task.container()), task.task.container());
        let Some(is) = is else { continue };
        let started = is.started_at.filter(|at| was.and_then(|was| was.started_at) != Some(*at));
        if let Some(at) = started {
            add(at, "start");
        }
        let exit = is.exit.as_ref().filter(|exit| was.and_then(|was| was.exit.as_ref()) != Some(exit));
        if let Some(exit) = exit {
            if exit.oom {
                add(exit.at, "oom");
            }
            add(exit.at, "die");
        }
        let paused = |state: Option<ContainerState>| state == Some(ContainerState::Paused);
        match (paused(was.map(|was| was.state)), paused(Some(is.state))) {
            (false, true) => add(now, "pause"),
            (true, false) if is.state == ContainerState::Running => add(now, "unpause"),
            _ => {}
        }
        let health = word(&is.health);
        if let Some(health) = health.filter(|_| was.and_then(|was| word(&was.health)) != health) {
            add(now, &format!("health_status: {health}"));
        }
    }
    for (id, task) in &old {
        if !new.contains_key(id) {
            happenings.push(happening(task, now, "destroy"));
        }
    }
    happenings.sort_by_key(|happening| happening.at);
    happenings
}

/// Containers of the file's services; those of `orc run` are left out, as docker compose does.
fn containers(view: Option<&StackView>) -> BTreeMap<TaskId, &TaskView> {
    let services = view.into_iter().flat_map(|view| view.services.values());
    let ours = services.filter(|service| service.spec.one_off.is_none());
    let tasks = ours.flat_map(|service| service.tasks.values());
    tasks.filter(|task| task.task.container().is_some()).map(|task| (task.task.id, task)).collect()
}

fn word(health: &Health) -> Option<&'static str> {
    match health {
        Health::None | Health::Starting => None,
        Health::Healthy => Some("healthy"),
        Health::Unhealthy { .. } => Some("unhealthy"),
    }
}

fn happening(view: &TaskView, at: Timestamp, action: &str) -> Happening {
    let task = &view.task;
    let mut attributes = task.spec.compose.labels.clone();
    attributes.insert("name".to_owned(), view.container_name.clone());
    attributes.insert("image".to_owned(), task.spec.compose.image.clone().unwrap_or_default());
    if let Some(exit) =
        task.container().and_then(|container| container.exit.as_ref()).filter(|_| action == "die")
    {
        attributes.insert("exitCode".to_owned(), exit.code.to_string());
        if exit.unhealthy {
            attributes.insert("reason".to_owned(), "unhealthy".to_owned());
        }
    }
    let (service, action) = (task.service.service.clone(), action.to_owned());
    Happening { at, task: task.id, service, action, attributes }
}

#[cfg(test)]
mod tests {
    use cluster::{Exit, StackName, Version};

    use super::*;
    use crate::words::tests::{service, task};

    fn stack(view: TaskView) -> StackView {
        StackView {
            name: StackName("shop".into()),
            version: Version(1),
            removing: false,
            services: [("web".to_owned(), service(1, vec![view]))].into(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            config_files: Vec::new(),
        }
    }

    fn check(before: Option<&StackView>, after: Option<&StackView>, expect: &[&str]) {
        let happened = between(before, after, Timestamp(9_000));
        let actions: Vec<&str> = happened.iter().map(|happening| happening.action.as_str()).collect();
        assert_eq!(actions, expect);
    }

    #[test]
    fn what_happened_is_told_once_and_in_order() {
        let created = stack({
            let mut view = task(1, Some(ContainerState::Created));
            view.task.status.container.as_mut().unwrap().started_at = None;
            view
        });
        let mut running = task(1, Some(ContainerState::Running));
        running.task.status.container.as_mut().unwrap().health = Health::Healthy;
        let paused = stack(task(1, Some(ContainerState::Paused)));
        let mut ended = task(1, Some(ContainerState::Exited));
        let exit = Exit { code: 3, oom: false, error: None, unhealthy: false, at: Timestamp(5_000) };
        ended.task.status.container.as_mut().unwrap().exit = Some(exit);
        let (running, ended) = (stack(running), stack(ended));
        check(None, Some(&created), &["create"]);
        check(None, Some(&stack(task(1, None))), &[]);
        check(Some(&created), Some(&running), &["start", "health_status: healthy"]);
        check(Some(&running), Some(&running), &[]);
        check(Some(&running), Some(&paused), &["pause"]);
        check(Some(&paused), Some(&running), &["unpause", "health_status: healthy"]);
        check(Some(&running), Some(&ended), &["die"]);
        check(Some(&ended), None, &["destroy"]);
        let died = between(Some(&running), Some(&ended), Timestamp(0)).remove(0);
        assert_eq!((died.at, died.attributes["exitCode"].as_str()), (Timestamp(5_000), "3"));
    }
}
