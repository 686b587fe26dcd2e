//! The whole cluster as one value.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::index::Index;
use crate::{
    Network, NetworkName, Node, NodeId, Service, ServiceKey, Stack, StackName, Task, TaskId, Version, Volume,
    VolumeName,
};

/// The format of a serialized [`State`] and of [`crate::Change`]. A newer one is refused, not guessed at.
pub const FORMAT_VERSION: u32 = 1;

/// Everything the managers agree on. Only [`State::apply`] changes it.
///
/// Two states are equal when what is agreed on is equal: where the scheduler still has to look is not part
/// of it, and indexes follow from the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
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
    /// What was touched since the scheduler last looked; everything, right after reading a state from disk.
    #[serde(skip)]
    pub touched: Touched,
    /// What follows from the rest and is looked up often.
    #[serde(skip)]
    pub(crate) lookup: Index,
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
    /// Nodes that changed, or whose tasks did: their assignments may be others now.
    pub nodes: BTreeSet<NodeId>,
    /// Something became free or available that a service without place may have waited for.
    pub room: bool,
}

/// A state as it is stored.
#[derive(Deserialize)]
struct Stored {
    format_version: u32,
    index: Version,
    tasks_made: u64,
    stacks: BTreeMap<StackName, Stack>,
    tasks: BTreeMap<TaskId, Task>,
    nodes: BTreeMap<NodeId, Node>,
    networks: BTreeMap<NetworkName, Network>,
    volumes: BTreeMap<VolumeName, Volume>,
}

impl TryFrom<Stored> for State {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.format_version > FORMAT_VERSION {
            return Err(format!(
                "the state has format {}, and this program knows formats up to {FORMAT_VERSION}",
                stored.format_version
            ));
        }
        let mut state = Self {
            format_version: FORMAT_VERSION,
            index: stored.index,
            tasks_made: stored.tasks_made,
            stacks: stored.stacks,
            tasks: stored.tasks,
            nodes: stored.nodes,
            networks: stored.networks,
            volumes: stored.volumes,
            touched: Touched::default(),
            lookup: Index::default(),
        };
        state.lookup = Index::of(&state);
        state.touched = Touched::everything(&state);
        Ok(state)
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.format_version == other.format_version
            && self.index == other.index
            && self.tasks_made == other.tasks_made
            && self.stacks == other.stacks
            && self.tasks == other.tasks
            && self.nodes == other.nodes
            && self.networks == other.networks
            && self.volumes == other.volumes
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl Touched {
    /// All there is: where to look when nothing is known of what was looked at before.
    #[must_use]
    pub fn everything(state: &State) -> Self {
        Self {
            services: state.services().map(|(key, _)| key).collect(),
            networks: state.networks.keys().cloned().collect(),
            volumes: state.volumes.keys().cloned().collect(),
            stacks: state.stacks.keys().cloned().collect(),
            nodes: state.nodes.keys().copied().collect(),
            room: true,
        }
    }

    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl State {
    /// The state in which nothing was ever wished for.
    #[must_use]
    pub fn new() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            index: Version::default(),
            tasks_made: 0,
            stacks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            touched: Touched::default(),
            lookup: Index::default(),
        }
    }

    /// What was touched since this was last asked for: what the scheduler has to look at next.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// A service by its key.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.stacks.get(&key.stack)?.services.get(&key.service)
    }

    /// All services of all stacks.
    pub fn services(&self) -> impl Iterator<Item = (ServiceKey, &Service)> {
        self.stacks.iter().flat_map(|(stack, value)| {
            value.services.iter().map(move |(name, service)| (ServiceKey::new(stack, name), service))
        })
    }

    /// The tasks of a service, by id.
    pub fn tasks_of(&self, service: &ServiceKey) -> impl Iterator<Item = &Task> {
        self.lookup.tasks_of_service(service).filter_map(|id| self.tasks.get(id))
    }

    /// The tasks of a node, by id.
    pub fn tasks_on(&self, node: NodeId) -> impl Iterator<Item = &Task> {
        self.lookup.tasks_of_node(node).filter_map(|id| self.tasks.get(id))
    }

    /// The tasks with an interface in a network, by id.
    pub fn tasks_in(&self, network: &NetworkName) -> impl Iterator<Item = &Task> {
        self.lookup.tasks_of_network(network).filter_map(|id| self.tasks.get(id))
    }

    /// The services that take part in a network, removed ones included as long as they are there.
    pub fn services_in(&self, network: &NetworkName) -> impl Iterator<Item = &ServiceKey> {
        self.lookup.services_of_network(network)
    }

    /// The services that want a task for some slot and have none.
    pub fn services_short_of_tasks(&self) -> impl Iterator<Item = &ServiceKey> {
        self.lookup.short()
    }

    /// The services whose tasks are being replaced a few at a time.
    pub fn services_updating(&self) -> impl Iterator<Item = &ServiceKey> {
        self.lookup.updating()
    }

    /// The services of the same stack whose `depends_on` names this one.
    pub fn dependents(&self, key: &ServiceKey) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        self.lookup.dependents_of(key).filter_map(|dependent| Some((dependent, self.service(dependent)?)))
    }
}

impl Service {
    /// Whether a slot should have a task.
    #[must_use]
    pub fn wants_slot(&self, slot: u32) -> bool {
        !self.removing && self.run != crate::Run::Absent && (1..=self.replicas).contains(&slot)
    }

    /// Whether a task runs what is wished now: the same revision, not made before a forced replacement,
    /// and not on its way out.
    #[must_use]
    pub fn is_current(&self, task: &Task) -> bool {
        self.wants_slot(task.slot)
            && task.spec.hash == self.spec.hash
            && !matches!(task.desired, crate::Desired::Remove(_))
            && task.forced == self.forced
    }
}
