//! What runs tasks (nodes), and what tasks share (networks, volumes).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::{NetworkName, NetworkSpec, NodeId, StackName, Timestamp, Version, VolumeName, VolumeSpec};

/// A machine that runs tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// What its agent says of it.
    pub description: NodeDescription,
    /// Whether it may be given tasks, and whether its tasks count.
    pub state: NodeState,
    /// The last change that touched it.
    pub version: Version,
}

/// What an agent says of its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDescription {
    /// The host name.
    pub name: String,
    /// Thousand-millionths of a processor core.
    pub cpu_nanos: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// `linux`.
    pub os: String,
    /// As in image indexes: `amd64`, `arm64`.
    pub architecture: String,
    /// Labels for placement.
    pub labels: BTreeMap<String, String>,
    /// The machine's own addresses.
    pub addresses: Vec<IpAddr>,
    /// Networks that the machine already routes elsewhere; new subnets keep clear of them.
    pub routes: Vec<IpNet>,
}

/// Whether a node can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It has a session.
    Ready,
    /// It was not heard of since the given time.
    Down {
        /// When it was last heard of.
        since: Timestamp,
    },
}

/// A network in the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// What was wished for.
    pub spec: NetworkSpec,
    /// The stack that made it, and that takes it away.
    pub stack: StackName,
    /// Its IPv4 subnet, unless it shall have none.
    pub subnet4: Option<Ipv4Net>,
    /// Its gateway: the bridge's own address.
    pub gateway4: Option<Ipv4Addr>,
    /// Its IPv6 subnet, where asked for.
    pub subnet6: Option<Ipv6Net>,
    /// Its IPv6 gateway.
    pub gateway6: Option<Ipv6Addr>,
    /// The nodes that may have a bridge of it: they were given a task in it, and did not yet say that it ended.
    pub nodes: BTreeSet<NodeId>,
    /// It disappears when no task uses it any more and every agent has taken its bridge away.
    pub removing: bool,
    /// The last change that touched it.
    pub version: Version,
}

/// A named volume in the state. It outlives its stack unless the user says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// What was wished for.
    pub spec: VolumeSpec,
    /// The stack that made it.
    pub stack: StackName,
    /// Where its data are, once a task that uses it was placed.
    pub node: Option<NodeId>,
    /// `orc down -v` was said: the agent deletes the data, and it disappears.
    pub removing: bool,
    /// The last change that touched it.
    pub version: Version,
}

/// A task's interface in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network.
    pub network: NetworkName,
    /// Its IPv4 address, unless the network is without.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address, where the network has it.
    pub v6: Option<Ipv6Addr>,
}

/// What an agent says has ended, besides tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Networks of which nothing is left on the node.
    pub networks: Vec<NetworkName>,
    /// Volumes whose data are deleted.
    pub volumes: Vec<VolumeName>,
}

impl Network {
    /// Its subnets as people read them.
    #[must_use]
    pub fn subnets_text(&self) -> String {
        self.subnets().map(|subnet| subnet.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Its subnets, IPv4 first.
    pub fn subnets(&self) -> impl Iterator<Item = IpNet> + use<> {
        [self.subnet4.map(IpNet::V4), self.subnet6.map(IpNet::V6)].into_iter().flatten()
    }

    /// Its gateway's addresses, IPv4 first.
    pub fn gateways(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [self.gateway4.map(IpAddr::V4), self.gateway6.map(IpAddr::V6)].into_iter().flatten()
    }

    /// A container can have the address: it is in a subnet, and not the gateway's.
    #[must_use]
    pub fn has_room_at(&self, address: IpAddr) -> bool {
        self.subnets().any(|subnet| subnet.contains(&address))
            && self.gateways().all(|gateway| gateway != address)
    }

    /// Which of its subnets has an address in common with this one.
    #[must_use]
    pub fn overlap(&self, subnet: IpNet) -> Option<IpNet> {
        self.subnets().find(|own| overlap(*own, subnet))
    }
}

/// Whether two subnets have an address in common.
#[must_use]
pub fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}
