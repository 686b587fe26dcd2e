//! What one reader may see of the state: a node its assignments, a person a stack.

mod assignments;
mod ports;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    Addresses, Network, NetworkName, NodeId, ServiceKey, StackName, Task, TaskId, Timestamp, Version, Volume,
    VolumeName,
};

pub use assignments::WrongVersion;
pub use ports::{PortChoice, host_port_key, host_port_range, host_port_slot, port_choice};

/// All that a node has to do and to know. Sent whole when a session opens, as [`AssignmentsDelta`] after that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assignments {
    /// The state's index that it was made from.
    pub version: Version,
    /// The node's tasks.
    pub tasks: BTreeMap<TaskId, Task>,
    /// The networks of its tasks, and those whose bridge it may still have.
    pub networks: BTreeMap<NetworkName, Network>,
    /// The volumes that live there.
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// Every service that its tasks can reach, on whatever node its tasks are.
    pub services: BTreeMap<ServiceKey, ServiceEndpoints>,
}

/// The difference between two [`Assignments`] of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssignmentsDelta {
    /// The version it applies to; an agent that has another one asks for the whole.
    pub from: Version,
    /// The version it leads to.
    pub version: Version,
    /// Entries that are new or changed; `None` for those that are gone.
    pub tasks: BTreeMap<TaskId, Option<Task>>,
    /// Likewise.
    pub networks: BTreeMap<NetworkName, Option<Network>>,
    /// Likewise.
    pub volumes: BTreeMap<VolumeName, Option<Volume>>,
    /// Likewise, as pairs because service keys are no JSON keys of every reader.
    pub services: BTreeMap<ServiceKey, Option<ServiceEndpoints>>,
}

/// Who answers for a service: what names and balanced ports are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEndpoints {
    /// Its further names, by network.
    pub aliases: BTreeMap<NetworkName, BTreeSet<String>>,
    /// Its virtual addresses, where it asked for them.
    pub vips: BTreeMap<NetworkName, IpAddr>,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// Its tasks that have an address.
    pub tasks: BTreeMap<TaskId, TaskEndpoint>,
    /// The slots that are wished for, from 1; a task that leaves one of them has or will have a successor.
    #[serde(default)]
    pub slots: u32,
    /// See `Task::volumes_renewed`.
    #[serde(default)]
    pub volumes_renewed: u64,
}

/// A host port that leads to a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's address it is bound to; `None` means all.
    pub host_ip: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The port in the container.
    pub target: u16,
    /// Only this slot answers (a range of host ports spread over the replicas); `None` means all.
    pub slot: Option<u32>,
}

/// One task that can answer for its service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEndpoint {
    /// Its slot.
    pub slot: u32,
    /// The node it is on.
    pub node: NodeId,
    /// The name of its container (`shop-web-1`, or `container_name`).
    pub container_name: String,
    /// Its addresses.
    pub addresses: BTreeMap<NetworkName, Addresses>,
    /// Its container runs.
    pub running: bool,
    /// New connections may be sent to it.
    pub ready: bool,
}

/// A stack as `orc ps`, `orc up` and others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackView {
    /// Its name.
    pub name: StackName,
    /// Its version: what `PutStack::expected` is compared with.
    pub version: Version,
    /// It is on its way out.
    pub removing: bool,
    /// Its services.
    pub services: BTreeMap<String, ServiceView>,
    /// Its networks with their subnets.
    pub networks: BTreeMap<NetworkName, Network>,
    /// Its volumes.
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// The Compose files that it comes from.
    #[serde(default)]
    pub config_files: Vec<String>,
}

/// A service as a person sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// What runs. Holds no secret content.
    pub spec: std::sync::Arc<crate::ServiceSpec>,
    /// How many replicas are wished for.
    pub replicas: u32,
    /// Whether it should run.
    pub run: crate::Run,
    /// The service is going.
    pub removing: bool,
    /// Its published ports as they really are.
    pub ports: Vec<PublishedPort>,
    /// The file does not name it any more.
    pub orphan: bool,
    /// How the replacement of its tasks goes, if one goes on or did not go well.
    #[serde(default)]
    pub update: Option<crate::UpdateState>,
    /// Its tasks, by id.
    pub tasks: BTreeMap<TaskId, TaskView>,
    /// The slots that wait for a task, with the reason.
    pub pending: BTreeMap<u32, Wait>,
}

/// A task as a person sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// The task itself.
    pub task: Task,
    /// The name of its container.
    pub container_name: String,
    /// It runs what the service wishes now; a task that is being replaced does not.
    pub current: bool,
    /// Why it waits, when it does.
    pub waits: Option<Wait>,
}

/// Why something waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// In words for a person: `waits for `db` to be healthy`.
    pub reason: String,
    /// The wish must change before it can go on: a dependency failed for good, no node can ever fit.
    pub hopeless: bool,
    /// Since when.
    pub since: Timestamp,
}

/// Something that waits: a task, or a slot that has no task yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The service.
    pub service: ServiceKey,
    /// The slot.
    pub slot: u32,
    /// Its task, if there is one.
    pub task: Option<TaskId>,
    /// Why.
    pub wait: Wait,
}

/// All that waits, as the scheduler's last looks at each service said. Kept by the leader, not agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits(BTreeMap<ServiceKey, Vec<Blocked>>);

impl Waits {
    /// Takes over what a decision said of the services it looked at (an empty list: nothing of it waits).
    /// Returns the services for which that is news.
    pub fn absorb(&mut self, looked_at: BTreeMap<ServiceKey, Vec<Blocked>>) -> BTreeSet<ServiceKey> {
        let mut news = BTreeSet::new();
        for (service, blocked) in looked_at {
            let before = if blocked.is_empty() {
                self.0.remove(&service)
            } else {
                self.0.insert(service.clone(), blocked.clone())
            };
            if before.unwrap_or_default() != blocked {
                news.insert(service);
            }
        }
        news
    }

    /// What waits of one service.
    pub fn of(&self, service: &ServiceKey) -> &[Blocked] {
        self.0.get(service).map_or(&[], Vec::as_slice)
    }
}
