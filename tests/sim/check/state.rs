//! Nothing is given twice in the state.

use std::collections::BTreeMap;

use cluster::{State, Task};

use super::Violation;
use super::update::starts_first;

pub(super) fn nothing_is_given_twice(state: &State) -> Result<(), Violation> {
    let mut slots: BTreeMap<_, Vec<&Task>> = BTreeMap::new();
    for task in state.tasks.values().filter(|task| task.holds_slot()) {
        slots.entry((&task.service, task.slot)).or_default().push(task);
    }
    for ((service, slot), tasks) in slots {
        let current = |task: &Task| state.service(service).is_some_and(|service| service.is_current(task));
        let succeeds = |one: &Task, other: &Task| starts_first(&one.spec) && !current(other);
        match tasks.as_slice() {
            [_] => {}
            [one, other] if succeeds(one, other) || succeeds(other, one) => {}
            more => return Err(format!("{} tasks in {service}.{slot}", more.len())),
        }
    }
    let mut addresses = BTreeMap::new();
    let mut ports: Vec<(String, cluster::view::PublishedPort)> = Vec::new();
    for (key, service) in state.services() {
        let of_slots = service.slots.iter().flat_map(|(slot, value)| {
            value
                .addresses
                .iter()
                .flat_map(move |(network, all)| all.each().map(move |ip| (network.clone(), ip, *slot)))
        });
        let virtual_ones = service.vips.iter().map(|(network, vip)| (network.clone(), *vip, 0));
        for (network, address, slot) in of_slots.chain(virtual_ones) {
            if let Some(other) = addresses.insert((network, address), format!("{key}.{slot}")) {
                return Err(format!("{address} belongs to {other} and to {key}.{slot}"));
            }
        }
        for port in service.published_ports() {
            let key = key.to_string();
            if let Some((other, _)) = ports.iter().find(|(other, p)| *other != key && p.collides_with(&port))
            {
                return Err(format!("host port {} belongs to {other} and to {key}", port.host_port));
            }
            ports.push((key, port));
        }
    }
    for task in state.tasks.values().filter(|task| task.is_wanted()) {
        for name in task.spec.volumes.values() {
            let node = state.volumes.get(name).and_then(|volume| volume.node);
            if node != Some(task.node) {
                return Err(format!(
                    "task {} is on node {}, its volume {name} on {node:?}",
                    task.id, task.node
                ));
            }
        }
    }
    let networks: Vec<_> = state.networks.values().collect();
    for (index, network) in networks.iter().enumerate() {
        if let Some(other) =
            networks[..index].iter().find(|other| network.subnets().any(|net| other.overlap(net).is_some()))
        {
            return Err(format!("networks {} and {} overlap", network.spec.name, other.spec.name));
        }
    }
    Ok(())
}
