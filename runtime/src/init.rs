//! The init inside a container that asks for one: process 1, which forwards signals, reaps orphans, and passes
//! its only child's exit code on. It runs with the container's own confinement.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `args` are those after `init`: `--` and the command. To be called first in `main`. Returns the exit code.
pub fn init_main(args: Vec<OsString>) -> i32 {
    let mut command = args.into_iter().skip_while(|arg| arg == "--");
    let Some(program) = command.next() else { return 127 };
    // Blocked before the child exists, so that no signal is lost in between.
    let all = SigSet::all();
    if sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None).is_err() {
        return 126;
    }
    match spawn(&program, command) {
        Ok(child) => serve(child, &all),
        // Whether it exists was checked by the last step before this program; what is left is rare.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 127,
        Err(_) => 126,
    }
}

/// A group of its own, which also gets the terminal if there is one, as a shell does for its jobs.
#[allow(unsafe_code)]
fn spawn(program: &OsString, args: impl Iterator<Item = OsString>) -> std::io::Result<Pid> {
    let mut command = Command::new(program);
    command.args(args);
    // SAFETY: runs between fork and exec in a process with one thread, and calls only the kernel.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
            let stdin = std::io::stdin();
            // SIGTTOU is blocked here, so taking the terminal does not stop the process.
            let _ = nix::unistd::tcsetpgrp(&stdin, nix::unistd::getpid());
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            Ok(())
        });
    }
    let child = command.spawn()?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(std::io::Error::other)
}

fn serve(child: Pid, all: &SigSet) -> i32 {
    loop {
        match all.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(child) {
                    return code;
                }
            }
            Ok(signal) => drop(kill(Pid::from_raw(-child.as_raw()), signal)),
            Err(_) => {}
        }
    }
}

/// The child's code if it is among those that ended.
fn reap(child: Pid) -> Option<i32> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return None,
            _ => {}
        }
    }
}
