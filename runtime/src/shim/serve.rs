//! The shim's life while its container runs: one loop around poll(2) over everything that can happen.

mod exit;
mod requests;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::ShimEnds;
use super::attach::{Attachment, Outlet};
use super::connection::{Connection, Given, Read};
use crate::bundle::{Bundle, Failure};
use crate::cgroup::Cgroup;
use crate::confine::Process;
use crate::control;
use crate::error::Error;
use crate::limits;
use crate::log::write::Writer;
use crate::status::{Started, Stream};

/// How much output is taken at once, in bytes. It is on the stack, and there are many shims.
const CHUNK: usize = 16 << 10;

/// A container whose program runs.
pub(super) struct Running {
    bundle: Bundle,
    process: Process,
    started: Started,
    cgroup: Cgroup,
    log: Writer,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    stdin: Option<Outlet>,
    terminal: bool,
    listener: UnixListener,
    signals: SignalFd,
    connections: BTreeMap<u64, Connection>,
    attached: Vec<Attachment>,
    execs: Vec<requests::Exec>,
    /// Numbers connections and execs.
    counter: u64,
    ended: Option<exit::Ended>,
    /// Children that ended before their exec told which one it is: pid and status.
    early: Vec<(u32, i32)>,
}

/// What a descriptor that became ready belongs to.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Output(Stream),
    Input,
    Connection(u64),
    Attached(u64),
    AttachedInput(u64),
    Report(u64),
}

impl Running {
    pub(super) fn new(
        bundle: &Bundle,
        process: Process,
        started: Started,
        ends: ShimEnds,
        cgroup: Cgroup,
    ) -> Result<Running, Failure> {
        let folders = bundle.folders();
        let log = Writer::open(&bundle.logs, &bundle.config.log)?;
        let listener = listen(&folders.run).map_err(Error::file("cannot listen in", &folders.run))?;
        let signals = block_signals().map_err(Error::system("cannot watch for signals"))?;
        for end in [&ends.stdout, &ends.stderr].into_iter().flatten() {
            rustix::io::ioctl_fionbio(end, true).map_err(Error::system("cannot set up a pipe"))?;
        }
        let stdin = ends.stdin.map(Outlet::new).transpose();
        Ok(Running {
            bundle: bundle.clone(),
            process,
            started,
            cgroup,
            log,
            stdout: ends.stdout,
            stderr: ends.stderr,
            stdin: stdin.map_err(Error::system("cannot set up a pipe"))?,
            terminal: ends.terminal,
            listener,
            signals,
            connections: BTreeMap::new(),
            attached: Vec::new(),
            execs: Vec::new(),
            counter: 0,
            ended: None,
            early: Vec::new(),
        })
    }

    pub(super) fn started(&self) -> Started {
        self.started
    }

    /// Until the container has ended and its output is on disk. Returns the shim's exit code.
    pub(super) fn serve(mut self) -> i32 {
        trim_memory();
        // A child may have ended before its signal was watched.
        self.reap();
        while !self.is_over() {
            let ready = self.wait();
            for (source, events) in ready {
                self.handle(source, events);
            }
            self.enforce_deadlines();
        }
        self.finish()
    }

    /// Waits for the next thing to happen, or for the next deadline.
    fn wait(&self) -> Vec<(Source, PollFlags)> {
        let sources = self.sources();
        let mut fds: Vec<PollFd<'_>> =
            sources.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let timeout = self.next_deadline().map(|at| {
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!("poll: {error}"),
        }
        let events = fds.iter().map(PollFd::revents);
        let all = sources.iter().map(|(source, ..)| *source).zip(events);
        all.filter(|(_, events)| !events.is_empty()).collect()
    }

    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let (read, write) = (PollFlags::IN, PollFlags::OUT);
        let mut all = vec![(Source::Signals, self.signals.as_fd(), read)];
        if self.connections.len() < limits::CONNECTIONS {
            all.push((Source::Listener, self.listener.as_fd(), read));
        }
        if !self.attached.iter().any(Attachment::holds_up) {
            for (stream, end) in [(Stream::Stdout, &self.stdout), (Stream::Stderr, &self.stderr)] {
                all.extend(end.as_ref().map(|end| (Source::Output(stream), end.as_fd(), read)));
            }
        }
        let input_waits = self.stdin.as_ref().filter(|stdin| stdin.is_waiting());
        all.extend(input_waits.map(|stdin| (Source::Input, stdin.fd(), write)));
        all.extend(self.connections.iter().map(|(id, c)| (Source::Connection(*id), c.fd(), read)));
        for attachment in &self.attached {
            let id = attachment.connection;
            all.extend(attachment.full().map(|fd| (Source::Attached(id), fd, write)));
            // While the container does not take its input, nobody is asked for more.
            if input_waits.is_none() {
                let input = attachment.stdin.as_ref();
                all.extend(input.map(|fd| (Source::AttachedInput(id), fd.as_fd(), read)));
            }
        }
        let reports =
            self.execs.iter().filter_map(|e| Some((Source::Report(e.id), e.report.as_ref()?.as_fd(), read)));
        all.extend(reports);
        all
    }

    fn handle(&mut self, source: Source, _: PollFlags) {
        match source {
            Source::Signals => {
                while matches!(self.signals.read_signal(), Ok(Some(_))) {}
                self.reap();
            }
            Source::Listener => self.accept(),
            Source::Output(stream) => drop(self.take_output(stream)),
            Source::Input => {
                if self.stdin.as_mut().is_some_and(|stdin| stdin.flush().is_err()) {
                    self.stdin = None;
                }
            }
            Source::Connection(id) => self.read_connection(id),
            Source::Attached(id) => {
                self.attached.retain_mut(|a| a.connection != id || a.flush().is_ok());
            }
            Source::AttachedInput(id) => self.take_input(id),
            Source::Report(id) => self.read_report(id),
        }
    }

    fn accept(&mut self) {
        if let Ok((stream, _)) = self.listener.accept()
            && let Ok(connection) = Connection::new(stream)
        {
            self.counter += 1;
            self.connections.insert(self.counter, connection);
        }
    }

    /// What was asked for before the start is done before anything else: nothing that the program says is missed.
    pub(super) fn take_given(&mut self, given: Given) {
        self.counter += 1;
        self.connections.insert(self.counter, given.connection);
        self.request(self.counter, given.request, given.fds);
    }

    fn read_connection(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match connection.read() {
            Read::More => {}
            Read::Request(request, fds) => self.request(id, request, fds),
            Read::Gone => {
                self.connections.remove(&id);
                self.attached.retain(|attachment| attachment.connection != id);
                self.abandon(id);
            }
        }
    }

    /// Takes what is there from one stream of the container; false if there is nothing or it has ended.
    fn take_output(&mut self, stream: Stream) -> bool {
        let end = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(fd) = end else { return false };
        let mut chunk = [0; CHUNK];
        let count = match rustix::io::read(fd, &mut chunk) {
            Err(Errno::AGAIN | Errno::INTR) => return false,
            // A terminal says EIO when its other side is closed.
            Ok(0) | Err(_) => {
                *end = None;
                return false;
            }
            Ok(count) => count,
        };
        if let Err(error) = self.log.write(stream, &chunk[..count]) {
            // A full disk must not stop the container; what is lost is said in the shim's own file.
            tracing::error!("output was lost: {error}");
        }
        self.attached.retain_mut(|attachment| attachment.write(stream, &chunk[..count]).is_ok());
        true
    }

    /// Hands on what an attached client typed. Its end is the end of the container's input, unless that is a
    /// terminal, where the end is a character of its own.
    fn take_input(&mut self, id: u64) {
        let Some(attachment) = self.attached.iter_mut().find(|a| a.connection == id) else { return };
        let Some(from) = &attachment.stdin else { return };
        let mut chunk = [0; CHUNK];
        let count = match rustix::io::read(from, &mut chunk) {
            Err(Errno::AGAIN | Errno::INTR) => return,
            Ok(0) | Err(_) => {
                attachment.stdin = None;
                if !self.terminal {
                    self.stdin = None;
                }
                return;
            }
            Ok(count) => count,
        };
        if self.terminal {
            // A terminal takes what fits its line; beyond that a person has to wait as at any other.
            let _ = self.stdout.as_ref().map(|master| rustix::io::write(master, &chunk[..count]));
        } else if self.stdin.as_mut().is_some_and(|stdin| stdin.write(&chunk[..count]).is_err()) {
            self.stdin = None;
        }
    }
}

/// The engine may connect as soon as the socket is there, so it is made under its final name at once.
fn listen(run: &std::path::Path) -> io::Result<UnixListener> {
    let folder = std::fs::File::open(run)?;
    let path = control::beside(&folder, "ctl.sock");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    // The folder is 0700 already; this is the second lock on the same door.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Only now: a blocked or ignored signal would have been inherited by the container. Polite requests to end
/// are ignored, or a service manager that stops the engine's group would stop every container.
fn block_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// Starting left holes in the heap that would stay with every container.
#[allow(unsafe_code)]
fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only gives unused pages back.
    unsafe {
        libc::malloc_trim(0);
    }
}
