//! The container of a task and its network, as far as they have come.

use std::path::PathBuf;

use cluster::{Exit, Timestamp};

use super::restart::Verdict;

/// The container of a task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Container {
    Absent,
    Created,
    /// `dying`: its first process is dead, and it is not known yet how it ended. `paused`: its clock is stopped.
    Running {
        pid: u32,
        started: Timestamp,
        dying: bool,
        paused: bool,
    },
    Ended(Ended),
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(super) exit: Exit,
    /// How long it ran, in milliseconds.
    pub(super) ran_ms: u64,
    /// It was asked to end, so its restart policy has no say.
    pub(super) stopped: bool,
    /// What the restart policy says, once it was asked.
    pub(super) verdict: Option<Verdict>,
}

/// How far the task's network namespace has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wiring {
    Absent,
    /// There may be one from an earlier run of the agent.
    Left,
    Made(PathBuf),
    Attached(PathBuf),
    Served(PathBuf),
}
