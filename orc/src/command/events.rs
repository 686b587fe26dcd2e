//! `orc events`: what happens to a stack's containers, as it happens.

use std::time::Duration;

use cluster::Timestamp;
use serde_json::json;

use super::logs::time;
use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::happenings::{self, Happening};
use crate::output::Output;
use crate::project;
use crate::watch::StackWatch;

/// Flags of `orc events`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An object a line, with the field names of docker compose
    #[arg(long)]
    json: bool,
    /// Begin with what happened since then and is still known: a time, or a duration like `10m`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// End then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Services (default: all)
    services: Vec<String>,
}

/// Prints what happens, until `--until` or for ever.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let since = args.since.as_deref().map(|text| time(text, "--since")).transpose()?;
    let until = args.until.as_deref().map(|text| time(text, "--until")).transpose()?;
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let mut watch = StackWatch::open(&mut client, &stack.name).await?;
    let wanted = |happening: &Happening| {
        let named = args.services.is_empty() || args.services.contains(&happening.service);
        named && until.is_none_or(|until| happening.at.0 <= until)
    };
    let now = Timestamp(now_ms());
    if let Some(since) = since {
        let past = happenings::between(None, watch.view(), now).into_iter();
        past.filter(|happening| happening.at.0 >= since && wanted(happening))
            .for_each(|happening| output.line(&line(&happening, args.json)));
    }
    loop {
        let before = watch.view().cloned();
        let left = until.map(|until| Duration::from_millis(until.saturating_sub(now_ms())));
        tokio::select! {
            changed = watch.changed() => changed?,
            () = tokio::time::sleep(left.unwrap_or_default()), if left.is_some() => return Ok(()),
        }
        happenings::between(before.as_ref(), watch.view(), Timestamp(now_ms()))
            .iter()
            .filter(|happening| wanted(happening))
            .for_each(|happening| output.line(&line(happening, args.json)));
    }
}

fn line(happening: &Happening, as_json: bool) -> String {
    let at = i64::try_from(happening.at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = at.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(jiff::tz::TimeZone::system());
    if as_json {
        let object = json!({
            "time": at.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(), "type": "container",
            "service": happening.service, "id": happening.task.to_string(), "action": happening.action,
            "attributes": happening.attributes,
        });
        return object.to_string();
    }
    let attributes: Vec<String> =
        happening.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let time = at.strftime("%Y-%m-%d %H:%M:%S%.6f");
    format!("{time} container {} {} ({})", happening.action, happening.task, attributes.join(", "))
}
