//! Containers on this machine, through the crate's public interface: every promise and every guard once.
//!
//! The image is the built-in demo image made from this crate's test program, so nothing is fetched. Tests need
//! root and say so when they cannot look.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod adopt;
mod confinement;
mod exec;
mod files;
mod lifecycle;
mod sharing;
mod support;
mod terminal;
