//! Where does a task run? Every node passes through the filters, and the best of those that are left is
//! taken; if none is left, the reasons say why.

mod explain;
mod filter;
mod score;
#[cfg(test)]
mod tests;

use cluster::view::PublishedPort;
use cluster::{NodeId, Service, ServiceKey};

use crate::decide::Round;
use crate::ledger::Placed;
use crate::replicas::No;

/// Chooses a node for one more task of a service.
pub(crate) fn choose(round: &Round<'_>, key: &ServiceKey, service: &Service) -> Result<NodeId, No> {
    let mut best = None;
    let mut reasons = Vec::new();
    let wish = filter::Wish::of(service);
    for node in round.state.nodes.values() {
        match filter::check(round, node, key, service, &wish) {
            Ok(()) => {
                let rank = score::rank(round, node, key, service);
                if best.as_ref().is_none_or(|(best, _)| rank < *best) {
                    best = Some((rank, node.id));
                }
            }
            Err(reason) => reasons.push(reason),
        }
    }
    best.map(|(_, node)| node).ok_or_else(|| explain::no_node(&reasons, service.replicas.into()))
}

/// Puts a task on a node.
pub(crate) fn commit(round: &mut Round<'_>, key: &ServiceKey, service: &Service, node: NodeId) {
    let wish = filter::Wish::of(service);
    let placed = Placed {
        service: key.clone(),
        cpu_nanos: wish.cpu_nanos,
        memory_bytes: wish.memory_bytes,
        host_mode_ports: host_mode_ports(service),
    };
    round.ledger.place(node, placed, service.spec.volumes.values());
}

/// The ports that are bound on the task's own node only, and so once on each node.
pub(crate) fn host_mode_ports(service: &Service) -> Vec<PublishedPort> {
    let ports = service.spec.compose.ports.iter().filter(|port| port.mode.as_deref() == Some("host"));
    let fixed = ports.filter_map(|port| match cluster::view::port_choice(port) {
        cluster::view::PortChoice::Fixed(host_port) => PublishedPort::of(port, host_port, None),
        _ => None,
    });
    fixed.collect()
}
