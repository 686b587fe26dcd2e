//! `orc scale`: how many replicas a service has.

use std::collections::BTreeSet;

use cluster::view::StackView;
use cluster::{Run, RunAction};

use super::up::{self, parse_scale};
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::follow::{self, Aim};
use crate::output::Output;
use crate::settle::Goal;
use crate::watch::StackWatch;
use crate::{pick, project};

/// Flags of `orc scale`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not start what the services depend on
    #[arg(long)]
    no_deps: bool,
    /// Services and their numbers
    #[arg(required = true, value_name = "SERVICE=NUMBER", value_parser = parse_scale)]
    services: Vec<(String, u32)>,
}

/// Wishes for the numbers and waits until they are reached. As in docker compose, this is an `up` of the
/// services: what is stopped starts, after what it depends on.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let mut watch = StackWatch::open(&mut client, &stack.name).await?;
    let names: Vec<String> = args.services.iter().map(|(name, _)| name.clone()).collect();
    let there = pick::services(&stack, watch.view(), &names)?.len();
    if global.dry_run || there < names.iter().collect::<BTreeSet<_>>().len() {
        // What was never started is known from the file alone, and `up` has plans.
        let args = up::Args::of_scale(args.services.clone(), args.no_deps);
        return up::run(&args, global, output).await;
    }
    let before = watch.view().cloned();
    if let Some(view) = watch.view().filter(|_| !args.no_deps) {
        let stopped = stopped_dependencies(view, &names);
        if !stopped.is_empty() {
            client.set_run(&stack.name, &stopped, &RunAction::Start).await?;
        }
    }
    let aim = Aim { before, ..Aim::new(names, Goal::Started) };
    let version = client.scale(&stack.name, &args.services).await?;
    watch.reach(version).await?;
    follow::settle(&mut watch, &aim, output, "not all replicas could be started").await
}

/// What the services need and somebody has stopped.
fn stopped_dependencies(view: &StackView, names: &[String]) -> Vec<String> {
    let needed = pick::with_dependencies(view, names);
    let stopped =
        |name: &String| view.services.get(name).is_some_and(|service| matches!(service.run, Run::Stopped(_)));
    needed.into_iter().filter(|name| !names.contains(name) && stopped(name)).collect()
}
