//! When to look at what again: at most one time for each key.

use std::collections::{BTreeMap, BTreeSet};

use cluster::Timestamp;

/// Times by key, and keys by time.
#[derive(Clone, Debug)]
pub(crate) struct Timers<K> {
    by_key: BTreeMap<K, Timestamp>,
    by_time: BTreeSet<(Timestamp, K)>,
}

impl<K: Ord + Clone> Timers<K> {
    /// None at all.
    pub(crate) fn new() -> Self {
        Timers { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Sets the time of a key, or takes it away.
    pub(crate) fn set(&mut self, key: &K, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.by_key.insert(key.clone(), at),
            None => self.by_key.remove(key),
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key.clone()));
        }
    }

    /// The earliest time.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the keys whose time has come.
    pub(crate) fn due(&mut self, now: Timestamp) -> Vec<K> {
        let mut keys = Vec::new();
        while self.first().is_some_and(|at| at <= now) {
            if let Some((_, key)) = self.by_time.pop_first() {
                self.by_key.remove(&key);
                keys.push(key);
            }
        }
        keys
    }
}
