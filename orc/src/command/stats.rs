//! `orc stats`: what a stack's containers use, now and then every second.

use std::collections::BTreeMap;
use std::time::Duration;

use api::node::{StatsReply, Usage};
use cluster::view::TaskView;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::form::Form;
use crate::output::table::Table;
use crate::{pick, project};

/// Flags of `orc stats`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show stopped containers too
    #[arg(short, long)]
    all: bool,
    /// Form of the output: table, json (an object a line with the field names of docker compose), or a Go template
    /// like `{{.Name}}` or `table {{.Name}}`
    #[arg(long, value_name = "FORM", default_value = "table", value_parser = Form::parse)]
    format: Form,
    /// Print once
    #[arg(long)]
    no_stream: bool,
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Service (default: all)
    service: Option<String>,
}

/// Between two looks: processor time is told by their difference.
const INTERVAL: Duration = Duration::from_secs(1);
/// Moves a terminal's cursor to its first place and clears what is there.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Prints a line for each container.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let names: Vec<String> = args.service.iter().cloned().collect();
    let live = !args.no_stream && matches!(args.format, Form::Table) && output.redraws();
    let mut before = BTreeMap::new();
    loop {
        let view = client.stack(&stack.name).await?;
        let mut tasks: Vec<&TaskView> = Vec::new();
        for (_, service) in pick::with_one_offs(&stack, view.as_ref(), &names)? {
            tasks.extend(service.tasks.values().filter(|task| args.all || task.task.is_alive()));
        }
        let reply = client.stats(tasks.iter().map(|task| task.task.id.to_string()).collect()).await?;
        let now: BTreeMap<String, Usage> =
            reply.tasks.iter().map(|usage| (usage.task.clone(), usage.clone())).collect();
        if before.is_empty() && !now.is_empty() {
            before = now;
            tokio::time::sleep(INTERVAL).await;
            continue;
        }
        let rows: Vec<Row> =
            tasks.iter().map(|task| Row::new(task, &before, &now, &reply, args.no_trunc)).collect();
        print(&rows, &args.format, live, output)?;
        if args.no_stream {
            return Ok(());
        }
        before = now;
        tokio::time::sleep(INTERVAL).await;
    }
}

/// What is shown of a container.
struct Row {
    id: String,
    name: String,
    cpu: String,
    memory: String,
    memory_share: String,
    network: String,
    block: String,
    pids: String,
}

impl Row {
    fn new(
        task: &TaskView,
        before: &BTreeMap<String, Usage>,
        now: &BTreeMap<String, Usage>,
        machine: &StatsReply,
        whole: bool,
    ) -> Self {
        let id = task.task.id.to_string();
        let usage = now.get(&id).cloned().unwrap_or_default();
        let limit = usage
            .memory_limit_bytes
            .unwrap_or(machine.machine_memory_bytes)
            .min(machine.machine_memory_bytes);
        let shown = if whole { id.clone() } else { id.chars().take(12).collect() };
        Self {
            cpu: percent(cpu_share(before.get(&id), &usage)),
            id: shown,
            name: task.container_name.clone(),
            memory: format!("{} / {}", binary(usage.memory_bytes), binary(limit)),
            memory_share: percent(ratio(usage.memory_bytes, limit)),
            network: format!("{} / {}", decimal(usage.received_bytes), decimal(usage.sent_bytes)),
            block: format!("{} / {}", decimal(usage.read_bytes), decimal(usage.written_bytes)),
            pids: usage.pids.to_string(),
        }
    }

    /// With the fields of docker compose.
    fn object(&self) -> Value {
        json!({
            "BlockIO": self.block, "CPUPerc": self.cpu, "Container": self.id, "ID": self.id, "MemPerc": self.memory_share,
            "MemUsage": self.memory, "Name": self.name, "NetIO": self.network, "PIDs": self.pids,
        })
    }
}

fn print(rows: &[Row], form: &Form, live: bool, output: &Output) -> Outcome {
    match form {
        Form::Json => rows.iter().for_each(|row| output.line(&row.object().to_string())),
        Form::Template(template) => {
            output.data(&template.render(&rows.iter().map(Row::object).collect::<Vec<_>>())?);
        }
        Form::Table => output.data(&format!("{}{}", if live { CLEAR } else { "" }, table(rows).render())),
    }
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let headings =
        ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
    let mut table = Table::new(&headings);
    for row in rows {
        let cells = [
            &row.id,
            &row.name,
            &row.cpu,
            &row.memory,
            &row.memory_share,
            &row.network,
            &row.block,
            &row.pids,
        ];
        table.row(cells.into_iter().cloned());
    }
    table
}

/// Hundredths of a percent of one processor between two looks.
fn cpu_share(before: Option<&Usage>, now: &Usage) -> u64 {
    let Some(before) = before else { return 0 };
    let passed_ms = now.at_ms.saturating_sub(before.at_ms);
    ratio(now.cpu_nanos.saturating_sub(before.cpu_nanos), passed_ms.saturating_mul(1_000_000))
}

/// A part of a whole in hundredths of a percent.
fn ratio(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 10_000 / u128::from(whole.max(1));
    if whole == 0 { 0 } else { u64::try_from(share).unwrap_or(u64::MAX) }
}

fn percent(hundredths: u64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// As Docker writes memory: `12.5MiB`.
fn binary(bytes: u64) -> String {
    size(bytes, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 4)
}

/// As Docker writes traffic: `1.05kB`.
fn decimal(bytes: u64) -> String {
    size(bytes, 1000, &["B", "kB", "MB", "GB", "TB", "PB"], 3)
}

/// A size in the largest unit that fits, with so many digits.
fn size(bytes: u64, step: u64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    let mut scale = 1;
    while bytes / scale >= step && unit + 1 < units.len() {
        scale *= step;
        unit += 1;
    }
    let whole = (bytes / scale).to_string();
    let places = digits.saturating_sub(whole.len());
    let power = 10_u64.pow(u32::try_from(places).unwrap_or(0));
    let fraction = u128::from(bytes % scale) * u128::from(power) / u128::from(scale);
    let fraction = format!("{fraction:0places$}");
    let fraction = fraction.trim_end_matches('0');
    let point = if places == 0 || fraction.is_empty() { "" } else { "." };
    let fraction = if point.is_empty() { "" } else { fraction };
    format!("{whole}{point}{fraction}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_are_written_as_by_docker() {
        let check = |got: String, expect: &str| assert_eq!(got, expect);
        check(binary(0), "0B");
        check(binary(1_536), "1.5KiB");
        check(binary(3_645_440), "3.476MiB");
        check(binary(16 << 30), "16GiB");
        check(decimal(999), "999B");
        check(decimal(1_050), "1.05kB");
        check(decimal(12_345_678), "12.3MB");
        check(percent(ratio(1, 3)), "33.33%");
        check(percent(ratio(1, 0)), "0.00%");
        let before = Usage { at_ms: 1_000, cpu_nanos: 5, ..Usage::default() };
        let now = Usage { at_ms: 2_000, cpu_nanos: 500_000_005, ..Usage::default() };
        check(percent(cpu_share(Some(&before), &now)), "50.00%");
        check(percent(cpu_share(None, &now)), "0.00%");
    }
}
