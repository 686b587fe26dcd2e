//! The log as raft sees it: in memory, and always at least as far as the disk.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot as RaftSnapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::stored::{LogEntry, Snapshot, Stored, Vote};

/// The tail of the log, what lies before it, and the vote.
pub(super) struct Log {
    /// The last entry that is not there any more: it is in a snapshot.
    base: (u64, u64),
    /// Everything after `base`, without a gap.
    entries: VecDeque<Entry>,
    /// Bytes of data in `entries`.
    bytes: u64,
    voters: Vec<u64>,
    vote: Vote,
    /// A follower needs a snapshot.
    wanted: Cell<bool>,
    /// The snapshot to send it. Kept only while somebody needs it.
    offered: Option<Snapshot>,
}

impl Log {
    pub(super) fn new(stored: &Stored) -> Self {
        let mut log = Self {
            base: (stored.snapshot.index, stored.snapshot.term),
            entries: VecDeque::new(),
            bytes: 0,
            voters: stored.snapshot.voters.clone(),
            vote: stored.vote,
            wanted: Cell::new(false),
            offered: None,
        };
        log.append(stored.entries.iter().map(to_raft).collect());
        log
    }

    /// Writes entries behind those before the first of them.
    pub(super) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        while self.entries.back().is_some_and(|last| last.index >= first.index) {
            self.bytes -= self.entries.pop_back().map_or(0, |entry| size(&entry));
        }
        self.bytes += entries.iter().map(size).sum::<u64>();
        self.entries.extend(entries);
    }

    /// Forgets the entries up to `index`: a snapshot has them.
    pub(super) fn compact(&mut self, index: u64) {
        while self.entries.front().is_some_and(|first| first.index <= index) {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= size(&entry);
                self.base = (entry.index, entry.term);
            }
        }
    }

    /// Starts anew behind a snapshot of another manager.
    pub(super) fn restore(&mut self, snapshot: &Snapshot) {
        self.entries.clear();
        self.bytes = 0;
        self.base = (snapshot.index, snapshot.term);
        self.voters.clone_from(&snapshot.voters);
        self.vote.committed = self.vote.committed.max(snapshot.index);
    }

    pub(super) fn set_vote(&mut self, vote: &HardState) {
        self.vote = Vote { term: vote.term, voted_for: vote.vote, committed: vote.commit };
    }

    pub(super) fn vote(&self) -> Vote {
        self.vote
    }

    pub(super) fn voters(&self) -> &[u64] {
        &self.voters
    }

    /// Entries and bytes that a snapshot would replace.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.entries.len() as u64, self.bytes)
    }

    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        self.position(index).and_then(|at| self.entries.get(at)).map(|entry| entry.term)
    }

    /// Whether a follower waits for a snapshot; asked once.
    pub(super) fn take_wanted(&self) -> bool {
        self.wanted.take()
    }

    pub(super) fn offer(&mut self, snapshot: Snapshot) {
        self.offered = Some(snapshot);
    }

    fn position(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.base.0)?.checked_sub(1)?).ok()
    }

    fn last(&self) -> u64 {
        self.entries.back().map_or(self.base.0, |entry| entry.index)
    }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let vote = HardState {
            term: self.vote.term,
            vote: self.vote.voted_for,
            commit: self.vote.committed,
            ..HardState::default()
        };
        Ok(RaftState::new(vote, conf_state(&self.voters)))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let (Some(from), Some(to)) = (self.position(low), self.position(high)) else {
            return Err(Error::Store(StorageError::Compacted));
        };
        if to > self.entries.len() {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let mut entries: Vec<Entry> = self.entries.range(from..to).cloned().collect();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.term_at(index).ok_or(Error::Store(match index < self.base.0 {
            true => StorageError::Compacted,
            false => StorageError::Unavailable,
        }))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// Made on demand from the state, and there the next time raft asks.
    fn snapshot(&self, request_index: u64, _: u64) -> raft::Result<RaftSnapshot> {
        match &self.offered {
            Some(snapshot) if snapshot.index >= request_index.max(self.base.0) => {
                Ok(snapshot_to_raft(snapshot))
            }
            _ => {
                self.wanted.set(true);
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

fn size(entry: &Entry) -> u64 {
    entry.data.len() as u64
}

fn conf_state(voters: &[u64]) -> ConfState {
    ConfState { voters: voters.to_vec(), ..ConfState::default() }
}

fn to_raft(entry: &LogEntry) -> Entry {
    Entry { index: entry.index, term: entry.term, data: entry.data.clone().into(), ..Entry::default() }
}

pub(super) fn from_raft(entry: &Entry) -> LogEntry {
    LogEntry { index: entry.index, term: entry.term, data: entry.data.to_vec() }
}

fn snapshot_to_raft(snapshot: &Snapshot) -> RaftSnapshot {
    let mut raft = RaftSnapshot { data: snapshot.state.clone().into(), ..RaftSnapshot::default() };
    let metadata = raft.mut_metadata();
    metadata.index = snapshot.index;
    metadata.term = snapshot.term;
    metadata.set_conf_state(conf_state(&snapshot.voters));
    raft
}

pub(super) fn snapshot_from_raft(snapshot: &RaftSnapshot) -> Snapshot {
    let metadata = snapshot.get_metadata();
    Snapshot {
        index: metadata.index,
        term: metadata.term,
        voters: metadata.get_conf_state().voters.clone(),
        state: snapshot.data.to_vec(),
    }
}
