//! Gives containers on this machine interfaces, addresses, names and balanced ports.
//!
//! It has never heard of services or clusters. [`Net`] is the only door.

mod error;
pub mod limits;
mod net;
mod spec;

pub use error::{Error, Result};
pub use net::Net;
pub use spec::{
    Balance, Conflict, EndpointSpec, Inventory, NetConfig, NetnsId, NetworkId, NetworkSpec, NetworkV6,
    PortOwner, Protocol, Published, View, Vip, Zone,
};
