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
    /// Its IPv4 subnet.
    pub subnet4: Ipv4Net,
    /// Its gateway: the bridge's own address.
    pub gateway4: Ipv4Addr,
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
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
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

/// Whether two subnets have an address in common.
#[must_use]
pub fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}
