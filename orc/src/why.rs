//! Why a service is as it is: one chain of causes for each of its slots, from the wish to the last exit. Pure:
//! from a stack as it is, and the time.

use std::collections::BTreeSet;

use cluster::view::{ServiceView, StackView, TaskView};
use cluster::{ContainerState, ContainerStatus, Exit, Health, Phase, Run, TaskId, Timestamp};
use compose_spec::Condition;
use serde::Serialize;

use crate::words::{span, waits_to_share};

/// How one slot of a service has come to where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Chain {
    /// The slot, or the service when no slot of it is wished for: `web.1`.
    pub(crate) task: String,
    /// The first link that is not as it should be decides; `true` when there is none.
    pub(crate) well: bool,
    /// From cause to effect.
    pub(crate) links: Vec<Link>,
    /// Whose log may tell more.
    #[serde(skip)]
    pub(crate) log: Option<TaskId>,
}

/// One stage on the way to a running container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Link {
    /// `wish`, `schedule`, `dependencies`, `image`, `start`, `exit`, `health` or `next`.
    pub(crate) stage: &'static str,
    /// It is as it should be.
    pub(crate) well: bool,
    /// In words.
    pub(crate) text: String,
}

/// The chains of a service, and after each that waits for other services, those of them.
pub(crate) fn chains(view: &StackView, service: &str, now: Timestamp) -> Vec<Chain> {
    let mut chains = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = vec![service.to_owned()];
    while let Some(name) = next.pop() {
        let Some(service) = view.services.get(&name).filter(|_| seen.insert(name.clone())) else { continue };
        let found = Look { view, name: &name, service, now }.chains();
        if found.iter().any(|chain| chain.stands_at("dependencies")) {
            let depends = &service.spec.compose.depends_on;
            let unmet = depends.iter().filter(|(name, needed)| is_unmet(view, name, needed.condition));
            next.extend(unmet.map(|(name, _)| name.clone()));
        }
        chains.extend(found);
    }
    chains
}

/// Whether a dependency has not come as far as it should.
fn is_unmet(view: &StackView, name: &str, condition: Condition) -> bool {
    let Some(service) = view.services.get(name) else { return false };
    let met = |view: &TaskView| match condition {
        Condition::Started => view.task.is_running() || view.task.finished().is_some(),
        Condition::Healthy => view.task.container().is_some_and(|c| c.health == Health::Healthy),
        Condition::CompletedSuccessfully => view.task.finished().is_some_and(|exit| exit.code == 0),
    };
    service.tasks.is_empty() || !service.tasks.values().filter(|task| task.current).all(met)
}

impl Chain {
    fn new(task: String, links: Vec<Link>, log: Option<TaskId>) -> Self {
        Self { task, well: links.iter().all(|link| link.well), links, log }
    }

    /// Whether this stage is the first that is not as it should be.
    fn stands_at(&self, stage: &str) -> bool {
        self.links.iter().find(|link| !link.well).is_some_and(|link| link.stage == stage)
    }
}

fn link(stage: &'static str, well: bool, text: impl Into<String>) -> Link {
    Link { stage, well, text: text.into() }
}

struct Look<'a> {
    view: &'a StackView,
    name: &'a str,
    service: &'a ServiceView,
    now: Timestamp,
}

impl Look<'_> {
    fn chains(&self) -> Vec<Chain> {
        let wish = self.wish();
        if !wish.well {
            return vec![Chain::new(self.name.to_owned(), vec![wish], None)];
        }
        let mut tasks: Vec<&TaskView> = self.service.tasks.values().filter(|task| task.current).collect();
        tasks.sort_by_key(|task| task.task.slot);
        let waiting = self.service.pending.iter().map(|(slot, wait)| {
            let since = span(self.now, wait.since);
            let schedule = link("schedule", false, format!("{}, for {since}", wait.reason));
            Chain::new(format!("{}.{slot}", self.name), vec![wish.clone(), schedule], None)
        });
        let mut chains: Vec<Chain> = waiting.collect();
        chains.extend(tasks.into_iter().map(|task| {
            let mut links = vec![wish.clone()];
            self.follow(task, &mut links);
            let log = task.task.container().map(|_| task.task.id);
            Chain::new(format!("{}.{}", self.name, task.task.slot), links, log)
        }));
        if chains.is_empty() {
            chains.push(Chain::new(self.name.to_owned(), vec![wish], None));
        }
        chains
    }

    /// What users wish of the service.
    fn wish(&self) -> Link {
        let service = self.service;
        match (&service.run, service.replicas) {
            _ if self.view.removing || service.removing => link("wish", false, "it is being removed"),
            (Run::Stopped(_), _) => link("wish", false, "it is to be stopped: `orc start` starts it"),
            (Run::Absent, _) => link("wish", false, "its containers were removed: `orc up` makes new ones"),
            (Run::Started, 0) => link("wish", false, "it is to have no replicas: `orc scale` changes that"),
            (Run::Started, 1) => link("wish", true, "it is to run"),
            (Run::Started, replicas) => link("wish", true, format!("{replicas} of it are to run")),
        }
    }

    /// The rest of the way of a task, up to where it stands.
    fn follow(&self, view: &TaskView, links: &mut Vec<Link>) {
        let task = &view.task;
        let ago = |at: Timestamp| span(self.now, at);
        links.push(link("schedule", true, format!("on node {} for {}", task.node, ago(task.created_at))));
        if let Some(wait) = &view.waits {
            links.push(link("dependencies", false, format!("{}, for {}", wait.reason, ago(wait.since))));
        }
        if let Some(problem) = task.problem() {
            let stage = if task.status.phase < Phase::Prepared { "image" } else { "start" };
            links.push(link(stage, false, problem.message.clone()));
            let next = problem.retry_at.map(|at| span(at, self.now));
            links.push(match next {
                Some(next) => link("next", false, format!("tried again in {next}")),
                None => link("next", false, "trying again cannot help: change the file, then `orc up`"),
            });
            return;
        }
        if let Some(reason) = waits_to_share(task) {
            links.push(link("dependencies", false, reason));
            return;
        }
        let Some(container) = task.container() else {
            if view.waits.is_none() {
                links.push(link("image", false, "image and container are being prepared"));
            }
            return;
        };
        let image = task.spec.compose.image.clone().unwrap_or_default();
        let id: String = container.image.trim_start_matches("sha256:").chars().take(12).collect();
        links.push(link("image", true, format!("{image} ({id})")));
        if view.waits.is_none() {
            self.run(container, links);
        }
    }

    /// What the container did since it was started.
    fn run(&self, container: &ContainerStatus, links: &mut Vec<Link>) {
        let ago = |at: Timestamp| span(self.now, at);
        let exit = container.exit.as_ref().filter(|_| container.state != ContainerState::Created);
        if let Some(error) = exit.and_then(|exit| exit.error.as_ref()) {
            links.push(link("start", false, error.clone()));
        } else if let Some(at) = container.started_at {
            links.push(link("start", true, format!("started {} ago{}", ago(at), restarts(container))));
        } else {
            links.push(link("start", false, "not started yet"));
        }
        if let Some(exit) = exit {
            let alive = container.is_alive();
            let before = if alive { "before that, " } else { "" };
            let text = format!("{before}{}, {} ago", ending(exit), ago(exit.at));
            let well = alive || exit.code == 0 && container.state == ContainerState::Exited;
            links.push(link("exit", well, text));
        }
        match (&container.health, container.is_alive()) {
            (Health::Starting, true) => links.push(link("health", false, undecided(container))),
            (Health::Healthy, true) => links.push(link("health", true, "the last check succeeded")),
            (Health::Unhealthy { failing_streak, output }, true) => {
                let text =
                    format!("{failing_streak} checks failed in a row, the last said: {}", output.trim());
                links.push(link("health", false, text));
            }
            _ => {}
        }
        match container.state {
            ContainerState::Restarting { at } => {
                let text = format!("started again in {}{}", span(at, self.now), restarts(container));
                links.push(link("next", false, text));
            }
            ContainerState::Exited if exit.is_some_and(|exit| exit.code != 0) => {
                links.push(link("next", false, "its restart policy does not start it again; `orc up` does"));
            }
            ContainerState::Paused => {
                links.push(link("next", false, "it is paused: `orc unpause` lets it go on"))
            }
            ContainerState::Stopping => links.push(link("next", false, "it is being stopped")),
            _ => {}
        }
    }
}

/// Failures do not count while a container starts, but they may tell why it never will.
fn undecided(container: &ContainerStatus) -> String {
    match container.checks.last() {
        Some(check) if check.code != 0 => {
            format!("no check has succeeded yet, the last said: {}", check.output.trim())
        }
        _ => "no check has decided yet".to_owned(),
    }
}

fn restarts(container: &ContainerStatus) -> String {
    match container.restarts {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        count => format!(", restarted {count} times"),
    }
}

/// How a container ended: `exit code 3`, `killed by signal 9 (out of memory)`.
fn ending(exit: &Exit) -> String {
    let cause = match (exit.oom, exit.unhealthy) {
        (true, _) => " (out of memory)",
        (false, true) => " (stopped because it was unhealthy)",
        (false, false) => "",
    };
    match exit.code {
        code @ 129..=192 => format!("ended by signal {}{cause}", code - 128),
        code => format!("ended with exit code {code}{cause}"),
    }
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
