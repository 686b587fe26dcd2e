//! Commands in containers, and the console of a container's own process.

use api::node::exec_input::Kind as Input;
use api::node::exec_output::Kind as Output;
use api::node::{ExecInput, ExecOutput, ExecStart, WindowSize};
use cluster::TaskId;
use runtime::{Attached, ExecConfig, FdStream, Runtime, TtySize};
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

/// Runs a command. When the caller goes away, the command is killed.
pub(super) async fn exec(
    runtime: Runtime,
    mut input: Streaming<ExecInput>,
) -> Result<Answers<ExecOutput>, Status> {
    let start = first(&mut input).await?;
    let task = task_id(&start)?;
    let session = runtime.exec(&task, config(start)).await;
    let (answers, stream) = mpsc::channel(STREAM_PARTS);
    match session {
        Ok(session) => {
            tokio::spawn(serve(Talk::new(session), input, answers));
        }
        // A command that is not there is an exit status, as in a shell, and a reason.
        Err(runtime::Error::Command { code, reason }) => {
            let reason = Output::Stderr(format!("{reason}\n").into_bytes());
            for kind in [reason, Output::ExitCode(code)] {
                // The channel is new and has room.
                let _ = answers.try_send(answer(kind));
            }
        }
        Err(error) => return Err(status(&error)),
    }
    Ok(Box::pin(ReceiverStream::new(stream)))
}

async fn serve(mut talk: Talk, mut input: Streaming<ExecInput>, answers: mpsc::Sender<Answer>) {
    let pid = talk.session.pid;
    let mut stdin = talk.session.stdin.take();
    let mut listening = true;
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
            heard = input.message(), if listening => match heard {
                Ok(Some(ExecInput { kind: Some(kind) })) => match kind {
                    Input::Stdin(bytes) => write(&mut stdin, &bytes).await,
                    Input::StdinClosed(_) => stdin = None,
                    Input::Resize(size) => drop(talk.session.resize(tty_size(&size))),
                    Input::Signal(number) => signal(pid, number),
                    Input::Start(_) => {}
                },
                Ok(Some(ExecInput { kind: None })) => {}
                Ok(None) => {
                    listening = false;
                    stdin = None;
                }
                Err(_) => return,
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
    let task = task_id(&start)?;
    let attached = runtime.attach(&task, start.stdin).await.map_err(|error| status(&error))?;
    if let Some(size) = &start.size {
        // A container without a terminal has no size.
        let _ = runtime.resize(&task, tty_size(size)).await;
    }
    let (answers, stream) = mpsc::channel(STREAM_PARTS);
    tokio::spawn(follow(runtime, task, attached, input, answers));
    Ok(Box::pin(ReceiverStream::new(stream)))
}

async fn follow(
    runtime: Runtime,
    task: String,
    mut attached: Attached,
    mut input: Streaming<ExecInput>,
    answers: mpsc::Sender<Answer>,
) {
    let mut stdin = attached.stdin.take();
    let (mut out, mut err) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let (mut out_open, mut err_open, mut listening) = (true, true, true);
    if answers.send(answer(Output::Started(true))).await.is_err() {
        return;
    }
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
            heard = input.message(), if listening => {
                match heard {
                    Ok(Some(ExecInput { kind: Some(kind) })) => match kind {
                        Input::Stdin(bytes) => write(&mut stdin, &bytes).await,
                        Input::StdinClosed(_) => stdin = None,
                        Input::Resize(size) => drop(runtime.resize(&task, tty_size(&size)).await),
                        Input::Signal(number) => {
                            let number = i32::try_from(number).unwrap_or_default();
                            drop(runtime.signal(&task, number).await);
                        }
                        Input::Start(_) => {}
                    },
                    Ok(Some(ExecInput { kind: None })) => {}
                    Ok(None) => { listening = false; stdin = None }
                    Err(_) => return,
                }
                continue;
            }
            () = answers.closed() => return,
        };
        if answers.send(answer(said)).await.is_err() {
            return;
        }
    }
    let last = match runtime.wait(&task).await {
        Ok(exit) => answer(Output::ExitCode(exit.code)),
        Err(error) => Err(status(&error)),
    };
    // The last word; nobody may listen any more.
    let _ = answers.send(last).await;
}

async fn first(input: &mut Streaming<ExecInput>) -> Result<ExecStart, Status> {
    match input.message().await? {
        Some(ExecInput { kind: Some(Input::Start(start)) }) => Ok(start),
        _ => Err(Status::invalid_argument("the first message has to say what to start")),
    }
}

#[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
fn task_id(start: &ExecStart) -> Result<String, Status> {
    let bad = |_| Status::invalid_argument(format!("`{}` is not the id of a task", start.task));
    start.task.parse::<TaskId>().map(|id| id.to_string()).map_err(bad)
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
    }
}

fn tty_size(size: &WindowSize) -> TtySize {
    let cut = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    TtySize { rows: cut(size.rows), cols: cut(size.columns) }
}

/// A command that does not read its input any more loses the rest of it.
async fn write(stdin: &mut Option<FdStream>, bytes: &[u8]) {
    if let Some(stream) = stdin
        && stream.write_all(bytes).await.is_err()
    {
        *stdin = None;
    }
}

/// A process that has ended in this moment needs no signal.
fn signal(pid: u32, number: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let signal = i32::try_from(number).ok().and_then(Signal::from_named_raw);
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
