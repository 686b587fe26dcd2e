//! What scenarios are made of: a machine of their own, commands on it, and looks at what is really there.

mod http;
mod images;
mod leftovers;
mod link;
mod machine;
mod outcome;
mod registry;
mod wait;

pub(crate) use http::Response;
pub(crate) use machine::Machine;
pub(crate) use outcome::Outcome;
pub(crate) use registry::Registry;
pub(crate) use wait::{eventually, eventually_some};
