//! When is a wish fulfilled? Pure: from a stack as it is to a line for each service and a verdict.

use std::collections::BTreeSet;

use cluster::view::{ServiceView, StackView, TaskView};
use cluster::{ContainerState, ContainerStatus, Desired, Exit, Health, Phase, Run, Timestamp, UpdateState};
use compose_spec::Condition;

use crate::limits;
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
    /// Containers ended well: what `service_completed_successfully` asks for.
    Completed,
    /// No process runs (`stop`).
    Stopped,
}

impl Goal {
    /// Containers are to be started and to do well.
    fn is_strict(self) -> bool {
        matches!(self, Self::Healthy | Self::Completed)
    }

    fn is_start(self) -> bool {
        self == Self::Started || self.is_strict()
    }
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
    /// The goal is reached, but a person would not call it well: a container ended with an error.
    bad: bool,
    text: String,
    note: String,
    /// When time alone may have changed the answer.
    look_again: Option<Timestamp>,
}

impl Progress {
    /// As a line of progress.
    pub(crate) fn step(&self, service: &str) -> Step {
        let status = match self.class {
            Class::Done if !self.bad => Status::Done,
            Class::Done | Class::Failed => Status::Failed,
            Class::Waiting | Class::Working => Status::Working,
        };
        Step { label: service.to_owned(), text: self.text.clone(), note: self.note.clone(), status }
    }

    fn failed(text: &str, note: &str) -> Self {
        Self { class: Class::Failed, bad: true, text: text.into(), note: note.into(), look_again: None }
    }
}

/// Whether something is still to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes; time alone may end it at this moment.
    Open { look_again: Option<Timestamp> },
    /// No: the goal is reached.
    Reached,
    /// No: part of it will not be reached.
    Missed,
}

/// Where a service stands at a time.
pub(crate) fn progress(service: &ServiceView, goal: Goal, now: Timestamp) -> Progress {
    if goal.is_start() && (service.removing || service.run != Run::Started) {
        let text = if service.removing { "removing" } else { "stopped" };
        return Progress::failed(text, "somebody else asked for that meanwhile");
    }
    // Nothing is to be there when all is to be still, and what is on its way out has to be still, too.
    let wanted = if goal == Goal::Stopped { 0 } else { service.replicas as usize };
    let counts = |view: &&TaskView| goal == Goal::Stopped || is_current(view);
    let current: Vec<&TaskView> = service.tasks.values().filter(counts).collect();
    let looks: Vec<Look> = current.iter().map(|view| look(view, goal, now)).collect();
    let done = looks.iter().filter(|look| look.class == Class::Done && !look.bad).count();
    let worst = looks.iter().max_by_key(|look| (look.class, look.bad));
    let (mut class, word, mut note) = match worst {
        Some(worst) => (worst.class, worst.word.clone(), worst.note.clone()),
        None if goal == Goal::Stopped => (Class::Done, "stopped".to_owned(), String::new()),
        None if wanted == 0 => (Class::Done, "no replicas".to_owned(), String::new()),
        None => (Class::Working, "pending".to_owned(), String::new()),
    };
    let pending = service.pending.values().filter(|_| goal != Goal::Stopped);
    if let Some(wait) = pending.max_by_key(|wait| wait.hopeless) {
        let pending = if wait.hopeless { Class::Failed } else { Class::Waiting };
        // What is on its way is waited for, although the rest will not come.
        let comes = class == Class::Working && !looks.is_empty();
        if pending >= class {
            note.clone_from(&wait.reason);
            class = if comes { class } else { pending };
        }
    } else if class < Class::Working && (current.len() < wanted || current.len() < service.tasks.len()) {
        class = Class::Working;
    }
    let text = if wanted == 0 { word } else { format!("{done}/{wanted} {word}") };
    let look_again = looks.iter().filter_map(|look| look.look_again).min();
    let progress = Progress { class, bad: looks.iter().any(|look| look.bad), text, note, look_again };
    if goal.is_start() { of_update(service, progress) } else { progress }
}

/// Where a service stands whose tasks are being replaced, or were not all replaced.
fn of_update(service: &ServiceView, mut progress: Progress) -> Progress {
    match &service.update {
        Some(UpdateState::Paused(why)) => return Progress::failed("update paused", why),
        Some(UpdateState::RolledBack(why)) => return Progress::failed("rolled back", why),
        Some(UpdateState::RollingBack(why)) => {
            progress.class = Class::Working;
            progress.text = format!("rolling back {}", progress.text);
            progress.note.clone_from(why);
        }
        // What becomes of a failure is the update's to say, unless it cannot go on itself.
        Some(UpdateState::Running)
            if progress.class == Class::Failed && !service.pending.values().any(|wait| wait.hopeless) =>
        {
            progress.class = Class::Working;
        }
        Some(UpdateState::Running) | None => {}
    }
    // What is to be replaced may wait for something that does not come.
    let stale = service.tasks.values().filter(|view| !is_current(view));
    if let Some(wait) = stale.filter_map(|view| view.waits.as_ref()).max_by_key(|wait| wait.hopeless) {
        if wait.hopeless {
            progress.class = Class::Failed;
        }
        if progress.note.is_empty() || wait.hopeless {
            progress.note.clone_from(&wait.reason);
        }
    }
    progress
}

fn is_current(view: &TaskView) -> bool {
    view.current && !matches!(view.task.desired, Desired::Remove(_))
}

struct Look {
    class: Class,
    bad: bool,
    word: String,
    note: String,
    look_again: Option<Timestamp>,
}

impl Look {
    fn new(class: Class, word: impl Into<String>) -> Self {
        Self { class, bad: false, word: word.into(), note: String::new(), look_again: None }
    }

    fn note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }

    fn bad(mut self) -> Self {
        self.bad = true;
        self
    }
}

fn look(view: &TaskView, goal: Goal, now: Timestamp) -> Look {
    let task = &view.task;
    if goal == Goal::Stopped {
        return stopping(view);
    }
    if let Some(exit) = task.finished() {
        return ended(exit, goal);
    }
    // A hook that failed leaves its container running.
    let lasting = task.status.problem.as_ref().filter(|problem| problem.retry_at.is_none());
    if let Some(problem) = lasting.filter(|_| task.is_running()) {
        return Look::new(Class::Failed, "running").note(&problem.message);
    }
    if task.is_running() {
        return running(view, goal, now);
    }
    if let Some(problem) = task.problem() {
        return Look::new(Class::Failed, "failed").note(&problem.message);
    }
    if let Some(container) = task.container()
        && let ContainerState::Restarting { .. } = container.state
    {
        return restarting(container, goal);
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

fn stopping(view: &TaskView) -> Look {
    use ContainerState::{Paused, Restarting, Running, Stopping};
    let container = view.task.container();
    let runs = container.is_some_and(|c| matches!(c.state, Running | Paused | Restarting { .. } | Stopping));
    let goes = matches!(view.task.desired, Desired::Remove(_));
    match view.task.problem() {
        _ if view.task.rests() || (goes && !runs) => Look::new(Class::Done, "stopped"),
        // It was killed and does not end: no waiting helps.
        Some(problem) if runs => Look::new(Class::Failed, "stopping").note(&problem.message),
        // What was never started may be on its way to that: it rests when its agent says so.
        _ => Look::new(Class::Working, "stopping")
            .note(view.waits.as_ref().map_or("", |wait| wait.reason.as_str())),
    }
}

fn ended(exit: &Exit, goal: Goal) -> Look {
    let word = format!("exited ({})", exit.code);
    match &exit.error {
        Some(error) => Look::new(Class::Failed, word).note(error).bad(),
        None if exit.code == 0 => Look::new(Class::Done, "completed"),
        None => {
            let class = if goal.is_strict() { Class::Failed } else { Class::Done };
            Look::new(class, word).note(if exit.oom { "out of memory" } else { "" }).bad()
        }
    }
}

/// A container between two starts. Once is an accident that the restart policy is there for; a container
/// that keeps ending does not do what it is for, whatever its policy says.
fn restarting(container: &ContainerStatus, goal: Goal) -> Look {
    let exit = container.exit.as_ref();
    let error = exit.and_then(|exit| exit.error.as_deref());
    let code = exit.map_or(0, |exit| exit.code);
    let note = match error {
        Some(error) => error.to_owned(),
        None if exit.is_some_and(|exit| exit.unhealthy) => "was unhealthy".to_owned(),
        None => format!("exited ({code})"),
    };
    let class = match goal {
        _ if error.is_some() => Class::Failed,
        _ if goal.is_strict() && is_looping(container) => Class::Failed,
        _ if goal.is_strict() => Class::Working,
        _ => Class::Done,
    };
    let note = match container.restarts {
        0 => note,
        1 => format!("{note}, restarted once"),
        count => format!("{note}, restarted {count} times"),
    };
    Look::new(class, "restarting").note(&note).bad()
}

/// Whether a container ends again and again.
fn is_looping(container: &ContainerStatus) -> bool {
    matches!(container.state, ContainerState::Restarting { .. })
        && container.restarts >= limits::LOOP_RESTARTS
}

fn running(view: &TaskView, goal: Goal, now: Timestamp) -> Look {
    if goal == Goal::Completed {
        return Look::new(Class::Working, "running");
    }
    let Some(container) = view.task.container() else { return Look::new(Class::Done, "running") };
    match &container.health {
        Health::Healthy => Look::new(Class::Done, "healthy"),
        Health::Starting if goal == Goal::Healthy => Look::new(Class::Working, "starting"),
        Health::Starting => Look::new(Class::Done, "started"),
        Health::Unhealthy { output, .. } => {
            let class = if goal == Goal::Healthy { Class::Failed } else { Class::Done };
            Look::new(class, "unhealthy").note(output.trim()).bad()
        }
        Health::None => {
            let steady = container.started_at.map(|at| at.plus_ms(steady_ms(container.restarts)));
            match steady.filter(|at| goal == Goal::Healthy && now < *at) {
                Some(at) => Look { look_again: Some(at), ..Look::new(Class::Working, "running") },
                None => Look::new(Class::Done, "running"),
            }
        }
    }
}

/// How long a container without a health check must have run before `--wait` believes that it will stay;
/// one that ended before must prove it for longer. In milliseconds.
fn steady_ms(restarts: u32) -> u64 {
    limits::STEADY_MS << restarts.min(limits::LOOP_RESTARTS)
}

/// Whether nothing more is to be waited for. What can still get on is waited for, however much else has failed.
pub(crate) fn verdict(view: &StackView, names: &BTreeSet<String>, goal: Goal, now: Timestamp) -> Verdict {
    let mut failed = BTreeSet::new();
    let mut waiting = BTreeSet::new();
    let mut working = false;
    let mut look_again = None;
    for name in names {
        let Some(service) = view.services.get(name) else {
            // Somebody has removed it meanwhile.
            if goal != Goal::Stopped {
                failed.insert(name.as_str());
            }
            continue;
        };
        let progress = progress(service, goal, now);
        look_again = [look_again, progress.look_again].into_iter().flatten().min();
        match progress.class {
            Class::Done => {}
            Class::Working => working = true,
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
    match (working || !waiting.is_empty(), failed.is_empty()) {
        (true, _) => Verdict::Open { look_again },
        (false, true) => Verdict::Reached,
        (false, false) => Verdict::Missed,
    }
}

fn depends_on_failure(view: &StackView, name: &str, failed: &BTreeSet<&str>) -> bool {
    let Some(service) = view.services.get(name) else { return false };
    service.spec.compose.depends_on.iter().any(|(needed, dependency)| {
        let never = dependency.condition != Condition::Started
            && view.services.get(needed).is_some_and(|service| will_not_do(service, dependency.condition));
        dependency.required && (failed.contains(needed.as_str()) || never)
    })
}

/// Whether a service that counts as started will not come as far as its dependents need it.
fn will_not_do(service: &ServiceView, condition: Condition) -> bool {
    let current = service.tasks.values().filter(|view| is_current(view));
    current.filter_map(|view| view.task.container()).any(|container| {
        let unhealthy =
            condition == Condition::Healthy && matches!(container.health, Health::Unhealthy { .. });
        unhealthy || is_looping(container)
    })
}

#[cfg(test)]
#[path = "settle_tests.rs"]
pub(crate) mod tests;
