//! Shared by this crate's tests.

/// Says why a test did not look at anything.
#[allow(clippy::print_stderr)] // A test has no other way to say it.
pub(crate) fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
