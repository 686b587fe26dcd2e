//! A conversation with a command in a container: its output and its end, in one sequence.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use runtime::{ExecSession, FdStream, Result};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use crate::limits::{DRAIN_OUTPUT_MS, READ_BYTES};

/// What a command says.
#[derive(Debug)]
pub(crate) enum Said {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// Its exit status; the last word.
    Ended(i32),
}

/// A command and what is known of it.
pub(crate) struct Talk {
    pub(crate) session: ExecSession,
    stdout_open: bool,
    stderr_open: bool,
    /// Its exit status, and until when its output is still read.
    ended: Option<(i32, Instant)>,
}

impl Talk {
    pub(crate) fn new(session: ExecSession) -> Talk {
        let stderr_open = session.stderr.is_some();
        Talk { session, stdout_open: true, stderr_open, ended: None }
    }

    /// The next thing that it says. Cancel safe.
    ///
    /// # Errors
    /// Its shim cannot be reached any more.
    pub(crate) async fn next(&mut self) -> Result<Said> {
        loop {
            match self.ended {
                None => {
                    if let Some(said) = std::future::poll_fn(|cx| self.poll(cx)).await? {
                        return Ok(said);
                    }
                }
                Some((code, until)) => {
                    let more = std::future::poll_fn(|cx| self.poll_output(cx));
                    return match tokio::time::timeout_at(until, more).await {
                        Ok(Some(said)) => Ok(said),
                        Ok(None) | Err(_) => Ok(Said::Ended(code)),
                    };
                }
            }
        }
    }

    /// Output, or `None` when it has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Said>>> {
        if let Poll::Ready(Some(said)) = self.poll_output(cx) {
            return Poll::Ready(Ok(Some(said)));
        }
        // Waiting may be broken off, so it need not outlive this look.
        let ended = match pin!(self.session.wait()).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(ended) => ended,
        };
        Poll::Ready(ended.map(|code| {
            self.ended = Some((code, Instant::now() + Duration::from_millis(DRAIN_OUTPUT_MS)));
            None
        }))
    }

    /// Output, or `None` when all of it is at its end.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        if self.stdout_open {
            match poll_read(&mut self.session.stdout, cx) {
                Poll::Ready(Some(bytes)) => return Poll::Ready(Some(Said::Stdout(bytes))),
                Poll::Ready(None) => self.stdout_open = false,
                Poll::Pending => {}
            }
        }
        if let (true, Some(stderr)) = (self.stderr_open, &mut self.session.stderr) {
            match poll_read(stderr, cx) {
                Poll::Ready(Some(bytes)) => return Poll::Ready(Some(Said::Stderr(bytes))),
                Poll::Ready(None) => self.stderr_open = false,
                Poll::Pending => {}
            }
        }
        if self.stdout_open || self.stderr_open { Poll::Pending } else { Poll::Ready(None) }
    }
}

/// Some bytes, or `None` at the end; a stream that cannot be read is at its end.
fn poll_read(stream: &mut FdStream, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
    let mut bytes = vec![0; READ_BYTES];
    let mut buffer = ReadBuf::new(&mut bytes);
    match Pin::new(stream).poll_read(cx, &mut buffer) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(result) => {
            let count = buffer.filled().len();
            bytes.truncate(count);
            Poll::Ready((result.is_ok() && count > 0).then_some(bytes))
        }
    }
}
