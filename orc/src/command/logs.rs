//! `orc logs`: what containers wrote.

use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::logs::{Lines, Query};
use crate::output::Output;
use crate::output::log::{LogPrinter, LogStyle};
use crate::watch::StackWatch;
use crate::{pick, project};

/// Flags of `orc logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stay, and show what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Lines to show from the end of each container's output: a number or `all`
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all", value_parser = parse_tail)]
    tail: Tail,
    /// Show the time of each line
    #[arg(short, long)]
    timestamps: bool,
    /// Only what was written since then: `2026-01-02T03:04:05Z`, or so long ago: `10m`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was written before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only of the replica of this number
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Show lines without the names of who wrote them
    #[arg(long)]
    no_log_prefix: bool,
    /// Show lines without colours
    #[arg(long)]
    no_color: bool,
    /// Services (default: all)
    services: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tail(Option<u64>);

fn parse_tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" | "-1" => Ok(Tail(None)),
        number => {
            number.parse().map(|lines| Tail(Some(lines))).map_err(|_| "expected a number or `all`".to_owned())
        }
    }
}

/// Prints lines.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let query = Query {
        follow: args.follow,
        tail: args.tail.0,
        since_ms: args.since.as_deref().map(|text| time(text, "--since")).transpose()?,
        until_ms: args.until.as_deref().map(|text| time(text, "--until")).transpose()?,
    };
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let mut watch = StackWatch::open(&mut client, &stack.name).await?;
    pick::services(&stack, watch.view(), &args.services)?;
    let mut lines = Lines::new(client, query);
    let wanted = |service: &str, slot: u32| {
        let named = args.services.is_empty() || args.services.iter().any(|name| name == service);
        named && args.index.is_none_or(|index| index == slot)
    };
    if let Some(view) = watch.view() {
        lines.add_tasks(view, |service, task| wanted(service, task.slot));
    }
    let style = LogStyle {
        prefix: !args.no_log_prefix,
        timestamps: args.timestamps,
        color: output.color() && !args.no_color,
    };
    let mut printer = LogPrinter::new(style, lines.names());
    if !args.follow {
        while let Some(line) = lines.next().await? {
            lines.print(&line, &mut printer);
        }
        return Ok(());
    }
    loop {
        tokio::select! {
            line = lines.next(), if lines.is_open() => {
                if let Some(line) = line? {
                    lines.print(&line, &mut printer);
                }
            }
            changed = watch.changed() => {
                changed?;
                match watch.view() {
                    Some(view) => lines.add_tasks(view, |service, task| wanted(service, task.slot)),
                    // The stack is gone, and with it whoever could still write.
                    None if !lines.is_open() => return Ok(()),
                    None => {}
                }
            }
        }
        if watch.view().is_none() && !lines.is_open() {
            return Ok(());
        }
    }
}

/// A point in time: RFC 3339, seconds since the epoch, or a duration before now.
pub(super) fn time(text: &str, flag: &str) -> Outcome<u64> {
    let unclear = || {
        crate::failure::Failure::new(format!("`{flag} {text}` is not a time"))
            .hint("write a time like `2026-01-02T03:04:05Z`, or how long ago, like `10m`")
    };
    parse_time(text, now_ms()).ok_or_else(unclear)
}

fn parse_time(text: &str, now_ms: u64) -> Option<u64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        // Beyond the range a float saturates, which is as good as any other end of time.
        return (ms >= 0.0).then_some(ms as u64);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return u64::try_from(time.as_millisecond()).ok();
    }
    if let Ok(local) = text.parse::<jiff::civil::DateTime>() {
        let time = local.to_zoned(jiff::tz::TimeZone::system()).ok()?;
        return u64::try_from(time.timestamp().as_millisecond()).ok();
    }
    let ago: compose_spec::Duration = serde_json::from_value(text.into()).ok()?;
    let ago_ms = u64::try_from(ago.to_std().as_millis()).ok()?;
    Some(now_ms.saturating_sub(ago_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_or_spans() {
        let now = 1_800_000_000_000;
        let check = |text: &str, expect: Option<u64>| assert_eq!(parse_time(text, now), expect, "{text}");
        check("10m", Some(now - 600_000));
        check("1h30m", Some(now - 5_400_000));
        check("1970-01-01T00:00:02Z", Some(2_000));
        check("1970-01-01T01:00:02+01:00", Some(2_000));
        check("1700000000", Some(1_700_000_000_000));
        check("0.5", Some(500));
        check("yesterday", None);
        check("-5", None);
    }

    #[test]
    fn a_tail_is_a_number_or_all() {
        assert_eq!(parse_tail("all"), Ok(Tail(None)));
        assert_eq!(parse_tail("0"), Ok(Tail(Some(0))));
        assert!(parse_tail("x").is_err());
    }
}
