//! `orc plan`: what `orc up` would do, and why.

use api::control::ApplyStackReply;
use clap::builder::FalseyValueParser;
use serde_json::json;

use super::{Args, parse_scale, provided};
use crate::cli::Global;
use crate::client::Client;
use crate::command::ps::Format;
use crate::failure::{Doing, Failure, Outcome};
use crate::output::Output;

/// The exit code that says that something would change.
const CHANGES: u8 = 2;

/// Flags of `orc plan`: those of `orc up` that decide on what is done.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Number of replicas of a service
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = parse_scale)]
    scale: Vec<(String, u32)>,
    /// As if containers were to be replaced although nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// As if containers that exist were to stay as they are
    #[arg(long)]
    no_recreate: bool,
    /// As if what the services depend on were to be left alone
    #[arg(long)]
    no_deps: bool,
    /// As if containers were to be created only
    #[arg(long)]
    no_start: bool,
    /// As if containers of services that the file does not name were to be removed
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", hide_env = true, value_parser = FalseyValueParser::new())]
    remove_orphans: bool,
    /// Services, with what they depend on (default: all)
    services: Vec<String>,
}

/// Prints the plan; ends with code 2 when there is something to be done.
pub(crate) async fn plan(args: PlanArgs, global: &Global, output: &Output) -> Outcome {
    let PlanArgs { format, scale, force_recreate, no_recreate, no_deps, no_start, remove_orphans, services } =
        args;
    let flags = Args::default();
    let args =
        Args { scale, force_recreate, no_recreate, no_deps, no_start, remove_orphans, services, ..flags };
    let dry = Global { dry_run: true, ..global.clone() };
    let mut wish = provided(&args, &dry, output).await?;
    let mut client = Client::connect(global).await?;
    client.same_build(output).await?;
    wish.check_ports(&mut client, output).await?;
    let before = client.stack(&wish.put.spec.name.0).await?;
    super::replace_moved(&mut client, before.as_ref(), &mut wish.put).await?;
    let reply = client.apply(&wish.put, true).await?;
    match format {
        Format::Table => output.data(text(&reply)),
        Format::Json => {
            let plan: serde_json::Value = serde_json::from_slice(&reply.plan_json)
                .doing(|| "this `orc` does not understand the engine's plan".to_owned())?;
            let steps = plan.get("steps").cloned().unwrap_or_default();
            let stack = &wish.put.spec.name.0;
            output.line(&json!({"stack": stack, "changed": reply.changed, "steps": steps}).to_string());
        }
    }
    if reply.changed { Err(Failure::Exit(CHANGES)) } else { Ok(()) }
}

/// The plan of a dry run for people.
pub(super) fn text(reply: &ApplyStackReply) -> &str {
    if reply.plan.is_empty() { "nothing to do\n" } else { &reply.plan }
}
