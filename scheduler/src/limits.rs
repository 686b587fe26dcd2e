//! Numbers that decisions depend on.

use std::net::Ipv4Addr;

/// Milliseconds after which tasks of a node that went down are replaced elsewhere, if there is a place. The
/// node was silent for some time already when it was said to be down.
pub const LOST_AFTER_MS: u64 = 10_000;

/// Milliseconds for which a replaced slot is watched when `monitor` says nothing; Swarm's value.
pub const MONITOR_MS: u64 = 5_000;

/// The subnets of networks that ask for none are /24s of 10.201.0.0/16 to 10.254.0.0/16, in this order.
pub const FIRST_POOL: u8 = 201;
/// See [`FIRST_POOL`].
pub const LAST_POOL: u8 = 254;
/// The number of /24s in a pool.
pub const SUBNETS_PER_POOL: u32 = 256;
/// The address of one of those subnets.
#[must_use]
pub fn pool_subnet(pool: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, pool, number, 0)
}

/// The host ports that the engine chooses from: those that IANA leaves to everybody (RFC 6335, section 6).
pub const FREE_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// Rounds of decisions that a dry run follows before it takes what it has.
pub const PLANNED_ROUNDS: usize = 1_000;
