//! Netlink, as far as this crate needs it: one encoder for links, nftables and connection tracking.
//!
//! A crate with an asynchronous netlink client would not do: requests inside a container's namespace need a
//! socket opened there by a short-lived thread, nftables needs an encoder of its own anyway, and one blocking
//! socket on one worker thread is both the smallest and the fastest arrangement (the kernel handles a request
//! within `send`).

mod message;
mod socket;

pub(crate) use message::{Message, attrs, messages};
pub(crate) use socket::{ACK, APPEND, CREATE, DUMP, EXCL, Family, REQUEST, Socket};
