//! One nftables transaction: everything in it happens at once, or nothing does.

use std::borrow::Cow;

use crate::netlink::{APPEND, CREATE, Message, REQUEST, Socket};
use crate::{Error, Result};

use super::data::Element;
use super::encode;
use super::rule::{Family, Rule};
use super::table::{Chain, Gives, Set, Table};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
pub(super) const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
pub(super) const DEL_TABLE: u16 = SUBSYSTEM << 8 | 2;
pub(super) const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
pub(super) const GET_CHAIN: u16 = SUBSYSTEM << 8 | 4;
pub(super) const DEL_CHAIN: u16 = SUBSYSTEM << 8 | 5;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
pub(super) const GET_RULE: u16 = SUBSYSTEM << 8 | 7;
pub(super) const DEL_RULE: u16 = SUBSYSTEM << 8 | 8;
const NEW_SET: u16 = SUBSYSTEM << 8 | 9;
pub(super) const DEL_SET: u16 = SUBSYSTEM << 8 | 11;
const NEW_ELEMENTS: u16 = SUBSYSTEM << 8 | 12;
pub(super) const DEL_ELEMENTS: u16 = SUBSYSTEM << 8 | 14;

/// `NFT_SET_MAP`.
const SET_MAP: u32 = 8;
/// The data type of verdicts, `NFT_DATA_VERDICT`.
const TYPE_VERDICT: u32 = 0xffff_ff00;
/// An attribute's length has 16 bits; the longest element takes about 200 bytes.
const MAX_LIST: usize = 60_000;

/// Messages of one transaction, in order.
#[derive(Debug)]
pub(crate) struct Transaction {
    messages: Vec<Message>,
    /// What each message does, for errors.
    purposes: Vec<Cow<'static, str>>,
    next_set_id: u32,
}

impl Transaction {
    pub(crate) fn new() -> Transaction {
        let begin = Message::new(BATCH_BEGIN, REQUEST, &batch_body());
        Transaction { messages: vec![begin], purposes: vec!["begin the transaction".into()], next_set_id: 1 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.len() == 1
    }

    /// Removes the table if it exists. (To add it first is how older kernels are told "if".)
    pub(crate) fn remove_table(&mut self, family: Family, name: &str) {
        self.add_bare_table(family, name);
        let mut message = Message::new(DEL_TABLE, REQUEST, &body(family));
        message.attr_str(1, name);
        self.push(message, format!("remove the table {name}"));
    }

    /// Adds the table with its sets, chains and rules.
    pub(crate) fn add_table(&mut self, table: &Table) {
        self.add_bare_table(table.family, &table.name);
        for set in &table.sets {
            self.add_set(table, set);
        }
        // All chains first: rules may go to any of them.
        for chain in &table.chains {
            self.add_bare_chain(table.family, &table.name, chain);
        }
        for chain in &table.chains {
            self.add_rules(table.family, &table.name, chain);
        }
    }

    /// Adds a chain that did not exist, with its rules.
    pub(crate) fn add_chain(&mut self, family: Family, table: &str, chain: &Chain) {
        self.add_bare_chain(family, table, chain);
        self.add_rules(family, table, chain);
    }

    /// Adds elements; those that exist already with the same value stay.
    pub(crate) fn add_elements<'a>(
        &mut self,
        family: Family,
        table: &str,
        elements: impl IntoIterator<Item = &'a Element>,
    ) {
        self.elements(NEW_ELEMENTS, family, table, elements);
    }

    /// Removes elements, all of which must exist.
    pub(crate) fn remove_elements<'a>(
        &mut self,
        family: Family,
        table: &str,
        elements: impl IntoIterator<Item = &'a Element>,
    ) {
        self.elements(DEL_ELEMENTS, family, table, elements);
    }

    /// Puts a rule at the head of somebody else's chain, marked with a comment.
    pub(crate) fn insert_rule(&mut self, family: u8, table: &str, chain: &str, rule: &Rule, comment: &str) {
        let mut message = rule_message(NEW_RULE, CREATE, family, table, chain);
        message.nest(4, |m| encode::rule(m, rule)).attr(7, &comment_bytes(comment));
        self.push(message, format!("insert `{rule}` into {table} {chain}"));
    }

    /// Removes a rule of somebody else's chain by its handle.
    pub(crate) fn remove_rule(&mut self, family: u8, table: &str, chain: &str, handle: u64) {
        let mut message = rule_message(DEL_RULE, 0, family, table, chain);
        message.attr(3, &handle.to_be_bytes());
        self.push(message, format!("remove rule {handle} of {table} {chain}"));
    }

    /// Carries it out. An empty one costs nothing.
    pub(crate) fn commit(mut self, socket: &mut Socket) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        self.push(Message::new(BATCH_END, REQUEST, &batch_body()), "end the transaction");
        let purposes = self.purposes;
        socket.transaction(self.messages).map_err(|(index, source)| {
            let purpose = purposes.get(index).map_or("change the packet filter", |purpose| purpose.as_ref());
            Error::system(format!("{purpose} (nftables)"), source)
        })
    }

    fn push(&mut self, message: Message, purpose: impl Into<Cow<'static, str>>) {
        self.messages.push(message);
        self.purposes.push(purpose.into());
    }

    fn add_bare_table(&mut self, family: Family, name: &str) {
        let mut message = Message::new(NEW_TABLE, REQUEST | CREATE, &body(family));
        message.attr_str(1, name).attr_be32(2, 0);
        self.push(message, format!("add the table {name}"));
    }

    fn add_set(&mut self, table: &Table, set: &Set) {
        let key_len: usize = set.key.iter().map(|field| field.padded_len()).sum();
        // A concatenation's type is the types of its parts, six bits each.
        let key_type = set.key.iter().fold(0, |sum, field| sum << 6 | field.datatype());
        let address = |family| if family == Family::V6 { (8, 16) } else { (7, 4) };
        let data = match set.gives {
            Gives::Nothing => None,
            Gives::Verdict => Some((TYPE_VERDICT, 16)),
            Gives::Address(family) => Some(address(family)),
            Gives::AddressAndPort(family) => Some((address(family).0 << 6 | 13, address(family).1 + 4)),
        };
        let flags = if data.is_some() { SET_MAP } else { 0 };
        let mut message = Message::new(NEW_SET, REQUEST | CREATE, &body(table.family));
        message.attr_str(1, &table.name).attr_str(2, set.name).attr_be32(3, flags);
        message.attr_be32(4, key_type).attr_be32(5, key_len as u32);
        if let Some((data_type, data_len)) = data {
            message.attr_be32(6, data_type).attr_be32(7, data_len);
        }
        message.attr_be32(10, self.next_set_id);
        self.next_set_id += 1;
        self.push(message, format!("add the set {}", set.name));
    }

    fn add_bare_chain(&mut self, family: Family, table: &str, chain: &Chain) {
        let mut message = Message::new(NEW_CHAIN, REQUEST | CREATE, &body(family));
        message.attr_str(1, table).attr_str(3, &chain.name);
        if let Some((kind, hook, priority)) = chain.hook {
            message.nest(4, |m| {
                m.attr_be32(1, hook as u32).attr(2, &priority.to_be_bytes());
            });
            message.attr_be32(5, 1).attr_str(7, kind);
        }
        self.push(message, format!("add the chain {}", chain.name));
    }

    fn add_rules(&mut self, family: Family, table: &str, chain: &Chain) {
        for rule in &chain.rules {
            let mut message = rule_message(NEW_RULE, CREATE | APPEND, family.number(), table, &chain.name);
            message.nest(4, |m| encode::rule(m, rule));
            self.push(message, format!("add `{rule}` to {}", chain.name));
        }
    }

    fn elements<'a>(
        &mut self,
        kind: u16,
        family: Family,
        table: &str,
        elements: impl IntoIterator<Item = &'a Element>,
    ) {
        let mut elements = elements.into_iter().peekable();
        while let Some(first) = elements.peek() {
            let set = first.set;
            let mut message =
                Message::new(kind, REQUEST | if kind == NEW_ELEMENTS { CREATE } else { 0 }, &body(family));
            message.attr_str(1, table).attr_str(2, set);
            message.nest(3, |m| {
                while let Some(element) = elements.next_if(|element| element.set == set && m.len() < MAX_LIST)
                {
                    encode::element(m, element);
                }
            });
            self.push(message, if kind == NEW_ELEMENTS { "add elements" } else { "remove elements" });
        }
    }
}

/// `struct nfgenmsg` of messages about this family.
pub(super) fn body(family: Family) -> [u8; 4] {
    [family.number(), 0, 0, 0]
}

/// `struct nfgenmsg` that names the subsystem of a batch.
fn batch_body() -> [u8; 4] {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    [0, 0, high, low]
}

fn rule_message(kind: u16, flags: u16, family: u8, table: &str, chain: &str) -> Message {
    let mut message = Message::new(kind, REQUEST | flags, &[family, 0, 0, 0]);
    message.attr_str(1, table).attr_str(2, chain);
    message
}

/// A comment as `nft` writes and shows it: type 0, length, text with a final zero byte.
pub(super) fn comment_bytes(comment: &str) -> Vec<u8> {
    let text: Vec<u8> = comment.bytes().take(120).chain([0]).collect();
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [vec![0, len], text].concat()
}
