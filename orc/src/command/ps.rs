//! `orc ps`: what runs, and why something does not.

use std::collections::BTreeSet;

use cluster::Timestamp;
use cluster::view::{PublishedPort, ServiceView, TaskView};
use serde_json::json;

use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::table::Table;
use crate::words::{self, Words, describe};
use crate::{pick, project};

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
    /// Form of the output; `json` is an object a line with the field names of docker compose
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only show containers in this state
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    status: Vec<String>,
    /// Services (default: all)
    names: Vec<String>,
}

const STATES: [&str; 7] = ["pending", "created", "running", "paused", "restarting", "removing", "exited"];

/// Form of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

struct Row<'a> {
    service: &'a str,
    view: &'a ServiceView,
    task: &'a TaskView,
    words: Words,
}

/// Prints the tasks of a stack.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack_name(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack).await?;
    let now = Timestamp(now_ms());
    let mut rows = Vec::new();
    let mut pending = Vec::new();
    for (service, view) in pick::services(view.as_ref(), &args.names)? {
        for task in view.tasks.values() {
            let words = describe(task, now);
            if wanted(args, words.state) {
                rows.push(Row { service, view, task, words });
            }
        }
        if wanted(args, "pending") {
            pending.extend(view.pending.iter().map(|(slot, wait)| (service, *slot, wait)));
        }
    }
    rows.sort_by_key(|row| (row.service, row.task.task.slot, !row.task.current));
    if args.services {
        let names: BTreeSet<&str> = rows.iter().map(|row| row.service).collect();
        names.into_iter().for_each(|name| output.line(name));
        return Ok(());
    }
    if args.quiet {
        rows.iter().for_each(|row| output.line(&row.task.task.id.to_string()));
        return Ok(());
    }
    if args.format == Format::Json {
        rows.iter().for_each(|row| output.line(&object(row, &stack, now).to_string()));
        return Ok(());
    }
    let mut table = Table::new(&["SERVICE", "TASK", "STATE", "PORTS", "DETAIL"]);
    for row in &rows {
        let task = format!("{}.{}", row.service, row.task.task.slot);
        let (state, detail) = (row.words.status.clone(), row.words.detail.clone());
        table.row([row.service.to_owned(), task, state, ports(row), detail]);
    }
    for (service, slot, wait) in pending {
        let state = format!("pending for {}", words::span(now, wait.since));
        table.row([service.clone(), format!("{service}.{slot}"), state, String::new(), wait.reason.clone()]);
    }
    output.data(&table.render());
    Ok(())
}

/// As docker compose does: what has ended or was never started is shown on request; here also what waits,
/// since that is what people look for.
fn wanted(args: &Args, state: &str) -> bool {
    if args.status.is_empty() {
        args.all || state != "exited"
    } else {
        args.status.iter().any(|s| s == state)
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

fn object(row: &Row<'_>, stack: &str, now: Timestamp) -> serde_json::Value {
    let task = &row.task.task;
    let compose = &task.spec.compose;
    let container = task.container();
    let health = match container.map(|container| &container.health) {
        Some(cluster::Health::Starting) => "starting",
        Some(cluster::Health::Healthy) => "healthy",
        Some(cluster::Health::Unhealthy { .. }) => "unhealthy",
        Some(cluster::Health::None) | None => "",
    };
    let publishers: Vec<_> = row_ports(row)
        .map(|port| {
            json!({
                "URL": port.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string()),
                "TargetPort": port.target, "PublishedPort": port.host_port, "Protocol": port.protocol,
            })
        })
        .collect();
    let networks: Vec<&str> = task.endpoints.iter().map(|endpoint| endpoint.network.0.as_str()).collect();
    let addresses: serde_json::Map<String, serde_json::Value> = task
        .endpoints
        .iter()
        .map(|endpoint| (endpoint.network.0.clone(), endpoint.v4.to_string().into()))
        .collect();
    json!({
        "ID": task.id.to_string(),
        "Name": row.task.container_name,
        "Names": row.task.container_name,
        "Project": stack,
        "Service": row.service,
        "Image": compose.image.clone().unwrap_or_default(),
        "Command": compose.command.clone().unwrap_or_default().join(" "),
        "State": row.words.state,
        "Status": row.words.status,
        "Health": health,
        "ExitCode": container.and_then(|container| container.exit.as_ref()).map_or(0, |exit| exit.code),
        "Publishers": publishers,
        "Ports": ports(row),
        "Networks": networks.join(","),
        "CreatedAt": task.created_at.0,
        "RunningFor": container.and_then(|c| c.started_at).map_or_else(String::new, |at| words::span(now, at)),
        "Labels": compose.labels,
        // What docker compose does not say.
        "Slot": task.slot,
        "Node": task.node.to_string(),
        "Pid": container.and_then(|container| container.pid),
        "Restarts": container.map_or(0, |container| container.restarts),
        "Addresses": addresses,
        "Current": row.task.current,
        "Detail": row.words.detail,
    })
}
