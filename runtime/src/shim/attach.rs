//! Readers of a container's output as it comes, and writers of its input.
//!
//! A slow reader must not stop the container, so what it has not taken waits here up to a limit; beyond that it
//! is cut off and has to look into the log. Only for a reader that was there before the container started, and
//! for which it was started, the container waits as one program in a pipeline does for the next.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::limits;
use crate::status::Stream;

/// Bytes on their way to one pipe that may be full.
pub(super) struct Outlet {
    pipe: OwnedFd,
    waiting: VecDeque<u8>,
}

impl Outlet {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Outlet> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Outlet { pipe, waiting: VecDeque::new() })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// # Errors
    /// When nobody reads any more, or too slowly.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_whole(bytes)?;
        match self.waiting.len() > limits::ATTACH_BUFFER_BYTES {
            true => Err(io::Error::other("the reader is too slow")),
            false => Ok(()),
        }
    }

    /// # Errors
    /// When nobody reads any more.
    fn write_whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend(bytes);
        self.flush()
    }

    /// Makes the pipe large enough for all that waits, so that it can be read when this process is gone.
    ///
    /// # Errors
    /// When nobody reads any more, or the kernel does not give so large a pipe.
    fn hand_over(&mut self) -> io::Result<()> {
        if self.is_waiting() {
            let size = rustix::pipe::fcntl_getpipe_size(&self.pipe)?;
            // Pages that are not full take room too: as much again is always enough.
            rustix::pipe::fcntl_setpipe_size(&self.pipe, 2 * (size + self.waiting.len()))?;
        }
        self.flush()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.is_waiting() {
            match rustix::io::write(&self.pipe, self.waiting.as_slices().0) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Memory of a burst is given back: there are many shims.
        self.waiting = VecDeque::new();
        Ok(())
    }
}

/// One attached client.
pub(super) struct Attachment {
    /// The connection it belongs to.
    pub(super) connection: u64,
    stdout: Outlet,
    stderr: Outlet,
    /// What it writes to the container.
    pub(super) stdin: Option<OwnedFd>,
    /// It gets everything, and the container waits for it.
    whole: bool,
}

impl Attachment {
    /// `fds`: where to write output and errors to, and where to read input from.
    pub(super) fn new(
        connection: u64,
        fds: Vec<OwnedFd>,
        with_input: bool,
        whole: bool,
    ) -> io::Result<Attachment> {
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or_else(|| io::Error::other("a descriptor is missing"));
        let (stdout, stderr) = (Outlet::new(next()?)?, Outlet::new(next()?)?);
        let stdin = with_input.then(next).transpose()?;
        if let Some(stdin) = &stdin {
            rustix::io::ioctl_fionbio(stdin, true)?;
        }
        Ok(Attachment { connection, stdout, stderr, stdin, whole })
    }

    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let outlet = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if self.whole { outlet.write_whole(bytes) } else { outlet.write(bytes) }
    }

    /// The container has to wait until more is read.
    pub(super) fn holds_up(&self) -> bool {
        self.whole && self.full().next().is_some()
    }

    /// Leaves the reader all that it has not read yet.
    ///
    /// # Errors
    /// When nobody reads any more, or the kernel does not give so large a pipe.
    pub(super) fn hand_over(&mut self) -> io::Result<()> {
        self.stdout.hand_over()?;
        self.stderr.hand_over()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()?;
        self.stderr.flush()
    }

    /// The pipes that have to take more before this client has everything.
    pub(super) fn full(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.stdout, &self.stderr].into_iter().filter(|outlet| outlet.is_waiting()).map(Outlet::fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_gets_everything_and_one_that_never_reads_is_cut_off() {
        let (read, write) = io::pipe().unwrap();
        let mut outlet = Outlet::new(write.into()).unwrap();
        let piece = [7; 64 << 10];
        for _ in 0..4 {
            outlet.write(&piece).unwrap();
        }
        assert!(outlet.is_waiting());
        let mut read = read;
        let mut got = vec![0; 3 * piece.len()];
        io::Read::read_exact(&mut read, &mut got[..piece.len()]).unwrap();
        outlet.flush().unwrap();
        let cut_off = (0..100).find_map(|_| outlet.write(&piece).err()).unwrap();
        assert!(cut_off.to_string().contains("too slow"));
        drop(read);
        assert!(outlet.write(b"x").is_err());
    }

    #[test]
    fn what_waits_can_be_read_when_the_writer_is_gone() {
        let (mut read, write) = io::pipe().unwrap();
        let mut outlet = Outlet::new(write.into()).unwrap();
        for _ in 0..300 {
            outlet.write_whole(&[7; 1_000]).unwrap();
        }
        assert!(outlet.is_waiting());
        outlet.hand_over().unwrap();
        drop(outlet);
        let mut got = Vec::new();
        assert_eq!(io::Read::read_to_end(&mut read, &mut got).unwrap(), 300_000);
    }
}
