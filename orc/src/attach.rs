//! `orc up` without `-d`: the output of all containers until they end or somebody presses Ctrl-C.

use std::time::{SystemTime, UNIX_EPOCH};

use cluster::view::{StackView, TaskView};
use cluster::{RunAction, StopHow};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::client::Client;
use crate::failure::{Doing, Failure, Outcome};
use crate::follow::{self, Aim};
use crate::logs::{Lines, Query};
use crate::output::Output;
use crate::output::log::{LogPrinter, LogStyle};
use crate::output::progress::Plain;
use crate::settle::Goal;
use crate::watch::StackWatch;

/// The exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How the output is shown, and when it ends.
pub(crate) struct How {
    pub(crate) prefix: bool,
    pub(crate) color: bool,
    pub(crate) timestamps: bool,
    /// Lines before this were written before the wish.
    pub(crate) since_ms: u64,
    /// The first container that ends ends all.
    pub(crate) abort_on_exit: bool,
    /// Whose exit code counts.
    pub(crate) exit_code_from: Option<String>,
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    // A clock before 1970 is a clock that was never set.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0))
}

/// Why the output ends.
enum End {
    /// Nothing runs any more.
    AllEnded,
    /// A container ended that was to end all.
    Aborted,
    /// Somebody wants it to end.
    Interrupted,
}

/// Shows the output until it ends, and stops what was started when it ends otherwise than by itself.
pub(crate) async fn attach(
    client: &mut Client,
    watch: &mut StackWatch,
    aim: &Aim,
    how: &How,
    output: &Output,
) -> Outcome {
    let mut interrupt = signal(SignalKind::interrupt()).doing(|| "cannot listen for Ctrl-C".to_owned())?;
    let mut terminate = signal(SignalKind::terminate()).doing(|| "cannot listen for SIGTERM".to_owned())?;
    let end = tokio::select! {
        end = show(client, watch, aim, how) => end?,
        _ = interrupt.recv() => End::Interrupted,
        _ = terminate.recv() => End::Interrupted,
    };
    match end {
        End::AllEnded => {}
        End::Aborted => stop(client, watch, aim, output, &mut interrupt).await?,
        End::Interrupted => {
            output.note("stopping; press Ctrl-C again to kill");
            stop(client, watch, aim, output, &mut interrupt).await?;
            return Err(Failure::Exit(INTERRUPTED));
        }
    }
    match exit_code(watch.view(), aim, how) {
        0 => Ok(()),
        code => Err(Failure::Exit(code)),
    }
}

async fn show(client: &Client, watch: &mut StackWatch, aim: &Aim, how: &How) -> Outcome<End> {
    let query = Query { follow: true, since_ms: Some(how.since_ms), ..Query::default() };
    let mut lines = Lines::new(client.clone(), query);
    let style = LogStyle { prefix: how.prefix, timestamps: how.timestamps, color: how.color };
    // Lines of output and lines that redraw themselves cannot share a terminal.
    let mut renderer = Plain::new(how.color);
    let mut settled = false;
    let mut printer = LogPrinter::new(style, aim.names.iter().map(|name| format!("{name}-1")));
    loop {
        if let Some(view) = watch.view() {
            lines.add(view, |service| aim.names.contains(service));
        }
        if !settled {
            aim.show(watch.view(), &mut renderer);
            settled = aim.verdict(watch.view()).is_some();
        }
        let ended = settled && tasks(watch.view(), aim).all(|task| !task.task.is_running() && over(task));
        let aborted =
            how.abort_on_exit && tasks(watch.view(), aim).any(|task| task.task.finished().is_some());
        if ended || aborted {
            lines.rest(&mut printer).await?;
            return Ok(if ended { End::AllEnded } else { End::Aborted });
        }
        tokio::select! {
            line = lines.next(), if lines.is_open() => {
                if let Some(line) = line? {
                    lines.print(&line, &mut printer);
                }
            }
            changed = watch.changed() => changed?,
        }
    }
}

/// Whether a task that does not run stays so.
fn over(view: &TaskView) -> bool {
    view.task.finished().is_some() || view.waits.as_ref().is_some_and(|wait| wait.hopeless)
}

fn tasks<'a>(view: Option<&'a StackView>, aim: &'a Aim) -> impl Iterator<Item = &'a TaskView> {
    let services = view.into_iter().flat_map(|view| &view.services);
    let ours = services.filter(|(name, _)| aim.names.contains(*name));
    ours.flat_map(|(_, service)| service.tasks.values()).filter(|task| task.current)
}

/// Stops gently; a second Ctrl-C kills.
async fn stop(
    client: &mut Client,
    watch: &mut StackWatch,
    aim: &Aim,
    output: &Output,
    interrupt: &mut Signal,
) -> Outcome {
    let Some(stack) = watch.view().map(|view| view.name.0.clone()) else { return Ok(()) };
    let names: Vec<String> = aim.names.iter().cloned().collect();
    let mut renderer = output.progress();
    let aim = Aim::new(names.clone(), Goal::Stopped);
    let version = client.set_run(&stack, &names, &RunAction::Stop(StopHow::default())).await?;
    watch.reach(version).await?;
    let mut killed = false;
    let result = loop {
        aim.show(watch.view(), renderer.as_mut());
        if watch.view().is_none() || aim.verdict(watch.view()).is_some() {
            break Ok(());
        }
        tokio::select! {
            changed = follow::changed(watch, renderer.as_mut()) => changed?,
            _ = interrupt.recv(), if !killed => {
                killed = true;
                let how = StopHow { signal: Some("SIGKILL".to_owned()), grace_ms: Some(0) };
                client.set_run(&stack, &names, &RunAction::Stop(how)).await?;
            }
        }
    };
    renderer.finish();
    result
}

fn exit_code(view: Option<&StackView>, aim: &Aim, how: &How) -> u8 {
    let mut exits = tasks(view, aim)
        .filter(|task| how.exit_code_from.as_ref().is_none_or(|name| task.task.service.service == *name))
        .filter_map(|task| task.task.container().and_then(|container| container.exit.as_ref()))
        .collect::<Vec<_>>();
    if !how.abort_on_exit {
        return 0;
    }
    exits.sort_by_key(|exit| exit.at);
    exits.first().map_or(0, |exit| u8::try_from(exit.code).unwrap_or(1))
}
