//! The engine on this machine: manager and agent in one process behind a unix socket.
//!
//! [`start`] is what clients do about it; [`serve`] is the engine itself and the composition root: the only
//! place that puts a manager and an agent together.

pub(crate) mod dirs;
pub(crate) mod identity;
pub(crate) mod install;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod namesake;
pub(crate) mod privileges;
pub(crate) mod serve;
pub(crate) mod start;
