//! Everything that can happen to the state. Changes are what the log holds: each is a decision already
//! taken, carries the version of what it was decided on, and is refused when that has moved on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    Addresses, Desired, Ended, Gate, Network, NetworkName, NodeDescription, NodeId, ServiceKey, ServiceSpec,
    StackName, StackSpec, StopHow, TaskId, TaskStatus, Timestamp, UpdateStep, Version, VolumeName,
};

/// One step of the state, with the time at which it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When the leader proposed it.
    pub at: Timestamp,
    /// What happens.
    pub kind: ChangeKind,
}

/// What happens. The first group are wishes of users, the second what agents say, the third what the
/// scheduler decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// `orc up`: the stack should look like this.
    PutStack(Box<PutStack>),
    /// `orc down`: nothing of the stack should be left.
    RemoveStack {
        /// Which.
        stack: StackName,
        /// Its named volumes too (`-v`).
        volumes: bool,
        /// Of those only these; `None`: all that are the stack's.
        #[serde(default)]
        only: Option<BTreeSet<VolumeName>>,
        /// How its tasks are stopped.
        how: StopHow,
    },
    /// `orc run`: a container of its own beside the stack's.
    PutOneOff {
        /// The service it is shown as (`web-run-1f0c`); unique within the stack.
        service: ServiceKey,
        /// What to run.
        spec: Box<ServiceSpec>,
        /// Its container is made and waits to be started, so that somebody can attach to it first.
        #[serde(default)]
        held: bool,
    },
    /// Whoever ran a one-off has gone: what was never started goes, and what is fleeting too.
    ReleaseOneOff {
        /// The service that the one-off is.
        service: ServiceKey,
    },
    /// `orc start`, `orc stop`, `orc kill`, `orc rm`, the end of a one-off.
    SetRun {
        /// Which services; all are checked before any is changed.
        services: Vec<ServiceKey>,
        /// What is wished.
        action: RunAction,
    },
    /// `orc scale`.
    Scale {
        /// How many slots each service should have.
        replicas: BTreeMap<ServiceKey, u32>,
    },

    /// An agent opened a session, or describes its machine anew.
    PutNode {
        /// Which.
        node: NodeId,
        /// What it says.
        description: NodeDescription,
    },
    /// A node's session was lost for too long.
    NodeDown {
        /// Which.
        node: NodeId,
        /// The version decided on.
        version: Version,
    },
    /// What an agent has seen.
    Report {
        /// Who says it. Statuses of other nodes' tasks are refused.
        node: NodeId,
        /// The statuses that changed.
        statuses: Vec<(TaskId, TaskStatus)>,
        /// What else has ended there.
        ended: Ended,
    },

    /// A network gets its subnet.
    PutNetwork(Box<Network>),
    /// A slot gets its addresses, and its service the virtual ones and host ports that were missing.
    Allocate {
        /// Which service, and the version decided on.
        service: ServiceKey,
        /// The version decided on.
        version: Version,
        /// New addresses, by slot and network.
        addresses: BTreeMap<u32, BTreeMap<NetworkName, Addresses>>,
        /// New virtual addresses.
        vips: BTreeMap<NetworkName, IpAddr>,
        /// New host ports (see `Service::host_ports`).
        host_ports: BTreeMap<String, u16>,
    },
    /// A slot gets a new task; its id comes from the state's counter.
    CreateTask {
        /// Which service.
        service: ServiceKey,
        /// The version decided on.
        version: Version,
        /// Which slot.
        slot: u32,
        /// Where it runs.
        node: NodeId,
        /// Whether it may start.
        gate: Gate,
        /// The task of the slot that it takes over from when it is ready (`order: start-first`).
        #[serde(default)]
        beside: Option<TaskId>,
    },
    /// A replacement gets on, or does not.
    Update {
        /// Which service.
        service: ServiceKey,
        /// The version decided on.
        version: Version,
        /// What becomes of it.
        step: UpdateStep,
    },
    /// A task may start.
    OpenGate {
        /// Which.
        task: TaskId,
        /// The version decided on.
        version: Version,
    },
    /// A task should run, stop or go.
    SetDesired {
        /// Which.
        task: TaskId,
        /// The version decided on.
        version: Version,
        /// What is wanted now.
        desired: Desired,
    },
    /// Nothing of a removed thing is left: it leaves the state and its addresses are free.
    Forget(Forgotten),
}

/// `orc up`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutStack {
    /// What is wished.
    pub spec: StackSpec,
    /// The version of the stack that the user looked at; `None` means whatever there is.
    pub expected: Option<Version>,
    /// The services named on the command line with what they depend on; empty means all that `spec` holds.
    pub services: Vec<String>,
    /// `spec` holds only a part of the file: services that it does not name are no orphans.
    #[serde(default)]
    pub partial: bool,
    /// All services that the file names, also those that `spec` leaves out (of disabled profiles, or not asked for):
    /// they are no orphans. Needed to find orphans when `spec` holds only a part of the file.
    #[serde(default)]
    pub named: BTreeSet<String>,
    /// `--scale`.
    pub scale: BTreeMap<String, u32>,
    /// Services whose containers are made anew although nothing changed (`--force-recreate`,
    /// `--always-recreate-deps`).
    pub force_recreate: BTreeSet<String>,
    /// Those of them of which the reason is that their image's name means another image now.
    #[serde(default)]
    pub newer_images: BTreeSet<String>,
    /// `--renew-anon-volumes`: containers that are replaced get anonymous volumes of their own, without the data of
    /// those before them.
    #[serde(default)]
    pub renew_volumes: bool,
    /// `--no-recreate`: services that exist stay as they are.
    pub no_recreate: bool,
    /// `--remove-orphans`.
    pub remove_orphans: bool,
    /// Create containers, do not start them (`orc create`, `up --no-start`).
    pub no_start: bool,
    /// How replaced tasks are stopped.
    pub how: StopHow,
    /// The Compose files that it comes from, as absolute paths on the user's machine: for people only.
    #[serde(default)]
    pub config_files: Vec<String>,
}

impl PutStack {
    /// The plain wish: all of `spec`, whatever there is now, without any flag.
    #[must_use]
    pub fn new(spec: StackSpec) -> Self {
        Self {
            spec,
            expected: None,
            services: Vec::new(),
            partial: false,
            named: BTreeSet::new(),
            scale: BTreeMap::new(),
            force_recreate: BTreeSet::new(),
            newer_images: BTreeSet::new(),
            renew_volumes: false,
            no_recreate: false,
            remove_orphans: false,
            no_start: false,
            how: StopHow::default(),
            config_files: Vec::new(),
        }
    }
}

/// What `SetRun` wishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunAction {
    /// `orc start`: also starts finished containers again.
    Start,
    /// `orc stop`, and `orc kill` with grace 0 and its signal.
    Stop(StopHow),
    /// `orc restart`: stop and start again, in place.
    Restart(StopHow),
    /// `orc restart --no-deps`: likewise, and what depends on it with `restart: true` stays as it is.
    RestartAlone(StopHow),
    /// `orc rm`: what is stopped goes; a one-off goes altogether.
    Remove(StopHow),
}

/// What leaves the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgotten {
    /// A task of which the agent said that nothing is left.
    Task(TaskId),
    /// A slot above the wished number, with its addresses.
    Slot(ServiceKey, u32),
    /// A service without tasks.
    Service(ServiceKey),
    /// A network without endpoints.
    Network(NetworkName),
    /// A volume whose data are deleted.
    Volume(VolumeName),
    /// A stack of which nothing is left.
    Stack(StackName),
}

/// Why a change was not applied. The state is as before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The object changed since the decision was taken: look again, decide anew.
    Stale {
        /// What it is about, for a person.
        object: String,
        /// The version decided on.
        expected: Version,
        /// The version found.
        found: Version,
    },
    /// There is no such object.
    Unknown {
        /// What it is about, for a person.
        object: String,
    },
    /// The wish cannot be granted beside what is there already.
    Conflict {
        /// What was wished, what stands in its way.
        message: String,
        /// What could be done.
        hint: Option<String>,
    },
}

/// What a change did: for those who watch. Names the object; readers look it up in the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A stack was wished for, changed, or is to go.
    Stack(StackName),
    /// The last of a stack is gone.
    StackGone(StackName),
    /// A service changed.
    Service(ServiceKey),
    /// A service is gone.
    ServiceGone(ServiceKey),
    /// A task is new or changed.
    Task(TaskId, ServiceKey),
    /// A task is gone.
    TaskGone(TaskId, ServiceKey),
    /// A network changed or is gone.
    Network(NetworkName),
    /// A volume changed or is gone.
    Volume(VolumeName),
    /// A node changed.
    Node(NodeId),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { object, expected, found } => {
                write!(
                    f,
                    "{object} has changed meanwhile: this was decided on version {expected}, and it is at {found}"
                )
            }
            Self::Unknown { object } => write!(f, "there is no {object}"),
            Self::Conflict { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// What could be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Conflict { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}
