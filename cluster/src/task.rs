//! A task: one slot's assignment to one node, and what is known of its container.
//!
//! Three writers, no field with two: `spec` comes from the user's wish, `desired`, `gate` and
//! `generation` from the manager, `status` from the agent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Endpoint, NodeId, ServiceKey, ServiceSpec, TaskId, Timestamp, Version};

/// One slot's assignment to one node. A container that exits is started again in place by the agent;
/// a new task is made only when the spec changed or the node is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The task's own id; also the id of its container on the node.
    pub id: TaskId,
    /// The service that the task is one replica of.
    pub service: ServiceKey,
    /// Which replica: counts from 1. One-off tasks (`orc run`) have slots too, in a service of their own.
    pub slot: u32,
    /// What to run. Shared with the service it was made from, and unchanged when that one moves on.
    pub spec: Arc<ServiceSpec>,
    /// The node that runs it, for good.
    pub node: NodeId,
    /// Its interfaces, one for each network, in the order in which they become `eth0`, `eth1`, ...
    pub endpoints: Vec<Endpoint>,
    /// What the manager wants of it.
    pub desired: Desired,
    /// Whether it may be started yet. Closes again only when a stopped or ended task is to start anew.
    pub gate: Gate,
    /// Which start of the container is wished for. The agent starts the container once for each
    /// generation it has not started yet: `orc restart` and an `orc up` on a finished container raise it.
    pub generation: u64,
    /// How a container that still runs is stopped when a new generation begins.
    pub restart_how: StopHow,
    /// What the agent last said of it.
    pub status: TaskStatus,
    /// The `Service::forced` that it was made under.
    #[serde(default)]
    pub forced: u64,
    /// The `Service::volumes_renewed` that it was made under: tasks of a slot share anonymous volumes by it.
    #[serde(default)]
    pub volumes_renewed: u64,
    /// When the manager made it.
    pub created_at: Timestamp,
    /// When the manager first heard that it was ready, or had ended well.
    #[serde(default)]
    pub settled_at: Option<Timestamp>,
    /// The last change that touched it.
    pub version: Version,
}

/// What the manager wants of a task. Only rises, but for `Stop`, which `orc start` takes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// The container runs, as far as its restart policy goes.
    Run,
    /// The container is stopped and kept: its files, its address, its logs.
    Stop(StopHow),
    /// The container is stopped and removed; the task ends when the agent has said so.
    Remove(StopHow),
}

/// How to stop. `None` means what the service or its image says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopHow {
    /// The signal's name or number, as in `stop_signal`.
    pub signal: Option<String>,
    /// Milliseconds between the signal and SIGKILL.
    pub grace_ms: Option<u64>,
}

/// Whether a task may be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Something must be true first: the agent prepares (pulls, creates), but does not start.
    Held,
    /// It may be started.
    Open,
}

/// How far a task has come. Only rises: a lower phase is never reported after a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The manager chose a node; the agent has not looked at it yet.
    #[default]
    Assigned,
    /// The agent pulls the image and makes the container.
    Preparing,
    /// The container is there and was never started.
    Prepared,
    /// The container was started at least once; `TaskStatus::container` says what it does now.
    Started,
    /// Nothing is left of it on the node.
    Removed,
}

/// What the agent knows of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// How far it has come.
    pub phase: Phase,
    /// When the agent last changed this status.
    pub at: Timestamp,
    /// What the container does, once there is one.
    pub container: Option<ContainerStatus>,
    /// Why it does not get on, in words for a person; `None` when it does.
    pub problem: Option<Problem>,
    /// The task's generation when the agent last had a problem to tell.
    #[serde(default)]
    pub generation: u64,
    /// The task's generation when the agent last knew of a wish to stop it and had nothing of it running.
    #[serde(default)]
    pub rests: Option<u64>,
}

/// Something that keeps a task from getting on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was being done to which object, and the causes.
    pub message: String,
    /// When the agent tries again; `None` when trying again cannot help.
    pub retry_at: Option<Timestamp>,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Running, waiting to be started again, ...
    pub state: ContainerState,
    /// The generation of the task that the last start answered.
    pub generation: u64,
    /// The first process, as the node's own pid namespace counts.
    pub pid: Option<u32>,
    /// When the last start was.
    pub started_at: Option<Timestamp>,
    /// How often it was started again by its restart policy since `generation` began.
    pub restarts: u32,
    /// How it last ended.
    pub exit: Option<Exit>,
    /// What its health check says.
    pub health: Health,
    /// The last checks when they last said something new, oldest first.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// The image it was made from, as the digest of the image's configuration (`sha256:...`).
    pub image: String,
}

/// The state of a container that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Made, not started since the present generation began.
    Created,
    /// Its first process is alive.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It ended, and its restart policy starts it again at the given time.
    Restarting {
        /// When the next start is due.
        at: Timestamp,
    },
    /// A stop signal was sent.
    Stopping,
    /// It ended and stays so.
    Exited,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit status as a shell reports it: 128 + signal for a death by signal, 127 for a command
    /// that is not there, 126 for one that cannot be executed.
    pub code: i32,
    /// The kernel ended a process of it for lack of memory.
    pub oom: bool,
    /// Why it could not even be started.
    pub error: Option<String>,
    /// It was stopped because its health checks had failed, so that its restart policy starts it again.
    #[serde(default)]
    pub unhealthy: bool,
    /// When it ended.
    pub at: Timestamp,
}

/// What a health check says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// There is no health check.
    #[default]
    None,
    /// No check has decided yet.
    Starting,
    /// The last check succeeded.
    Healthy,
    /// `retries` checks failed in a row.
    Unhealthy {
        /// How many failed in a row.
        failing_streak: u32,
        /// What the last one printed, cut to a limit.
        output: String,
    },
}

/// What one health check said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Its exit status; 0 is good.
    pub code: i32,
    /// What it printed, cut to a limit.
    pub output: String,
}

impl Task {
    /// Its container has a living process, of whatever generation: it runs, is frozen, or is being stopped.
    pub fn is_alive(&self) -> bool {
        self.container().is_some_and(ContainerStatus::is_alive)
    }

    /// It is to stop, its agent knows, and nothing of it runs: not even a start that was under way is to come.
    pub fn rests(&self) -> bool {
        matches!(self.desired, Desired::Stop(_))
            && self.status.rests.is_some_and(|generation| generation >= self.generation)
            && !self.is_alive()
    }

    /// The container runs and its present generation has been started.
    pub fn is_running(&self) -> bool {
        self.container().is_some_and(|c| {
            c.generation >= self.generation
                && matches!(c.state, ContainerState::Running | ContainerState::Paused)
        })
    }

    /// Its container runs and is not to be stopped: names lead to it while no task of the service is ready.
    pub fn is_serving(&self) -> bool {
        self.desired == Desired::Run
            && self
                .container()
                .is_some_and(|c| matches!(c.state, ContainerState::Running | ContainerState::Paused))
    }

    /// New connections may be sent to it: it runs, is not being stopped, and its health check (if any) is content.
    pub fn is_ready(&self) -> bool {
        self.desired == Desired::Run
            && self.container().is_some_and(|c| {
                c.state == ContainerState::Running && matches!(c.health, Health::None | Health::Healthy)
            })
    }

    /// It does what it is there for: it is ready, or it has ended well.
    pub fn is_settled(&self) -> bool {
        self.is_ready() || self.finished().is_some_and(|exit| exit.code == 0 && exit.error.is_none())
    }

    /// The container's status, if there is a container.
    pub fn container(&self) -> Option<&ContainerStatus> {
        self.status.container.as_ref()
    }

    /// Why it does not get on. What kept an earlier generation is no news of the present one, which is only
    /// being tried.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.status.problem.as_ref().filter(|_| self.status.generation >= self.generation)
    }

    /// How the present generation ended, when it ended for good.
    pub fn finished(&self) -> Option<&Exit> {
        let container = self.container().filter(|c| c.generation >= self.generation)?;
        (container.state == ContainerState::Exited).then_some(container.exit.as_ref()).flatten()
    }
}

impl ContainerStatus {
    /// There is a living process: it runs, is frozen, or is being stopped.
    pub fn is_alive(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused | ContainerState::Stopping)
    }
}
