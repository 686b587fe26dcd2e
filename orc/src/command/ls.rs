//! `orc ls`: the stacks there are.

use std::collections::BTreeMap;

use cluster::Timestamp;
use cluster::view::StackView;
use serde_json::{Value, json};

use super::ps::name_filter;
use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::form::Form;
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
    /// Form of the output: table, json, or a Go template like `{{.Name}}` or `table {{.Name}}`
    #[arg(long, value_name = "FORM", default_value = "table", value_parser = Form::parse)]
    format: Form,
    /// Only show stacks of which this holds: `name=TEXT`, which the name contains
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

/// Prints the stacks.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let names = name_filter(&args.filter)?;
    let mut client = Client::connect(global).await?;
    let now = Timestamp(now_ms());
    let runs = |status: &str| ["running", "restarting", "paused"].iter().any(|state| status.contains(state));
    let stacks: Vec<Stack> = client
        .list(None)
        .await?
        .iter()
        .map(|view| Stack::of(view, now))
        .filter(|stack| args.all || runs(&stack.status))
        .filter(|stack| names.iter().all(|name| stack.name.contains(name)))
        .collect();
    if args.quiet {
        stacks.iter().for_each(|stack| output.line(&stack.name));
        return Ok(());
    }
    let object = |stack: &Stack| json!({"Name": stack.name, "Status": stack.status, "ConfigFiles": stack.config_files});
    match &args.format {
        Form::Json => output.line(&stacks.iter().map(object).collect::<Value>().to_string()),
        Form::Template(template) => {
            output.data(&template.render(&stacks.iter().map(object).collect::<Vec<_>>())?);
        }
        Form::Table => {
            let mut table = Table::new(&["NAME", "STATUS", "CONFIG FILES"]);
            for Stack { name, status, config_files } in stacks {
                table.row([name, status, config_files]);
            }
            output.data(&table.render_within(output.width()));
        }
    }
    Ok(())
}

/// A stack as a line.
struct Stack {
    name: String,
    status: String,
    config_files: String,
}

impl Stack {
    fn of(view: &StackView, now: Timestamp) -> Self {
        let config_files = view.config_files.join(",");
        Self { name: view.name.0.clone(), status: counts(view, now), config_files }
    }
}

/// `exited(1), running(4)`.
fn counts(view: &StackView, now: Timestamp) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in view.services.values().flat_map(|service| service.tasks.values()) {
        *counts.entry(describe(task, now).state).or_default() += 1;
    }
    counts.iter().map(|(state, count)| format!("{state}({count})")).collect::<Vec<_>>().join(", ")
}
