//! The whole cluster as one value.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Network, NetworkName, Node, NodeId, ServiceKey, Stack, StackName, Task, TaskId, Version, Volume, VolumeName,
};

/// The format of a serialized [`State`] and of [`crate::Change`]. A newer one is refused, not guessed at.
pub const FORMAT_VERSION: u32 = 1;

/// Everything the managers agree on. Only [`State::apply`] changes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Counts applied changes; the source of versions.
    pub index: Version,
    /// How many task ids were given out.
    pub tasks_made: u64,
    /// Stacks with their services.
    pub stacks: BTreeMap<StackName, Stack>,
    /// All tasks that are not entirely gone.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Machines.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Networks with their subnets.
    pub networks: BTreeMap<NetworkName, Network>,
    /// Named volumes.
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// What was touched since the scheduler last looked; not part of the agreed value.
    #[serde(skip)]
    pub touched: Touched,
}

/// Where the scheduler has to look: the cost of a decision follows the change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Services that changed, or whose tasks did, or whose dependencies did.
    pub services: BTreeSet<ServiceKey>,
    /// Networks that changed or may have lost their last user.
    pub networks: BTreeSet<NetworkName>,
    /// Volumes that changed.
    pub volumes: BTreeSet<VolumeName>,
    /// Stacks that changed or may be empty now.
    pub stacks: BTreeSet<StackName>,
    /// Nodes that changed.
    pub nodes: BTreeSet<NodeId>,
}
