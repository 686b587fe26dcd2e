//! Set and map elements: typed keys and values, with their bytes and their text.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::spec::Protocol;

/// One part of a key or value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Datum {
    Ifname(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    Mac([u8; 6]),
    Proto(Protocol),
    Port(u16),
    /// The number of a backend; compared with the random number the kernel draws, in the machine's byte order.
    Slot(u32),
}

impl Datum {
    pub(crate) fn ip(ip: IpAddr) -> Datum {
        match ip {
            IpAddr::V4(ip) => Datum::V4(ip),
            IpAddr::V6(ip) => Datum::V6(ip),
        }
    }

    /// Appends the bytes, padded to the four bytes that each part of a concatenation occupies.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Datum::Ifname(name) => out.extend_from_slice(&ifname(name)),
            Datum::V4(ip) => out.extend_from_slice(&ip.octets()),
            Datum::V6(ip) => out.extend_from_slice(&ip.octets()),
            Datum::Mac(mac) => out.extend_from_slice(mac),
            Datum::Proto(protocol) => out.push(protocol_number(*protocol)),
            Datum::Port(port) => out.extend_from_slice(&port.to_be_bytes()),
            Datum::Slot(slot) => out.extend_from_slice(&slot.to_ne_bytes()),
        }
        while !out.len().is_multiple_of(4) {
            out.push(0);
        }
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Datum::Ifname(name) => write!(f, "\"{name}\""),
            Datum::V4(ip) => ip.fmt(f),
            Datum::V6(ip) => ip.fmt(f),
            Datum::Mac(mac) => write_mac(f, mac),
            Datum::Proto(protocol) => protocol.fmt(f),
            Datum::Port(port) => port.fmt(f),
            Datum::Slot(slot) => slot.fmt(f),
        }
    }
}

/// IANA's number of the protocol.
pub(crate) fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// An interface's name as the kernel compares it: sixteen bytes, filled with zeroes.
pub(crate) fn ifname(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    bytes
}

fn write_mac(f: &mut fmt::Formatter<'_>, mac: &[u8; 6]) -> fmt::Result {
    for (index, byte) in mac.iter().enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        write!(f, "{separator}{byte:02x}")?;
    }
    Ok(())
}

/// What a map gives for a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// A set has keys only.
    None,
    /// Go on in this chain.
    Goto(String),
    /// An address, or an address and a port.
    Data(Vec<Datum>),
}

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Element {
    pub(crate) set: &'static str,
    pub(crate) key: Vec<Datum>,
    pub(crate) value: Value,
}

impl Element {
    pub(crate) fn new(set: &'static str, key: Vec<Datum>, value: Value) -> Element {
        Element { set, key, value }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {{ {}", self.set, join(&self.key))?;
        match &self.value {
            Value::None => {}
            Value::Goto(chain) => write!(f, " : goto {chain}")?,
            Value::Data(data) => write!(f, " : {}", join(data))?,
        }
        f.write_str(" }")
    }
}

fn join(data: &[Datum]) -> String {
    data.iter().map(Datum::to_string).collect::<Vec<_>>().join(" . ")
}
