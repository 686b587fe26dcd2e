//! What a round of decisions has given already: nothing is given twice, neither what the state says is
//! taken nor what this round gave before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cluster::view::PublishedPort;
use cluster::{Network, NetworkName, NodeId, ServiceKey, State, VolumeName};

/// The state's allocations with this round's on top; looked up when first needed.
pub(crate) struct Ledger<'a> {
    state: &'a State,
    /// Networks that this round makes.
    pub(crate) networks: BTreeMap<NetworkName, Network>,
    addresses: BTreeMap<NetworkName, BTreeSet<IpAddr>>,
    ports: Option<BTreeMap<u16, Vec<PublishedPort>>>,
    /// Where this round put volumes.
    volumes: BTreeMap<VolumeName, NodeId>,
    /// What this round put on nodes.
    placed: BTreeMap<NodeId, Vec<Placed>>,
}

/// A task that this round makes.
pub(crate) struct Placed {
    pub(crate) service: ServiceKey,
    pub(crate) cpu_nanos: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) host_mode_ports: Vec<PublishedPort>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self {
            state,
            networks: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ports: None,
            volumes: BTreeMap::new(),
            placed: BTreeMap::new(),
        }
    }

    /// A network as it is or will be after this round.
    pub(crate) fn network(&self, name: &NetworkName) -> Option<&Network> {
        self.networks.get(name).or_else(|| self.state.networks.get(name))
    }

    /// The addresses taken in a network.
    pub(crate) fn addresses(&mut self, network: &NetworkName) -> &mut BTreeSet<IpAddr> {
        let state = self.state;
        self.addresses
            .entry(network.clone())
            .or_insert_with(|| state.addresses_in(network).into_keys().collect())
    }

    /// Whether a host port can still be published.
    pub(crate) fn is_port_free(&mut self, wish: &PublishedPort) -> bool {
        let taken = self.ports().get(&wish.host_port);
        !taken.into_iter().flatten().any(|other| other.collides_with(wish))
    }

    /// Takes a host port.
    pub(crate) fn take_port(&mut self, port: PublishedPort) {
        self.ports().entry(port.host_port).or_default().push(port);
    }

    fn ports(&mut self) -> &mut BTreeMap<u16, Vec<PublishedPort>> {
        let state = self.state;
        self.ports.get_or_insert_with(|| {
            let mut ports: BTreeMap<u16, Vec<PublishedPort>> = BTreeMap::new();
            for port in state.services().flat_map(|(_, service)| service.published_ports()) {
                ports.entry(port.host_port).or_default().push(port);
            }
            ports
        })
    }

    /// The node that has a volume's data, or will have them.
    pub(crate) fn volume_node(&self, volume: &VolumeName) -> Option<NodeId> {
        let there = self.state.volumes.get(volume).and_then(|volume| volume.node);
        there.or_else(|| self.volumes.get(volume).copied())
    }

    /// What this round has put on a node.
    pub(crate) fn placed(&self, node: NodeId) -> &[Placed] {
        self.placed.get(&node).map_or(&[], Vec::as_slice)
    }

    /// Puts a task on a node, and its volumes with it.
    pub(crate) fn place<'v>(
        &mut self,
        node: NodeId,
        placed: Placed,
        volumes: impl Iterator<Item = &'v VolumeName>,
    ) {
        self.placed.entry(node).or_default().push(placed);
        for volume in volumes {
            self.volumes.entry(volume.clone()).or_insert(node);
        }
    }
}
