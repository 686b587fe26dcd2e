//! A conversation with a process in a container: keys, size and signals in, output and exit code out.

use api::node::{ExecInput, ExecOutput, ExecStart, exec_input, exec_output};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::client::{self, Client};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::raw;
use crate::{limits, terminal};

/// Messages under way to the process; more wait at the terminal.
const QUEUE: usize = 16;
/// The exit code of a program that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Whoever presses Ctrl-C so often without a terminal in the container wants an end, whatever the process does.
const INTERRUPTS: u32 = 3;

/// Which of the two things that a container offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A process of its own.
    Exec,
    /// The console of the first process.
    Attach,
}

/// A conversation that has begun.
pub(crate) struct Session {
    client: Client,
    kind: Kind,
    start: ExecStart,
    to: mpsc::Sender<ExecInput>,
    from: Streaming<ExecOutput>,
}

impl Session {
    /// Begins. The process runs then, or somebody is there for the one that will be started.
    pub(crate) async fn open(client: &Client, kind: Kind, start: ExecStart) -> Outcome<Self> {
        let mut client = client.clone();
        let (to, receiver) = mpsc::channel(QUEUE);
        send(&to, exec_input::Kind::Start(start.clone())).await;
        let input = ReceiverStream::new(receiver);
        let mut from = match kind {
            Kind::Exec => client.exec(input).await?,
            Kind::Attach => client.attach(input).await?,
        };
        match next(&mut from).await? {
            Some(exec_output::Kind::Started(_)) => Ok(Self { client, kind, start, to, from }),
            Some(exec_output::Kind::Failed(failed)) => Err(cannot_run(failed.code, &failed.reason)),
            _ => Err(Failure::new("the engine ended before the command began")),
        }
    }

    /// Talks until the process ends; answers its exit code.
    pub(crate) async fn talk(self) -> Outcome<i32> {
        let ended = self.talk_or_detach(&[], true).await?;
        ended.ok_or_else(|| Failure::new("nobody listens any more"))
    }

    /// As [`Session::talk`], but whoever types these keys goes, and leaves the process alone: `None`. With
    /// `signals` those that this program gets are passed on.
    pub(crate) async fn talk_or_detach(mut self, keys: &[u8], signals: bool) -> Outcome<Option<i32>> {
        let raw_terminal =
            if self.start.tty && self.start.stdin { Some(terminal::RawTerminal::enter()?) } else { None };
        let (detach, mut detached) = mpsc::channel(1);
        if self.start.stdin {
            tokio::spawn(read_input(self.to.clone(), keys.to_vec(), detach));
        }
        // Without being passed on, Ctrl-C ends this program as any other.
        let signals = if signals { Some(Signals::listen()?) } else { None };
        let forwarded = async {
            match signals {
                Some(signals) => signals.forward(&mut self.client, self.kind, &self.start, &self.to).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            result = receive(&mut self.from) => result.map(Some),
            end = forwarded => Err(end),
            Some(()) = detached.recv() => Ok(None),
        };
        drop(raw_terminal);
        result
    }
}

async fn send(to: &mpsc::Sender<ExecInput>, kind: exec_input::Kind) -> bool {
    to.send(ExecInput { kind: Some(kind) }).await.is_ok()
}

async fn read_input(to: mpsc::Sender<ExecInput>, keys: Vec<u8>, detach: mpsc::Sender<()>) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; limits::INPUT_BYTES];
    let mut typed = Typed { keys, matched: 0 };
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) | Err(_) => {
                send(&to, exec_input::Kind::StdinClosed(true)).await;
                return;
            }
            Ok(length) => {
                let (bytes, detached) = typed.take(&buffer[..length]);
                if !bytes.is_empty() && !send(&to, exec_input::Kind::Stdin(bytes)).await {
                    return;
                }
                if detached {
                    // Whoever waits for it may have seen the process end just now.
                    let _ = detach.send(()).await;
                    return;
                }
            }
        }
    }
}

/// Looks for the keys that detach in what is typed.
struct Typed {
    keys: Vec<u8>,
    /// How many of them were typed last.
    matched: usize,
}

impl Typed {
    /// What of the input goes on, and whether the keys are complete. The beginning of them is held back until it
    /// turns out to be something else.
    fn take(&mut self, input: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (input.to_vec(), false);
        }
        let mut goes_on = Vec::with_capacity(input.len());
        for byte in input {
            if *byte != self.keys[self.matched] {
                goes_on.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (goes_on, true);
                }
            } else {
                goes_on.push(*byte);
            }
        }
        (goes_on, false)
    }
}

/// The bytes of keys like `ctrl-p,ctrl-q` or `a`.
pub(crate) fn detach_keys(text: &str) -> Outcome<Vec<u8>> {
    let key = |name: &str| match name.strip_prefix("ctrl-").map(str::as_bytes).unwrap_or(name.as_bytes()) {
        [letter] if name.len() == 1 => Some(*letter),
        [letter @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => {
            Some(letter.to_ascii_uppercase() - b'@')
        }
        _ => None,
    };
    text.split(',')
        .map(|name| {
            key(name).ok_or_else(|| {
                Failure::new(format!("`{name}` is not a key"))
                    .hint("keys to detach are single characters or `ctrl-` and a letter, with commas between")
            })
        })
        .collect()
}

/// The signals that a process in a container is told of.
struct Signals {
    window: Signal,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
}

impl Signals {
    fn listen() -> Outcome<Self> {
        let listen = |kind| signal(kind).doing(|| "cannot listen for signals".to_owned());
        Ok(Self {
            window: listen(SignalKind::window_change())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
        })
    }

    /// With a terminal, keys make the signals, and only its size must be told; without one they are passed on.
    /// Ends when somebody insists on an end.
    async fn forward(
        mut self,
        client: &mut Client,
        kind: Kind,
        start: &ExecStart,
        to: &mpsc::Sender<ExecInput>,
    ) -> Failure {
        let mut interrupts = 0;
        loop {
            let number = tokio::select! {
                _ = self.window.recv() => {
                    if let Some(size) = terminal::size().filter(|_| start.tty) {
                        send(to, exec_input::Kind::Resize(size)).await;
                    }
                    continue;
                }
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.hangup.recv() => SignalKind::hangup(),
                _ = self.quit.recv() => SignalKind::quit(),
            };
            interrupts += u32::from(number == SignalKind::interrupt());
            if interrupts == INTERRUPTS {
                return Failure::Exit(INTERRUPTED);
            }
            let number = number.as_raw_value();
            match kind {
                // Not behind input that the process may never take. One that has just ended needs no signal.
                Kind::Attach => drop(client.signal(&start.task, number).await),
                Kind::Exec => {
                    let number = u32::try_from(number).unwrap_or_default();
                    send(to, exec_input::Kind::Signal(number)).await;
                }
            }
        }
    }
}

async fn next(output: &mut Streaming<ExecOutput>) -> Outcome<Option<exec_output::Kind>> {
    loop {
        let message =
            output.message().await.map_err(|status| client::refusal("cannot run the command", &status))?;
        match message {
            None => return Ok(None),
            Some(ExecOutput { kind: Some(kind) }) => return Ok(Some(kind)),
            Some(ExecOutput { kind: None }) => {}
        }
    }
}

async fn receive(output: &mut Streaming<ExecOutput>) -> Outcome<i32> {
    loop {
        match next(output).await? {
            Some(exec_output::Kind::Stdout(bytes)) => raw::stdout(&bytes),
            Some(exec_output::Kind::Stderr(bytes)) => raw::stderr_bytes(&bytes),
            Some(exec_output::Kind::ExitCode(code)) => return Ok(code),
            Some(exec_output::Kind::Failed(failed)) => return Err(cannot_run(failed.code, &failed.reason)),
            Some(exec_output::Kind::Started(_)) => {}
            None => return Err(Failure::new("the engine ended before the command did")),
        }
    }
}

/// 127 and 126, as a shell has it for what is not there or cannot be executed.
fn cannot_run(code: i32, reason: &str) -> Failure {
    Failure::new("cannot run the command")
        .because(&std::io::Error::other(reason.to_owned()))
        .code(u8::try_from(code).unwrap_or(1))
}

/// The exit code of a process as that of this program.
pub(crate) fn carry(code: i32) -> Outcome {
    match code {
        0 => Ok(()),
        code => Err(Failure::Exit(u8::try_from(code).unwrap_or(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_detach_are_found_and_everything_else_goes_on() {
        let keys = detach_keys("ctrl-p,ctrl-q").unwrap();
        assert_eq!(keys, [16, 17]);
        let check = |inputs: &[&[u8]], expect: &[u8], detached: bool| {
            let mut typed = Typed { keys: keys.clone(), matched: 0 };
            let mut all = Vec::new();
            let mut done = false;
            for input in inputs {
                let (bytes, end) = typed.take(input);
                all.extend(bytes);
                done |= end;
            }
            assert_eq!((all.as_slice(), done), (expect, detached), "{inputs:?}");
        };
        check(&[b"ab"], b"ab", false);
        check(&[&[b'a', 16, 17, b'b']], b"a", true);
        check(&[&[16], &[17]], b"", true);
        check(&[&[16], b"x"], &[16, b'x'], false);
        check(&[&[16, 16, 17]], &[16], true);
        assert!(detach_keys("ctrl-").is_err() && detach_keys("alt-x").is_err() && detach_keys("").is_err());
        assert_eq!(detach_keys("a,ctrl-[").unwrap(), [b'a', 27]);
    }
}
