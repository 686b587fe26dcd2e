//! Makes this node match its assignments, and reports what really happens.
//!
//! [`core`] decides: assignments and happenings in, actions and reports out, time as an argument. It is pure,
//! so the simulator drives it as it is. Everything else here is its shell.

pub mod core;
pub mod limits;
