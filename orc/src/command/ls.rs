//! `orc ls`: the stacks there are.

use std::collections::BTreeMap;

use cluster::Timestamp;
use cluster::view::StackView;
use serde_json::json;

use super::ps::Format;
use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::table::Table;
use crate::words::describe;

/// Flags of `orc ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show stacks of which nothing runs, too
    #[arg(short, long)]
    all: bool,
    /// Only print names
    #[arg(short, long)]
    quiet: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the stacks.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let mut client = Client::connect(global).await?;
    let now = Timestamp(now_ms());
    let stacks: Vec<(String, String)> = client
        .list(None)
        .await?
        .iter()
        .map(|view| (view.name.0.clone(), counts(view, now)))
        .filter(|(_, status)| args.all || status.contains("running") || status.contains("restarting"))
        .collect();
    if args.quiet {
        stacks.iter().for_each(|(name, _)| output.line(name));
        return Ok(());
    }
    if args.format == Format::Json {
        let list: Vec<_> =
            stacks.iter().map(|(name, status)| json!({"Name": name, "Status": status})).collect();
        output.line(&serde_json::Value::from(list).to_string());
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "STATUS"]);
    for (name, status) in stacks {
        table.row([name, status]);
    }
    output.data(&table.render());
    Ok(())
}

/// `exited(1), running(4)`.
fn counts(view: &StackView, now: Timestamp) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in view.services.values().flat_map(|service| service.tasks.values()) {
        *counts.entry(describe(task, now).state).or_default() += 1;
    }
    counts.iter().map(|(state, count)| format!("{state}({count})")).collect::<Vec<_>>().join(", ")
}
