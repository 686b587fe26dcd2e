//! A blocking netlink socket. It belongs to the network namespace of the thread that opened it, for ever.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::message::{Message, messages};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const EXCL: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;

/// The kernel never makes a longer datagram (`NLMSG_GOODSIZE`, and 32 KiB for lists).
const BUFFER: usize = 32 * 1024;
/// A whole rule set with tens of thousands of elements is one datagram.
const SEND_BUFFER: usize = 32 * 1024 * 1024;
/// Answers that wait to be read at once: each takes about a KiB of the socket's receive buffer, which has 208 KiB unless
/// the machine says otherwise, and what does not fit is lost.
const ANSWERS: usize = 64;

/// Which part of the kernel listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Links, addresses, routes, neighbours.
    Route,
    /// nftables and connection tracking.
    Netfilter,
}

/// One netlink socket and its sequence numbers.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    seq: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace. `groups` is the bit mask of multicast groups
    /// (bit n-1 for group n) to listen to.
    pub(crate) fn open(family: Family, groups: u32) -> io::Result<Socket> {
        let protocol = match family {
            // NETLINK_ROUTE is protocol 0, which is the default.
            Family::Route => None,
            Family::Netfilter => Some(netlink::NETFILTER),
        };
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Socket { fd, seq: 0, buffer: vec![0; BUFFER] })
    }

    /// Lets one datagram carry a whole rule set. Needs CAP_NET_ADMIN; without it the default stays.
    pub(crate) fn enlarge_send_buffer(&self) -> io::Result<()> {
        sockopt::set_socket_send_buffer_size_force(&self.fd, SEND_BUFFER)?;
        Ok(())
    }

    /// The number by which the kernel names this socket.
    pub(crate) fn port(&self) -> io::Result<u32> {
        Ok(SocketAddrNetlink::try_from(rustix::net::getsockname(&self.fd)?)?.pid())
    }

    /// Carries out requests one after the other, many in one system call. All are attempted; gives the index of the
    /// first one that was refused, and why, where being refused with `tolerated` does not count.
    pub(crate) fn request(
        &mut self,
        requests: Vec<Message>,
        tolerated: Option<i32>,
    ) -> Result<(), (usize, io::Error)> {
        let mut requests = requests.into_iter();
        let mut refused = None;
        let mut before = 0;
        while requests.len() > 0 {
            let some: Vec<Message> = requests.by_ref().take(ANSWERS).collect();
            let count = some.len();
            if let Err((index, error)) = self.request_some(some, tolerated) {
                refused.get_or_insert((before + index, error));
            }
            before += count;
        }
        refused.map_or(Ok(()), Err)
    }

    fn request_some(
        &mut self,
        requests: Vec<Message>,
        tolerated: Option<i32>,
    ) -> Result<(), (usize, io::Error)> {
        let count = requests.len();
        let first = self.seq.wrapping_add(1);
        let mut bytes = Vec::new();
        for request in requests {
            self.seq = self.seq.wrapping_add(1);
            request.write(self.seq, &mut bytes);
        }
        self.send(&bytes).map_err(|error| (0, error))?;
        let mut refused: Option<(usize, io::Error)> = None;
        for _ in 0..count {
            let (seq, code) = self.acknowledgement().map_err(|error| (0, error))?;
            if code != 0 && Some(-code) != tolerated && refused.is_none() {
                refused = Some((seq.wrapping_sub(first) as usize, io::Error::from_raw_os_error(-code)));
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Asks for a list, or for one thing with [`ACK`], and gives type and payload of each entry to `each`.
    pub(crate) fn dump(&mut self, request: Message, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.seq = self.seq.wrapping_add(1);
        let mut bytes = Vec::new();
        request.write(self.seq, &mut bytes);
        self.send(&bytes)?;
        loop {
            let len = self.receive(RecvFlags::empty())?;
            for message in messages(&self.buffer[..len]) {
                if message.seq != self.seq {
                    continue;
                }
                match message.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => {
                        return match error_code(message.payload) {
                            0 => Ok(()),
                            code => Err(io::Error::from_raw_os_error(-code)),
                        };
                    }
                    kind => each(kind, message.payload),
                }
            }
        }
    }

    /// Sends a transaction as one datagram. The kernel has queued every answer when `send` returns, so nothing
    /// here waits: an error of any message is the error of all, and carries that message's index.
    pub(crate) fn transaction(&mut self, mut batch: Vec<Message>) -> Result<(), (usize, io::Error)> {
        ask_for_answer(&mut batch);
        let first = self.seq.wrapping_add(1);
        let mut bytes = Vec::new();
        for message in batch {
            self.seq = self.seq.wrapping_add(1);
            message.write(self.seq, &mut bytes);
        }
        self.send(&bytes).map_err(|error| (0, error))?;
        let mut outcome: Option<Result<(), (usize, io::Error)>> = None;
        loop {
            let len = match self.receive(RecvFlags::DONTWAIT) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err((0, error)),
            };
            for message in messages(&self.buffer[..len]).filter(|message| message.kind == NLMSG_ERROR) {
                let code = error_code(message.payload);
                let index = message.seq.wrapping_sub(first) as usize;
                match (&outcome, code) {
                    (Some(Err(_)), _) => {}
                    (_, 0) => outcome = Some(Ok(())),
                    _ => outcome = Some(Err((index, io::Error::from_raw_os_error(-code)))),
                }
            }
        }
        outcome.unwrap_or_else(|| Err((0, io::Error::other("the kernel did not answer the transaction"))))
    }

    /// The next datagram of a subscribed group, without waiting. `ENOBUFS` means that some were lost.
    pub(crate) fn notification(&mut self) -> io::Result<&[u8]> {
        let len = self.receive(RecvFlags::DONTWAIT)?;
        Ok(&self.buffer[..len])
    }

    fn acknowledgement(&mut self) -> io::Result<(u32, i32)> {
        loop {
            // The kernel answers each request with a datagram of its own.
            let len = self.receive(RecvFlags::empty())?;
            if let Some(message) = messages(&self.buffer[..len]).find(|message| message.kind == NLMSG_ERROR) {
                return Ok((message.seq, error_code(message.payload)));
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        loop {
            match rustix::net::sendto(&self.fd, bytes, SendFlags::empty(), &kernel) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.map(|_| ()).map_err(io::Error::from),
            }
        }
    }

    fn receive(&mut self, flags: RecvFlags) -> io::Result<usize> {
        loop {
            match rustix::net::recv(&self.fd, self.buffer.as_mut_slice(), flags) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok((len, _)) => return Ok(len.min(BUFFER)),
            }
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn error_code(payload: &[u8]) -> i32 {
    // A malformed answer counts as a protocol error.
    let malformed = -rustix::io::Errno::PROTO.raw_os_error();
    payload.first_chunk().map_or(malformed, |bytes| i32::from_ne_bytes(*bytes))
}

/// Begin and end of a transaction are answered since Linux 6.10 only, what is between them by every kernel.
fn ask_for_answer(batch: &mut [Message]) {
    if let [_, .., last, _] = batch {
        last.ask_for_answer();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_answered_by_kernels_that_do_not_answer_its_end() {
        let mut batch: Vec<_> = [16, 1, 2, 17].map(|kind| Message::new(kind, REQUEST, &[])).into();
        ask_for_answer(&mut batch);
        let flags = batch.into_iter().map(|message| {
            let mut bytes = Vec::new();
            message.write(1, &mut bytes);
            u16::from_ne_bytes([bytes[6], bytes[7]])
        });
        assert_eq!(flags.collect::<Vec<_>>(), [REQUEST, REQUEST, REQUEST | ACK, REQUEST]);
    }
}
