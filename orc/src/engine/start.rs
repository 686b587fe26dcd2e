//! What clients do about the engine: start it when it does not run, stop it when asked to.
//!
//! The engine is this program again (`orc engine run --child`) in a session of its own. Its standard output
//! is a pipe to whoever started it: it says `ready` there and closes it, or says why it cannot. So nobody
//! polls, and the words of a failing engine reach the person who caused it.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::dirs::Dirs;
use super::lock::{Lock, private_dir};
use super::{log, privileges};
use crate::client;
use crate::failure::{Doing, Failure, Outcome};
use crate::limits;

/// What an engine says once it answers.
pub(crate) const READY: &str = "ready\n";

/// Starts the engine unless it runs by now. Of several that try at once, one does it and the others wait.
pub(crate) fn start(dirs: &Dirs) -> Outcome {
    privileges::check()?;
    private_dir(&dirs.data)?;
    let _starting = Lock::wait(&dirs.start_lock())?;
    if client::listener_pid(&dirs.socket())?.is_some() {
        return Ok(());
    }
    let mut child = spawn(dirs)?;
    let mut words = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        wait_readable(&pipe)?;
        let read = pipe.take(limits::ENGINE_WORDS as u64).read_to_end(&mut words);
        read.doing(|| "cannot hear from the starting engine".to_owned())?;
    }
    let words = String::from_utf8_lossy(&words);
    if words == READY {
        return Ok(());
    }
    // It has closed its output without being ready, so that it ends.
    let status = child.wait().doing(|| "cannot wait for the starting engine".to_owned())?;
    if words.trim().is_empty() {
        return Err(Failure::new(format!("the engine ended while it started ({status})")).hint(see_log(dirs)));
    }
    Err(child_failure(&words, dirs))
}

/// The words of an engine that could not start are those of a failure, rendered without colours.
fn child_failure(words: &str, dirs: &Dirs) -> Failure {
    let mut message = String::new();
    let mut causes = Vec::new();
    let mut hint = None;
    for line in words.lines() {
        if let Some(text) = line.strip_prefix("error: ") {
            text.clone_into(&mut message);
        } else if let Some(text) = line.trim_start().strip_prefix("caused by: ") {
            causes.push(text.to_owned());
        } else if let Some(text) = line.strip_prefix("hint: ") {
            hint = Some(text.to_owned());
        }
    }
    if message.is_empty() {
        words.trim().clone_into(&mut message);
    }
    let mut failure = Failure::new("the engine cannot start");
    if let Failure::Problem(problem) = &mut failure {
        problem.causes.push(message);
        problem.causes.append(&mut causes);
    }
    failure.hint(hint.unwrap_or_else(|| see_log(dirs)))
}

fn spawn(dirs: &Dirs) -> Outcome<std::process::Child> {
    log::rotate(&dirs.log());
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(dirs.log());
    let log = log.doing(|| format!("cannot open the engine's log `{}`", dirs.log().display()))?;
    // The link leads to this very file even if a newer one stands at its path by now.
    Command::new("/proc/self/exe")
        .args(["engine", "run", "--child", "--data-dir"])
        .arg(&dirs.data)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .doing(|| "cannot start the engine".to_owned())
}

fn wait_readable(pipe: &impl std::os::fd::AsFd) -> Outcome {
    if wait_for(pipe, limits::ENGINE_START)? {
        return Ok(());
    }
    let seconds = limits::ENGINE_START.as_secs();
    Err(Failure::new(format!("the engine does not answer {seconds} s after it was started"))
        .hint("`orc engine logs` shows what it does"))
}

/// Waits until a descriptor has something to tell; answers whether it has.
fn wait_for(fd: &impl std::os::fd::AsFd, limit: std::time::Duration) -> Outcome<bool> {
    let timeout = rustix::time::Timespec::try_from(limit).doing(|| "cannot wait so long".to_owned())?;
    loop {
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result.doing(|| "cannot wait for the engine".to_owned())? > 0),
        }
    }
}

/// Asks the engine to end and waits until it has. Containers go on. Answers whether there was one.
pub(crate) fn stop(dirs: &Dirs) -> Outcome<bool> {
    let Some(pid) = client::listener_pid(&dirs.socket())? else { return Ok(false) };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(true),
        result => {
            result.doing(|| format!("cannot look at the engine (pid {pid})", pid = pid.as_raw_nonzero()))?
        }
    };
    // The number may have passed to another process since: whoever listens now must be the one asked before.
    if client::listener_pid(&dirs.socket())? != Some(pid) {
        return Err(Failure::new("the engine was replaced by another one just now").hint("try again"));
    }
    pidfd_send_signal(&process, Signal::TERM).doing(|| "cannot ask the engine to end".to_owned())?;
    if wait_for(&process, limits::ENGINE_STOP)? {
        return Ok(true);
    }
    let seconds = limits::ENGINE_STOP.as_secs();
    Err(Failure::new(format!("the engine (pid {}) does not end within {seconds} s", pid.as_raw_nonzero()))
        .hint("`orc engine logs` shows what it does"))
}

/// The engine said that it was ready, and is gone.
pub(crate) fn vanished(dirs: &Dirs) -> Failure {
    Failure::new("the engine ended as soon as it was started").hint(see_log(dirs))
}

fn see_log(dirs: &Dirs) -> String {
    format!("its last words are in `{}`", dirs.log().display())
}
