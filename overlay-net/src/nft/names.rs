//! The names of tables, interfaces, maps and chains, in one place. Pure.

use super::rule::{Family, Field};

use Field::{Daddr4, Daddr6, Saddr4, Saddr6};

/// The names that keep engines apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    engine: String,
}

impl Names {
    pub(crate) fn new(engine_id: &str) -> Names {
        Names { engine: engine_id.to_owned() }
    }

    /// The name of both tables.
    pub(crate) fn table(&self) -> String {
        format!("orc-{}", self.engine)
    }

    /// The number of the group into which links are put to be removed together.
    pub(crate) fn group(&self) -> u32 {
        // The id is hexadecimal; the highest bit keeps away from the small numbers that people use.
        u32::from_str_radix(&self.engine, 16).unwrap_or_default() | 1 << 31
    }

    /// How the name of each of this engine's bridges begins.
    pub(crate) fn bridge_prefix(&self) -> String {
        format!("o{}b", self.engine)
    }

    /// How the name of each of this engine's bridge ports begins.
    pub(crate) fn port_prefix(&self) -> String {
        format!("o{}v", self.engine)
    }
}

/// The maps and chains of one address family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FamilyNames {
    pub(crate) family: Family,
    pub(crate) daddr: Field,
    pub(crate) saddr: Field,
    /// Addresses that are masqueraded when they leave the machine.
    pub(crate) out: &'static str,
    /// (address . the same address) of each endpoint: a connection to itself through a published port or VIP.
    pub(crate) itself: &'static str,
    /// Addresses that the outside reaches whole.
    pub(crate) bare: &'static str,
    /// (address . protocol . port) that the outside reaches.
    pub(crate) opened: &'static str,
    pub(crate) vip: &'static str,
    pub(crate) vip_be: &'static str,
    pub(crate) vip_none: &'static str,
    pub(crate) any: &'static str,
    pub(crate) any_be: &'static str,
    pub(crate) any_none: &'static str,
    pub(crate) addr: &'static str,
    pub(crate) addr_be: &'static str,
    pub(crate) addr_none: &'static str,
    /// In the bridge table: who may send what.
    pub(crate) own: &'static str,
    /// The same of link-local addresses: their members find one another without this machine.
    pub(crate) link: &'static str,
    pub(super) chains: [&'static str; 5],
}

pub(crate) const V4: FamilyNames = FamilyNames {
    family: Family::V4,
    daddr: Daddr4,
    saddr: Saddr4,
    out: "out4",
    itself: "self4",
    bare: "bare4",
    opened: "opened4",
    vip: "vip4",
    vip_be: "vip_be4",
    vip_none: "vip_none4",
    any: "any4",
    any_be: "any_be4",
    any_none: "any_none4",
    addr: "addr4",
    addr_be: "addr_be4",
    addr_none: "addr_none4",
    own: "own4",
    link: "link4",
    chains: ["container-nat4", "host-nat4", "source-nat4", "no-backend4", "to-network4"],
};

pub(crate) const V6: FamilyNames = FamilyNames {
    family: Family::V6,
    daddr: Daddr6,
    saddr: Saddr6,
    out: "out6",
    itself: "self6",
    bare: "bare6",
    opened: "opened6",
    vip: "vip6",
    vip_be: "vip_be6",
    vip_none: "vip_none6",
    any: "any6",
    any_be: "any_be6",
    any_none: "any_none6",
    addr: "addr6",
    addr_be: "addr_be6",
    addr_none: "addr_none6",
    own: "own6",
    link: "link6",
    chains: ["container-nat6", "host-nat6", "source-nat6", "no-backend6", "to-network6"],
};

/// Pairs of a bridge with itself: traffic inside one network.
pub(crate) const SAME: &str = "same";
/// Bridges with a way out of the machine.
pub(crate) const OPEN: &str = "open";
