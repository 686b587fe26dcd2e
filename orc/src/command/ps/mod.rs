//! `orc ps`: what runs, and why something does not.

mod docker;

use std::collections::BTreeSet;

use cluster::Timestamp;
use cluster::view::{PublishedPort, ServiceView, TaskView, Wait};

use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::output::form::Form;
use crate::output::table::Table;
use crate::words::{self, Words, describe};
use crate::{pick, project};

pub(crate) use docker::{ago, time};

/// Flags of `orc ps`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show stopped containers too
    #[arg(short, long)]
    all: bool,
    /// Only print ids
    #[arg(short, long)]
    quiet: bool,
    /// Only print the names of services
    #[arg(long, conflicts_with = "quiet")]
    services: bool,
    /// Form of the output: table, json (an object a line with the fields of docker compose), or a Go template like
    /// `{{.Name}}` or `table {{.Name}}\t{{.Ports}}`
    #[arg(long, value_name = "FORM", default_value = "table", value_parser = Form::parse)]
    format: Form,
    /// Only show containers in this state
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    status: Vec<String>,
    /// Only show containers of which this holds: `status=STATE`
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_filter)]
    filter: Vec<String>,
    /// Show services that the file does not name any more, too
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    orphans: bool,
    /// Do not cut long texts
    #[arg(long)]
    no_trunc: bool,
    /// Services (default: all)
    names: Vec<String>,
}

const STATES: [&str; 8] =
    ["pending", "created", "running", "paused", "restarting", "removing", "exited", "dead"];

fn parse_filter(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some(("status", state)) if STATES.contains(&state) => Ok(state.to_owned()),
        Some(("status", state)) => Err(format!("`{state}` is none of {}", STATES.join(", "))),
        Some((key, _)) => Err(format!("`{key}` cannot be filtered by; `status` can")),
        None => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Form of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// One container of a listing.
struct Row<'a> {
    service: &'a str,
    /// The same, but for one-offs, which have names of their own.
    name: &'a str,
    view: &'a ServiceView,
    task: &'a TaskView,
    words: Words,
}

/// Prints the tasks of a stack.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let now = Timestamp(now_ms());
    let mut rows = Vec::new();
    let mut pending = Vec::new();
    let services = match args.all {
        true => pick::with_one_offs(&stack, view.as_ref(), &args.names)?,
        false => pick::services(&stack, view.as_ref(), &args.names)?,
    };
    for (name, view) in services {
        if view.orphan && !args.orphans {
            continue;
        }
        let service = view.spec.one_off.as_ref().map_or(name, |one_off| &one_off.of);
        for task in view.tasks.values() {
            let words = describe(task, now);
            if wanted(args, words.state) {
                rows.push(Row { service, name, view, task, words });
            }
        }
        if wanted(args, "pending") {
            pending.extend(view.pending.iter().map(|(slot, wait)| (service, *slot, wait)));
        }
    }
    rows.sort_by_key(|row| (row.service, row.name, row.task.task.slot, !row.task.current));
    if args.services {
        let names: BTreeSet<&str> = rows.iter().map(|row| row.service).collect();
        names.into_iter().for_each(|name| output.line(name));
    } else if args.quiet {
        rows.iter().for_each(|row| output.line(&row.task.task.id.to_string()));
    } else {
        let about = docker::About { stack: view.as_ref(), now, whole: args.no_trunc };
        let objects = || rows.iter().map(|row| about.object(row)).collect::<Vec<_>>();
        match &args.format {
            Form::Json => objects().iter().for_each(|object| output.line(&object.to_string())),
            Form::Template(template) => output.data(&template.render(&objects())?),
            Form::Table if global.as_compose => output.data(&about.table(&rows).render()),
            Form::Table => {
                let width = output.width().filter(|_| !args.no_trunc);
                output.data(&table(&rows, &pending, now).render_within(width));
            }
        }
    }
    Ok(())
}

/// For people: what runs, and what waits for what.
fn table(rows: &[Row<'_>], pending: &[(&String, u32, &Wait)], now: Timestamp) -> Table {
    let mut table = Table::new(&["SERVICE", "TASK", "STATE", "PORTS", "DETAIL"]);
    for row in rows {
        let task = format!("{}.{}", row.name, row.task.task.slot);
        let (state, detail) = (row.words.status.clone(), row.words.detail.clone());
        table.row([row.service.to_owned(), task, state, ports(row), detail]);
    }
    for (service, slot, wait) in pending {
        let state = format!("pending for {}", words::span(now, wait.since));
        let task = format!("{service}.{slot}");
        table.row([(*service).clone(), task, state, String::new(), wait.reason.clone()]);
    }
    table
}

/// As docker compose does: what has ended or was never started is shown on request; here also what waits,
/// since that is what people look for.
fn wanted(args: &Args, state: &str) -> bool {
    if args.status.is_empty() && args.filter.is_empty() {
        args.all || state != "exited"
    } else {
        args.status.iter().chain(&args.filter).any(|s| s == state)
    }
}

/// The host ports that lead to the row's task while it runs.
fn row_ports<'a>(row: &'a Row<'_>) -> impl Iterator<Item = &'a PublishedPort> {
    let ports = row.view.ports.iter().filter(|_| row.task.task.is_running());
    ports.filter(|port| port.slot.is_none_or(|slot| slot == row.task.task.slot))
}

fn ports(row: &Row<'_>) -> String {
    row_ports(row).map(words::port).collect::<Vec<_>>().join(", ")
}

/// Reads `--filter name=TEXT`, which is all that listings of stacks can be filtered by.
pub(crate) fn name_filter(filters: &[String]) -> Outcome<Vec<&str>> {
    let name = |filter: &'_ String| match filter.split_once('=') {
        Some(("name", _)) => Ok(()),
        _ => Err(Failure::new(format!("cannot filter by `{filter}`")).hint("`name=TEXT` is what there is")),
    };
    filters.iter().try_for_each(name)?;
    Ok(filters.iter().filter_map(|filter| Some(filter.split_once('=')?.1)).collect())
}
