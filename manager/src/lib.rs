//! Keeps the state of the cluster, takes wishes, runs the scheduler, and hands each node its work.
//!
//! [`core`] decides and is pure; the rest of the crate turns sockets, disk and clock into its inputs and
//! its outputs into exactly one call each.
//!
//! Invariant: what was acknowledged is on disk and part of the state.

mod blobs;
mod control;
pub mod core;
mod disk;
mod dispatch;
mod hub;
mod limits;
mod manager;
mod run;
mod witness;

pub use control::ControlService;
pub use disk::DiskError;
pub use dispatch::DispatchService;
pub use manager::{Idle, Manager, ManagerConfig, ManagerError, start};
