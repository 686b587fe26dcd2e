//! Agents that are there, what each was told, and nodes that are not heard of.

use std::collections::{BTreeMap, BTreeSet};

use cluster::view::Assignments;
use cluster::{ChangeKind, NodeId, NodeState, State, Timestamp};

use super::io::{Output, SessionId, Work};
use crate::limits::NODE_DOWN_AFTER_MS;

/// All sessions, and when nodes without one count as down.
#[derive(Default)]
pub(super) struct Sessions {
    open: BTreeMap<SessionId, Session>,
    lost: BTreeMap<NodeId, Timestamp>,
}

struct Session {
    node: NodeId,
    /// What the agent has; `None` before the first, and when it asked for all of it again.
    sent: Option<Assignments>,
    /// Its newest report that is durable, and the newest it was told of.
    durable: u64,
    acknowledged: u64,
}

impl Sessions {
    /// A node's agent is there. Returns its earlier session, which ends.
    pub(super) fn open(&mut self, session: SessionId, node: NodeId) -> Option<SessionId> {
        self.lost.remove(&node);
        let earlier = self.open.iter().find(|(_, other)| other.node == node).map(|(id, _)| *id);
        if let Some(earlier) = earlier {
            self.open.remove(&earlier);
        }
        self.open.insert(session, Session { node, sent: None, durable: 0, acknowledged: 0 });
        earlier
    }

    /// An agent is gone; the time until its node counts as down begins.
    pub(super) fn close(&mut self, session: SessionId, now: Timestamp) {
        if let Some(session) = self.open.remove(&session) {
            self.lost.insert(session.node, now.plus_ms(NODE_DOWN_AFTER_MS));
        }
    }

    /// Ends all: somebody else serves them now.
    pub(super) fn close_all(&mut self) -> impl Iterator<Item = SessionId> {
        self.lost.clear();
        std::mem::take(&mut self.open).into_keys()
    }

    /// A new leader gives every node the whole time to come back.
    pub(super) fn expect_all(&mut self, state: &State, now: Timestamp) {
        let present: BTreeSet<NodeId> = self.open.values().map(|session| session.node).collect();
        let absent = state.nodes.values().filter(|node| node.state == NodeState::Ready);
        let absent = absent.filter(|node| !present.contains(&node.id));
        self.lost = absent.map(|node| (node.id, now.plus_ms(NODE_DOWN_AFTER_MS))).collect();
    }

    pub(super) fn node_of(&self, session: SessionId) -> Option<NodeId> {
        self.open.get(&session).map(|session| session.node)
    }

    /// The agent lost count.
    pub(super) fn resync(&mut self, session: SessionId) {
        if let Some(session) = self.open.get_mut(&session) {
            session.sent = None;
        }
    }

    /// A report is durable.
    pub(super) fn acknowledge(&mut self, session: SessionId, sequence: u64) {
        if let Some(session) = self.open.get_mut(&session) {
            session.durable = session.durable.max(sequence);
        }
    }

    /// When the next node counts as down.
    pub(super) fn next_loss(&self) -> Option<Timestamp> {
        self.lost.values().min().copied()
    }

    /// The nodes that count as down from now on.
    pub(super) fn lose(&mut self, state: &State, now: Timestamp) -> Vec<ChangeKind> {
        let due: Vec<NodeId> =
            self.lost.iter().filter(|(_, at)| **at <= now).map(|(node, _)| *node).collect();
        self.lost.retain(|_, at| *at > now);
        due.into_iter()
            .filter_map(|node| Some(ChangeKind::NodeDown { node, version: state.nodes.get(&node)?.version }))
            .collect()
    }

    /// Tells agents what is news to them; `touched` are the nodes whose assignments may be others now.
    pub(super) fn tell(&mut self, state: &State, touched: &BTreeSet<NodeId>, out: &mut Vec<Output>) {
        for (id, session) in &mut self.open {
            let work = session.news(state, touched.contains(&session.node));
            out.extend(work.map(|work| Output::Assign { session: *id, work }));
        }
    }
}

impl Session {
    fn news(&mut self, state: &State, touched: bool) -> Option<Work> {
        let mut work = Work { acknowledged: self.durable, ..Work::default() };
        match &mut self.sent {
            None => {
                let complete = state.assignments(self.node);
                work.complete = Some(complete.clone());
                self.sent = Some(complete);
            }
            Some(sent) if touched => {
                let new = without_echo(sent, state.assignments(self.node));
                let delta = sent.delta(&new);
                if !delta.is_empty() {
                    work.delta = Some(delta);
                    *sent = new;
                }
            }
            Some(_) => {}
        }
        let said = work.complete.is_some() || work.delta.is_some() || self.durable > self.acknowledged;
        self.acknowledged = self.durable;
        said.then_some(work)
    }
}

/// Leaves out what the agent said itself: a task of which only the status moved on is no news to it.
fn without_echo(sent: &Assignments, mut new: Assignments) -> Assignments {
    for (id, task) in &mut new.tasks {
        let Some(known) = sent.tasks.get(id) else { continue };
        let (status, version) = (std::mem::take(&mut task.status), task.version);
        task.status.clone_from(&known.status);
        task.version = known.version;
        if task != known {
            task.status = status;
            task.version = version;
        }
    }
    new
}
