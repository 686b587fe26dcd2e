//! Descriptors that tokio waits for.
#![allow(unsafe_code)] // tokio asks for a promise that only the type of the descriptor can give.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Hands a descriptor to tokio's poller.
pub(crate) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd stays open, and stays the same description, until the AsyncFd that owns it is dropped.
    Ok(unsafe { AsyncFd::register(fd) }?)
}
