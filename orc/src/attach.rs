//! `orc up` without `-d`: the output of containers until they end or somebody presses Ctrl-C.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::view::{StackView, TaskView};
use cluster::{ContainerState, Exit, RunAction, StopHow, TaskId};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::client::Client;
use crate::failure::{Doing, Failure, Outcome};
use crate::follow::Aim;
use crate::logs::{Lines, Query};
use crate::output::Output;
use crate::output::log::{LogPrinter, LogStyle};
use crate::output::progress::Plain;
use crate::settle::{Goal, Verdict};
use crate::watch::StackWatch;

/// The exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How the output is shown, and when it ends.
pub(crate) struct How {
    pub(crate) style: LogStyle,
    /// Lines before this were written before the wish.
    pub(crate) since_ms: u64,
    /// Whose output is shown, and whose ends count.
    pub(crate) attached: BTreeSet<String>,
    /// What is stopped when the output ends before its time.
    pub(crate) stopped: Vec<String>,
    pub(crate) abort: Abort,
    /// Whose exit code counts.
    pub(crate) exit_code_from: Option<String>,
    /// How containers are stopped then.
    pub(crate) stop: StopHow,
}

/// Which end of a container ends all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abort {
    Never,
    OnExit,
    OnFailure,
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    // A clock before 1970 is a clock that was never set.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0))
}

/// Shows the output until it ends, and stops what was started when it ends otherwise than by itself.
pub(crate) async fn attach(
    client: &Client,
    watch: &mut StackWatch,
    aim: &Aim,
    how: How,
    output: &Output,
) -> Outcome {
    let query = Query { follow: true, since_ms: Some(how.since_ms), ..Query::default() };
    let mut shown = Shown {
        client: client.clone(),
        watch,
        lines: Lines::new(client.clone(), query),
        printer: LogPrinter::new(how.style, how.attached.iter().map(|name| format!("{name}-1"))),
        // Lines of output and lines that redraw themselves cannot share a terminal.
        renderer: Plain::new(how.style.color),
        told: BTreeMap::new(),
        done: BTreeSet::new(),
        settled: false,
        stopping: None,
        aim,
        how: &how,
        output,
    };
    let mut keys = Interrupts::listen()?;
    loop {
        shown.look().await?;
        if let Some(result) = shown.step().await? {
            return result;
        }
        tokio::select! {
            line = shown.lines.next(), if shown.lines.is_open() => {
                if let Some(line) = line? {
                    shown.lines.print(&line, &mut shown.printer);
                }
            }
            changed = shown.watch.changed() => changed?,
            () = keys.next() => shown.interrupted().await?,
        }
    }
}

/// Who asks for the end: Ctrl-C, or somebody who ends programs.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> Outcome<Self> {
        let listen = |kind| signal(kind).doing(|| "cannot listen for signals".to_owned());
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Why everything is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    /// A container ended that was to end all.
    Aborted,
    /// Somebody asked for it, so many times.
    Interrupted(u32),
}

struct Shown<'a> {
    client: Client,
    watch: &'a mut StackWatch,
    lines: Lines,
    printer: LogPrinter,
    renderer: Plain,
    /// Which ends of a task's container were told: its generation and restart.
    told: BTreeMap<TaskId, (u64, u32)>,
    /// Services of which it was said that they have come as far as they should, or will not.
    done: BTreeSet<String>,
    /// It was said of all.
    settled: bool,
    stopping: Option<Stopping>,
    aim: &'a Aim,
    how: &'a How,
    output: &'a Output,
}

impl Shown<'_> {
    /// Takes in what is new of the stack: containers to be shown, ends to be told, progress.
    async fn look(&mut self) -> Outcome {
        if let Some(view) = self.watch.view() {
            self.lines.add(view, |service| self.how.attached.contains(service));
        }
        let ends: Vec<End> = tasks(self.watch.view(), &self.how.attached).filter_map(End::of).collect();
        for end in ends {
            if self.told.insert(end.task, end.number) != Some(end.number) {
                self.lines.rest_of(&[end.task], &mut self.printer).await?;
                let name = self.lines.name(end.task);
                self.printer.note(name, &end.text(name));
            }
        }
        match self.stopping {
            Some(_) => _ = self.stop_aim().show(self.watch.view(), &mut self.renderer),
            // What becomes of them later is told by their output and their ends.
            None if !self.settled => {
                let verdict = self.aim.show_until_done(self.watch.view(), &mut self.renderer, &mut self.done);
                self.settled = !matches!(verdict, Verdict::Open { .. });
            }
            None => {}
        }
        Ok(())
    }

    /// Whether it is over, and how.
    async fn step(&mut self) -> Outcome<Option<Outcome>> {
        if let Some(why) = self.stopping {
            if matches!(self.stop_aim().verdict(self.watch.view()), Verdict::Open { .. }) {
                return Ok(None);
            }
            return Ok(Some(match why {
                Stopping::Interrupted(_) => Err(Failure::Exit(INTERRUPTED)),
                Stopping::Aborted => self.result(),
            }));
        }
        if self.is_aborted() {
            self.output.note("a container has ended: stopping all");
            self.stopping = Some(Stopping::Aborted);
            self.stop(self.how.stop.clone()).await?;
            return Ok(None);
        }
        if self.is_over() {
            let reached = self.aim.verdict(self.watch.view()) == Verdict::Reached;
            let missing = self.aim.missing(self.watch.view(), true);
            let started =
                !tasks(self.watch.view(), &self.how.attached).any(|task| task.task.finished().is_none());
            let failure = || Failure::new("not everything could be started").causes(missing);
            return Ok(Some(if reached || started { Ok(()) } else { Err(failure()) }));
        }
        Ok(None)
    }

    /// Nothing runs any more, nor will.
    fn is_over(&self) -> bool {
        let waits = |view: &TaskView| {
            view.task.container().is_some_and(|c| matches!(c.state, ContainerState::Restarting { .. }))
        };
        let mut tasks = tasks(self.watch.view(), &self.how.attached);
        self.settled && tasks.all(|view| !view.task.is_alive() && !waits(view))
    }

    fn is_aborted(&self) -> bool {
        let mut exits = exits(self.watch.view(), &self.how.attached);
        match self.how.abort {
            Abort::Never => false,
            Abort::OnExit => exits.next().is_some(),
            Abort::OnFailure => exits.any(|exit| exit.code != 0),
        }
    }

    /// First gently, then at once, then not at all.
    async fn interrupted(&mut self) -> Outcome {
        match self.stopping {
            Some(Stopping::Interrupted(times)) if times >= 2 => Err(Failure::Exit(INTERRUPTED)),
            None => {
                self.output.note_after_key("stopping; press Ctrl-C again to kill");
                self.stopping = Some(Stopping::Interrupted(1));
                self.stop(self.how.stop.clone()).await
            }
            Some(_) => {
                self.output.note_after_key("killing; press Ctrl-C again to leave");
                self.stopping = Some(Stopping::Interrupted(2));
                self.stop(StopHow { signal: Some("SIGKILL".to_owned()), grace_ms: Some(0) }).await
            }
        }
    }

    async fn stop(&mut self, how: StopHow) -> Outcome {
        let Some(stack) = self.watch.view().map(|view| view.name.0.clone()) else { return Ok(()) };
        let version = self.client.set_run(&stack, &self.how.stopped, &RunAction::Stop(how)).await?;
        self.watch.reach(version).await
    }

    fn stop_aim(&self) -> Aim {
        Aim::new(self.how.stopped.iter().cloned(), Goal::Stopped)
    }

    /// The exit code that counts, after an abort.
    fn result(&self) -> Outcome {
        let view = self.watch.view();
        let code = match &self.how.exit_code_from {
            Some(name) => exits(view, &BTreeSet::from([name.clone()])).map(|exit| exit.code).next(),
            None => {
                let counts = |exit: &&Exit| self.how.abort == Abort::OnExit || exit.code != 0;
                let first = exits(view, &self.how.attached).filter(counts).min_by_key(|exit| exit.at);
                first.map(|exit| exit.code)
            }
        };
        crate::session::carry(code.unwrap_or(0))
    }
}

/// The end of a container's run.
struct End {
    task: TaskId,
    /// Which: the generation, and how often it was restarted before.
    number: (u64, u32),
    code: i32,
    again: bool,
}

impl End {
    fn of(view: &TaskView) -> Option<Self> {
        let container = view.task.container()?;
        let again = match container.state {
            ContainerState::Restarting { .. } => true,
            ContainerState::Exited => false,
            _ => return None,
        };
        // An end before this wish's own start is old news.
        let exit = container.exit.as_ref().filter(|_| container.generation >= view.task.generation)?;
        let number = (container.generation, container.restarts);
        Some(Self { task: view.task.id, number, code: exit.code, again })
    }

    /// As docker compose says it.
    fn text(&self, name: &str) -> String {
        let again = if self.again { " (restarting)" } else { "" };
        format!("{name} exited with code {}{again}", self.code)
    }
}

fn tasks<'a>(view: Option<&'a StackView>, names: &'a BTreeSet<String>) -> impl Iterator<Item = &'a TaskView> {
    let services = view.into_iter().flat_map(|view| &view.services);
    let ours = services.filter(|(name, _)| names.contains(*name));
    ours.flat_map(|(_, service)| service.tasks.values()).filter(|task| task.current)
}

fn exits<'a>(view: Option<&'a StackView>, names: &'a BTreeSet<String>) -> impl Iterator<Item = &'a Exit> {
    tasks(view, names).filter_map(|task| task.task.finished())
}
