//! When is a wish fulfilled? Pure: from a stack as it is to a line for each service and a verdict.

use std::collections::BTreeSet;

use cluster::view::{ServiceView, StackView, TaskView};
use cluster::{ContainerState, Desired, Health, Phase};
use compose_spec::Condition;

use crate::output::progress::{Status, Step};

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Containers are there (`up --no-start`, `create`).
    Created,
    /// Containers were started, as `up -d` means it: one that ended again by itself was started too.
    Started,
    /// Containers run and are healthy, or ended well (`--wait`).
    Healthy,
    /// No process runs (`stop`).
    Stopped,
}

/// Where one service or task stands on the way to a goal; ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Done,
    Waiting,
    Working,
    Failed,
}

/// A service on the way to a goal.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    class: Class,
    text: String,
    note: String,
}

impl Progress {
    /// As a line of progress.
    pub(crate) fn step(&self, service: &str) -> Step {
        let status = match self.class {
            Class::Done => Status::Done,
            Class::Failed => Status::Failed,
            Class::Waiting | Class::Working => Status::Working,
        };
        Step { label: service.to_owned(), text: self.text.clone(), note: self.note.clone(), status }
    }
}

/// Where a service stands.
pub(crate) fn progress(service: &ServiceView, goal: Goal) -> Progress {
    let wanted = service.replicas as usize;
    let current: Vec<&TaskView> = service.tasks.values().filter(|view| is_current(view)).collect();
    let looks: Vec<Look> = current.iter().map(|view| look(view, goal)).collect();
    let done = looks.iter().filter(|look| look.class == Class::Done).count();
    let worst = looks.iter().max_by_key(|look| look.class);
    let (mut class, word, mut note) = match worst {
        Some(worst) => (worst.class, worst.word.clone(), worst.note.clone()),
        None if wanted == 0 => (Class::Done, "no replicas".to_owned(), String::new()),
        None => (Class::Working, "pending".to_owned(), String::new()),
    };
    if let Some(wait) = service.pending.values().max_by_key(|wait| wait.hopeless) {
        let pending = if wait.hopeless { Class::Failed } else { Class::Waiting };
        if pending >= class {
            (class, note) = (pending, wait.reason.clone());
        }
    } else if class < Class::Working && (current.len() < wanted || current.len() < service.tasks.len()) {
        class = Class::Working;
    }
    let text = if wanted == 0 { word } else { format!("{done}/{wanted} {word}") };
    Progress { class, text, note }
}

fn is_current(view: &TaskView) -> bool {
    view.current && !matches!(view.task.desired, Desired::Remove(_))
}

struct Look {
    class: Class,
    word: String,
    note: String,
}

impl Look {
    fn new(class: Class, word: impl Into<String>) -> Self {
        Self { class, word: word.into(), note: String::new() }
    }

    fn note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }
}

fn look(view: &TaskView, goal: Goal) -> Look {
    let task = &view.task;
    if goal == Goal::Stopped {
        let running = task.container().is_some_and(|container| {
            use ContainerState::{Paused, Restarting, Running, Stopping};
            matches!(container.state, Running | Paused | Restarting { .. } | Stopping)
        });
        return if running {
            Look::new(Class::Working, "stopping")
        } else {
            Look::new(Class::Done, "stopped")
        };
    }
    if let Some(exit) = task.finished() {
        return match (&exit.error, exit.code, goal) {
            (Some(error), code, _) => Look::new(Class::Failed, format!("exited ({code})")).note(error),
            (None, 0, _) => Look::new(Class::Done, "completed"),
            (None, code, Goal::Healthy) => Look::new(Class::Failed, format!("exited ({code})")),
            (None, code, _) => Look::new(Class::Done, format!("exited ({code})")),
        };
    }
    if task.is_running() {
        return running(view, goal);
    }
    if let Some(problem) = &task.status.problem {
        return Look::new(Class::Failed, "failed").note(&problem.message);
    }
    if let Some(ContainerState::Restarting { .. }) = task.container().map(|container| container.state) {
        let exit = task.container().and_then(|container| container.exit.as_ref());
        let error = exit.and_then(|exit| exit.error.as_deref()).unwrap_or_default();
        let class = if error.is_empty() && goal != Goal::Healthy { Class::Done } else { Class::Failed };
        return Look::new(class, "restarting").note(error);
    }
    if goal == Goal::Created && task.status.phase >= Phase::Prepared {
        return Look::new(Class::Done, "created");
    }
    if let Some(wait) = &view.waits {
        let class = if wait.hopeless { Class::Failed } else { Class::Waiting };
        return Look::new(class, "waiting").note(&wait.reason);
    }
    Look::new(
        Class::Working,
        match task.status.phase {
            Phase::Assigned => "pending",
            Phase::Preparing => "preparing",
            Phase::Prepared | Phase::Started => "starting",
            Phase::Removed => "removed",
        },
    )
}

fn running(view: &TaskView, goal: Goal) -> Look {
    let health = view.task.container().map(|container| &container.health);
    match health {
        Some(Health::Healthy) => Look::new(Class::Done, "healthy"),
        Some(Health::Starting) if goal == Goal::Healthy => Look::new(Class::Working, "starting"),
        Some(Health::Starting) => Look::new(Class::Done, "started"),
        Some(Health::Unhealthy { output, .. }) => {
            let class = if goal == Goal::Healthy { Class::Failed } else { Class::Done };
            Look::new(class, "unhealthy").note(output.trim())
        }
        _ => Look::new(Class::Done, "running"),
    }
}

/// Whether nothing more is to be waited for: `Some(true)` when the goal is reached, `Some(false)` when part of
/// it will not be. What can still get on is waited for, however much else has failed.
pub(crate) fn verdict(view: &StackView, names: &BTreeSet<String>, goal: Goal) -> Option<bool> {
    let mut failed = BTreeSet::new();
    let mut waiting = BTreeSet::new();
    for name in names {
        let class = view.services.get(name).map_or(Class::Working, |service| progress(service, goal).class);
        match class {
            Class::Done => {}
            Class::Working => return None,
            Class::Waiting => _ = waiting.insert(name.as_str()),
            Class::Failed => _ = failed.insert(name.as_str()),
        }
    }
    // A dependent of what has failed waits for nothing; so do its own dependents.
    loop {
        let lost: Vec<&str> =
            waiting.iter().copied().filter(|name| depends_on_failure(view, name, &failed)).collect();
        if lost.is_empty() {
            break;
        }
        for name in lost {
            waiting.remove(name);
            failed.insert(name);
        }
    }
    if waiting.is_empty() { Some(failed.is_empty()) } else { None }
}

fn depends_on_failure(view: &StackView, name: &str, failed: &BTreeSet<&str>) -> bool {
    let Some(service) = view.services.get(name) else { return false };
    service.spec.compose.depends_on.iter().any(|(needed, dependency)| {
        let unhealthy = dependency.condition == Condition::Healthy && is_unhealthy(view, needed);
        dependency.required && (failed.contains(needed.as_str()) || unhealthy)
    })
}

fn is_unhealthy(view: &StackView, name: &str) -> bool {
    view.services.get(name).is_some_and(|service| {
        let containers =
            service.tasks.values().filter(|view| is_current(view)).filter_map(|view| view.task.container());
        containers.into_iter().any(|container| matches!(container.health, Health::Unhealthy { .. }))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cluster::view::Wait;
    use cluster::{Exit, Problem, Run, StackName, Timestamp, Version};

    use super::*;
    use crate::words::tests::task;

    fn service(replicas: u32, tasks: Vec<TaskView>) -> ServiceView {
        let spec = task(0, None).task.spec;
        ServiceView {
            spec,
            replicas,
            run: Run::Started,
            removing: false,
            ports: Vec::new(),
            orphan: false,
            tasks: tasks.into_iter().map(|view| (view.task.id, view)).collect(),
            pending: BTreeMap::new(),
        }
    }

    fn exited(id: u64, code: i32, error: Option<&str>) -> TaskView {
        let mut view = task(id, Some(ContainerState::Exited));
        let container = view.task.status.container.as_mut().unwrap();
        container.exit = Some(Exit { code, oom: false, error: error.map(Into::into), at: Timestamp(0) });
        view
    }

    fn waiting(id: u64) -> TaskView {
        let mut view = task(id, None);
        view.waits = Some(Wait { reason: "waits for `db`".into(), hopeless: false, since: Timestamp(0) });
        view
    }

    #[test]
    fn a_service_stands_where_its_worst_task_does() {
        let check = |service: &ServiceView, goal: Goal, class: Class, text: &str| {
            let found = progress(service, goal);
            assert_eq!((found.class, found.text.as_str()), (class, text));
        };
        let running = || task(1, Some(ContainerState::Running));
        check(&service(1, vec![running()]), Goal::Started, Class::Done, "1/1 running");
        check(&service(2, vec![running()]), Goal::Started, Class::Working, "1/2 running");
        check(&service(2, vec![running(), task(2, None)]), Goal::Started, Class::Working, "1/2 pending");
        check(&service(1, vec![]), Goal::Started, Class::Working, "0/1 pending");
        check(&service(0, vec![]), Goal::Started, Class::Done, "no replicas");
        check(&service(1, vec![exited(1, 0, None)]), Goal::Healthy, Class::Done, "1/1 completed");
        check(&service(1, vec![exited(1, 3, None)]), Goal::Started, Class::Done, "1/1 exited (3)");
        check(&service(1, vec![exited(1, 3, None)]), Goal::Healthy, Class::Failed, "0/1 exited (3)");
        check(
            &service(1, vec![exited(1, 127, Some("no"))]),
            Goal::Started,
            Class::Failed,
            "0/1 exited (127)",
        );
        check(&service(1, vec![running()]), Goal::Stopped, Class::Working, "0/1 stopping");
        check(&service(1, vec![exited(1, 3, None)]), Goal::Stopped, Class::Done, "1/1 stopped");
        let mut old = running();
        old.current = false;
        check(
            &service(1, vec![old, task(2, Some(ContainerState::Running))]),
            Goal::Started,
            Class::Working,
            "1/1 running",
        );
    }

    #[test]
    fn the_verdict_waits_for_whatever_can_still_get_on() {
        let check = |db: TaskView, web: TaskView, expect: Option<bool>| {
            let mut dependent = service(1, vec![web]);
            let mut spec = (*dependent.spec).clone();
            spec.compose.depends_on.insert("db".into(), compose_spec::Dependency::default());
            dependent.spec = spec.into();
            let view = StackView {
                name: StackName("shop".into()),
                version: Version(1),
                removing: false,
                services: [("db".to_owned(), service(1, vec![db])), ("web".to_owned(), dependent)].into(),
                networks: BTreeMap::new(),
                volumes: BTreeMap::new(),
            };
            let names = ["db".to_owned(), "web".to_owned()].into();
            assert_eq!(verdict(&view, &names, Goal::Started), expect);
        };
        let running = |id| task(id, Some(ContainerState::Running));
        let broken = |id| {
            let mut view = task(id, None);
            view.task.status.problem = Some(Problem { message: "cannot pull".into(), retry_at: None });
            view
        };
        check(running(1), running(2), Some(true));
        check(running(1), task(2, None), None);
        check(running(1), waiting(2), None);
        check(broken(1), task(2, None), None);
        check(broken(1), waiting(2), Some(false));
        check(broken(1), running(2), Some(false));
    }
}
