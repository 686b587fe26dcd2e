//! The errors of this crate: what was being done to which object, and the cause.

use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call or a netlink request was refused.
    #[error("cannot {action}{}", hint(source))]
    System {
        /// What was being done to which object.
        action: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The request contradicts itself or names something that does not exist.
    #[error("{0}")]
    Invalid(String),
    /// The worker thread is gone, because this `Net` was closed.
    #[error("the network worker has ended")]
    Closed,
}

impl Error {
    /// Wraps what the kernel said with what was being done.
    pub(crate) fn system(action: impl Into<String>, source: impl Into<io::Error>) -> Error {
        Error::System { action: action.into(), source: source.into() }
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => " (networks need root, or CAP_NET_ADMIN and CAP_SYS_ADMIN)",
        io::ErrorKind::Unsupported => " (this kernel lacks nftables, bridge or veth support)",
        _ => "",
    }
}
