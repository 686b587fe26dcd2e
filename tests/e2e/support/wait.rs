//! Waiting for a condition: the only place in the scenarios that lets time pass.

use std::time::{Duration, Instant};

/// How long a condition may take before the scenario fails. Generous, because two cores may be shared with
/// a compiler; nothing waits that long when it works.
const PATIENCE: Duration = Duration::from_secs(40);

/// Looks again and again until `look` finds what it looks for.
///
/// # Panics
/// When that takes longer than the patience of the suite; `what` says what was waited for.
pub(crate) fn eventually_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "after {PATIENCE:?} still not true: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Looks again and again until the condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    eventually_some(what, || holds().then_some(()));
}
