//! Given the state and the time: what should change next, when to look again, and why something waits.
//!
//! Invariant: pure. It sees the state and the time, and answers with changes; each carries the version of
//! what it was decided on, so that one overtaken by a wish is refused and decided anew.
//!
//! One file per question: which slots should have a task (`replicas`), which task gives way to another now
//! (`update`), may it start (`gate`), what has to stop before it (`order`), what does it get (`allocate`), where does it run (`place`), what can be
//! forgotten (`reap`).

mod allocate;
mod decide;
mod gate;
mod ledger;
pub mod limits;
mod order;
mod place;
mod plan;
mod reap;
mod replicas;
#[cfg(test)]
mod testing;
mod update;

pub use decide::{Decision, decide, decide_all};
pub use plan::{Plan, Step, StepKind, dry_run, optimistic_reports};
