//! Names: every container asks 127.0.0.11 inside its own namespace, and one process answers them all.
//!
//! The socket tells who asks, which cannot be forged as an address could; so each namespace has its own view.

mod answer;
mod forward;
mod rate;
mod server;
mod zone;

pub(crate) use server::Dns;
