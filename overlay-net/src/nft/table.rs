//! The two tables of an engine: all chains, rules, sets and maps that never change. Pure; prints as `nft` would.
//!
//! Everything that changes is an element. A key of a `*_be*` map ends in a slot number; the chain that looks it up
//! is named after how many slots there are (`any4-3`), draws a number below that, and thereby chooses each
//! backend with exactly the same probability. These chains are made when they are first needed.

use std::fmt;

use super::data::protocol_number;
use super::names::{FamilyNames, Names, OPEN, SAME, V4, V6};
use super::rule::{Family, Field, Rule, Statement};
use crate::spec::Protocol;

use Field::{
    ArpSenderIp, ArpSenderMac, Daddr4, DestPort, EtherSource, Iifname, L4Proto, Oifname, Random, Saddr4,
    Saddr6,
};

/// `NF_INET_*` hooks; those of the bridge family have the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        })
    }
}

/// A chain; with a hook it is a base chain whose policy is to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: String,
    /// Type, hook and priority.
    pub(crate) hook: Option<(&'static str, Hook, i32)>,
    pub(crate) rules: Vec<Rule>,
}

/// What a map gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// It is a set.
    Nothing,
    Verdict,
    Address(Family),
    AddressAndPort(Family),
}

/// A set or map, without its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) key: Vec<Field>,
    pub(crate) gives: Gives,
}

/// A table with everything in it that never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) family: Family,
    pub(crate) name: String,
    pub(crate) sets: Vec<Set>,
    pub(crate) chains: Vec<Chain>,
}

/// The chain that sends a connection to one of `slots` backends, where `map` is one of the `*_be*` maps.
pub(crate) fn balance_chain(names: &FamilyNames, map: &'static str, slots: usize) -> Chain {
    let mut fields = match map {
        _ if map == names.vip_be => vec![names.daddr],
        _ if map == names.any_be => vec![L4Proto, DestPort],
        _ => vec![names.daddr, L4Proto, DestPort],
    };
    fields.push(Random(slots as u32));
    let dnat = Statement::Dnat { family: names.family, fields, map, port: map != names.vip_be };
    Chain { name: balance_chain_name(map, slots), hook: None, rules: vec![Rule(vec![dnat])] }
}

/// Its name.
pub(crate) fn balance_chain_name(map: &str, slots: usize) -> String {
    format!("{}-{slots}", map.replace("_be", "-"))
}

/// The tables of an engine, without elements.
pub(crate) fn skeleton(names: &Names) -> [Table; 2] {
    [inet(names), bridge(names)]
}

fn inet(names: &Names) -> Table {
    let mut sets = vec![set(SAME, vec![Iifname, Oifname]), set(OPEN, vec![Iifname])];
    let mut chains = base_chains(names);
    for family in [V4, V6] {
        sets.extend(family_sets(&family));
        chains.extend(family_chains(names, &family));
    }
    Table { family: Family::Inet, name: names.table(), sets, chains }
}

fn family_sets(names: &FamilyNames) -> Vec<Set> {
    let family = names.family;
    let slot = Random(0);
    let map = |name, key, gives| Set { name, key, gives };
    let any = vec![L4Proto, DestPort];
    let addr = vec![names.daddr, L4Proto, DestPort];
    let with_slot = |key: &[Field]| [key, &[slot]].concat();
    vec![
        set(names.out, vec![names.saddr]),
        set(names.itself, vec![names.saddr, names.daddr]),
        set(names.bare, vec![names.daddr]),
        set(names.opened, addr.clone()),
        map(names.vip, vec![Iifname, names.daddr], Gives::Verdict),
        map(names.vip_be, vec![names.daddr, slot], Gives::Address(family)),
        set(names.vip_none, vec![Iifname, names.daddr]),
        map(names.any, any.clone(), Gives::Verdict),
        map(names.any_be, with_slot(&any), Gives::AddressAndPort(family)),
        set(names.any_none, any),
        map(names.addr, addr.clone(), Gives::Verdict),
        map(names.addr_be, with_slot(&addr), Gives::AddressAndPort(family)),
        set(names.addr_none, addr),
    ]
}

fn base_chains(names: &Names) -> Vec<Chain> {
    use Statement::{Drop, Established, IsL4Proto, IsLoopback4, RejectPort, RejectProhibited, RejectReset};
    let bridge = |field| bridge_name(names, field, false);
    let by_family = |index: usize| {
        vec![
            rule([Statement::IsFamily(Family::V4), goto(V4.chains[index])]),
            rule([Statement::IsFamily(Family::V6), goto(V6.chains[index])]),
        ]
    };
    vec![
        // `route_localnet` lets packets for 127.0.0.0/8 in through the bridges: nobody but this machine may send one.
        base(
            "guard",
            ("filter", Hook::Prerouting, -300),
            vec![rule([bridge(Iifname), Statement::IsFamily(Family::V4), IsLoopback4(Daddr4), Drop])],
        ),
        base("prerouting", ("nat", Hook::Prerouting, -100), by_family(0)),
        base("output", ("nat", Hook::Output, -100), by_family(1)),
        base("postrouting", ("nat", Hook::Postrouting, 100), by_family(2)),
        base("input", ("filter", Hook::Input, 0), by_family(3)),
        base(
            "forward",
            ("filter", Hook::Forward, 0),
            vec![rule([bridge(Oifname), goto("to-network")]), rule([bridge(Iifname), goto("from-network")])],
        ),
        chain("to-network", [vec![rule([Established, Statement::Accept])], by_family(4)].concat()),
        chain(
            "from-network",
            vec![
                rule([Established, Statement::Accept]),
                rule([Statement::In { fields: vec![Iifname], set: OPEN }, Statement::Accept]),
                rule([RejectProhibited]),
            ],
        ),
        chain(
            "refuse",
            vec![rule([IsL4Proto(protocol_number(Protocol::Tcp)), RejectReset]), rule([RejectPort])],
        ),
    ]
}

fn family_chains(names: &Names, family: &FamilyNames) -> Vec<Chain> {
    use Statement::{In, Masquerade, ToLocal, Vmap};
    let [container_nat, host_nat, source_nat, no_backend, to_network] = family.chains;
    let any = || vec![L4Proto, DestPort];
    let addr = || vec![family.daddr, L4Proto, DestPort];
    let vip = || vec![Iifname, family.daddr];
    let itself = vec![family.saddr, family.daddr];

    let mut host = vec![rule([ToLocal { not: true }, Statement::Return])];
    let mut source = vec![
        rule([In { fields: itself, set: family.itself }, Masquerade]),
        rule([
            In { fields: vec![family.saddr], set: family.out },
            bridge_name(names, Oifname, true),
            Masquerade,
        ]),
    ];
    if family.family == Family::V4 {
        source.push(rule([Statement::IsLoopback4(Saddr4), bridge_name(names, Oifname, false), Masquerade]));
    } else {
        // The kernel drops the reply to ::1 from another device; a proxy answers there.
        host.push(rule([Statement::ToLoopback6, Statement::Return]));
    }
    host.push(rule([Vmap { fields: addr(), map: family.addr }]));
    host.push(rule([Vmap { fields: any(), map: family.any }]));
    vec![
        chain(container_nat, vec![rule([Vmap { fields: vip(), map: family.vip }]), rule([goto(host_nat)])]),
        chain(host_nat, host),
        chain(source_nat, source),
        chain(
            no_backend,
            vec![
                rule([In { fields: addr(), set: family.addr_none }, goto("refuse")]),
                rule([In { fields: any(), set: family.any_none }, goto("refuse")]),
            ],
        ),
        chain(
            to_network,
            vec![
                rule([In { fields: vip(), set: family.vip_none }, goto("refuse")]),
                rule([Statement::Translated, Statement::Accept]),
                rule([In { fields: vec![Iifname, Oifname], set: SAME }, Statement::Accept]),
                rule([bridge_name(names, Iifname, false), Statement::RejectProhibited]),
                rule([In { fields: vec![family.daddr], set: family.bare }, Statement::Accept]),
                rule([In { fields: addr(), set: family.opened }, Statement::Accept]),
                rule([Statement::Drop]),
            ],
        ),
    ]
}

/// A container sends with its own hardware and internet address through its own port, or not at all. Neighbours
/// need no word with each other below IP, because every packet is routed by the host; but by their link-local
/// addresses, which nobody routes.
fn bridge(names: &Names) -> Table {
    use Statement::{Accept, Drop, Icmpv6Type, In, IsEthertype, IsL4Proto};
    let port = |field, not| Statement::NameBegins { field, prefix: names.port_prefix(), not };
    let own = |fields: [Field; 3], set| In { fields: fields.to_vec(), set };
    Table {
        family: Family::Bridge,
        name: names.table(),
        sets: vec![
            set(V4.own, vec![Iifname, EtherSource, Saddr4]),
            set(V6.own, vec![Iifname, EtherSource, Saddr6]),
            set(V4.link, vec![Iifname, EtherSource, Saddr4]),
            set(V6.link, vec![Iifname, EtherSource, Saddr6]),
        ],
        chains: vec![
            base(
                "own-addresses",
                ("filter", Hook::Prerouting, -300),
                vec![
                    rule([port(Iifname, true), Accept]),
                    rule([IsEthertype(0x0800), own([Iifname, EtherSource, Saddr4], V4.own), Accept]),
                    rule([
                        IsEthertype(0x0806),
                        own([Iifname, EtherSource, ArpSenderIp], V4.own),
                        own([Iifname, ArpSenderMac, ArpSenderIp], V4.own),
                        Accept,
                    ]),
                    rule([IsEthertype(0x86dd), own([Iifname, EtherSource, Saddr6], V6.own), Accept]),
                    rule([Drop]),
                ],
            ),
            base(
                "between-ports",
                ("filter", Hook::Forward, -200),
                vec![
                    rule([port(Iifname, true), Accept]),
                    rule([IsEthertype(0x0806), own([Iifname, EtherSource, ArpSenderIp], V4.link), Accept]),
                    rule([IsEthertype(0x0806), Drop]),
                    rule([
                        IsEthertype(0x86dd),
                        own([Iifname, EtherSource, Saddr6], V6.link),
                        IsL4Proto(58),
                        // Who has this address, and who answers.
                        Icmpv6Type(135, 136),
                        Accept,
                    ]),
                    rule([IsEthertype(0x86dd), IsL4Proto(58), Icmpv6Type(133, 137), Drop]),
                ],
            ),
        ],
    }
}

fn bridge_name(names: &Names, field: Field, not: bool) -> Statement {
    Statement::NameBegins { field, prefix: names.bridge_prefix(), not }
}

fn rule<const N: usize>(statements: [Statement; N]) -> Rule {
    Rule(statements.into())
}

fn goto(chain: &str) -> Statement {
    Statement::Goto(chain.to_owned())
}

fn chain(name: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name.to_owned(), hook: None, rules }
}

fn base(name: &str, hook: (&'static str, Hook, i32), rules: Vec<Rule>) -> Chain {
    Chain { name: name.to_owned(), hook: Some(hook), rules }
}

fn set(name: &'static str, key: Vec<Field>) -> Set {
    Set { name, key, gives: Gives::Nothing }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {} {} {{", self.family, self.name)?;
        for set in &self.sets {
            let key: Vec<_> = set.key.iter().map(|field| field.type_name()).collect();
            let (kind, gives) = match set.gives {
                Gives::Nothing => ("set", ""),
                Gives::Verdict => ("map", " : verdict"),
                Gives::Address(Family::V6) => ("map", " : ipv6_addr"),
                Gives::Address(_) => ("map", " : ipv4_addr"),
                Gives::AddressAndPort(Family::V6) => ("map", " : ipv6_addr . inet_service"),
                Gives::AddressAndPort(_) => ("map", " : ipv4_addr . inet_service"),
            };
            writeln!(f, "  {kind} {} {{ type {}{gives}; }}", set.name, key.join(" . "))?;
        }
        for chain in &self.chains {
            writeln!(f, "  chain {} {{", chain.name)?;
            if let Some((kind, hook, priority)) = chain.hook {
                writeln!(f, "    type {kind} hook {hook} priority {priority}; policy accept;")?;
            }
            for rule in &chain.rules {
                writeln!(f, "    {rule}")?;
            }
            writeln!(f, "  }}")?;
        }
        f.write_str("}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_as_nft_would_print_them() {
        let [inet, bridge] = skeleton(&Names::new("0badcafe"));
        let text = format!("{inet}\n{bridge}");
        assert_eq!(text, include_str!("skeleton.nft"), "the new text is:\n{text}");
    }

    #[test]
    fn a_chain_balances_over_its_slots() {
        let print = |chain: Chain| format!("{}: {}", chain.name, chain.rules[0]);
        assert_eq!(
            print(balance_chain(&V4, V4.vip_be, 3)),
            "vip-4-3: dnat ip to ip daddr . numgen random mod 3 map @vip_be4"
        );
        assert_eq!(
            print(balance_chain(&V6, V6.addr_be, 2)),
            "addr-6-2: dnat ip6 to ip6 daddr . meta l4proto . th dport . numgen random mod 2 map @addr_be6"
        );
    }
}
