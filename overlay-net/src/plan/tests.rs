//! What a plan says, as text, and that carrying it out leaves nothing to do.

use std::net::Ipv4Addr;

use super::*;
use crate::spec::{NetworkV4, Reach};

fn names() -> Names {
    Names::new("0badcafe")
}

fn network(id: &str) -> NetworkSpec {
    NetworkSpec {
        id: id.into(),
        v4: Some(NetworkV4 { subnet: "10.1.0.0/24".parse().unwrap(), gateway: "10.1.0.1".parse().unwrap() }),
        v6: None,
        internal: false,
        mtu: None,
        members_meet: true,
        masquerade: true,
        reach4: Reach::Published,
        reach6: Reach::Published,
    }
}

fn endpoint(network: &str, interface: &str, last: u8) -> EndpointSpec {
    EndpointSpec {
        network: network.into(),
        interface: interface.into(),
        addr4: Some(Ipv4Addr::new(10, 1, 0, last)),
        addr6: None,
        mac: None,
        gateway_priority: 0,
        sysctls: Default::default(),
        link_local: Default::default(),
        open: Default::default(),
    }
}

fn wanted() -> Wanted {
    Wanted {
        networks: [("front".to_owned(), network("front"))].into(),
        endpoints: [("a".to_owned(), vec![endpoint("front", "eth0", 2)])].into(),
    }
}

/// What there is after the plan was carried out.
fn carry_out(observed: &mut Observed, ops: &[NetOp]) {
    for op in ops {
        match op {
            NetOp::RemoveLink { name } => {
                let gone = observed.links.remove(name).map(|link| link.index);
                observed.links.values_mut().filter(|link| link.master == gone).for_each(|l| l.master = None);
            }
            NetOp::AddBridge { name, alias, .. } => add(observed, name, alias, None),
            NetOp::AddPort { name, alias, network, .. } => {
                let master = observed.bridge(network).map(|link| link.index);
                add(observed, name, alias, master);
            }
            NetOp::Enslave { port, network, .. } => {
                let master = observed.bridge(network).map(|link| link.index);
                observed.links.get_mut(port).unwrap().master = master;
            }
        }
    }
}

fn add(observed: &mut Observed, name: &str, alias: &str, master: Option<u32>) {
    let index = observed.links.values().map(|link| link.index).max().unwrap_or(1) + 1;
    let link = Link { index, name: name.into(), alias: Some(alias.into()), master, up: true };
    assert!(observed.links.insert(name.into(), link).is_none(), "{name} exists already");
}

/// Names contain a hash, which says nothing to a reader.
fn plain(ops: &[NetOp]) -> Vec<String> {
    let hide = |word: &str| match word {
        _ if word.starts_with("o0badcafeb") => "BRIDGE".to_owned(),
        _ if word.starts_with("o0badcafev") => "PORT".to_owned(),
        _ => word.to_owned(),
    };
    ops.iter().map(|op| op.to_string().split(' ').map(hide).collect::<Vec<_>>().join(" ")).collect()
}

/// Plans, carries out, and sees that nothing is left to do.
fn check(wanted: &Wanted, observed: &mut Observed, expect: &[&str]) {
    let ops = plan(&names(), wanted, observed);
    assert_eq!(plain(&ops), expect);
    carry_out(observed, &ops);
    assert_eq!(plan(&names(), wanted, observed), [], "a second plan has nothing to do");
}

const BRIDGE: &str = "bridge BRIDGE (orc network front 10.1.0.0/24 10.1.0.1)";
const PORT: &str = "port PORT (orc port a eth0 front 10.1.0.2 0a:6f:0a:01:00:02)";

fn complete() -> (Wanted, Observed) {
    let (wanted, mut observed) = (wanted(), Observed::default());
    check(&wanted, &mut observed, &[BRIDGE, PORT]);
    (wanted, observed)
}

#[test]
fn names_fit_into_an_interface_name() {
    let (_, observed) = complete();
    assert!(observed.links.keys().all(|name| name.len() <= 15), "{:?}", observed.links.keys());
}

#[test]
fn a_lost_port_is_made_again() {
    let (wanted, mut observed) = complete();
    observed.links.retain(|name, _| !name.starts_with("o0badcafev"));
    check(&wanted, &mut observed, &[PORT]);
}

#[test]
fn a_lost_bridge_is_made_again_and_gets_its_ports_back() {
    let (wanted, mut observed) = complete();
    observed.links.retain(|name, _| !name.starts_with("o0badcafeb"));
    check(&wanted, &mut observed, &[BRIDGE, "enslave PORT to the bridge of front"]);
}

#[test]
fn a_port_without_its_bridge_is_put_back() {
    let (wanted, mut observed) = complete();
    observed.links.values_mut().for_each(|link| link.master = None);
    check(&wanted, &mut observed, &["enslave PORT to the bridge of front"]);
}

#[test]
fn a_changed_network_is_made_anew() {
    let (mut wanted, mut observed) = complete();
    wanted.networks.get_mut("front").unwrap().mtu = Some(1400);
    let bridge = "bridge BRIDGE (orc network front 10.1.0.0/24 10.1.0.1 mtu 1400)";
    check(&wanted, &mut observed, &["remove BRIDGE", bridge, "enslave PORT to the bridge of front"]);
}

#[test]
fn a_changed_endpoint_is_made_anew() {
    let (mut wanted, mut observed) = complete();
    wanted.endpoints.get_mut("a").unwrap()[0] = endpoint("front", "eth0", 9);
    let port = "port PORT (orc port a eth0 front 10.1.0.9 0a:6f:0a:01:00:09)";
    check(&wanted, &mut observed, &["remove PORT", port]);
}

#[test]
fn the_rest_of_an_interrupted_attempt_is_removed() {
    let (wanted, mut observed) = complete();
    let rest = Link { index: 99, name: "o0badcafevxxxxx".into(), alias: None, master: None, up: true };
    observed.links.insert(rest.name.clone(), rest);
    check(&wanted, &mut observed, &["remove PORT"]);
}

#[test]
fn a_port_that_leaves_does_not_count_any_more() {
    let (wanted, mut observed) = complete();
    let port = observed.links.values_mut().find(|link| link.name.starts_with("o0badcafev")).unwrap();
    port.alias = Some(LEAVING.into());
    let ops = plan_netns(&names(), "a", &wanted.endpoints["a"], &observed);
    assert_eq!(plain(&ops), [PORT], "its successor gets another name");
    carry_out(&mut observed, &ops);
    check(&wanted, &mut observed, &["remove PORT"]);
}

#[test]
fn what_nobody_has_claimed_yet_is_left_alone() {
    let (_, observed) = complete();
    assert_eq!(plan(&names(), &Wanted::default(), &observed), []);
    assert_eq!(observed.bridges().into_keys().collect::<Vec<_>>(), ["front"]);
}

#[test]
fn a_removed_network_takes_its_ports_along() {
    let (_, observed) = complete();
    assert_eq!(plain(&plan_removal("front", &observed)), ["remove PORT", "remove BRIDGE"]);
    assert_eq!(plan_removal("back", &observed), []);
}

#[test]
fn a_name_that_something_else_has_is_avoided() {
    let mut observed = Observed::default();
    let first = free_name("o0badcafev", "a eth0", &observed);
    add(&mut observed, &first, "orc port b eth0 front 10.1.0.2", None);
    assert_ne!(free_name("o0badcafev", "a eth0", &observed), first);
}
