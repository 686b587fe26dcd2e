//! The state of the whole cluster as one value, and the only function that changes it.
//!
//! Invariant: pure. No clock, file, thread, randomness or hash map; the same changes in the same order
//! give the same state on every manager.
//!
//! Invariant: three writers. A spec is written by the user's wish (going back to the one before is its own
//! standing order, `failure_action: rollback`), `desired`, `gate` and allocations by the scheduler's decisions,
//! a status by the agent's report; no field has two.
//!
//! This is also the format of the log and of snapshots on disk (serde, [`FORMAT_VERSION`]).

mod apply;
mod change;
mod deploy;
mod from_project;
mod hash;
mod id;
mod index;
pub mod limits;
mod node;
mod options;
mod probe;
mod stack;
mod state;
mod task;
mod time;
mod update;
pub mod view;

/// The vocabulary of [`ServiceSpec::compose`], for those who read it from here.
pub use compose_spec;

pub use change::{Change, ChangeKind, Event, Forgotten, PutStack, Refusal, RunAction};
pub use deploy::Constraint;
pub use from_project::{FileDigests, SpecError, SpecErrors, own_volumes};
pub use hash::stable_hash;
pub use id::{NetworkName, NodeId, ServiceKey, StackName, TaskId, Version, VolumeName};
pub use node::{Ended, Endpoint, Network, Node, NodeDescription, NodeState, Volume, overlap};
pub use options::{GatewayMode, NetworkOptions, VolumeDevice};
pub use probe::Probe;
pub use stack::OneOff;
pub use stack::{
    Addresses, Attachment, FileMount, NetworkSpec, Run, Service, ServiceSpec, Slot, Stack, StackSpec,
    VolumeSpec,
};
pub use state::{FORMAT_VERSION, State, Touched};
pub use task::{
    CheckResult, ContainerState, ContainerStatus, Desired, Exit, Gate, Health, Phase, Problem, StopHow, Task,
    TaskStatus,
};
pub use time::Timestamp;
pub use update::{Update, UpdateState, UpdateStep};
