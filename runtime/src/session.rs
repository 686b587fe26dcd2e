//! The engine's end of a process that somebody talks to: streams in both directions, size, end.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::asyncfd;
use crate::config::TtySize;
use crate::error::{Error, Result};
use crate::protocol::{self, Reply};

/// One end of a pipe or terminal that tokio waits for.
///
/// Reading ends at the end of the pipe, or when the last process has closed its side of the terminal.
/// As a writer, shutting down closes it only when it is dropped: a pipe has no half-closing.
pub struct FdStream(AsyncFd<OwnedFd>);

impl FdStream {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<FdStream> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(FdStream(asyncfd::register(fd)?))
    }
}

impl AsyncRead for FdStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let unfilled = buf.initialize_unfilled();
            match guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *unfilled)?)) {
                Ok(Ok(count)) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                // A terminal whose other side is closed by everyone says EIO, not end of file.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_not_ready) => {}
            }
        }
    }
}

impl AsyncWrite for FdStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            match guard.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_not_ready) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A process started by [`crate::Runtime::exec`]. Dropping it kills the process and all that it started.
pub struct ExecSession {
    /// `None` unless asked for. Dropping it is the end of the process's input (not with a terminal).
    pub stdin: Option<FdStream>,
    pub stdout: FdStream,
    /// `None` with a terminal: everything comes out of `stdout`.
    pub stderr: Option<FdStream>,
    /// The process, as the machine numbers it.
    pub pid: u32,
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) control: Control,
}

impl ExecSession {
    /// Changes the size of the process's terminal; without one nothing happens.
    pub fn resize(&self, size: TtySize) -> Result<()> {
        match &self.terminal {
            Some(terminal) => {
                set_size(terminal, size).map_err(Error::system("cannot change the size of the terminal"))
            }
            None => Ok(()),
        }
    }

    /// The exit code, 128 plus the signal's number if a signal ended the process. Output may still be unread.
    /// Cancel safe.
    pub async fn wait(&mut self) -> Result<i32> {
        match self.control.reply().await? {
            Reply::Exited { code } => Ok(code),
            other => Err(self.control.surprise(&other)),
        }
    }
}

/// The streams of a container's first process. Dropping it changes nothing in the container.
///
/// Whoever reads more than [`crate::limits::ATTACH_BUFFER_BYTES`] too slowly is cut off: output ends.
pub struct Attached {
    /// `None` unless asked for and the container keeps its input open. Dropping the last one ends the input.
    pub stdin: Option<FdStream>,
    /// What the process writes from now on; see [`crate::Runtime::logs`] for what it wrote before.
    pub stdout: FdStream,
    /// Silent with a terminal.
    pub stderr: FdStream,
    /// Open as long as the shim shall copy output.
    pub(crate) _control: Control,
}

/// The connection to a shim after a request was sent.
pub(crate) struct Control {
    pub(crate) id: String,
    pub(crate) stream: UnixStream,
    /// Bytes read that are not a whole message yet: a cancelled read must not lose them.
    pub(crate) pending: Vec<u8>,
}

impl Control {
    pub(crate) async fn reply(&mut self) -> Result<Reply> {
        loop {
            let decoded = protocol::decode(&self.pending).map_err(|e| self.error(e.to_string()))?;
            if let Some((reply, length)) = decoded {
                self.pending.drain(..length);
                return Ok(reply);
            }
            let read = self.stream.read_buf(&mut self.pending).await;
            if read.map_err(|e| self.error(e.to_string()))? == 0 {
                return Err(self.error("its shim closed the connection".to_owned()));
            }
        }
    }

    /// Waits for the reply that ends a simple request.
    pub(crate) async fn done(&mut self) -> Result<()> {
        match self.reply().await? {
            Reply::Done => Ok(()),
            other => Err(self.surprise(&other)),
        }
    }

    pub(crate) fn surprise(&self, reply: &Reply) -> Error {
        match reply {
            Reply::Failed { reason, code: Some(code) } => {
                Error::Command { code: *code, reason: reason.clone() }
            }
            Reply::Failed { reason, code: None } => self.error(reason.clone()),
            other => self.error(format!("its shim answered {other:?}, which does not fit")),
        }
    }

    fn error(&self, reason: String) -> Error {
        Error::Protocol { id: self.id.clone(), reason }
    }
}

/// Sets the size of a terminal, which tells the processes on it (SIGWINCH).
pub(crate) fn set_size(terminal: impl AsFd, size: TtySize) -> io::Result<()> {
    let size = rustix::termios::Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}
