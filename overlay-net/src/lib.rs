//! Gives containers on this machine interfaces, addresses, names and balanced ports.
//!
//! It has never heard of services or clusters. [`Net`] is the only door.

mod apply;
mod balance;
mod balancer;
mod check;
mod conntrack;
mod dns;
mod error;
mod host;
mod legacy;
pub mod limits;
mod link;
mod net;
mod netlink;
mod netns;
mod nft;
mod owner;
mod plan;
mod ports;
mod proxy;
mod spec;
mod sysctl;
mod tables;
#[cfg(test)]
mod tests;
mod watch;
mod worker;

pub use error::{Error, Result};
pub use net::Net;
pub use spec::{
    Balance, Conflict, EndpointSpec, Inventory, NetConfig, NetnsId, NetworkId, NetworkSpec, NetworkV4,
    NetworkV6, PortOwner, Protocol, Published, Reach, View, Vip, Zone,
};
