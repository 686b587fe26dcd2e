//! Every limit of the tools, in one place.

use std::time::Duration;

/// Bytes of a request line with its headers.
pub(super) const HEAD_BYTES: usize = 16 * 1024;
/// Bytes of a request's or answer's body, and of a stored value.
pub(super) const BODY_BYTES: usize = 1024 * 1024;
/// Connections served at once; more wait in the kernel's queue.
pub(super) const CONNECTIONS: usize = 256;
/// Requests answered over one connection.
pub(super) const REQUESTS_PER_CONNECTION: usize = 100_000;
/// How long a connection may be idle, and how long a request may take to arrive.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// How long open requests may take to finish once the server was asked to stop.
pub(super) const DRAIN: Duration = Duration::from_secs(5);
/// How long one exchange of the client may take.
pub(super) const EXCHANGE: Duration = Duration::from_secs(5);
/// How long the name server may take to answer, each time.
pub(super) const DNS_ANSWER: Duration = Duration::from_secs(2);
/// How often a name server is asked before it counts as silent.
pub(super) const DNS_ATTEMPTS: usize = 2;
/// Bytes of an answer over UDP without extensions (RFC 1035, 4.2.1), with room for servers that send more.
pub(super) const DNS_MESSAGE: usize = 4096;
/// Characters of a key in the store.
pub(super) const KEY_CHARS: usize = 128;
/// Bytes of a datagram that is echoed.
pub(super) const DATAGRAM: usize = 2048;
/// Bytes of a line that is echoed.
pub(super) const LINE: u64 = 64 * 1024;
