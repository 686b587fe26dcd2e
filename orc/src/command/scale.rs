//! `orc scale`: how many replicas a service has.

use super::up::parse_scale;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::follow::{self, Aim};
use crate::output::Output;
use crate::settle::Goal;
use crate::watch::StackWatch;
use crate::{pick, project};

/// Flags of `orc scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave alone what the services depend on (always done)
    #[arg(long, hide = true)]
    no_deps: bool,
    /// Services and their numbers
    #[arg(required = true, value_name = "SERVICE=NUMBER", value_parser = parse_scale)]
    services: Vec<(String, u32)>,
}

/// Wishes for the numbers and waits until they are reached.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack_name(global, output)?;
    let mut client = Client::connect(global).await?;
    let mut watch = StackWatch::open(&mut client, &stack).await?;
    let names: Vec<String> = args.services.iter().map(|(name, _)| name.clone()).collect();
    pick::services(watch.view(), &names)?;
    let aim = Aim { before: watch.view().cloned(), ..Aim::new(names, Goal::Started) };
    let version = client.scale(&stack, &args.services).await?;
    watch.reach(version).await?;
    if follow::settle(&mut watch, &aim, output).await? {
        return Ok(());
    }
    Err(Failure::new("not all replicas could be started").hint("`orc ps -a` says why"))
}
