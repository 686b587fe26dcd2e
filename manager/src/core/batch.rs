//! What waits for the log, and how it is put into entries: everything that came while one entry was under
//! way goes into the next, so that the disk's slowness costs time, not throughput.

use std::collections::VecDeque;

use cluster::ChangeKind;

use super::io::{RequestId, SessionId};
use crate::limits::{MAX_BATCH_CHANGES, MAX_QUEUE};

/// Who has to know what became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A user waits.
    Request(RequestId),
    /// An agent keeps its report until it is durable.
    Report(SessionId, u64),
    /// The scheduler looks again by itself.
    Decision,
    /// Nobody.
    Nobody,
}

/// An entry that was proposed: where it should appear, and whose changes it holds.
pub(super) struct InFlight {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) origins: Vec<Origin>,
}

/// What waits for the log.
#[derive(Default)]
pub(super) struct Queue {
    /// Of wishes and reports, in order of arrival.
    waiting: VecDeque<(ChangeKind, Origin)>,
    /// Of the scheduler.
    decisions: VecDeque<ChangeKind>,
    /// The state took none of the last decisions.
    pub(super) all_refused: bool,
}

impl Queue {
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_QUEUE
    }

    pub(super) fn has_decisions(&self) -> bool {
        !self.decisions.is_empty()
    }

    pub(super) fn push(&mut self, kind: ChangeKind, origin: Origin) {
        self.waiting.push_back((kind, origin));
    }

    pub(super) fn decide(&mut self, decisions: Vec<ChangeKind>) {
        self.decisions.extend(decisions);
    }

    /// The next entry's changes and where they came from. Decisions go first: they were taken on the
    /// present state, which wishes may change under them.
    pub(super) fn next_batch(&mut self) -> Option<(Vec<ChangeKind>, Vec<Origin>)> {
        let decisions = self.decisions.len().min(MAX_BATCH_CHANGES);
        let waiting = self.waiting.len().min(MAX_BATCH_CHANGES - decisions);
        let batch: (Vec<_>, Vec<_>) = self
            .decisions
            .drain(..decisions)
            .map(|kind| (kind, Origin::Decision))
            .chain(self.waiting.drain(..waiting))
            .unzip();
        (!batch.0.is_empty()).then_some(batch)
    }

    /// Gives up everything that waits.
    pub(super) fn take_origins(&mut self) -> Vec<Origin> {
        self.decisions.clear();
        self.all_refused = false;
        self.waiting.drain(..).map(|(_, origin)| origin).collect()
    }
}
