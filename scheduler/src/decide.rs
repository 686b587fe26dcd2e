//! The scheduler's one entry.

use std::collections::BTreeMap;

use cluster::view::Blocked;
use cluster::{ChangeKind, ServiceKey, State, Timestamp, Touched};

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

/// Looks at what was touched and at what is due. Called with [`State::take_touched`] after each batch of
/// applied changes, until it returns no change.
#[must_use]
pub fn decide(state: &State, touched: &Touched, now: Timestamp) -> Decision {
    let _ = (state, touched, now);
    Decision::default()
}

/// Looks at everything: the same result as [`decide`] gives step by step. For a new leader, and the oracle
/// in tests.
#[must_use]
pub fn decide_all(state: &State, now: Timestamp) -> Decision {
    decide(state, &Touched::everything(state), now)
}
