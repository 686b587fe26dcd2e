//! The one place that knows the `raft` crate: how managers agree on the order of entries.
//!
//! The crate draws election timeouts from the system's randomness; they are overwritten here with ones that
//! follow from the seed, so that a simulation with the same seed takes the same course.

use std::collections::VecDeque;

use raft::eraftpb::Message;
use raft::{Config, RawNode, ReadOnlyOption, StateRole};

use super::log::{Log, from_raft, snapshot_from_raft};
use super::stored::{LogEntry, Persist, Snapshot, Stored};
use crate::limits::{ELECTION_TICKS, HEARTBEAT_TICKS, MAX_PEER_MESSAGE_BYTES, MAX_PEER_MESSAGES};

/// What one manager tells another about the log. Opaque to everybody else.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerMessage(Message);

impl PeerMessage {
    /// The manager it is for.
    #[must_use]
    pub fn to(&self) -> u64 {
        self.0.to
    }

    /// The manager that says it.
    #[must_use]
    pub fn from(&self) -> u64 {
        self.0.from
    }
}

/// What came of the last steps, in order.
pub(super) enum Happened {
    /// To be written before [`Group::persisted`] is called.
    Persist(Persist),
    /// To be sent; may get lost.
    Send(PeerMessage),
    /// Agreed on.
    Committed(Vec<LogEntry>),
    /// Too much was missed: this is the state now.
    Restored(Snapshot),
}

/// One member of a group of managers.
pub(super) struct Group {
    node: RawNode<Log>,
    seed: u64,
    /// How often this member's patience ended.
    elections: u64,
    /// The sequence of the last [`Persist`].
    sequence: u64,
    /// The last entry that was given out.
    applied: u64,
    /// What is being written, oldest first.
    writing: VecDeque<Writing>,
}

struct Writing {
    sequence: u64,
    /// The newest of raft's own numbers that is durable with it.
    number: Option<u64>,
    /// The entry up to which another manager's snapshot reaches that is in it.
    restored: Option<u64>,
    /// What may be said once it is durable.
    messages: Vec<Message>,
}

impl Group {
    pub(super) fn new(id: u64, seed: u64, stored: &Stored) -> raft::Result<Self> {
        let config = Config {
            id,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            applied: stored.snapshot.index,
            max_size_per_msg: MAX_PEER_MESSAGE_BYTES,
            max_inflight_msgs: MAX_PEER_MESSAGES,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, Log::new(stored), &logger)?;
        let applied = stored.snapshot.index;
        let mut group = Self { node, seed, elections: 0, sequence: 0, applied, writing: VecDeque::new() };
        group.seed_patience();
        Ok(group)
    }

    /// Whether there is nobody to agree with. Such a member needs no ticks.
    pub(super) fn is_alone(&self) -> bool {
        self.node.store().voters() == [self.node.raft.id]
    }

    /// Becomes leader at once when there is nobody to ask.
    pub(super) fn start(&mut self) -> raft::Result<()> {
        if self.is_alone() { self.node.campaign() } else { Ok(()) }
    }

    pub(super) fn tick(&mut self) {
        if self.node.tick() && !self.is_leader() {
            self.elections += 1;
        }
    }

    /// A message that makes no sense (from a stranger, from an older time) is dropped, as a lost one is.
    pub(super) fn receive(&mut self, message: PeerMessage) {
        let _ = self.node.step(message.0);
    }

    /// Proposes an entry. The answer is its index and term, or `None` when this is not the leader.
    pub(super) fn propose(&mut self, data: Vec<u8>) -> Option<(u64, u64)> {
        self.node.propose(Vec::new(), data).ok()?;
        let log = &self.node.raft.raft_log;
        Some((log.last_index(), log.last_term()))
    }

    /// Everything up to this [`Persist`] is on disk.
    pub(super) fn persisted(&mut self, sequence: u64) -> Vec<Happened> {
        let mut happened = Vec::new();
        while self.writing.front().is_some_and(|first| first.sequence <= sequence) {
            let Some(written) = self.writing.pop_front() else { break };
            if let Some(number) = written.number {
                self.node.on_persist_ready(number);
            }
            if let Some(index) = written.restored {
                self.node.advance_apply_to(index);
            }
            happened.extend(written.messages.into_iter().map(|message| Happened::Send(PeerMessage(message))));
        }
        happened
    }

    pub(super) fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// Leader, and everything agreed on under earlier leaders has been given out.
    pub(super) fn is_leader_and_knows_all(&self) -> bool {
        self.is_leader() && self.node.store().term_at(self.applied) == Some(self.node.raft.term)
    }

    pub(super) fn leader(&self) -> Option<u64> {
        Some(self.node.raft.leader_id).filter(|id| *id != 0)
    }

    /// The entries and bytes in the log.
    pub(super) fn log_size(&self) -> (u64, u64) {
        self.node.store().size()
    }

    /// Whether the log can be replaced now: nothing is being written, so that the order on disk is plain.
    pub(super) fn may_compact(&self) -> bool {
        self.writing.is_empty()
    }

    /// Replaces the log up to what has been given out by `state`, which must be the state after that.
    pub(super) fn compact(&mut self, state: Vec<u8>) -> Persist {
        let snapshot = self.snapshot(state);
        self.node.mut_store().compact(snapshot.index);
        let persist = self.persist(Some(snapshot), false, Vec::new());
        self.writing.push_back(Writing {
            sequence: persist.sequence,
            number: None,
            restored: None,
            messages: Vec::new(),
        });
        persist
    }

    /// Whether a follower is so far behind that it needs a snapshot; asked once for each need.
    pub(super) fn take_snapshot_wanted(&self) -> bool {
        self.node.store().take_wanted()
    }

    /// The snapshot for those who are far behind.
    pub(super) fn offer(&mut self, state: Vec<u8>) {
        let snapshot = self.snapshot(state);
        self.node.mut_store().offer(snapshot);
    }

    /// What is to be done now. Whoever calls it applies what was committed before anything else is asked.
    pub(super) fn drain(&mut self) -> Vec<Happened> {
        let mut happened = Vec::new();
        while self.node.has_ready() {
            self.drain_once(&mut happened);
        }
        self.seed_patience();
        happened
    }

    fn drain_once(&mut self, happened: &mut Vec<Happened>) {
        let mut ready = self.node.ready();
        let messages = ready.take_messages().into_iter();
        happened.extend(messages.map(|message| Happened::Send(PeerMessage(message))));
        let later = ready.take_persisted_messages();

        let snapshot = (!ready.snapshot().is_empty()).then(|| snapshot_from_raft(ready.snapshot()));
        if let Some(snapshot) = &snapshot {
            self.node.mut_store().restore(snapshot);
        }
        let entries = ready.take_entries();
        let written: Vec<LogEntry> = entries.iter().map(from_raft).collect();
        self.node.mut_store().append(entries);
        if let Some(vote) = ready.hs() {
            self.node.mut_store().set_vote(vote);
        }
        let committed: Vec<LogEntry> = ready.take_committed_entries().iter().map(from_raft).collect();

        let (must_sync, number) = (ready.must_sync(), ready.number());
        self.node.advance_append_async(ready);
        if must_sync {
            let restored = snapshot.as_ref().map(|snapshot| snapshot.index);
            let persist = self.persist(snapshot.clone(), restored.is_some(), written);
            let sequence = persist.sequence;
            self.writing.push_back(Writing { sequence, number: Some(number), restored, messages: later });
            happened.push(Happened::Persist(persist));
        } else if let Some(last) = self.writing.back_mut() {
            // Nothing to write, but what is said must not overtake what is being written.
            last.number = Some(number);
            last.messages.extend(later);
        } else {
            self.node.on_persist_ready(number);
            happened.extend(later.into_iter().map(|message| Happened::Send(PeerMessage(message))));
        }

        if let Some(snapshot) = snapshot {
            self.applied = snapshot.index;
            happened.push(Happened::Restored(snapshot));
        }
        if let Some(last) = committed.last() {
            self.applied = last.index;
            happened.push(Happened::Committed(committed));
            self.node.advance_apply_to(self.applied);
        }
    }

    fn persist(&mut self, snapshot: Option<Snapshot>, discard_log: bool, entries: Vec<LogEntry>) -> Persist {
        self.sequence += 1;
        Persist { sequence: self.sequence, snapshot, discard_log, entries, vote: self.node.store().vote() }
    }

    fn snapshot(&self, state: Vec<u8>) -> Snapshot {
        let store = self.node.store();
        let index = self.applied;
        let term = store.term_at(index).expect("the log reaches back to the last snapshot, which is applied");
        Snapshot { index, term, voters: store.voters().to_vec(), state }
    }

    /// How long this member waits for a leader follows from the seed, the term, and how often it has
    /// waited in vain: members with the same patience would otherwise stand against each other for ever.
    fn seed_patience(&mut self) {
        let raft = &mut self.node.raft;
        let mixed = scramble(self.seed ^ scramble(raft.term ^ scramble(self.elections)));
        let span = ELECTION_TICKS as u64;
        raft.set_randomized_election_timeout(ELECTION_TICKS + (mixed % span) as usize);
    }
}

/// SplitMix64's finalizer: neighbouring numbers become unlike ones.
fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
