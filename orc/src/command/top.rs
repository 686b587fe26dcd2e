//! `orc top`: the processes inside a stack's containers.

use api::node::Process;

use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::table::Table;
use crate::{pick, project};

/// Flags of `orc top`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services (default: all)
    services: Vec<String>,
}

/// Prints a line for each process, in docker compose's columns.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let mut table = Table::new(&["SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    let now = now_ms();
    let mut any = false;
    for (name, service) in pick::with_one_offs(&stack, view.as_ref(), &args.services)? {
        for task in service.tasks.values().filter(|task| task.task.is_alive()) {
            for process in client.top(&task.task.id.to_string()).await? {
                let [uid, share, began, time] = describe(&process, now);
                let terminal =
                    if process.terminal.is_empty() { "?".to_owned() } else { process.terminal.clone() };
                table.row([
                    name.clone(),
                    task.task.slot.to_string(),
                    uid,
                    process.pid.to_string(),
                    process.parent.to_string(),
                    share,
                    began,
                    terminal,
                    time,
                    process.command,
                ]);
                any = true;
            }
        }
    }
    if any {
        output.data(&table.render());
    }
    Ok(())
}

/// Owner, percentage of a processor over its life, beginning and processor time, as ps(1) shows them.
fn describe(process: &Process, now_ms: u64) -> [String; 4] {
    let uid = if process.uid == 0 { "root".to_owned() } else { process.uid.to_string() };
    let lived = now_ms.saturating_sub(process.started_at_ms).max(1);
    let share = process.cpu_ms.saturating_mul(100) / lived;
    let seconds = process.cpu_ms / 1000;
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let day = 24 * 3600 * 1000;
    let format = if lived < day { "%H:%M" } else { "%b%d" };
    let began =
        i64::try_from(process.started_at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let began = began.map_or_else(
        || "?".to_owned(),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string(),
    );
    [uid, share.to_string(), began, time]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described_as_by_ps() {
        let process = Process { uid: 0, cpu_ms: 3_725_000, started_at_ms: 1_000, ..Process::default() };
        let [uid, share, _, time] = describe(&process, 7_451_000);
        assert_eq!((uid.as_str(), share.as_str(), time.as_str()), ("root", "50", "01:02:05"));
        let young = Process { uid: 7, started_at_ms: 5, ..Process::default() };
        assert_eq!(describe(&young, 5)[1], "0");
        assert_eq!(describe(&young, 5)[0], "7");
    }
}
