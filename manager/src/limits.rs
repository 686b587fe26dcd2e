//! How much of anything there may be, and how long things may take.

/// Changes in one entry of the log; what is more goes into the next one.
pub(crate) const MAX_BATCH_CHANGES: usize = 2_048;
/// Wishes and reports that wait for the log. Beyond it wishes are refused.
pub(crate) const MAX_QUEUE: usize = 16_384;
/// Entries after which the log is replaced by a snapshot.
pub(crate) const SNAPSHOT_AFTER_ENTRIES: u64 = 4_096;
/// Bytes of entries after which the log is replaced by a snapshot.
pub(crate) const SNAPSHOT_AFTER_BYTES: u64 = 16 * 1024 * 1024;
/// Milliseconds without a session after which a node counts as down.
pub(crate) const NODE_DOWN_AFTER_MS: u64 = 15_000;
/// Milliseconds until decisions are taken anew when the state took none of the last ones: something is
/// wrong then, and it must not become a busy loop.
pub(crate) const DECIDE_AGAIN_AFTER_MS: u64 = 1_000;
/// Ticks without a word from the leader before a manager stands for election (to twice that).
pub(crate) const ELECTION_TICKS: usize = 10;
/// Ticks between two heartbeats of the leader.
pub(crate) const HEARTBEAT_TICKS: usize = 2;
/// Bytes of entries in one message between managers.
pub(crate) const MAX_PEER_MESSAGE_BYTES: u64 = 1024 * 1024;
/// Messages under way to one manager.
pub(crate) const MAX_PEER_MESSAGES: usize = 256;
/// Requests that wait for the manager's loop; beyond it callers wait.
pub(crate) const MAX_EVENTS: usize = 1_024;
/// Events that may wait for one watcher; one that is slower is cut off and has to look anew.
pub(crate) const MAX_WATCH_BACKLOG: usize = 4_096;
/// Watchers at once.
pub(crate) const MAX_WATCHERS: usize = 256;
/// Assignments that may wait for one agent; one that is slower loses its session and gets all anew.
pub(crate) const MAX_WORK_BACKLOG: usize = 256;
/// How long an unnamed blob is kept, in milliseconds: it is stored before the wish that names it.
pub(crate) const BLOB_GRACE_MS: u64 = 10 * 60 * 1_000;
/// Blobs there may be at once.
pub(crate) const MAX_BLOBS: usize = 16_384;
/// Bytes that the store keeps in memory of its file.
pub(crate) const STORE_CACHE_BYTES: usize = 1024 * 1024;
