//! What a container is, as observed: plain data handed to the engine.

use serde::{Deserialize, Serialize};

use crate::config::ContainerConfig;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The first process, as the machine numbers it.
    pub pid: u32,
    /// Milliseconds since 1970.
    pub started_at_ms: u64,
    /// Whose namespaces it is in.
    #[serde(default)]
    pub joined: JoinedRuns,
}

/// The first processes of those containers whose namespaces a container joined when it was started: another run
/// of them has other namespaces. A network that does not end with its container is not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedRuns {
    pub network: Option<u32>,
    pub ipc: Option<u32>,
    pub pid: Option<u32>,
}

/// How a container ended. Written once by its shim; made up by the engine only if the shim was killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// As a shell counts: 128 plus the signal's number for a signal, 127 for a missing command.
    pub code: i32,
    pub signal: Option<i32>,
    /// The kernel killed something in the container because its memory limit was reached.
    pub oom: bool,
    /// Why the program never ran, or what is not known about its end.
    pub error: Option<String>,
    /// Milliseconds since 1970; 0 if the program never ran.
    pub started_at_ms: u64,
    pub finished_at_ms: u64,
}

/// A container that is on disk, for adoption by a new engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As given to `create`, except that the content of injected files is empty.
    pub config: ContainerConfig,
    pub state: FoundState,
    /// It runs, and its clock is stopped.
    pub paused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundState {
    Created,
    Running(Started),
    Exited(Exit),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Which lines of a container's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only the last so many of those that are there now.
    pub tail: Option<usize>,
    /// Milliseconds since 1970, inclusive.
    pub since_ms: Option<u64>,
    /// Milliseconds since 1970, exclusive.
    pub until_ms: Option<u64>,
    /// Only lines with a greater number: a reader that was interrupted goes on without gap or duplicate.
    pub after_seq: Option<u64>,
    /// Goes on with new lines until the container is removed.
    pub follow: bool,
}

/// One line of output, without its line feed; a longer one comes in several (`partial`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub stream: Stream,
    pub bytes: Vec<u8>,
    /// Counts from 1 over the container's whole life, restarts included.
    pub seq: u64,
    /// The line goes on in the next record of the same stream.
    pub partial: bool,
}

/// Use of resources right now, by everything in the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time since the start, in nanoseconds.
    pub cpu_nanos: u64,
    /// Without file pages that could be dropped at once, as `docker stats` counts.
    pub memory_bytes: u64,
    /// `None`: no limit.
    pub memory_limit_bytes: Option<u64>,
    pub pids: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    /// Over all its interfaces but loopback.
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

/// One process of a container, as the machine sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessStatus {
    pub pid: u32,
    pub parent: u32,
    pub uid: u32,
    /// `pts/0`; `None` without one.
    pub terminal: Option<String>,
    /// Milliseconds since 1970.
    pub started_at_ms: u64,
    /// Processor time so far, in milliseconds.
    pub cpu_ms: u64,
    /// With its arguments; the name in brackets if it has none.
    pub command: String,
}
