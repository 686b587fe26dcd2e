//! Decides what this node does next. Pure: [`AgentCore::step_all`] takes happenings and the time, and gives
//! actions and reports; "later" is an [`Output::WakeAt`].
//!
//! ```text
//! Assigned ─┐                       ┌─► Do(action)      one lane per task (`task`), one per network or volume
//! Done ─────┤                       │
//! Dying ────┼─► settle what was ────┼─► Zone, View      names (`project`, `projection`)
//! Found ────┤   touched             ├─► Report          what the manager does not know yet (`status`)
//! Wake ─────┘                       └─► WakeAt          the earliest of all timers
//! ```
//!
//! Invariant: only what an input touched is looked at, and looking starts from what is wished and what is
//! there, never from what was planned.

mod action;
mod adopt;
mod ahead;
mod checks;
mod container;
mod ending;
mod health;
mod intake;
mod join;
mod outcome;
mod prepare;
mod project;
mod projection;
mod record;
mod recover;
mod restart;
mod settle;
mod shared;
mod status;
mod stop;
mod task;
#[cfg(test)]
mod tests;
mod timers;
mod translate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cluster::view::Assignments;
use cluster::{Ended, NetworkName, NodeId, Problem, ServiceKey, TaskId, Timestamp, VolumeName};
use overlay_net::NetworkSpec;

pub use action::{
    Action, ActionId, Failure, FailureKind, Input, Inventory, Knock, Outcome, Output, ProbeResult, Report,
    Update,
};
pub use record::{ORIGIN_LABEL, Origin, Record};
pub use restart::pause_ms;
pub use stop::signal_number;

use join::Presence;
use project::Local;
use projection::Projection;
use shared::Shared;
use task::Machine;
use timers::Timers;

/// Everything the agent knows and is about to do.
#[derive(Clone, Debug)]
pub struct AgentCore {
    node: NodeId,
    assigned: Option<Assignments>,
    /// The manager has given the complete assignments in this run of the agent.
    synced: bool,
    tasks: BTreeMap<TaskId, Machine>,
    networks: BTreeMap<NetworkName, Shared<NetworkSpec>>,
    volumes: BTreeMap<VolumeName, Shared<PathBuf>>,
    /// Networks that have a bridge from an earlier run of the agent.
    left_networks: BTreeSet<NetworkName>,
    projection: Projection,
    /// What the last projection was made from.
    local: BTreeMap<TaskId, Local>,
    conflicts: BTreeMap<ServiceKey, Problem>,
    /// Tasks that are being stopped.
    leaving: BTreeSet<TaskId>,
    /// Tasks that came up or became ready, with the first projection that leads to them: until it is in force
    /// nobody is told, since whoever hears of it may connect at once.
    arriving: BTreeMap<TaskId, u64>,
    /// Running containers of an earlier run of the agent whose interfaces were not declared yet. The first
    /// balance replaces whatever is in force, so it waits for them.
    adopting: BTreeSet<TaskId>,
    /// Dead containers of an earlier run of the agent that were not started in this one.
    recovering: BTreeSet<TaskId>,
    /// Tasks that share something with another container.
    tied: BTreeSet<TaskId>,
    /// What those that share something last saw of others; empty while nobody does.
    presences: BTreeMap<TaskId, Presence>,
    ended: Ended,
    owners: BTreeMap<ActionId, Owner>,
    actions: u64,
    touched: Touched,
    timers: Timers<Key>,
    woken: Option<Timestamp>,
}

/// What a timer is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Task(TaskId),
    Network(NetworkName),
    Volume(VolumeName),
    Balance,
}

/// Whose an action is.
#[derive(Clone, Debug)]
enum Owner {
    Lane(TaskId),
    Watch(TaskId),
    Probe(TaskId),
    /// With what it will be like.
    Network(NetworkName, Option<NetworkSpec>),
    Volume(VolumeName),
    Balance,
}

/// What has to be looked at.
#[derive(Clone, Debug, Default)]
struct Touched {
    tasks: BTreeSet<TaskId>,
    networks: BTreeSet<NetworkName>,
    volumes: BTreeSet<VolumeName>,
    /// Tasks whose status may differ from what the manager knows.
    reports: BTreeSet<TaskId>,
}

impl AgentCore {
    /// An agent that knows nothing yet. It waits for [`Input::Found`].
    #[must_use]
    pub fn new(node: NodeId) -> AgentCore {
        AgentCore {
            node,
            assigned: None,
            synced: false,
            tasks: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            left_networks: BTreeSet::new(),
            projection: Projection::default(),
            local: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            leaving: BTreeSet::new(),
            arriving: BTreeMap::new(),
            adopting: BTreeSet::new(),
            recovering: BTreeSet::new(),
            tied: BTreeSet::new(),
            presences: BTreeMap::new(),
            ended: Ended::default(),
            owners: BTreeMap::new(),
            actions: 0,
            touched: Touched::default(),
            timers: Timers::new(),
            woken: None,
        }
    }

    /// One happening.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        self.step_all([input], now)
    }

    /// Several happenings at once: what they change together is decided and told once.
    pub fn step_all(&mut self, inputs: impl IntoIterator<Item = Input>, now: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        for input in inputs {
            self.take(input, now, &mut outputs);
        }
        self.settle(now, &mut outputs);
        outputs
    }

    /// The tasks of this node that have a container, by id: for those who serve logs and commands.
    pub fn containers(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().filter(|(_, machine)| machine.has_container()).map(|(id, _)| *id)
    }

    /// Nothing is being done, and nothing is left on this machine.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.networks.is_empty() && self.owners.is_empty()
    }
}
