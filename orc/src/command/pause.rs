//! `orc pause` and `orc unpause`: the clock of services' processes is stopped, and started again.

use cluster::ContainerState;
use cluster::view::TaskView;

use super::state::{OneOffs, Target};
use crate::cli::Global;
use crate::failure::Outcome;
use crate::output::Output;

/// Flags of `orc pause` and `orc unpause`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services (default: all)
    services: Vec<String>,
}

/// Stops the clock (`paused`), or starts it again.
pub(crate) async fn run(args: &Args, paused: bool, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, OneOffs::Excluded, global, output).await?;
    let (from, to) = match paused {
        true => (ContainerState::Running, ContainerState::Paused),
        false => (ContainerState::Paused, ContainerState::Running),
    };
    if global.dry_run {
        return target.plan(if paused { "pause" } else { "unpause" }, |task| is(task, from), output);
    }
    let tasks: Vec<String> = tasks(&target, from).map(|task| task.task.id.to_string()).collect();
    if tasks.is_empty() {
        output.note(if paused { "nothing runs that could be paused" } else { "nothing is paused" });
        return Ok(());
    }
    for task in &tasks {
        target.client.pause(task, paused).await?;
    }
    // Who looks next must see it.
    while self::tasks(&target, from).any(|task| tasks.contains(&task.task.id.to_string())) {
        target.watch.changed().await?;
    }
    for task in self::tasks(&target, to).filter(|task| tasks.contains(&task.task.id.to_string())) {
        output.note(&format!("{} {}", task.container_name, if paused { "paused" } else { "unpaused" }));
    }
    Ok(())
}

fn tasks(target: &Target, state: ContainerState) -> impl Iterator<Item = &TaskView> {
    let services = target.watch.view().into_iter().flat_map(|view| &view.services);
    let ours = services.filter(|(name, _)| target.services.contains(name));
    let tasks = ours.flat_map(|(_, service)| service.tasks.values());
    tasks.filter(move |task| is(task, state))
}

fn is(task: &TaskView, state: ContainerState) -> bool {
    task.task.container().is_some_and(|container| container.state == state)
}
