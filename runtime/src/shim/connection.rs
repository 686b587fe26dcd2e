//! One connection to the control socket: reads its single request, sends replies, notices its end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::FileType;

use crate::control;
use crate::limits;
use crate::protocol::{self, MAX_FDS, Reply, Request};

pub(super) struct Connection {
    stream: UnixStream,
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
    requested: bool,
}

/// What reading brought.
pub(super) enum Read {
    /// Nothing complete yet.
    More,
    Request(Request, Vec<OwnedFd>),
    /// Closed, broken, or saying what no engine says.
    Gone,
}

/// The request that the engine gave along with the start.
pub(super) struct Given {
    pub(super) connection: Connection,
    pub(super) request: Request,
    pub(super) fds: Vec<OwnedFd>,
}

/// Takes what waits on standard input, if that is a socket, and puts nothing in its place. Must come before the
/// container is made, which would inherit it.
pub(super) fn given() -> io::Result<Option<Given>> {
    let stdin = io::stdin();
    if FileType::from_raw_mode(rustix::fs::fstat(&stdin)?.st_mode) != FileType::Socket {
        return Ok(None);
    }
    let stream = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let mut connection = Connection::new(stream)?;
    Ok(match connection.read() {
        Read::Request(request, fds) => Some(Given { connection, request, fds }),
        // Whoever wanted to attach has gone already.
        Read::More | Read::Gone => None,
    })
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, bytes: Vec::new(), fds: Vec::new(), requested: false })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn read(&mut self) -> Read {
        match control::receive(&self.stream) {
            Ok((bytes, _)) if bytes.is_empty() => return Read::Gone,
            Ok((bytes, fds)) => {
                self.bytes.extend(bytes);
                self.fds.extend(fds);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Read::More;
            }
            Err(_) => return Read::Gone,
        }
        if self.requested || self.fds.len() > MAX_FDS || self.bytes.len() > limits::MESSAGE_BYTES {
            return Read::Gone;
        }
        match protocol::decode(&self.bytes) {
            Ok(None) => Read::More,
            Ok(Some((request, _))) => {
                self.requested = true;
                self.bytes = Vec::new();
                Read::Request(request, std::mem::take(&mut self.fds))
            }
            Err(error) => {
                self.reply(&Reply::Failed { reason: error.to_string(), code: None });
                Read::Gone
            }
        }
    }

    /// Replies are few and short, so they always fit into the socket's buffer; who lets it fill up gets none.
    pub(super) fn reply(&self, reply: &Reply) {
        let _ = protocol::encode(reply).and_then(|bytes| control::send(&self.stream, &bytes, &[]));
    }
}
