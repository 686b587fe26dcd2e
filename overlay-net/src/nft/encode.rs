//! The bytes of statements and elements (`include/uapi/linux/netfilter/nf_tables.h`). Pure.
//!
//! Only the four-byte registers are used, from the first one upwards; a concatenated key is simply what lies in
//! neighbouring registers.

use crate::netlink::Message;

use super::data::{Element, Value};
use super::rule::{Family, Field, Rule, Statement};

/// `NFT_REG_VERDICT`.
const VERDICT_REGISTER: u32 = 0;
/// `NFT_REG32_00`.
const FIRST_REGISTER: u32 = 8;
const LIST_ELEM: u16 = 1;

const CMP_EQ: u32 = 0;
const CMP_NEQ: u32 = 1;

const META_PROTOCOL: u32 = 1;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;

/// Where a payload offset counts from.
#[derive(Clone, Copy)]
enum Base {
    Link = 0,
    Network = 1,
    Transport = 2,
}

/// `IP_CT_ESTABLISHED` and `IP_CT_RELATED` as state bits.
const CT_ESTABLISHED_RELATED: u32 = 0b110;
/// `IPS_DST_NAT`.
const CT_STATUS_DNAT: u32 = 1 << 5;
/// `RTN_LOCAL`.
const ROUTE_LOCAL: u32 = 2;

const NF_ACCEPT: u32 = 1;
const NF_DROP: u32 = 0;
const NFT_GOTO: u32 = -4_i32 as u32;
const NFT_RETURN: u32 = -5_i32 as u32;

/// Appends the list of a rule's expressions.
pub(super) fn rule(message: &mut Message, rule: &Rule) {
    for statement in &rule.0 {
        encode_statement(message, statement);
    }
}

fn encode_statement(m: &mut Message, statement: &Statement) {
    match statement {
        Statement::NameBegins { field, prefix, not } => {
            load(m, *field, FIRST_REGISTER);
            compare(m, if *not { CMP_NEQ } else { CMP_EQ }, prefix.as_bytes());
        }
        Statement::IsFamily(family) => {
            meta(m, META_NFPROTO, FIRST_REGISTER);
            compare(m, CMP_EQ, &[family.number()]);
        }
        Statement::IsEthertype(ethertype) => {
            meta(m, META_PROTOCOL, FIRST_REGISTER);
            compare(m, CMP_EQ, &ethertype.to_be_bytes());
        }
        Statement::IsL4Proto(number) => {
            meta(m, META_L4PROTO, FIRST_REGISTER);
            compare(m, CMP_EQ, &[*number]);
        }
        Statement::Icmpv6Type(from, to) => {
            payload(m, Base::Transport, 0, 1, FIRST_REGISTER);
            between(m, *from, *to);
        }
        Statement::IsLoopback4(field) => {
            payload(m, Base::Network, if *field == Field::Saddr4 { 12 } else { 16 }, 1, FIRST_REGISTER);
            compare(m, CMP_EQ, &[127]);
        }
        Statement::ToLoopback6 => {
            load(m, Field::Daddr6, FIRST_REGISTER);
            compare(m, CMP_EQ, &std::net::Ipv6Addr::LOCALHOST.octets());
        }
        Statement::ToLocal { not } => {
            // NFTA_FIB_DREG, NFTA_FIB_RESULT = address type, NFTA_FIB_FLAGS = destination address
            expression(m, "fib", |m| {
                m.attr_be32(1, FIRST_REGISTER).attr_be32(2, 3).attr_be32(3, 2);
            });
            compare(m, if *not { CMP_NEQ } else { CMP_EQ }, &ROUTE_LOCAL.to_ne_bytes());
        }
        Statement::Established => connection(m, 0, CT_ESTABLISHED_RELATED),
        Statement::Translated => connection(m, 2, CT_STATUS_DNAT),
        Statement::In { fields, set } => {
            load_all(m, fields);
            lookup(m, set, None);
        }
        Statement::Vmap { fields, map } => {
            load_all(m, fields);
            lookup(m, map, Some(VERDICT_REGISTER));
        }
        Statement::Dnat { family, fields, map, port } => dnat(m, *family, fields, map, *port),
        Statement::Masquerade => expression(m, "masq", |_| {}),
        // NFTA_REJECT_TYPE, NFTA_REJECT_ICMP_CODE
        Statement::RejectReset => expression(m, "reject", |m| {
            m.attr_be32(1, 1).attr(2, &[0]);
        }),
        Statement::RejectPort => expression(m, "reject", |m| {
            m.attr_be32(1, 2).attr(2, &[1]);
        }),
        Statement::RejectProhibited => expression(m, "reject", |m| {
            m.attr_be32(1, 2).attr(2, &[3]);
        }),
        Statement::Accept => verdict_expression(m, NF_ACCEPT, None),
        Statement::Drop => verdict_expression(m, NF_DROP, None),
        Statement::Return => verdict_expression(m, NFT_RETURN, None),
        Statement::Goto(chain) => verdict_expression(m, NFT_GOTO, Some(chain)),
    }
}

fn expression(m: &mut Message, name: &str, data: impl FnOnce(&mut Message)) {
    m.nest(LIST_ELEM, |m| {
        m.attr_str(1, name).nest(2, data);
    });
}

fn load_all(m: &mut Message, fields: &[Field]) {
    let mut register = FIRST_REGISTER;
    for field in fields {
        load(m, *field, register);
        register += (field.padded_len() / 4) as u32;
    }
}

fn load(m: &mut Message, field: Field, register: u32) {
    match field {
        Field::Iifname => meta(m, META_IIFNAME, register),
        Field::Oifname => meta(m, META_OIFNAME, register),
        Field::L4Proto => meta(m, META_L4PROTO, register),
        Field::DestPort => payload(m, Base::Transport, 2, 2, register),
        Field::Saddr4 => payload(m, Base::Network, 12, 4, register),
        Field::Daddr4 => payload(m, Base::Network, 16, 4, register),
        Field::Saddr6 => payload(m, Base::Network, 8, 16, register),
        Field::Daddr6 => payload(m, Base::Network, 24, 16, register),
        Field::EtherSource => payload(m, Base::Link, 6, 6, register),
        Field::ArpSenderMac => payload(m, Base::Network, 8, 6, register),
        Field::ArpSenderIp => payload(m, Base::Network, 14, 4, register),
        // NFTA_NG_DREG, NFTA_NG_MODULUS, NFTA_NG_TYPE = random
        Field::Random(modulus) => expression(m, "numgen", |m| {
            m.attr_be32(1, register).attr_be32(2, modulus).attr_be32(3, 1);
        }),
    }
}

fn meta(m: &mut Message, key: u32, register: u32) {
    expression(m, "meta", |m| {
        m.attr_be32(1, register).attr_be32(2, key);
    });
}

fn payload(m: &mut Message, base: Base, offset: u32, len: u32, register: u32) {
    expression(m, "payload", |m| {
        m.attr_be32(1, register).attr_be32(2, base as u32).attr_be32(3, offset).attr_be32(4, len);
    });
}

/// Compares the first registers with `value`; a shorter value compares only its own length.
fn compare(m: &mut Message, operator: u32, value: &[u8]) {
    expression(m, "cmp", |m| {
        m.attr_be32(1, FIRST_REGISTER).attr_be32(2, operator).nest(3, |m| {
            m.attr(1, value);
        });
    });
}

fn between(m: &mut Message, from: u8, to: u8) {
    // NFTA_RANGE_SREG, NFTA_RANGE_OP = equal, NFTA_RANGE_FROM_DATA, NFTA_RANGE_TO_DATA
    expression(m, "range", |m| {
        m.attr_be32(1, FIRST_REGISTER).attr_be32(2, 0);
        m.nest(3, |m| {
            m.attr(1, &[from]);
        });
        m.nest(4, |m| {
            m.attr(1, &[to]);
        });
    });
}

/// A bit of the connection's state or status is set.
fn connection(m: &mut Message, key: u32, bits: u32) {
    expression(m, "ct", |m| {
        m.attr_be32(1, FIRST_REGISTER).attr_be32(2, key);
    });
    expression(m, "bitwise", |m| {
        m.attr_be32(1, FIRST_REGISTER).attr_be32(2, FIRST_REGISTER).attr_be32(3, 4);
        m.nest(4, |m| {
            m.attr(1, &bits.to_ne_bytes());
        });
        m.nest(5, |m| {
            m.attr(1, &[0; 4]);
        });
    });
    compare(m, CMP_NEQ, &[0; 4]);
}

fn lookup(m: &mut Message, set: &str, destination: Option<u32>) {
    expression(m, "lookup", |m| {
        m.attr_str(1, set).attr_be32(2, FIRST_REGISTER);
        if let Some(register) = destination {
            m.attr_be32(3, register);
        }
    });
}

fn dnat(m: &mut Message, family: Family, fields: &[Field], map: &str, port: bool) {
    load_all(m, fields);
    lookup(m, map, Some(FIRST_REGISTER));
    let address_registers = if family == Family::V6 { 4 } else { 1 };
    // NFTA_NAT_TYPE = destination, NFTA_NAT_FAMILY, NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_PROTO_MIN
    expression(m, "nat", |m| {
        m.attr_be32(1, 1).attr_be32(2, family.number().into()).attr_be32(3, FIRST_REGISTER);
        if port {
            m.attr_be32(5, FIRST_REGISTER + address_registers);
        }
    });
}

fn verdict_expression(m: &mut Message, code: u32, chain: Option<&str>) {
    // NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA
    expression(m, "immediate", |m| {
        m.attr_be32(1, VERDICT_REGISTER).nest(2, |m| verdict(m, code, chain));
    });
}

/// `NFTA_DATA_VERDICT` with `NFTA_VERDICT_CODE` and `NFTA_VERDICT_CHAIN`.
fn verdict(m: &mut Message, code: u32, chain: Option<&str>) {
    m.nest(2, |m| {
        m.attr_be32(1, code);
        if let Some(chain) = chain {
            m.attr_str(2, chain);
        }
    });
}

/// Appends one element of a set's list. Deleting looks only at the key.
pub(super) fn element(m: &mut Message, element: &Element) {
    m.nest(LIST_ELEM, |m| {
        m.nest(1, |m| {
            m.attr(1, &bytes(&element.key));
        });
        match &element.value {
            Value::None => {}
            Value::Goto(chain) => {
                m.nest(2, |m| verdict(m, NFT_GOTO, Some(chain)));
            }
            Value::Data(data) => {
                m.nest(2, |m| {
                    m.attr(1, &bytes(data));
                });
            }
        }
    });
}

fn bytes(data: &[super::data::Datum]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for datum in data {
        datum.write(&mut bytes);
    }
    bytes
}
