//! What a manager keeps on disk, in types of our own: raft's parser never sees bytes from outside.

use cluster::{Change, State};

/// What a manager starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its promises to the others.
    pub vote: Vote,
    /// The state as of some entry.
    pub snapshot: Snapshot,
    /// The entries after that, without a gap.
    pub entries: Vec<LogEntry>,
}

/// What a manager has promised, and how far it knew the log to be agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vote {
    /// The newest term it has seen.
    pub term: u64,
    /// Whom it voted for in that term; 0: nobody.
    pub voted_for: u64,
    /// The last entry known to be agreed on. May lag behind; never ahead.
    pub committed: u64,
}

/// The state as of one entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that is in it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// The managers of the group.
    pub voters: Vec<u64>,
    /// JSON of `cluster::State`.
    pub state: Vec<u8>,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Counts entries.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// JSON of the changes it holds; empty in the entry with which a leader begins.
    pub data: Vec<u8>,
}

/// What has to be on disk, all of it or nothing, before [`super::Input::Persisted`] with its sequence is
/// said. To be written in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Counts from 1.
    pub sequence: u64,
    /// Replaces the one there is; entries up to its index go.
    pub snapshot: Option<Snapshot>,
    /// The snapshot came from another manager: what else is in the log contradicts it and goes.
    pub discard_log: bool,
    /// Replace what there is from the first one's index on.
    pub entries: Vec<LogEntry>,
    /// Replaces the one there is.
    pub vote: Vote,
}

impl Stored {
    /// What every manager of a new group starts from. The members stand in a snapshot and not in an entry,
    /// so that one who joins later learns of them like of everything else.
    #[must_use]
    pub fn first(voters: &[u64]) -> Self {
        let snapshot = Snapshot { index: 1, term: 1, voters: voters.to_vec(), state: encode(&State::new()) };
        Self { vote: Vote { term: 1, voted_for: 0, committed: 1 }, snapshot, entries: Vec::new() }
    }

    /// Takes over what had to be persisted: what a disk does, without one.
    pub fn absorb(&mut self, persist: Persist) {
        if let Some(snapshot) = persist.snapshot {
            self.entries.retain(|entry| !persist.discard_log && entry.index > snapshot.index);
            self.snapshot = snapshot;
        }
        if let Some(first) = persist.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
        }
        self.entries.extend(persist.entries);
        self.vote = persist.vote;
    }
}

/// The state in a snapshot.
pub(super) fn state_of(snapshot: &Snapshot) -> Result<State, serde_json::Error> {
    serde_json::from_slice(&snapshot.state)
}

/// The changes in an entry.
pub(super) fn changes_of(entry: &LogEntry) -> Result<Vec<Change>, serde_json::Error> {
    if entry.data.is_empty() { Ok(Vec::new()) } else { serde_json::from_slice(&entry.data) }
}

/// As it stands in snapshots and entries.
pub(super) fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value)
        .expect("cluster's types have only text keys, so that nothing of them cannot be JSON")
}
