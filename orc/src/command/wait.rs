//! `orc wait`: until the first of some services has ended.

use cluster::StopHow;

use super::state::{OneOffs, Target};
use crate::cli::Global;
use crate::failure::Outcome;
use crate::output::Output;
use crate::session;

/// Flags of `orc wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take the stack down when the first container has ended
    #[arg(long)]
    pub(super) down_project: bool,
    /// Services
    #[arg(required = true)]
    services: Vec<String>,
}

/// Waits, prints the exit code, and ends with it.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, OneOffs::Excluded, global, output).await?;
    let code = loop {
        let services = target.watch.view().into_iter().flat_map(|view| &view.services);
        let ours = services.filter(|(name, _)| target.services.contains(name));
        let ended = ours
            .flat_map(|(_, service)| service.tasks.values())
            .filter_map(|task| Some((task.task.finished()?, task)));
        if let Some((exit, task)) = ended.min_by_key(|(exit, _)| exit.at) {
            output.line(&format!(
                "container \"{}\" exited with status code {}",
                task.container_name, exit.code
            ));
            break exit.code;
        }
        target.watch.changed().await?;
    };
    if args.down_project {
        target.client.remove_stack(&target.stack.name, &[], StopHow::default()).await?;
        while target.watch.view().is_some() {
            target.watch.changed().await?;
        }
    }
    session::carry(code)
}
