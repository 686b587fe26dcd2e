//! Which names a namespace sees, and what they mean. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::spec::{NetnsId, NetworkId, View, Zone};

/// Names below this domain are ours alone and never asked of others.
const DOMAIN: &str = "orc.internal";

/// What is asked about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    V4,
    V6,
    /// The name that belongs to an address.
    Reverse(IpAddr),
    Other,
}

/// What a name means to whom asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    Addresses(Vec<IpAddr>),
    Name(String),
    /// The name exists, but has nothing of that kind. Never "no such name": some resolvers would then throw away the
    /// answer to their other question as well.
    Nothing,
    Unknown,
    /// Not ours: ask the resolvers of this machine.
    Foreign,
    /// Whoever asks is not known (any more).
    Refused,
}

/// All zones and views.
#[derive(Debug, Default)]
pub(super) struct Directory {
    zones: BTreeMap<NetworkId, Zone>,
    views: BTreeMap<NetnsId, View>,
}

impl Directory {
    pub(super) fn set_zone(&mut self, network: &str, zone: Option<Zone>) {
        match zone {
            Some(zone) => self
                .zones
                .insert(network.to_owned(), Zone { names: lower_case(zone.names), reverse: zone.reverse }),
            None => self.zones.remove(network),
        };
    }

    pub(super) fn set_view(&mut self, netns: &str, view: Option<View>) {
        match view {
            Some(view) => {
                let aliases = view.aliases.iter().map(|(name, other)| (plain(name), plain(other))).collect();
                self.views.insert(netns.to_owned(), View { aliases, ..view })
            }
            None => self.views.remove(netns),
        };
    }

    /// What `name` (lower case, no final dot) means to a namespace.
    pub(super) fn look_up(&self, netns: &str, name: &str, kind: Kind) -> Meaning {
        let Some(view) = self.views.get(netns) else { return Meaning::Refused };
        if let Kind::Reverse(ip) = kind {
            return self.reverse(view, ip);
        }
        let zones = || view.networks.iter().filter_map(|network| self.zones.get(network));
        let name = view.aliases.get(name).map_or(name, String::as_str);
        if !zones().any(|zone| zone.names.contains_key(name)) {
            return if is_ours(name) { Meaning::Unknown } else { Meaning::Foreign };
        }
        let found = zones().filter_map(|zone| zone.names.get(name)).flatten().copied();
        let mut seen = BTreeSet::new();
        let wanted = |ip: &IpAddr| match kind {
            Kind::V4 => ip.is_ipv4(),
            Kind::V6 => ip.is_ipv6(),
            _ => false,
        };
        let addresses: Vec<_> = found.filter(wanted).filter(|ip| seen.insert(*ip)).collect();
        if addresses.is_empty() { Meaning::Nothing } else { Meaning::Addresses(addresses) }
    }

    /// Whom a namespace's other questions go to.
    pub(super) fn resolvers(&self, netns: &str) -> Vec<IpAddr> {
        self.views.get(netns).map(|view| view.resolvers.clone()).unwrap_or_default()
    }

    fn reverse(&self, view: &View, ip: IpAddr) -> Meaning {
        let visible = view.networks.iter().filter_map(|network| self.zones.get(network));
        match visible.filter_map(|zone| zone.reverse.get(&ip)).next() {
            Some(name) => Meaning::Name(name.clone()),
            // Somebody else's container: neither told nor asked of others.
            None if self.zones.values().any(|zone| zone.reverse.contains_key(&ip)) => Meaning::Unknown,
            None => Meaning::Foreign,
        }
    }
}

/// Whether nobody but us can know this name: single words, `tasks.<word>` and our own domain.
fn is_ours(name: &str) -> bool {
    let word = name.strip_prefix("tasks.").unwrap_or(name);
    let domain = name.strip_suffix(DOMAIN).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.is_empty() && (!word.contains('.') || domain)
}

fn lower_case(names: BTreeMap<String, Vec<IpAddr>>) -> BTreeMap<String, Vec<IpAddr>> {
    names.into_iter().map(|(name, ips)| (plain(&name), ips)).collect()
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let zone = |names: &[(&str, &[&str])], reverse: &[(&str, &str)]| Zone {
            names: names.iter().map(|(name, ips)| ((*name).to_owned(), parse(ips))).collect(),
            reverse: reverse.iter().map(|(ip, name)| (ip.parse().unwrap(), (*name).to_owned())).collect(),
        };
        let mut directory = Directory::default();
        let web: &[&str] = &["10.1.0.2", "10.1.0.3", "fd10::2"];
        directory.set_zone(
            "front",
            Some(zone(
                &[("Web", web), ("tasks.web", web), ("idle", &[]), ("web.shop.orc.internal", web)],
                &[("10.1.0.2", "web.1.front")],
            )),
        );
        directory.set_zone(
            "back",
            Some(zone(&[("db", &["10.2.0.2"]), ("web", &["10.2.0.9"])], &[("10.2.0.2", "db")])),
        );
        let view = |networks: &[&str]| View {
            networks: networks.iter().map(|network| (*network).to_owned()).collect(),
            ..View::default()
        };
        directory.set_view("one", Some(view(&["front"])));
        directory.set_view("both", Some(view(&["back", "front"])));
        let aliases = [("DataBase", "db"), ("web", "db"), ("lost", "nobody")];
        let aliases = aliases.map(|(name, other)| (name.to_owned(), other.to_owned())).into();
        let own = View { aliases, ..view(&["back"]) };
        directory.set_view("own", Some(own));
        directory
    }

    fn parse(ips: &[&str]) -> Vec<IpAddr> {
        ips.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn check(netns: &str, name: &str, kind: Kind, expect: Meaning) {
        assert_eq!(directory().look_up(netns, name, kind), expect, "{netns}: {name} {kind:?}");
    }

    #[test]
    fn names_have_the_addresses_of_the_kind_that_is_asked() {
        check("one", "web", Kind::V4, Meaning::Addresses(parse(&["10.1.0.2", "10.1.0.3"])));
        check("one", "web", Kind::V6, Meaning::Addresses(parse(&["fd10::2"])));
        check("one", "web.shop.orc.internal", Kind::V6, Meaning::Addresses(parse(&["fd10::2"])));
        check("one", "web", Kind::Other, Meaning::Nothing);
        check("own", "db", Kind::V6, Meaning::Nothing);
        check("one", "idle", Kind::V4, Meaning::Nothing);
    }

    #[test]
    fn a_namespace_sees_its_own_networks_only() {
        check("one", "db", Kind::V4, Meaning::Unknown);
        check("both", "db", Kind::V4, Meaning::Addresses(parse(&["10.2.0.2"])));
        check("both", "web", Kind::V4, Meaning::Addresses(parse(&["10.2.0.9", "10.1.0.2", "10.1.0.3"])));
        check("gone", "web", Kind::V4, Meaning::Refused);
    }

    #[test]
    fn aliases_stand_for_other_names() {
        for name in ["database", "web", "db"] {
            check("own", name, Kind::V4, Meaning::Addresses(parse(&["10.2.0.2"])));
        }
        check("own", "lost", Kind::V4, Meaning::Unknown);
        check("both", "database", Kind::V4, Meaning::Unknown);
    }

    #[test]
    fn our_names_are_not_asked_of_others() {
        for name in ["nope", "tasks.nope", "orc.internal", "a.b.orc.internal"] {
            check("one", name, Kind::V4, Meaning::Unknown);
        }
        for name in ["example.com", "notorc.internal", "tasks.example.com", ""] {
            check("one", name, Kind::V4, Meaning::Foreign);
        }
    }

    #[test]
    fn addresses_have_names() {
        let reverse = |ip: &str| Kind::Reverse(ip.parse().unwrap());
        check("one", "", reverse("10.1.0.2"), Meaning::Name("web.1.front".into()));
        check("one", "", reverse("10.2.0.2"), Meaning::Unknown);
        check("one", "", reverse("192.0.2.1"), Meaning::Foreign);
    }
}
