//! Given the state and the time: what should change next, when to look again, and why something waits.
//!
//! Invariant: pure. It sees the state and the time, and answers with changes; each carries the version of
//! what it was decided on, so that one overtaken by a wish is refused and decided anew.

mod decide;
mod plan;

pub use decide::{Decision, decide, decide_all};
pub use plan::{Plan, Step, StepKind, dry_run};
