//! A conversation with a process in a container: keys, size and signals in, output and exit code out.

use api::node::{ExecInput, ExecOutput, ExecStart, exec_input, exec_output};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::client::{self, Client};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::raw;
use crate::{limits, terminal};

/// Messages under way to the process; more wait at the terminal.
const QUEUE: usize = 16;

/// Which of the two things that a container offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A process of its own.
    Exec,
    /// The console of the first process.
    Attach,
}

/// Talks until the process ends; answers its exit code, or `None` when the engine did not say it.
pub(crate) async fn talk(client: &mut Client, kind: Kind, start: ExecStart) -> Outcome<Option<i32>> {
    let (tty, stdin) = (start.tty, start.stdin);
    let (sender, receiver) = mpsc::channel(QUEUE);
    send(&sender, exec_input::Kind::Start(start)).await;
    let input = ReceiverStream::new(receiver);
    let output = match kind {
        Kind::Exec => client.exec(input).await?,
        Kind::Attach => client.attach(input).await?,
    };
    let raw_terminal = if tty && stdin { Some(terminal::RawTerminal::enter()?) } else { None };
    if stdin {
        tokio::spawn(read_input(sender.clone()));
    }
    let signals = tokio::spawn(forward_signals(sender, tty));
    let result = receive(output).await;
    signals.abort();
    drop(raw_terminal);
    result
}

async fn send(to: &mpsc::Sender<ExecInput>, kind: exec_input::Kind) -> bool {
    to.send(ExecInput { kind: Some(kind) }).await.is_ok()
}

async fn read_input(to: mpsc::Sender<ExecInput>) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; limits::INPUT_BYTES];
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) | Err(_) => {
                send(&to, exec_input::Kind::StdinClosed(true)).await;
                return;
            }
            Ok(length) => {
                if !send(&to, exec_input::Kind::Stdin(buffer[..length].to_vec())).await {
                    return;
                }
            }
        }
    }
}

/// With a terminal, keys make the signals, and only its size must be told; without one they are passed on.
async fn forward_signals(to: mpsc::Sender<ExecInput>, tty: bool) -> Outcome {
    let listen = |kind| signal(kind).doing(|| "cannot listen for signals".to_owned());
    let mut window = listen(SignalKind::window_change())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut quit = listen(SignalKind::quit())?;
    loop {
        let kind = tokio::select! {
            _ = window.recv() => match terminal::size().filter(|_| tty) {
                Some(size) => exec_input::Kind::Resize(size),
                None => continue,
            },
            _ = interrupt.recv() => number(SignalKind::interrupt()),
            _ = terminate.recv() => number(SignalKind::terminate()),
            _ = hangup.recv() => number(SignalKind::hangup()),
            _ = quit.recv() => number(SignalKind::quit()),
        };
        if !send(&to, kind).await {
            return Ok(());
        }
    }
}

fn number(kind: SignalKind) -> exec_input::Kind {
    exec_input::Kind::Signal(u32::try_from(kind.as_raw_value()).unwrap_or(0))
}

async fn receive(mut output: Streaming<ExecOutput>) -> Outcome<Option<i32>> {
    loop {
        let message =
            output.message().await.map_err(|status| client::refusal("cannot run the command", &status))?;
        match message.map(|message| message.kind) {
            Some(Some(exec_output::Kind::Stdout(bytes))) => raw::stdout(&bytes),
            Some(Some(exec_output::Kind::Stderr(bytes))) => raw::stderr_bytes(&bytes),
            Some(Some(exec_output::Kind::ExitCode(code))) => return Ok(Some(code)),
            Some(Some(exec_output::Kind::Started(_)) | None) => {}
            None => return Ok(None),
        }
    }
}

/// The exit code of a process as that of this program.
pub(crate) fn carry(code: i32) -> Outcome {
    match code {
        0 => Ok(()),
        code => Err(Failure::Exit(u8::try_from(code).unwrap_or(1))),
    }
}
