//! What goes into the core and what comes out.

use std::collections::BTreeSet;

use cluster::view::{Assignments, AssignmentsDelta};
use cluster::{
    ChangeKind, Ended, Event, NodeDescription, NodeId, Refusal, ServiceKey, TaskId, TaskStatus, Timestamp,
    Version,
};

use super::raft::PeerMessage;
use super::stored::Persist;

/// Names a request until its answer; chosen by the shell, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names an agent's session; chosen by the shell, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A tenth of a second went by. Only a group of several needs it ([`super::ManagerCore::wants_ticks`]).
    Tick,
    /// Another manager says something.
    Peer(PeerMessage),
    /// A user's wish.
    Request {
        /// Who waits for the answer.
        id: RequestId,
        /// What is wished.
        kind: ChangeKind,
    },
    /// An agent is there. An earlier session of the same node ends.
    SessionOpened {
        /// The new session.
        session: SessionId,
        /// Whose.
        node: NodeId,
    },
    /// An agent says something.
    Report {
        /// In which session.
        session: SessionId,
        /// What.
        report: Report,
    },
    /// An agent is gone, or its session could not be kept.
    SessionClosed {
        /// The session.
        session: SessionId,
    },
    /// Everything up to this [`Persist::sequence`] is on disk.
    Persisted(u64),
    /// The time of the last [`Output::WakeAt`] has come.
    Wake,
}

/// What an agent says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Counts the reports of a session from 1.
    pub sequence: u64,
    /// The machine; in the first report of a session, and when it changed.
    pub description: Option<NodeDescription>,
    /// The statuses that changed.
    pub statuses: Vec<(TaskId, TaskStatus)>,
    /// What else has ended.
    pub ended: Ended,
    /// All assignments are wanted again.
    pub resync: bool,
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write this, and say [`Input::Persisted`] when it is durable. Failing to is the end of this manager.
    Persist(Persist),
    /// Send this; it may get lost.
    Send(PeerMessage),
    /// A request's answer: the wish is durable and part of the state, or it is not and why.
    Reply {
        /// Which request.
        id: RequestId,
        /// Its answer.
        result: Result<Applied, Failure>,
    },
    /// Tell an agent.
    Assign {
        /// In which session.
        session: SessionId,
        /// What.
        work: Work,
    },
    /// This session is no longer served: a newer one took its place, or another manager leads.
    EndSession(SessionId),
    /// The state changed.
    Publish(News),
    /// Say [`Input::Wake`] then; replaces what was said before.
    WakeAt(Option<Timestamp>),
    /// This manager cannot go on: what it reads makes no sense. Nothing it does after this counts.
    Stop(String),
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The state's version after it.
    pub version: Version,
    /// Whether it changed anything.
    pub changed: bool,
}

/// Why a wish was not taken over, as far as this manager knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The state did not take it.
    Refused(Refusal),
    /// Another manager leads, perhaps this one.
    NotLeader(Option<u64>),
    /// Too much waits already.
    Overloaded,
    /// It was proposed, and then the leader changed: it may or may not come to pass.
    Unknown,
}

/// What an agent is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    /// All that its node has to do; first, and when asked for.
    pub complete: Option<Assignments>,
    /// What changed since the last.
    pub delta: Option<AssignmentsDelta>,
    /// Reports up to this sequence are durable.
    pub acknowledged: u64,
}

/// What changed, by name; readers look it up in the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What changes did.
    pub events: BTreeSet<Event>,
    /// Services of which something waits now that did not, or the other way round.
    pub waits: BTreeSet<ServiceKey>,
}
