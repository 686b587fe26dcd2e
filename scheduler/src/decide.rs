//! The scheduler's one entry.

use std::collections::{BTreeMap, BTreeSet};

use cluster::view::{Blocked, Wait};
use cluster::{ChangeKind, NodeState, ServiceKey, State, TaskId, Timestamp, Touched};

use crate::ledger::Ledger;
use crate::limits::LOST_AFTER_MS;
use crate::{allocate, reap, replicas};

/// What should happen next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What should change now, in this order. Applying it touches what has to be looked at next.
    pub changes: Vec<ChangeKind>,
    /// When to look again although nothing changed: with this time, and whatever is touched by then.
    pub wake_at: Option<Timestamp>,
    /// For each service that was looked at: what of it waits, and why ([`cluster::view::Waits::absorb`]).
    pub blocked: BTreeMap<ServiceKey, Vec<Blocked>>,
}

/// One round of looking.
pub(crate) struct Round<'a> {
    pub(crate) state: &'a State,
    pub(crate) now: Timestamp,
    pub(crate) changes: Vec<ChangeKind>,
    /// What this round has given already.
    pub(crate) ledger: Ledger<'a>,
    blocked: BTreeMap<ServiceKey, Vec<Blocked>>,
    /// When an update of a service that was looked at gets on without any happening.
    wake_at: Option<Timestamp>,
}

/// Looks at what was touched and at what is due. Called with [`State::take_touched`] after each batch of
/// applied changes, until it returns no change.
#[must_use]
pub fn decide(state: &State, touched: &Touched, now: Timestamp) -> Decision {
    let mut round = Round {
        state,
        now,
        changes: Vec::new(),
        ledger: Ledger::new(state),
        blocked: BTreeMap::new(),
        wake_at: None,
    };
    let mut stacks = touched.stacks.clone();
    let mut services = touched.services.clone();
    if touched.room {
        services.extend(state.services_short_of_tasks().cloned());
        stacks.extend(state.services_short_of_tasks().map(|key| key.stack.clone()));
    }
    services.extend(services_of_lost_nodes(state, now));
    services.extend(state.services_updating().cloned());
    for stack in &stacks {
        allocate::networks(&mut round, stack);
    }
    for service in services {
        replicas::look_at(&mut round, service);
    }
    reap::networks(&mut round, &touched.networks);
    reap::volumes(&mut round, &touched.volumes);
    reap::stacks(&mut round, &stacks);
    let wake_at = [round.wake_at, next_loss(state, now)].into_iter().flatten().min();
    Decision { changes: round.changes, wake_at, blocked: round.blocked }
}

/// Looks at everything: the same result as [`decide`] gives step by step. For a new leader, and the oracle
/// in tests.
#[must_use]
pub fn decide_all(state: &State, now: Timestamp) -> Decision {
    decide(state, &Touched::everything(state), now)
}

/// When the tasks of a node that is down count as lost.
fn lost_at(node: &cluster::Node) -> Option<Timestamp> {
    match node.state {
        NodeState::Ready => None,
        NodeState::Down { since } => Some(since.plus_ms(LOST_AFTER_MS)),
    }
}

fn services_of_lost_nodes(state: &State, now: Timestamp) -> BTreeSet<ServiceKey> {
    let lost = state.nodes.values().filter(|node| lost_at(node).is_some_and(|at| at <= now));
    lost.flat_map(|node| state.tasks_on(node.id)).map(|task| task.service.clone()).collect()
}

/// When the next node's tasks become lost; a node without tasks is nothing to wait for.
fn next_loss(state: &State, now: Timestamp) -> Option<Timestamp> {
    let down = state.nodes.values().filter(|node| state.tasks_on(node.id).next().is_some());
    down.filter_map(lost_at).filter(|at| *at > now).min()
}

impl Round<'_> {
    /// Whether the tasks of a node are lost: it has been down for long enough.
    pub(crate) fn is_lost(&self, node: cluster::NodeId) -> bool {
        self.state.nodes.get(&node).is_none_or(|node| lost_at(node).is_some_and(|at| at <= self.now))
    }

    /// A node's name, for a person.
    pub(crate) fn name_of(&self, node: cluster::NodeId) -> &str {
        self.state.nodes.get(&node).map_or("", |node| &node.description.name)
    }

    /// Says that a service was looked at.
    pub(crate) fn looked_at(&mut self, service: &ServiceKey) {
        self.blocked.entry(service.clone()).or_default();
    }

    /// Asks to be looked at again at this time.
    pub(crate) fn wake_at(&mut self, at: Option<Timestamp>) {
        self.wake_at = [self.wake_at, at].into_iter().flatten().min();
    }

    /// Says why a slot, or the task in it, waits.
    pub(crate) fn waits(&mut self, service: &ServiceKey, slot: u32, task: Option<TaskId>, wait: Wait) {
        let blocked = Blocked { service: service.clone(), slot, task, wait };
        self.blocked.entry(service.clone()).or_default().push(blocked);
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
