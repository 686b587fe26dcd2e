//! What Compose files mean, rule by rule, seen through the public interface.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "these are tests"
)]

mod bounds;
mod consistency;
mod corpus;
mod diagnostics;
mod fixpoint;
mod forms;
mod graph;
mod hostile;
mod inherit;
mod interpolation;
mod loading;
mod merging;
mod proofs;
mod support;
mod unsupported;
