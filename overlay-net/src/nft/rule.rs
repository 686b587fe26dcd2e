//! Rules as values. They print in the syntax of `nft`, so a whole table can be read and tested as text.

use std::fmt;

/// The protocol family of a table, or of an address translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Inet,
    Bridge,
    V4,
    V6,
}

impl Family {
    /// `NFPROTO_*`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Family::Inet => 1,
            Family::V4 => 2,
            Family::Bridge => 7,
            Family::V6 => 10,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Inet => "inet",
            Family::Bridge => "bridge",
            Family::V4 => "ip",
            Family::V6 => "ip6",
        })
    }
}

/// Something of a packet that can be loaded into registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Iifname,
    Oifname,
    L4Proto,
    DestPort,
    Saddr4,
    Daddr4,
    Saddr6,
    Daddr6,
    EtherSource,
    ArpSenderMac,
    ArpSenderIp,
    /// A number below this one, drawn with equal probability. `nft` cannot say this inside a key; the kernel can:
    /// every part of a key is just the next register.
    Random(u32),
}

impl Field {
    /// Bytes it occupies in a key, padded to whole registers.
    pub(crate) fn padded_len(self) -> usize {
        match self {
            Field::Iifname | Field::Oifname | Field::Saddr6 | Field::Daddr6 => 16,
            Field::EtherSource | Field::ArpSenderMac => 8,
            _ => 4,
        }
    }

    /// The number userspace gives to this type of data; only listings use it.
    pub(crate) fn datatype(self) -> u32 {
        match self {
            Field::Iifname | Field::Oifname => 41,
            Field::L4Proto => 12,
            Field::DestPort => 13,
            Field::Saddr4 | Field::Daddr4 | Field::ArpSenderIp => 7,
            Field::Saddr6 | Field::Daddr6 => 8,
            Field::EtherSource | Field::ArpSenderMac => 9,
            Field::Random(_) => 19,
        }
    }

    /// The name of that type.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Field::Iifname | Field::Oifname => "ifname",
            Field::L4Proto => "inet_proto",
            Field::DestPort => "inet_service",
            Field::Saddr4 | Field::Daddr4 | Field::ArpSenderIp => "ipv4_addr",
            Field::Saddr6 | Field::Daddr6 => "ipv6_addr",
            Field::EtherSource | Field::ArpSenderMac => "ether_addr",
            Field::Random(_) => "mark",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Iifname => "iifname",
            Field::Oifname => "oifname",
            Field::L4Proto => "meta l4proto",
            Field::DestPort => "th dport",
            Field::Saddr4 => "ip saddr",
            Field::Daddr4 => "ip daddr",
            Field::Saddr6 => "ip6 saddr",
            Field::Daddr6 => "ip6 daddr",
            Field::EtherSource => "ether saddr",
            Field::ArpSenderMac => "arp saddr ether",
            Field::ArpSenderIp => "arp saddr ip",
            Field::Random(modulus) => return write!(f, "numgen random mod {modulus}"),
        })
    }
}

/// One condition or action of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// The interface's name begins so.
    NameBegins {
        field: Field,
        prefix: String,
        not: bool,
    },
    /// The packet is IPv4 or IPv6 (in an `inet` table).
    IsFamily(Family),
    /// The frame carries this ethertype (in a `bridge` table).
    IsEthertype(u16),
    /// The transport protocol has this number.
    IsL4Proto(u8),
    /// ICMPv6 type is between these, both included.
    Icmpv6Type(u8, u8),
    /// An IPv4 address is in 127.0.0.0/8.
    IsLoopback4(Field),
    /// The IPv6 destination is `::1`.
    ToLoopback6,
    /// The destination is, or is not, an address of this machine.
    ToLocal {
        not: bool,
    },
    /// The packet belongs, or relates, to a connection that exists.
    Established,
    /// The connection's destination was translated.
    Translated,
    /// The concatenation of the fields is in the set.
    In {
        fields: Vec<Field>,
        set: &'static str,
    },
    /// The map says where to go on; nothing happens when the key is not in it.
    Vmap {
        fields: Vec<Field>,
        map: &'static str,
    },
    /// Sends the connection to where the map says.
    Dnat {
        family: Family,
        fields: Vec<Field>,
        map: &'static str,
        port: bool,
    },
    /// Gives the packet the address of the interface it leaves through.
    Masquerade,
    /// Answers with a TCP reset.
    RejectReset,
    /// Answers with ICMP port-unreachable.
    RejectPort,
    /// Answers with ICMP administratively-prohibited.
    RejectProhibited,
    Accept,
    Drop,
    Return,
    Goto(String),
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::NameBegins { field, prefix, not } => {
                write!(f, "{field} {}\"{prefix}*\"", if *not { "!= " } else { "" })
            }
            Statement::IsFamily(Family::V4) => f.write_str("meta nfproto ipv4"),
            Statement::IsFamily(_) => f.write_str("meta nfproto ipv6"),
            Statement::IsEthertype(0x0800) => f.write_str("ether type ip"),
            Statement::IsEthertype(0x0806) => f.write_str("ether type arp"),
            Statement::IsEthertype(0x86dd) => f.write_str("ether type ip6"),
            Statement::IsEthertype(other) => write!(f, "ether type {other:#06x}"),
            Statement::IsL4Proto(6) => f.write_str("meta l4proto tcp"),
            Statement::IsL4Proto(58) => f.write_str("meta l4proto icmpv6"),
            Statement::IsL4Proto(other) => write!(f, "meta l4proto {other}"),
            Statement::Icmpv6Type(from, to) => write!(f, "icmpv6 type {from}-{to}"),
            Statement::IsLoopback4(field) => write!(f, "{field} 127.0.0.0/8"),
            Statement::ToLoopback6 => f.write_str("ip6 daddr ::1"),
            Statement::ToLocal { not } => {
                write!(f, "fib daddr type {}local", if *not { "!= " } else { "" })
            }
            Statement::Established => f.write_str("ct state established,related"),
            Statement::Translated => f.write_str("ct status dnat"),
            Statement::In { fields, set } => write!(f, "{} @{set}", Concat(fields)),
            Statement::Vmap { fields, map } => write!(f, "{} vmap @{map}", Concat(fields)),
            Statement::Dnat { family, fields, map, .. } => {
                write!(f, "dnat {family} to {} map @{map}", Concat(fields))
            }
            Statement::Masquerade => f.write_str("masquerade"),
            Statement::RejectReset => f.write_str("reject with tcp reset"),
            Statement::RejectPort => f.write_str("reject with icmpx port-unreachable"),
            Statement::RejectProhibited => f.write_str("reject with icmpx admin-prohibited"),
            Statement::Accept => f.write_str("accept"),
            Statement::Drop => f.write_str("drop"),
            Statement::Return => f.write_str("return"),
            Statement::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

struct Concat<'a>(&'a [Field]);

impl fmt::Display for Concat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.0.iter().enumerate() {
            write!(f, "{}{field}", if index == 0 { "" } else { " . " })?;
        }
        Ok(())
    }
}

/// Conditions and actions, from left to right; the first condition that fails ends the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule(pub(crate) Vec<Statement>);

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, statement) in self.0.iter().enumerate() {
            write!(f, "{}{statement}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}
