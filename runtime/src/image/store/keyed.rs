//! One lock per thing: two pulls of the same layer do it once, two pulls of different layers do not wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Locks by name, made when asked for and forgotten when nobody holds them.
#[derive(Debug, Default)]
pub(in crate::image) struct Keyed<M>(Mutex<BTreeMap<String, Weak<M>>>);

impl<M: Default> Keyed<M> {
    pub(in crate::image) fn of(&self, key: &str) -> Arc<M> {
        let mut locks = locked(&self.0);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(M::default());
        locks.insert(key.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

/// Locks although a holder panicked: all values behind these locks are replaced as a whole or hold nothing.
pub(in crate::image) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
