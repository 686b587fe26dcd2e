//! Shows how a stack comes nearer to a goal, and ends when nothing more is to be waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::view::{ServiceView, StackView, TaskView};
use cluster::{ContainerStatus, TaskId, Timestamp};

use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::output::progress::{Renderer, Status, Step};
use crate::settle::{self, Goal, Verdict};
use crate::watch::StackWatch;

/// What is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Aim {
    /// The services that count.
    pub(crate) names: BTreeSet<String>,
    /// What they should reach.
    pub(crate) goal: Goal,
    /// How long at most.
    pub(crate) timeout: Option<Duration>,
    /// The stack before the wish, so that what did not change can be called so.
    pub(crate) before: Option<StackView>,
    /// Services that are to go: what the file does not name any more.
    pub(crate) leaving: BTreeSet<String>,
}

impl Aim {
    /// The services of a stack reach a goal in whatever time it takes.
    pub(crate) fn new(names: impl IntoIterator<Item = String>, goal: Goal) -> Self {
        let names = names.into_iter().collect();
        Self { names, goal, timeout: None, before: None, leaving: BTreeSet::new() }
    }

    /// Whether the goal is reached, out of reach, or still open.
    pub(crate) fn verdict(&self, view: Option<&StackView>) -> Verdict {
        self.verdict_at(view, now())
    }

    fn verdict_at(&self, view: Option<&StackView>, now: Timestamp) -> Verdict {
        let Some(view) = view else {
            // The whole stack is gone, whoever wished for that.
            return if self.goal == Goal::Stopped { Verdict::Reached } else { Verdict::Missed };
        };
        if view.removing && self.goal != Goal::Stopped {
            // Somebody takes it down meanwhile.
            return Verdict::Missed;
        }
        if self.leaving.iter().any(|name| view.services.get(name).is_some_and(|service| service.removing)) {
            return Verdict::Open { look_again: None };
        }
        settle::verdict(view, &self.names, self.goal, now)
    }

    /// Updates every line, and answers with the verdict of the same moment.
    pub(crate) fn show(&self, view: Option<&StackView>, renderer: &mut dyn Renderer) -> Verdict {
        self.show_until_done(view, renderer, &mut BTreeSet::new())
    }

    /// Updates the lines of services that were not done before, and says of which that is no longer true.
    pub(crate) fn show_until_done(
        &self,
        view: Option<&StackView>,
        renderer: &mut dyn Renderer,
        done: &mut BTreeSet<String>,
    ) -> Verdict {
        self.show_at(view, renderer, done, now())
    }

    /// Time changes what is shown as well as the verdict. Were one of a later moment than the other, a line could stay
    /// as it is while nothing more is waited for that would change it.
    fn show_at(
        &self,
        view: Option<&StackView>,
        renderer: &mut dyn Renderer,
        done: &mut BTreeSet<String>,
        now: Timestamp,
    ) -> Verdict {
        let verdict = self.verdict_at(view, now);
        let Some(view) = view else { return verdict };
        if self.goal != Goal::Stopped {
            show_shared(view, renderer);
        }
        for name in &self.leaving {
            renderer.update(&format!("1 {name}"), leaving(name, view.services.get(name)));
        }
        for name in self.names.iter().filter(|name| !done.contains(*name)).collect::<Vec<_>>() {
            let Some(service) = view.services.get(name) else { continue };
            let mut step = settle::progress(service, self.goal, now).step(name);
            if step.status != Status::Working {
                done.insert(name.clone());
            }
            if step.status == Status::Done && step.note.is_empty() && self.unchanged(name, service) {
                "unchanged".clone_into(&mut step.note);
            }
            renderer.update(&format!("2 {name}"), step);
        }
        verdict
    }

    /// What still waits will do so in vain.
    fn give_up(&self, view: Option<&StackView>, renderer: &mut dyn Renderer) {
        for name in &self.names {
            let Some(service) = view.and_then(|view| view.services.get(name)) else { continue };
            let step = settle::progress(service, self.goal, now()).step(name);
            if step.status == Status::Working {
                renderer.update(&format!("2 {name}"), Step { status: Status::Failed, ..step });
            }
        }
    }

    fn unchanged(&self, name: &str, service: &ServiceView) -> bool {
        let before = self.before.as_ref().and_then(|view| view.services.get(name));
        before.is_some_and(|before| {
            before.tasks.len() == service.tasks.len() && starts(before) == starts(service)
        })
    }

    /// Each service that is not where it should be; with the reason, unless that was told before (`brief`).
    pub(crate) fn missing(&self, view: Option<&StackView>, brief: bool) -> Vec<String> {
        let mut missing = Vec::new();
        for name in &self.names {
            let Some(service) = view.and_then(|view| view.services.get(name)) else {
                missing.push(format!("service `{name}`: it was removed meanwhile"));
                continue;
            };
            let step = settle::progress(service, self.goal, now()).step(name);
            if step.status == Status::Done {
                continue;
            }
            let note = if brief { String::new() } else { step.note };
            let why = [step.text, note].into_iter().filter(|text| !text.is_empty());
            missing.push(format!("service `{name}`: {}", why.collect::<Vec<_>>().join(", ")));
        }
        missing
    }
}

fn now() -> Timestamp {
    Timestamp(crate::attach::now_ms())
}

fn lives(view: &TaskView) -> bool {
    view.task.container().is_some_and(ContainerStatus::is_alive)
}

/// A service on its way out.
pub(crate) fn leaving(name: &str, service: Option<&ServiceView>) -> Step {
    let Some(service) = service else { return done(name, "removed", String::new()) };
    let text = match service.tasks.values().filter(|view| lives(view)).count() {
        0 => "removing".to_owned(),
        1 => "stopping".to_owned(),
        count => format!("{count} stopping"),
    };
    let wait = service.tasks.values().find_map(|view| view.waits.as_ref());
    let note = wait.map_or_else(String::new, |wait| wait.reason.clone());
    Step { label: name.to_owned(), text, note, status: Status::Working }
}

/// What tells a container from its successor, and one start from the next.
fn starts(service: &ServiceView) -> BTreeSet<(TaskId, u64)> {
    service.tasks.values().map(|view| (view.task.id, view.task.generation)).collect()
}

fn show_shared(view: &StackView, renderer: &mut dyn Renderer) {
    for (name, network) in view.networks.iter().filter(|(_, network)| !network.removing) {
        renderer.update(&format!("0 {name}"), done("network", &name.0, network.subnets_text()));
    }
    for (name, _) in view.volumes.iter().filter(|(_, volume)| !volume.removing) {
        renderer.update(&format!("1 {name}"), done("volume", &name.0, String::new()));
    }
}

pub(crate) fn done(label: &str, text: &str, note: String) -> Step {
    Step { label: label.to_owned(), text: text.to_owned(), note, status: Status::Done }
}

/// Follows the stack until the verdict. What cannot be reached, or not in time, is a failure with a reason for
/// each service; `doing` says what was to be done.
pub(crate) async fn settle(watch: &mut StackWatch, aim: &Aim, output: &Output, doing: &str) -> Outcome {
    let mut renderer = output.progress();
    let reached = match aim.timeout {
        None => until_verdict(watch, aim, renderer.as_mut()).await.map(Some),
        Some(timeout) => {
            let followed = tokio::time::timeout(timeout, until_verdict(watch, aim, renderer.as_mut())).await;
            followed.map_or(Ok(None), |result| result.map(Some))
        }
    };
    if matches!(reached, Ok(Some(false))) {
        aim.give_up(watch.view(), renderer.as_mut());
    }
    renderer.finish();
    let brief = renderer.tells_all();
    let failure = match reached? {
        Some(true) => return Ok(()),
        Some(false) => {
            Failure::new(doing).hint("`orc ps -a` shows all of it, `orc logs SERVICE` what a service wrote")
        }
        None => {
            let seconds = aim.timeout.unwrap_or_default().as_secs();
            Failure::new(format!("{doing} within {seconds} s"))
                .hint("the engine goes on with it; `orc ps -a` shows how far it has come")
        }
    };
    Err(failure.causes(aim.missing(watch.view(), brief)))
}

async fn until_verdict(watch: &mut StackWatch, aim: &Aim, renderer: &mut dyn Renderer) -> Outcome<bool> {
    loop {
        let look_again = match aim.show(watch.view(), renderer) {
            Verdict::Reached => return Ok(true),
            Verdict::Missed => return Ok(false),
            Verdict::Open { look_again } => look_again,
        };
        match look_again.map(|at| Duration::from_millis(at.ms_since(now()))) {
            None => changed(watch, renderer).await?,
            Some(pause) => {
                // Time is news as well as a change is.
                if let Ok(result) = tokio::time::timeout(pause, changed(watch, renderer)).await {
                    result?;
                }
            }
        }
    }
}

/// Waits for the next change while the renderer turns its wheels.
pub(crate) async fn changed(watch: &mut StackWatch, renderer: &mut dyn Renderer) -> Outcome {
    loop {
        let Some(interval) = renderer.interval() else { return watch.changed().await };
        tokio::select! {
            changed = watch.changed() => return changed,
            () = tokio::time::sleep(interval) => renderer.tick(),
        }
    }
}

#[cfg(test)]
mod tests {
    use cluster::ContainerState;
    use cluster::view::Wait;

    use super::*;
    use crate::limits::STEADY_MS;
    use crate::words::tests::{service, task};

    /// What was told last.
    #[derive(Default)]
    struct Last(Option<Step>);

    impl Renderer for Last {
        fn update(&mut self, _: &str, step: Step) {
            self.0 = Some(step);
        }
    }

    /// At the moment at which nothing more is waited for but another's port, the reason is on the screen.
    #[test]
    fn what_is_shown_and_what_is_waited_for_are_of_one_moment() {
        let mut young = task(1, Some(ContainerState::Running));
        let container = young.task.status.container.as_mut().expect("it runs");
        container.started_at = Some(Timestamp(0));
        let mut service = service(2, vec![young]);
        let wait = Wait { reason: "its port is taken".into(), hopeless: false, since: Timestamp(0) };
        service.pending = [(2, wait)].into();
        let stack = settle::tests::stack(vec![("web", service)]);
        let aim = Aim::new(["web".to_owned()], Goal::Healthy);
        let look = |ms: u64| {
            let mut last = Last::default();
            let verdict = aim.show_at(Some(&stack), &mut last, &mut BTreeSet::new(), Timestamp(ms));
            (verdict, last.0.expect("it is told").note)
        };
        let steady = Timestamp(STEADY_MS);
        assert_eq!(look(STEADY_MS - 1), (Verdict::Open { look_again: Some(steady) }, String::new()));
        assert_eq!(look(STEADY_MS), (Verdict::Open { look_again: None }, "its port is taken".to_owned()));
    }
}
