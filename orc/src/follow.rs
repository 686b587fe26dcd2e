//! Shows how a stack comes nearer to a goal, and ends when nothing more is to be waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::TaskId;
use cluster::view::{ServiceView, StackView};

use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::output::progress::{Renderer, Status, Step};
use crate::settle::{self, Goal};
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
}

impl Aim {
    /// The services of a stack reach a goal in whatever time it takes.
    pub(crate) fn new(names: impl IntoIterator<Item = String>, goal: Goal) -> Self {
        Self { names: names.into_iter().collect(), goal, timeout: None, before: None }
    }

    /// Whether the goal is reached, out of reach, or still open.
    pub(crate) fn verdict(&self, view: Option<&StackView>) -> Option<bool> {
        settle::verdict(view?, &self.names, self.goal)
    }

    /// Updates every line.
    pub(crate) fn show(&self, view: Option<&StackView>, renderer: &mut dyn Renderer) {
        let Some(view) = view else { return };
        if self.goal != Goal::Stopped {
            show_shared(view, renderer);
        }
        for name in &self.names {
            let Some(service) = view.services.get(name) else { continue };
            let mut step = settle::progress(service, self.goal).step(name);
            if step.status == Status::Done && step.note.is_empty() && self.unchanged(name, service) {
                "unchanged".clone_into(&mut step.note);
            }
            renderer.update(&format!("2 {name}"), step);
        }
    }

    fn unchanged(&self, name: &str, service: &ServiceView) -> bool {
        let before = self.before.as_ref().and_then(|view| view.services.get(name));
        before.is_some_and(|before| {
            before.tasks.len() == service.tasks.len() && starts(before) == starts(service)
        })
    }
}

/// What tells a container from its successor, and one start from the next.
fn starts(service: &ServiceView) -> BTreeSet<(TaskId, u64)> {
    service.tasks.values().map(|view| (view.task.id, view.task.generation)).collect()
}

fn show_shared(view: &StackView, renderer: &mut dyn Renderer) {
    for (name, network) in view.networks.iter().filter(|(_, network)| !network.removing) {
        renderer.update(&format!("0 {name}"), done("network", &name.0, network.subnet4.to_string()));
    }
    for (name, _) in view.volumes.iter().filter(|(_, volume)| !volume.removing) {
        renderer.update(&format!("1 {name}"), done("volume", &name.0, String::new()));
    }
}

pub(crate) fn done(label: &str, text: &str, note: String) -> Step {
    Step { label: label.to_owned(), text: text.to_owned(), note, status: Status::Done }
}

/// Follows the stack until the verdict; answers whether the goal was reached.
pub(crate) async fn settle(watch: &mut StackWatch, aim: &Aim, output: &Output) -> Outcome<bool> {
    let mut renderer = output.progress();
    let result = match aim.timeout {
        None => until_verdict(watch, aim, renderer.as_mut()).await,
        Some(timeout) => {
            match tokio::time::timeout(timeout, until_verdict(watch, aim, renderer.as_mut())).await {
                Ok(result) => result,
                Err(_) => Err(Failure::new(format!("not all is as wished after {} s", timeout.as_secs()))
                    .hint("`orc ps -a` says what is missing; the engine goes on with it")),
            }
        }
    };
    renderer.finish();
    result
}

async fn until_verdict(watch: &mut StackWatch, aim: &Aim, renderer: &mut dyn Renderer) -> Outcome<bool> {
    loop {
        aim.show(watch.view(), renderer);
        if let Some(verdict) = aim.verdict(watch.view()) {
            return Ok(verdict);
        }
        changed(watch, renderer).await?;
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
