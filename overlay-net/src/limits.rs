//! Every limit of this crate, in one place.

use std::time::Duration;

/// Longest id of a network or namespace, in bytes: both fit into a port's alias (255 bytes) with its addresses.
pub const MAX_ID: usize = 72;

/// Longest name of an interface inside a namespace, in bytes (`IFNAMSIZ` less the final zero).
pub const MAX_INTERFACE: usize = 15;

/// Most backends of one VIP or published port that receive connections; more are left out.
pub const MAX_BACKENDS: usize = 256;

/// Connections that one proxy carries at a time; more wait.
pub const PROXY_CONNECTIONS: usize = 1_024;

/// Connections that wait to be accepted by one proxy.
pub const PROXY_BACKLOG: i32 = 1_024;

/// UDP clients that one proxy serves at a time; packets of others are dropped.
pub const PROXY_FLOWS: usize = 256;

/// Longest datagram a proxy carries, in bytes.
pub const UDP_PACKET: usize = 65_535;

/// How long a proxy waits for one backend.
pub const PROXY_CONNECT: Duration = Duration::from_secs(5);

/// How long a UDP client may be silent before a proxy forgets it.
pub const PROXY_UDP_IDLE: Duration = Duration::from_secs(60);

/// Questions one container may ask per second, in the long run; more get no answer.
pub const DNS_PER_SECOND: f64 = 5_000.0;

/// Questions one container may ask at once after a silence.
pub const DNS_BURST: f64 = 10_000.0;

/// Longest question that is read, in bytes.
pub const DNS_QUESTION: usize = 4_096;

/// Longest answer by UDP, in bytes: it passes every network unfragmented (the "DNS flag day 2020" value).
pub const DNS_UDP: usize = 1_232;

/// Questions of one container that wait for the machine's resolvers at a time.
pub const DNS_FORWARDS: usize = 64;

/// How long the machine's resolvers are waited for.
pub const DNS_FORWARD: Duration = Duration::from_secs(4);

/// Sets of servers that services ask for themselves; each has a resolver with a cache of its own.
pub const DNS_RESOLVERS: usize = 256;
/// Foreign answers that are remembered.
pub const DNS_CACHE: u64 = 256;

/// TCP connections of one container at a time.
pub const DNS_CONNECTIONS: usize = 16;

/// Questions on one TCP connection.
pub const DNS_PER_CONNECTION: usize = 1_000;

/// How long a TCP connection may be silent.
pub const DNS_IDLE: Duration = Duration::from_secs(10);
