//! Which host ports a service gets where the file leaves the choice.

use std::collections::BTreeMap;

use cluster::Service;
use cluster::view::{PortChoice, PublishedPort, host_port_key, port_choice};

use crate::decide::Round;
use crate::limits::FREE_PORTS;
use crate::replicas::No;

/// The host ports that a slot needs besides those that it has, or that its service was `given` in this round; by their key in [`Service::host_ports`].
pub(crate) fn choose(
    round: &mut Round<'_>,
    service: &Service,
    slot: u32,
    given: &BTreeMap<String, PublishedPort>,
) -> Result<BTreeMap<String, PublishedPort>, No> {
    let mut chosen: BTreeMap<String, PublishedPort> = BTreeMap::new();
    for (entry, port) in service.spec.compose.ports.iter().enumerate() {
        let (range, slot, what) = match port_choice(port) {
            PortChoice::Fixed(_) => continue,
            PortChoice::Any => (FREE_PORTS, 0, "host port".to_owned()),
            PortChoice::Range(from, to) => (from..=to, slot, format!("host port of {from}-{to}")),
        };
        let key = host_port_key(entry, slot);
        if service.host_ports.contains_key(&key) || given.contains_key(&key) {
            continue;
        }
        let of_slot = (slot > 0).then_some(slot);
        let mut wishes = range.filter_map(|host_port| PublishedPort::of(port, host_port, of_slot));
        let free = wishes.find(|wish| {
            round.ledger.is_port_free(wish) && !chosen.values().any(|other| other.collides_with(wish))
        });
        match free {
            Some(port) => {
                chosen.insert(key, port);
            }
            None => return Err(No::not_now(format!("waits for a free {what}: all are taken"))),
        }
    }
    Ok(chosen)
}
