//! `orc why`: how a service has come to where it is, from the wish to the last lines of its log.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{TaskId, Timestamp};
use serde_json::json;

use super::ps::Format;
use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::logs::{Lines, Query};
use crate::output::Output;
use crate::why::{Chain, chains};
use crate::{limits, pick, project};

/// Flags of `orc why`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Form of the output; `json` is a list of chains
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Services (default: those that are not as wished)
    services: Vec<String>,
}

/// Prints a chain for each slot, and those of the services that it waits for.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let names = pick::services(&stack, view.as_ref(), &args.services)?;
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for chain in view.iter().flat_map(|view| {
        let now = Timestamp(now_ms());
        names.iter().flat_map(move |(name, _)| chains(view, name, now))
    }) {
        let asked = !args.services.is_empty() || !chain.well;
        if asked && told.insert(chain.task.clone()) {
            found.push(chain);
        }
    }
    let ill: BTreeSet<TaskId> =
        found.iter().filter(|chain| !chain.well).filter_map(|chain| chain.log).collect();
    let mut logs = BTreeMap::new();
    if let Some(view) = &view {
        logs = last_lines(&client, view, &ill).await?;
    }
    let lines = |chain: &Chain| chain.log.and_then(|task| logs.get(&task)).cloned().unwrap_or_default();
    if args.format == Format::Json {
        let object = |chain: &Chain| {
            let last: Vec<_> =
                lines(chain).iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            json!({"Task": chain.task, "Well": chain.well, "Links": chain.links, "LastLines": last})
        };
        output.line(&serde_json::Value::from(found.iter().map(object).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    if found.is_empty() {
        let said = if view.is_some() { "all is as wished" } else { "nothing of it was started" };
        output.line(&format!("stack `{}`: {said}", stack.name));
    }
    for chain in &found {
        output.chain(chain, &lines(chain));
    }
    Ok(())
}

/// The last lines of some tasks' logs.
async fn last_lines(
    client: &Client,
    view: &cluster::view::StackView,
    tasks: &BTreeSet<TaskId>,
) -> Outcome<BTreeMap<TaskId, Vec<Vec<u8>>>> {
    let query = Query { tail: Some(limits::WHY_LINES), ..Query::default() };
    let mut lines = Lines::new(client.clone(), query);
    lines.add_tasks(view, |_, task| tasks.contains(&task.id));
    let mut found: BTreeMap<TaskId, Vec<Vec<u8>>> = BTreeMap::new();
    while let Some(line) = lines.next().await? {
        if let Ok(task) = line.task.parse() {
            found.entry(task).or_default().push(line.line);
        }
    }
    Ok(found)
}
