//! Archives on their way over a connection, for whoever reads and writes them in one piece. Both ends block.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;

use crate::limits::CHUNK_BYTES;

/// An archive that arrives in parts.
#[derive(Debug)]
pub struct Parts {
    parts: mpsc::Receiver<Vec<u8>>,
    rest: Vec<u8>,
    read: usize,
}

impl Parts {
    /// Reads what comes from there; its end is the archive's.
    #[must_use]
    pub fn new(parts: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { parts, rest: Vec::new(), read: 0 }
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.rest.len() {
            match self.parts.blocking_recv() {
                Some(part) => (self.rest, self.read) = (part, 0),
                None => return Ok(0),
            }
        }
        let rest = &self.rest[self.read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

/// An archive that leaves in parts. The last one leaves when it is flushed.
#[derive(Debug)]
pub struct Sink<T> {
    to: mpsc::Sender<T>,
    /// Makes a message of a part.
    message: fn(Vec<u8>) -> T,
    waiting: Vec<u8>,
}

impl<T> Sink<T> {
    /// Sends messages there.
    #[must_use]
    pub fn new(to: mpsc::Sender<T>, message: fn(Vec<u8>) -> T) -> Self {
        Self { to, message, waiting: Vec::with_capacity(CHUNK_BYTES) }
    }
}

impl<T> Write for Sink<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.waiting.len();
        let count = bytes.len().min(room);
        self.waiting.extend_from_slice(&bytes[..count]);
        if self.waiting.len() == CHUNK_BYTES {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let data = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK_BYTES));
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.to.blocking_send((self.message)(data)).map_err(gone)
    }
}
