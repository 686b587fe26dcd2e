//! `orc kill`: a signal for the first processes of services. One that asks for an end is a wish, which is kept;
//! any other only reaches the process.

use cluster::view::{ServiceView, TaskView};
use cluster::{RunAction, StopHow};

use super::state::{OneOffs, Target};
use crate::cli::Global;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::settle::Goal;

/// Flags of `orc kill`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Signal to send: name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "SIGKILL")]
    signal: String,
    /// Services that the file does not name any more, too (always done)
    #[arg(long)]
    remove_orphans: bool,
    /// Services (default: all)
    services: Vec<String>,
}

const SIGKILL: i32 = 9;
/// SIGINT, SIGQUIT, SIGKILL, SIGTERM: who sends one wants an end, and no restart after it.
const ENDING: [i32; 4] = [2, 3, SIGKILL, 15];

/// Sends a signal to services.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let signal = agent::core::signal_number(&args.signal).ok_or_else(|| {
        Failure::new(format!("`{}` is not a signal", args.signal))
            .hint("signals have names like SIGHUP or HUP, or numbers from 1 to 64")
    })?;
    let mut target = Target::find(&args.services, OneOffs::Included, global, output).await?;
    if global.dry_run {
        return target.plan("kill", |task| task.task.is_alive(), output);
    }
    let mut told = Vec::new();
    let mut ended = Vec::new();
    for name in &target.services {
        let service = target.watch.view().and_then(|view| view.services.get(name));
        let Some(service) = service.filter(|service| alive(service).next().is_some()) else { continue };
        if ends(service, signal) {
            ended.push(name.clone());
        } else {
            told.extend(alive(service).map(|task| task.task.id.to_string()));
        }
    }
    if ended.is_empty() && told.is_empty() {
        output.note("no container to kill");
        return Ok(());
    }
    for task in told {
        target.client.signal(&task, signal).await?;
    }
    if ended.is_empty() {
        return Ok(());
    }
    target.services = ended;
    let grace_ms = (signal == SIGKILL).then_some(0);
    target.wish(&RunAction::Stop(StopHow { signal: Some(signal.to_string()), grace_ms })).await?;
    target.reach(Goal::Stopped, None, output, "not everything has ended").await
}

/// What is asked to stop and takes its time counts too: a kill is how one hurries it.
fn alive(service: &ServiceView) -> impl Iterator<Item = &TaskView> {
    service.tasks.values().filter(|task| task.task.is_alive())
}

/// Whether a signal asks this service to end.
fn ends(service: &ServiceView, signal: i32) -> bool {
    let own = service.spec.compose.stop_signal.as_deref().and_then(agent::core::signal_number);
    ENDING.contains(&signal) || own == Some(signal)
}
