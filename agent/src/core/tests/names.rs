//! What names and balanced ports lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ::core::net::IpAddr;
use cluster::compose_spec::Service;
use cluster::view::{Assignments, PublishedPort, ServiceEndpoints, TaskEndpoint};
use cluster::{Addresses, NetworkName, NodeId, ServiceKey, StackName, TaskId};

use super::bench::{NODE, address, network, network_name};
use crate::core::project::{Local, Sight, view};

/// A service `web` of `shop` with these tasks: `number` and whether it runs (`r`), is ready (`R`) or not (`-`);
/// those in brackets are on another node.
struct Scene {
    assigned: Assignments,
    local: BTreeMap<TaskId, Local>,
}

fn scene(tasks: &str) -> Scene {
    let mut scene = Scene { assigned: Assignments::default(), local: BTreeMap::new() };
    scene.assigned.networks.insert(network_name(), network());
    let mut endpoints = ServiceEndpoints {
        aliases: BTreeMap::from([(network_name(), BTreeSet::from(["www".to_owned()]))]),
        ..ServiceEndpoints::default()
    };
    for word in tasks.split_whitespace() {
        let elsewhere = word.starts_with('(');
        let word = word.trim_matches(['(', ')']);
        let (number, state) = word.split_at(word.len() - 1);
        let number: u64 = number.parse().unwrap();
        let local = Local { running: state != "-", ready: state == "R" };
        let id = TaskId(number);
        if !elsewhere {
            scene.local.insert(id, local);
        }
        let endpoint = TaskEndpoint {
            slot: u32::try_from(number).unwrap(),
            node: if elsewhere { NodeId(2) } else { NODE },
            container_name: format!("shop-web-{number}"),
            addresses: BTreeMap::from([(network_name(), Addresses { v4: Some(address(number)), v6: None })]),
            // Of its own tasks the agent knows better than this.
            running: local.running || !elsewhere,
            ready: local.ready || !elsewhere,
        };
        endpoints.tasks.insert(id, endpoint);
    }
    scene.assigned.services.insert(web(), endpoints);
    scene
}

fn web() -> ServiceKey {
    ServiceKey::new(&StackName("shop".into()), "web")
}

impl Scene {
    fn service(&mut self) -> &mut ServiceEndpoints {
        self.assigned.services.get_mut(&web()).unwrap()
    }

    fn look<R>(&self, look: impl FnOnce(&Sight<'_>) -> R) -> R {
        let networks = BTreeSet::from([network_name()]);
        look(&Sight { assigned: &self.assigned, node: NODE, local: &self.local, networks: &networks })
    }

    #[track_caller]
    fn check_names(&self, expected: &str) {
        let zone = self.look(|sight| sight.zone(&network_name())).expect("the service is in the network");
        let mut seen = String::new();
        for (name, addresses) in &zone.names {
            writeln!(seen, "{name} {}", list(addresses)).unwrap();
        }
        for (address, name) in &zone.reverse {
            writeln!(seen, "{address} is {name}").unwrap();
        }
        let expected: String = expected.lines().map(|line| format!("{}\n", line.trim())).collect();
        assert_eq!(seen, expected);
    }

    #[track_caller]
    fn check_meaning(&self, name: &str, expected: &str) {
        let zone = self.look(|sight| sight.zone(&network_name())).expect("the service is in the network");
        assert_eq!(zone.names.get(name).map(|all| list(all)).unwrap_or_default(), expected, "{name}");
    }
}

/// Only the last parts of the addresses.
fn list(addresses: &[IpAddr]) -> String {
    let last = |address: &IpAddr| address.to_string().rsplit('.').next().unwrap_or_default().to_owned();
    addresses.iter().map(last).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_name_of_a_service() {
    scene("1R 2r").check_names(
        "000000000000 2 3
         shop-web-1 2
         shop-web-2 3
         tasks.web 2 3
         web 2
         web.shop 2
         www 2
         10.0.0.2 is shop-web-1.shop_default
         10.0.0.3 is shop-web-2.shop_default",
    );
}

#[test]
fn a_name_means_the_ready_ones_or_all_running_ones() {
    for (tasks, web, all) in [
        ("1R 2R", "2 3", "2 3"),
        ("1R 2r 3-", "2", "2 3"),
        ("1r 2r 3-", "2 3", "2 3"),
        ("1- 2-", "", ""),
        ("1r (2R)", "3", "2 3"),
        ("1- (2r)", "3", "3"),
    ] {
        let scene = scene(tasks);
        scene.check_meaning("web", web);
        scene.check_meaning("tasks.web", all);
    }
}

#[test]
fn with_a_virtual_address_the_name_means_that() {
    let mut scene = scene("1R 2R");
    let vip: IpAddr = "10.0.0.200".parse().unwrap();
    scene.service().vips.insert(network_name(), vip);
    scene.check_meaning("web", "200");
    scene.check_meaning("www", "200");
    scene.check_meaning("tasks.web", "2 3");
    let balance = scene.look(|sight| sight.balance());
    assert_eq!(list(&balance.vips[&vip].backends), "2 3");
}

#[test]
fn a_virtual_address_waits_for_its_network() {
    let mut scene = scene("1R");
    scene.service().vips.insert(NetworkName("other".into()), "10.9.0.200".parse().unwrap());
    assert!(scene.look(|sight| sight.balance()).vips.is_empty());
}

#[track_caller]
fn check_port(scene: &mut Scene, slot: Option<u32>, expected: &str) {
    let port = PublishedPort { host_ip: None, host_port: 8080, protocol: "tcp".into(), target: 80, slot };
    scene.service().ports = vec![port];
    let balance = scene.look(|sight| sight.balance());
    assert_eq!(list(&balance.published[0].backends), expected);
}

#[test]
fn a_published_port_leads_where_the_name_does() {
    check_port(&mut scene("1R 2r"), None, "2");
    check_port(&mut scene("1r 2r"), None, "2 3");
    check_port(&mut scene("1- 2-"), None, "");
}

#[test]
fn a_port_of_one_slot_leads_nowhere_else() {
    check_port(&mut scene("1R 2R"), Some(2), "3");
    check_port(&mut scene("1R 2-"), Some(2), "");
}

#[test]
fn an_internal_network_is_not_published() {
    let mut scene = scene("1R");
    let network = scene.assigned.networks.get_mut(&network_name()).unwrap();
    network.spec.compose.internal = true;
    check_port(&mut scene, None, "");
}

#[test]
fn a_network_without_services_has_no_names() {
    assert!(scene("1R").look(|sight| sight.zone(&NetworkName("other".into()))).is_none());
}

#[test]
fn links_stand_for_services_and_for_containers_of_other_stacks() {
    let links = |own: &[&str], external: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        let service = Service { links: texts(own), external_links: texts(external), ..Service::default() };
        let aliases = view(&BTreeSet::from([network_name()]), Some(&service)).aliases;
        aliases.iter().map(|(alias, name)| format!("{alias}={name}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(links(&["db", "web:www"], &[]), "www=web");
    assert_eq!(links(&["db:one"], &["other-db-1:two", "other-web-1"]), "one=db two=other-db-1");
}
