//! Between messages and `cluster` types. What cannot be read is the sender's fault and is refused with the
//! name of the field.

use cluster::view::{Assignments, AssignmentsDelta, ServiceView, StackView, TaskView};
use cluster::{Ended, NodeDescription, NodeId, RunAction, StackName, StopHow, TaskId, TaskStatus, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;

use crate::control::set_run_request::Action;
use crate::control::watch_event::Kind;
use crate::control::{self, ServiceChanged, TaskChanged, WatchEvent};
use crate::dispatch;

/// A value as the JSON that travels in a `..._json` field.
#[must_use]
pub fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value)
        .expect("cluster's types have only text keys, so that nothing of them cannot be JSON")
}

/// The value in a `..._json` field; `what` names it in the error.
///
/// # Errors
/// `InvalidArgument`: it is not the JSON of such a value.
#[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
pub fn from_json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Status> {
    serde_json::from_slice(bytes).map_err(|e| Status::invalid_argument(format!("cannot read {what}: {e}")))
}

impl From<StopHow> for control::StopHow {
    fn from(how: StopHow) -> Self {
        Self { signal: how.signal, grace_ms: how.grace_ms }
    }
}

impl From<control::StopHow> for StopHow {
    fn from(how: control::StopHow) -> Self {
        Self { signal: how.signal, grace_ms: how.grace_ms }
    }
}

/// The two fields of a `SetRunRequest` that say what is wished.
#[must_use]
pub fn run_action_to(action: RunAction) -> (Action, Option<control::StopHow>) {
    match action {
        RunAction::Start => (Action::Start, None),
        RunAction::Stop(how) => (Action::Stop, Some(how.into())),
        RunAction::Restart(how) => (Action::Restart, Some(how.into())),
        RunAction::RestartAlone(how) => (Action::RestartAlone, Some(how.into())),
        RunAction::Remove(how) => (Action::Remove, Some(how.into())),
    }
}

/// What a `SetRunRequest` wishes.
#[must_use]
pub fn run_action_from(action: Action, how: Option<control::StopHow>) -> RunAction {
    let how = how.map(StopHow::from).unwrap_or_default();
    match action {
        Action::Start => RunAction::Start,
        Action::Stop => RunAction::Stop(how),
        Action::Restart => RunAction::Restart(how),
        Action::RestartAlone => RunAction::RestartAlone(how),
        Action::Remove => RunAction::Remove(how),
    }
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Watched {
    /// A stack whole: at the start, and when more of it than its services changed.
    Stack(Box<StackView>),
    /// One service with its tasks; `None` when it is gone.
    Service {
        /// Its stack.
        stack: StackName,
        /// Its name.
        service: String,
        /// What it is now.
        view: Option<Box<ServiceView>>,
    },
    /// One task; `None` when it is gone.
    Task {
        /// Its stack.
        stack: StackName,
        /// Its service.
        service: String,
        /// Its id.
        task: TaskId,
        /// What it is now.
        view: Option<Box<TaskView>>,
    },
    /// The last of a stack is gone.
    StackGone(StackName),
    /// All that was there at the start, or up to the event's version, has been sent.
    Synced,
}

impl Watched {
    /// As it travels; `version` is the state's.
    #[must_use]
    pub fn to_event(&self, version: Version) -> WatchEvent {
        let kind = match self {
            Self::Stack(view) => Kind::StackJson(to_json(view)),
            Self::Service { stack, service, view } => Kind::Service(ServiceChanged {
                stack: stack.0.clone(),
                service: service.clone(),
                service_json: view.as_ref().map(to_json).unwrap_or_default(),
            }),
            Self::Task { stack, service, task, view } => Kind::Task(TaskChanged {
                stack: stack.0.clone(),
                service: service.clone(),
                task: task.to_string(),
                task_json: view.as_ref().map(to_json).unwrap_or_default(),
            }),
            Self::StackGone(stack) => Kind::StackGone(stack.0.clone()),
            Self::Synced => Kind::Synced(true),
        };
        WatchEvent { version: version.0, kind: Some(kind) }
    }

    /// What an event says.
    ///
    /// # Errors
    /// `InvalidArgument`: it says nothing that this program knows.
    #[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
    pub fn from_event(event: WatchEvent) -> Result<Self, Status> {
        Ok(match event.kind.ok_or_else(|| Status::invalid_argument("an event without content"))? {
            Kind::StackJson(json) => Self::Stack(from_json(&json, "a stack")?),
            Kind::Task(changed) => Self::Task {
                stack: StackName(changed.stack),
                service: changed.service,
                task: changed.task.parse().map_err(|e| {
                    Status::invalid_argument(format!("`{}` is no task id: {e}", changed.task))
                })?,
                view: optional(&changed.task_json, "a task")?,
            },
            Kind::Service(changed) => Self::Service {
                stack: StackName(changed.stack),
                service: changed.service,
                view: optional(&changed.service_json, "a service")?,
            },
            Kind::StackGone(stack) => Self::StackGone(StackName(stack)),
            Kind::Synced(_) => Self::Synced,
        })
    }
}

/// What an agent says. Only what is there is sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Who speaks.
    pub node: u64,
    /// Its machine; in the first report of a session.
    pub description: Option<NodeDescription>,
    /// The statuses that changed.
    pub statuses: Vec<(TaskId, TaskStatus)>,
    /// What else has ended.
    pub ended: Ended,
    /// The agent wants all its assignments again.
    pub resync: bool,
    /// Counts the reports of a session from 1.
    pub sequence: u64,
}

impl Report {
    /// The node that speaks.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId(self.node)
    }

    /// As it travels.
    #[must_use]
    pub fn to_message(&self) -> dispatch::Report {
        dispatch::Report {
            node: self.node,
            description_json: self.description.as_ref().map(to_json).unwrap_or_default(),
            statuses_json: if self.statuses.is_empty() { Vec::new() } else { to_json(&self.statuses) },
            ended_json: if self.ended == Ended::default() { Vec::new() } else { to_json(&self.ended) },
            resync: self.resync,
            sequence: self.sequence,
        }
    }

    /// What a message says.
    ///
    /// # Errors
    /// `InvalidArgument`: a field is not what it should be.
    #[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
    pub fn from_message(message: &dispatch::Report) -> Result<Self, Status> {
        Ok(Self {
            node: message.node,
            description: optional(&message.description_json, "a node's description")?,
            statuses: optional(&message.statuses_json, "task statuses")?.unwrap_or_default(),
            ended: optional(&message.ended_json, "what has ended")?.unwrap_or_default(),
            resync: message.resync,
            sequence: message.sequence,
        })
    }
}

/// What a manager tells an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    /// All the node has to do; first of a session, and after a resync.
    pub complete: Option<Assignments>,
    /// What changed since.
    pub delta: Option<AssignmentsDelta>,
    /// Reports up to this sequence are durable.
    pub acknowledged: u64,
}

impl Work {
    /// As it travels.
    #[must_use]
    pub fn to_message(&self) -> dispatch::Assignment {
        dispatch::Assignment {
            complete_json: self.complete.as_ref().map(to_json).unwrap_or_default(),
            delta_json: self.delta.as_ref().map(to_json).unwrap_or_default(),
            acknowledged: self.acknowledged,
        }
    }

    /// What a message says.
    ///
    /// # Errors
    /// `InvalidArgument`: a field is not what it should be.
    #[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
    pub fn from_message(message: &dispatch::Assignment) -> Result<Self, Status> {
        Ok(Self {
            complete: optional(&message.complete_json, "assignments")?,
            delta: optional(&message.delta_json, "a difference of assignments")?,
            acknowledged: message.acknowledged,
        })
    }
}

/// A field that is empty when it says nothing.
#[allow(clippy::result_large_err, reason = "tonic's error, as its traits want it")]
fn optional<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<Option<T>, Status> {
    if json.is_empty() { Ok(None) } else { from_json(json, what).map(Some) }
}
