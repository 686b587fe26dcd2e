//! Other people's tables: which forward chains drop what they do not know, and our rules in them.
//!
//! An accept in our own table does not help against a drop in another one, since an accept ends only its own base
//! chain. `iptables -P FORWARD DROP` (Docker, ufw) therefore stops our packets unless that chain itself accepts
//! them. Chains that `iptables-nft` made are ordinary nftables chains and can be changed over netlink; those of
//! the legacy `ip_tables` module cannot.

use std::io;

use crate::netlink::{DUMP, Message, REQUEST, Socket, attrs};

use super::names::Names;
use super::rule::{Field, Rule, Statement};
use super::transaction::{
    DEL_CHAIN, DEL_ELEMENTS, DEL_RULE, DEL_SET, DEL_TABLE, GET_CHAIN, GET_RULE, GET_TABLE, NEW_CHAIN,
    Transaction, comment_bytes,
};

const FORWARD_HOOK: u32 = 2;
const POLICY_DROP: u32 = 0;
/// `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`: the families whose forward chains see routed packets.
const ROUTED: [u8; 3] = [1, 2, 10];

/// A base chain of the forward hook that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignChain {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) chain: String,
    pub(crate) drops: bool,
}

/// All base chains of the forward hook in tables other than this engine's.
pub(crate) fn forward_chains(socket: &mut Socket, names: &Names) -> io::Result<Vec<ForeignChain>> {
    let mut found = Vec::new();
    let own = names.table();
    socket.dump(Message::new(GET_CHAIN, REQUEST | DUMP, &[0; 4]), |_, payload| {
        found.extend(parse_chain(payload).filter(|chain| chain.table != own));
    })?;
    Ok(found)
}

fn parse_chain(payload: &[u8]) -> Option<ForeignChain> {
    let family = *payload.first()?;
    let chain = attrs(payload.get(4..)?);
    let hook = attrs(chain.get(4)?).be32(1)?;
    (hook == FORWARD_HOOK && ROUTED.contains(&family)).then_some(())?;
    Some(ForeignChain {
        family,
        table: chain.text(1)?.to_owned(),
        chain: chain.text(3)?.to_owned(),
        drops: chain.be32(5) == Some(POLICY_DROP),
    })
}

/// What a reported change means for us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Damage {
    #[default]
    None,
    /// Something may be missing; worth a look.
    Perhaps,
    /// Something of our tables is gone.
    Content,
}

/// Judges one report of `NFNLGRP_NFTABLES` about a change that somebody else made.
pub(crate) fn damage(kind: u16, payload: &[u8], names: &Names) -> Damage {
    let content = attrs(payload.get(4..).unwrap_or(&[]));
    // The table's name is the first attribute of all these messages.
    let ours = content.text(1) == Some(&names.table());
    let our_rule = kind == DEL_RULE && content.get(7) == Some(&comment_bytes(&names.table()));
    match kind {
        DEL_TABLE | DEL_CHAIN | DEL_RULE | DEL_SET | DEL_ELEMENTS if ours => Damage::Content,
        // A chain of others drops from now on.
        NEW_CHAIN if parse_chain(payload).is_some_and(|chain| chain.drops) => Damage::Perhaps,
        // Our rule in such a chain is gone.
        _ if our_rule => Damage::Perhaps,
        _ => Damage::None,
    }
}

/// How many of this engine's tables exist.
pub(crate) fn own_tables(socket: &mut Socket, names: &Names) -> io::Result<usize> {
    let mut count = 0;
    let own = names.table();
    socket.dump(Message::new(GET_TABLE, REQUEST | DUMP, &[0; 4]), |_, payload| {
        let table = payload.get(4..).and_then(|table| attrs(table).text(1));
        count += usize::from(table == Some(own.as_str()));
    })?;
    Ok(count)
}

/// Handles of the rules that we put into this chain.
pub(crate) fn own_rules(socket: &mut Socket, chain: &ForeignChain, names: &Names) -> io::Result<Vec<u64>> {
    let mut request = Message::new(GET_RULE, REQUEST | DUMP, &[chain.family, 0, 0, 0]);
    request.attr_str(1, &chain.table).attr_str(2, &chain.chain);
    let comment = comment_bytes(&names.table());
    let mut handles = Vec::new();
    socket.dump(request, |_, payload| {
        let rule = attrs(payload.get(4..).unwrap_or(&[]));
        let same_chain = rule.text(1) == Some(&chain.table) && rule.text(2) == Some(&chain.chain);
        if same_chain && rule.get(7) == Some(&comment) {
            handles.extend(rule.get(3).and_then(|handle| handle.try_into().ok()).map(u64::from_be_bytes));
        }
    })?;
    Ok(handles)
}

/// The rules that let this engine's packets through a foreign chain; our own chains still judge them.
pub(crate) fn pass_rules(names: &Names) -> [Rule; 2] {
    [Field::Iifname, Field::Oifname].map(|field| {
        let ours = Statement::NameBegins { field, prefix: names.bridge_prefix(), not: false };
        Rule(vec![ours, Statement::Accept])
    })
}

/// Makes dropping chains accept our packets, where they do not already. Gives how many chains were changed.
pub(crate) fn pass_through(socket: &mut Socket, names: &Names) -> crate::Result<usize> {
    let list = |source| crate::Error::system("list the packet filter's chains", source);
    let mut changed = 0;
    for chain in forward_chains(socket, names).map_err(list)?.iter().filter(|chain| chain.drops) {
        let present = own_rules(socket, chain, names).map_err(list)?;
        let rules = pass_rules(names);
        if present.len() == rules.len() {
            continue;
        }
        let mut transaction = Transaction::new();
        for handle in present {
            transaction.remove_rule(chain.family, &chain.table, &chain.chain, handle);
        }
        for rule in &rules {
            transaction.insert_rule(chain.family, &chain.table, &chain.chain, rule, &names.table());
        }
        transaction.commit(socket)?;
        changed += 1;
    }
    Ok(changed)
}

/// Takes our rules out of all foreign chains.
pub(crate) fn withdraw(socket: &mut Socket, names: &Names) -> crate::Result<()> {
    let list = |source| crate::Error::system("list the packet filter's chains", source);
    for chain in forward_chains(socket, names).map_err(list)? {
        let mut transaction = Transaction::new();
        for handle in own_rules(socket, &chain, names).map_err(list)? {
            transaction.remove_rule(chain.family, &chain.table, &chain.chain, handle);
        }
        transaction.commit(socket)?;
    }
    Ok(())
}
