//! What clients of the control socket ask for.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};

use super::Running;
use crate::bundle::Failure;
use crate::cgroup::Cgroup;
use crate::config::{ExecConfig, TtySize};
use crate::limits;
use crate::protocol::{Reply, Request};
use crate::shim::attach::Attachment;
use crate::shim::{exec, plan};

/// A command that was started in the container and has not ended.
pub(super) struct Exec {
    pub(super) id: u64,
    /// Whom to tell.
    connection: u64,
    /// It goes on when that client goes.
    detached: bool,
    /// `None` when everything was read from it.
    pub(super) report: Option<OwnedFd>,
    text: Vec<u8>,
    /// `None` after it was collected: its number may then be given to another.
    helper: Option<u32>,
    /// `None` until the helper has told.
    pid: Option<u32>,
    group: Cgroup,
    deadline: Option<Instant>,
}

impl Running {
    pub(super) fn request(&mut self, connection: u64, request: Request, fds: Vec<OwnedFd>) {
        let done = match request {
            Request::Signal { signal } => self.signal(signal),
            Request::Resize(size) => self.resize(size),
            Request::Attach { stdin, whole, size } => self.attach(connection, fds, stdin, whole, size),
            Request::Exec(config) => match self.exec(connection, &config, fds) {
                // The answer follows when the command runs or has failed.
                Ok(()) => return,
                Err(failure) => Err(failure),
            },
        };
        self.reply(
            connection,
            &match done {
                Ok(()) => Reply::Done,
                Err(Failure { code, reason }) => Reply::Failed { reason, code },
            },
        );
    }

    pub(super) fn reply(&self, connection: u64, reply: &Reply) {
        if let Some(connection) = self.connections.get(&connection) {
            connection.reply(reply);
        }
    }

    /// The first process is this one's child, so its number cannot have been given to another.
    fn signal(&self, signal: i32) -> Result<(), Failure> {
        if self.ended.is_some() {
            return Err(Failure::new("its first process has ended"));
        }
        let pid = i32::try_from(self.started.pid).ok().and_then(Pid::from_raw);
        let signal = rustix::process::Signal::from_named_raw(signal)
            .ok_or_else(|| Failure::new(format!("{signal} is not a signal")))?;
        let pid = pid.ok_or_else(|| Failure::new("its first process has no number"))?;
        kill_process(pid, signal).map_err(|error| Failure::new(format!("cannot send {signal:?}: {error}")))
    }

    fn resize(&self, size: TtySize) -> Result<(), Failure> {
        match self.stdout.as_ref().filter(|_| self.terminal) {
            Some(terminal) => crate::session::set_size(terminal, size)
                .map_err(|error| Failure::new(format!("cannot change the size of its terminal: {error}"))),
            None => Err(Failure::new("it has no terminal")),
        }
    }

    fn attach(
        &mut self,
        connection: u64,
        fds: Vec<OwnedFd>,
        stdin: bool,
        whole: bool,
        size: Option<TtySize>,
    ) -> Result<(), Failure> {
        if stdin && self.stdin.is_none() && !self.terminal {
            return Err(Failure::new("its standard input is not open"));
        }
        let attachment = Attachment::new(connection, fds, stdin, whole)
            .map_err(|error| Failure::new(format!("cannot attach: {error}")))?;
        self.attached.push(attachment);
        if let Some(size) = size {
            // A container without a terminal has no size.
            let _ = self.resize(size);
        }
        Ok(())
    }

    fn exec(&mut self, connection: u64, config: &ExecConfig, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        if self.ended.is_some() {
            return Err(Failure::new("its first process has ended"));
        }
        if self.execs.len() >= limits::EXECS {
            return Err(Failure::new(format!("{} commands run in it already", limits::EXECS)));
        }
        let stdio: exec::Stdio = fds.try_into().map_err(|_| Failure::new("exec needs three descriptors"))?;
        let init = self.started.pid;
        let failed = |what: &str, error: std::io::Error| Failure::new(format!("{what}: {error}"));
        let root = exec::root_of(init).map_err(|e| failed("cannot look into the container", e))?;
        let process = plan::other_process(&self.bundle.config, &self.process, config, &root)?;
        drop(root);
        exec::give_away(&stdio, &process);
        self.counter += 1;
        let id = self.counter;
        let group =
            self.cgroup.below(&format!("exec-{id}")).map_err(|e| failed("cannot make a cgroup for it", e))?;
        let groups = [&self.cgroup, &group];
        let spawned = exec::spawn(init, &groups, &process, &stdio, config.tty.is_some());
        let spawned = spawned.map_err(|error| {
            group.remove_if_empty();
            failed("cannot start a process in the container", error)
        })?;
        let deadline = config.timeout_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        let (report, helper) = (Some(spawned.report), Some(spawned.helper));
        self.execs.push(Exec {
            id,
            connection,
            detached: config.detached,
            report,
            text: Vec::new(),
            helper,
            pid: None,
            group,
            deadline,
        });
        Ok(())
    }

    /// Reads on in what a new process says about itself; its end means that the command runs or has failed.
    pub(super) fn read_report(&mut self, id: u64) {
        let Some(exec) = self.execs.iter_mut().find(|exec| exec.id == id) else { return };
        let Some(report) = exec.report.take() else { return };
        let mut report = File::from(report);
        let mut chunk = [0; 4096];
        match report.read(&mut chunk) {
            Ok(count) if count > 0 && exec.text.len() < limits::MESSAGE_BYTES => {
                exec.text.extend_from_slice(&chunk[..count]);
                exec.report = Some(report.into());
                exec.learn_pid();
            }
            _ => {
                let (reply, failed) = exec.outcome();
                let connection = exec.connection;
                self.reply(connection, &reply);
                if failed {
                    self.end_exec(id, None);
                }
            }
        }
        self.settle_early();
    }

    /// A child of this process has ended; false if it belongs to no exec.
    pub(super) fn exec_ended(&mut self, pid: u32, code: i32) -> bool {
        if let Some(exec) = self.execs.iter_mut().find(|exec| exec.helper == Some(pid)) {
            exec.helper = None;
            return true;
        }
        let Some(exec) = self.execs.iter().find(|exec| exec.pid == Some(pid)) else {
            return false;
        };
        // It may have ended before its report was read: that comes first.
        let (id, unread) = (exec.id, exec.report.is_some());
        if unread {
            self.early.push((pid, code));
            return true;
        }
        self.end_exec(id, Some(code));
        true
    }

    /// Children that had ended before it was known whose they are.
    pub(super) fn settle_early(&mut self) {
        for (pid, code) in std::mem::take(&mut self.early) {
            // Those of execs that are gone, and orphans, fall out of the list here.
            let pending = self.execs.iter().any(|exec| exec.pid.is_none());
            if !self.exec_ended(pid, code) && pending {
                self.early.push((pid, code));
            }
        }
    }

    fn end_exec(&mut self, id: u64, code: Option<i32>) {
        let Some(at) = self.execs.iter().position(|exec| exec.id == id) else { return };
        let exec = self.execs.swap_remove(at);
        if let Some(code) = code {
            self.reply(exec.connection, &Reply::Exited { code });
        }
        exec.group.remove_if_empty();
    }

    /// The client of `connection` has gone: what it had started ends.
    pub(super) fn abandon(&mut self, connection: u64) {
        for exec in self.execs.iter().filter(|exec| exec.connection == connection && !exec.detached) {
            exec.kill();
        }
    }

    pub(super) fn next_exec_deadline(&self) -> Option<Instant> {
        self.execs.iter().filter_map(|exec| exec.deadline).min()
    }

    pub(super) fn enforce_exec_deadlines(&mut self, now: Instant) {
        for exec in self.execs.iter_mut().filter(|exec| exec.deadline.is_some_and(|at| at <= now)) {
            exec.deadline = None;
            exec.kill();
        }
    }
}

impl Exec {
    fn kill(&self) {
        if let Err(error) = self.group.kill() {
            tracing::error!("cannot kill a command: {error}");
        }
    }

    fn learn_pid(&mut self) {
        self.pid = self.pid.or_else(|| exec::told(&self.text).0);
    }

    /// After the end of the report: the reply, and whether the command failed to run.
    fn outcome(&self) -> (Reply, bool) {
        let failure = match exec::told(&self.text) {
            (Some(pid), None) => return (Reply::Started { pid }, false),
            (None, None) => Failure::new("the command's process ended without a word"),
            (_, Some(failure)) => failure,
        };
        (Reply::Failed { reason: failure.reason, code: failure.code }, true)
    }
}
