//! The end of a container: reaping, the last output, the record of it, and cleaning up.

use std::time::Instant;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::Running;
use crate::folders;
use crate::limits;
use crate::process::now_ms;
use crate::shim::remove_run_files;
use crate::status::{Exit, Stream};

/// How the first process ended.
pub(super) struct Ended {
    code: i32,
    signal: Option<i32>,
    at_ms: u64,
    /// Output is read until then, if a stray process keeps the pipes open.
    deadline: Instant,
}

impl Running {
    /// Collects every child that has ended: the first process, commands, and orphans given to this process.
    pub(super) fn reap(&mut self) {
        loop {
            let (pid, code, signal) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code, None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32, Some(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                // A real-time signal has no name in nix; the process is gone all the same.
                Err(error) => {
                    tracing::error!("waitpid: {error}");
                    continue;
                }
            };
            let Ok(pid) = u32::try_from(pid.as_raw()) else { continue };
            if pid == self.started.pid {
                let deadline = Instant::now() + limits::DRAIN_GRACE;
                self.ended = Some(Ended { code, signal, at_ms: now_ms(), deadline });
            } else if !self.exec_ended(pid, code) {
                self.early.push((pid, code));
                self.settle_early();
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| {
            let silent = self.stdout.is_none() && self.stderr.is_none();
            (silent && self.execs.is_empty()) || Instant::now() >= ended.deadline
        })
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let drained = self.ended.as_ref().map(|ended| ended.deadline);
        [drained, self.next_exec_deadline()].into_iter().flatten().min()
    }

    pub(super) fn enforce_deadlines(&mut self) {
        self.enforce_exec_deadlines(Instant::now());
    }

    /// Writes down how it ended and removes everything but that. The order is that of importance: a power
    /// failure in between must not lose the record.
    pub(super) fn finish(mut self) -> i32 {
        while self.take_output(Stream::Stdout) || self.take_output(Stream::Stderr) {}
        if let Err(error) = self.log.finish() {
            tracing::error!("output was lost: {error}");
        }
        // A reader that has gone misses nothing.
        self.attached.retain_mut(|attachment| attachment.hand_over().is_ok());
        let Some(ended) = self.ended.take() else { return 1 };
        let exit = Exit {
            code: ended.code,
            signal: ended.signal,
            oom: self.cgroup.oom_kills() > 0,
            error: None,
            started_at_ms: self.started.started_at_ms,
            finished_at_ms: ended.at_ms,
        };
        let folders = self.bundle.folders();
        let recorded = folders::write_json(&folders.exit(), &exit, true);
        if let Err(error) = &recorded {
            tracing::error!("the end of the container was not recorded: {}", crate::error::chain(error));
        }
        if let Err(error) = self.cgroup.kill().and_then(|()| self.cgroup.remove()) {
            tracing::error!("the cgroup {} stays behind: {error}", self.bundle.cgroup);
        }
        remove_run_files(&folders);
        i32::from(recorded.is_err())
    }
}
