//! An engine's id marks all that it makes in the kernel, so that of two engines with one id, each would take the
//! other's things for its own. Two folders have one id when one is a copy of the other: a cloned disk, a backup.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use crate::failure::{Doing, Failure, Outcome};
use crate::limits;

/// Held by the engine for as long as it lives: a socket name that exists once in its network namespace, which is
/// where an engine's interfaces and rules are.
#[derive(Debug)]
pub(crate) struct Name(
    #[expect(dead_code, reason = "the name is taken for as long as it is open")] UnixListener,
);

impl Name {
    /// Takes the name; `None` when another user's process has it, whose engine could not meet this one.
    ///
    /// # Errors
    /// Another engine of this user has this id.
    pub(crate) fn take(engine_id: &str, data: &Path) -> Outcome<Option<Self>> {
        let doing = || "cannot see whether another engine has this one's id".to_owned();
        let address = SocketAddr::from_abstract_name(format!("orc-engine-{engine_id}")).doing(doing)?;
        let start = std::time::Instant::now();
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(listener) => return Ok(Some(Self(listener))),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(Failure::new(doing()).because(&error)),
            }
            if !is_ours(&address).doing(doing)? {
                return Ok(None);
            }
            // A predecessor that was killed gives back its locks and its names one after the other.
            if start.elapsed() > limits::NAME_WAIT {
                let message = format!(
                    "an engine with the id {engine_id} runs already, and `{}` seems to be a copy of its folder",
                    data.display()
                );
                return Err(Failure::new(message)
                    .hint("end the other engine, or remove `engine.id` from the copy to make it an engine of its own"));
            }
            std::thread::sleep(limits::NAME_RETRY);
        }
    }
}

/// Whether the process that has the name is root's or this user's; one that has gone meanwhile counts as such.
fn is_ours(address: &SocketAddr) -> io::Result<bool> {
    let stream = match UnixStream::connect_addr(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(true),
        result => result?,
    };
    let uid = rustix::net::sockopt::socket_peercred(&stream)?.uid;
    Ok(uid.is_root() || uid == rustix::process::geteuid())
}
