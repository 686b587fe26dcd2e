//! Commands in containers, and the console of a container's own process.

use api::node::exec_input::Kind as Input;
use api::node::exec_output::Kind as Output;
use api::node::{ExecFailed, ExecInput, ExecOutput, ExecStart, WindowSize};
use cluster::TaskId;
use runtime::{Attached, ExecConfig, Exit, FdStream, Runtime, TtySize};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Answers, status};
use crate::limits::{READ_BYTES, STREAM_PARTS};
use crate::talk::{Said, Talk};

type Answer = Result<ExecOutput, Status>;

/// The size of a terminal of which nothing is said.
const DEFAULT_SIZE: TtySize = TtySize { rows: 24, cols: 80 };

/// Runs a command. When the caller goes away, the command is killed, unless it is detached.
pub(super) async fn exec(
    runtime: Runtime,
    mut input: Streaming<ExecInput>,
) -> Result<Answers<ExecOutput>, Status> {
    let start = first(&mut input).await?;
    let task = task_id(&start.task)?;
    let detached = start.detached;
    let session = runtime.exec(&task, config(start)).await;
    let (answers, stream) = mpsc::channel(STREAM_PARTS);
    match session {
        // The channel is new and has room, here and below.
        Ok(_) if detached => drop(answers.try_send(answer(Output::Started(true)))),
        Ok(session) => {
            tokio::spawn(serve(Talk::new(session), input, answers));
        }
        // A command that is not there is an exit status, as in a shell, and a reason.
        Err(runtime::Error::Command { code, reason }) => {
            let _ = answers.try_send(answer(Output::Failed(ExecFailed { code, reason })));
        }
        Err(error) => return Err(status(&error)),
    }
    Ok(Box::pin(ReceiverStream::new(stream)))
}

async fn serve(mut talk: Talk, input: Streaming<ExecInput>, answers: mpsc::Sender<Answer>) {
    let pid = talk.session.pid;
    let mut caller = Caller::new(input, talk.session.stdin.take());
    if answers.send(answer(Output::Started(true))).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            said = talk.next() => {
                let last = matches!(said, Ok(Said::Ended(_)) | Err(_));
                if answers.send(spoken(said)).await.is_err() || last {
                    return;
                }
            }
            heard = caller.next() => match heard {
                Heard::Resize(size) => drop(talk.session.resize(size)),
                Heard::Signal(number) => signal(pid, number),
                Heard::Gone => return,
            },
            () = answers.closed() => return,
        }
    }
}

/// Follows the console of a container's own process, which does not care whether anybody does.
pub(super) async fn attach(
    runtime: Runtime,
    mut input: Streaming<ExecInput>,
) -> Result<Answers<ExecOutput>, Status> {
    let start = first(&mut input).await?;
    let task = task_id(&start.task)?;
    let size = start.size.as_ref().map(tty_size);
    let attached = match start.before_start {
        true => runtime.attach_to_next(&task, start.stdin, size),
        false => runtime.attach(&task, start.stdin, size).await,
    };
    let attached = attached.map_err(|error| status(&error))?;
    let end = runtime.end(&task).map_err(|error| status(&error))?;
    let (answers, stream) = mpsc::channel(STREAM_PARTS);
    tokio::spawn(async move {
        if follow(runtime, task, attached, input, &answers).await.is_some() {
            let last = match end.await {
                Ok(Exit { code, error: Some(reason), .. }) => {
                    answer(Output::Failed(ExecFailed { code, reason }))
                }
                Ok(exit) => answer(Output::ExitCode(exit.code)),
                Err(error) => Err(status(&error)),
            };
            // The last word; nobody may listen any more.
            let _ = answers.send(last).await;
        }
    });
    Ok(Box::pin(ReceiverStream::new(stream)))
}

/// Passes on what is said on both sides until the container has said all; `None` when the caller goes first.
async fn follow(
    runtime: Runtime,
    task: String,
    mut attached: Attached,
    input: Streaming<ExecInput>,
    answers: &mpsc::Sender<Answer>,
) -> Option<()> {
    let mut caller = Caller::new(input, attached.stdin.take());
    let (mut out, mut err) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let (mut out_open, mut err_open) = (true, true);
    answers.send(answer(Output::Started(true))).await.ok()?;
    while out_open || err_open {
        let said = tokio::select! {
            read = attached.stdout.read(&mut out), if out_open => match read {
                Ok(count) if count > 0 => Output::Stdout(out[..count].to_vec()),
                _ => { out_open = false; continue }
            },
            read = attached.stderr.read(&mut err), if err_open => match read {
                Ok(count) if count > 0 => Output::Stderr(err[..count].to_vec()),
                _ => { err_open = false; continue }
            },
            heard = caller.next() => {
                match heard {
                    // A container that has just ended has neither size nor process.
                    Heard::Resize(size) => drop(runtime.resize(&task, size).await),
                    Heard::Signal(number) => drop(runtime.signal(&task, number).await),
                    Heard::Gone => return None,
                }
                continue;
            }
            () = answers.closed() => return None,
        };
        answers.send(answer(said)).await.ok()?;
    }
    Some(())
}

/// Whoever talks to a process: what comes from there, and the input that the process has not taken yet.
struct Caller {
    messages: Streaming<ExecInput>,
    speaking: bool,
    stdin: Option<FdStream>,
    waiting: Vec<u8>,
}

/// What a caller says besides input.
enum Heard {
    Resize(TtySize),
    Signal(i32),
    /// The connection broke.
    Gone,
}

impl Caller {
    fn new(messages: Streaming<ExecInput>, stdin: Option<FdStream>) -> Caller {
        Caller { messages, speaking: true, stdin, waiting: Vec::new() }
    }

    /// Hands on input until something else is said. Output can be read meanwhile: a process that waits for that
    /// takes no input. Cancel safe.
    async fn next(&mut self) -> Heard {
        loop {
            if !self.waiting.is_empty() {
                self.write().await;
                continue;
            }
            if !self.speaking {
                return std::future::pending().await;
            }
            match self.messages.message().await {
                Ok(Some(ExecInput { kind: Some(kind) })) => match kind {
                    Input::Stdin(bytes) => self.waiting = bytes,
                    Input::StdinClosed(_) => self.stdin = None,
                    Input::Resize(size) => return Heard::Resize(tty_size(&size)),
                    Input::Signal(number) => return Heard::Signal(i32::try_from(number).unwrap_or_default()),
                    Input::Start(_) => {}
                },
                Ok(Some(ExecInput { kind: None })) => {}
                Ok(None) => (self.speaking, self.stdin) = (false, None),
                Err(_) => return Heard::Gone,
            }
        }
    }

    /// A process that does not read its input any more loses the rest of it.
    async fn write(&mut self) {
        let written = match &mut self.stdin {
            Some(stream) => stream.write(&self.waiting).await,
            None => Ok(0),
        };
        match written {
            Ok(count) if count > 0 => drop(self.waiting.drain(..count)),
            _ => {
                self.stdin = None;
                self.waiting.clear();
            }
        }
    }
}

async fn first(input: &mut Streaming<ExecInput>) -> Result<ExecStart, Status> {
    match input.message().await? {
        Some(ExecInput { kind: Some(Input::Start(start)) }) => Ok(start),
        _ => Err(Status::invalid_argument("the first message has to say what to start")),
    }
}

/// The container of a task, from the text of its id.
#[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
pub(super) fn task_id(text: &str) -> Result<String, Status> {
    let bad = |_| Status::invalid_argument(format!("`{text}` is not the id of a task"));
    text.parse::<TaskId>().map(|id| id.to_string()).map_err(bad)
}

fn config(start: ExecStart) -> ExecConfig {
    let pair = |line: String| match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (line, String::new()),
    };
    ExecConfig {
        args: start.args,
        env: start.env.into_iter().map(pair).collect(),
        user: start.user,
        working_dir: start.working_dir,
        tty: start.tty.then(|| start.size.as_ref().map_or(DEFAULT_SIZE, tty_size)),
        stdin: start.stdin,
        privileged: start.privileged,
        timeout_ms: None,
        detached: start.detached,
    }
}

fn tty_size(size: &WindowSize) -> TtySize {
    let cut = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    TtySize { rows: cut(size.rows), cols: cut(size.columns) }
}

/// A process that has ended in this moment needs no signal.
fn signal(pid: u32, number: i32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let signal = Signal::from_named_raw(number);
    if let (Some(pid), Some(signal)) = (pid, signal) {
        let _ = kill_process(pid, signal);
    }
}

fn spoken(said: runtime::Result<Said>) -> Answer {
    match said {
        Ok(Said::Stdout(bytes)) => answer(Output::Stdout(bytes)),
        Ok(Said::Stderr(bytes)) => answer(Output::Stderr(bytes)),
        Ok(Said::Ended(code)) => answer(Output::ExitCode(code)),
        Err(error) => Err(status(&error)),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the stream's items are results")]
fn answer(kind: Output) -> Answer {
    Ok(ExecOutput { kind: Some(kind) })
}
