//! What goes into the agent's core and what comes out of it: plain values.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ::core::net::IpAddr;
use cluster::view::{Assignments, AssignmentsDelta};
use cluster::{Ended, NetworkName, Probe, TaskId, TaskStatus, Timestamp};
use overlay_net::{Balance, Conflict, EndpointSpec, NetworkSpec, View, Zone};
use runtime::image::{ImageConfig, PullPolicy};
use runtime::{Before, ContainerConfig, ExecConfig, Exit, Found, Started};

use super::record::Record;

/// Tells an action from all others of this run of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// What an earlier run of the agent left on the machine: the first input, given once.
    Found(Box<Inventory>),
    /// What this node has to do.
    Assigned(Box<Update>),
    /// An action ended.
    Done(ActionId, Result<Outcome, Failure>),
    /// The first process of the container that this [`Action::Watch`] waits for is dead: nothing answers there
    /// any more. How it ended comes later, as the action's outcome.
    Dying(ActionId),
    /// The action has taken long already, not counting its wait for its turn, and goes on.
    Slow(ActionId),
    /// The clock of a task's container was stopped, or started again.
    Paused(TaskId, bool),
    /// The time of the last [`Output::WakeAt`] has come. Waking too early or too often does no harm.
    Wake,
}

/// Where assignments come from.
#[derive(Clone, Debug)]
pub enum Update {
    /// From this node's own disk, before a manager was reached. Nothing is removed on its word.
    Remembered(Assignments),
    /// All of them, from a manager.
    Complete(Assignments),
    /// A difference, from a manager.
    Delta(AssignmentsDelta),
}

/// What is on the machine.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Containers, as the runtime lists them.
    pub containers: Vec<Found>,
    /// Network namespaces by id, which is the task's.
    pub netns: Vec<String>,
    /// Networks that have a bridge.
    pub networks: Vec<NetworkName>,
    /// What [`Action::Keep`] kept.
    pub records: BTreeMap<TaskId, Record>,
}

/// What shall happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Carry this out, then say [`Input::Done`]. Actions do not wait for one another.
    Do(ActionId, Action),
    /// The names of a network are these; `None` when it has none any more.
    Zone(NetworkName, Option<Zone>),
    /// What a task's namespace may resolve; `None` when it is gone.
    View(TaskId, Option<View>),
    /// Tell the manager.
    Report(Report),
    /// Give [`Input::Wake`] at this time; it replaces the time said before.
    WakeAt(Timestamp),
    /// Ask the manager for all assignments: a difference did not fit.
    Resync,
}

/// What the manager is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The statuses that changed.
    pub statuses: Vec<(TaskId, TaskStatus)>,
    /// What else is gone.
    pub ended: Ended,
}

impl Report {
    /// There is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty() && self.ended == Ended::default()
    }
}

/// One call of the runtime, the network, the node's own store or the manager's store of contents.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Answers [`Outcome::Image`].
    PullImage {
        /// As in the Compose file.
        reference: String,
        /// Whether the registry is asked.
        policy: PullPolicy,
    },
    /// Gets a secret or config from the manager. Answers [`Outcome::Blob`].
    FetchBlob {
        /// SHA-256 of the content.
        digest: String,
    },
    /// Makes a network's bridge, or checks that it is as specified.
    EnsureNetwork(Box<NetworkSpec>),
    /// Takes a network's bridge away.
    RemoveNetwork(NetworkName),
    /// Makes a volume with these labels unless it exists. Answers [`Outcome::Path`].
    EnsureVolume(String, BTreeMap<String, String>),
    /// Deletes a volume with its content; one that does not exist is no failure.
    RemoveVolume(String),
    /// Makes the task's network namespace unless it exists. Answers [`Outcome::Path`].
    CreateNetns(TaskId),
    /// Takes the task's network namespace away with its interfaces and its DNS.
    RemoveNetns(TaskId),
    /// Gives the task's namespace exactly these interfaces.
    Attach(TaskId, Vec<EndpointSpec>),
    /// Answers DNS inside the task's namespace.
    ServeDns(TaskId),
    /// Makes the task's container; one that exists and does not run is brought to this.
    CreateContainer(Box<ContainerConfig>),
    /// Answers [`Outcome::Started`].
    Start(TaskId),
    /// Waits for the end of the container's present run: says [`Input::Dying`] when its first process is dead,
    /// and answers [`Outcome::Exited`] when it is known how it ended.
    Watch(TaskId),
    /// Sends a signal to the container's first process.
    Signal(TaskId, i32),
    /// Kills every process of the container.
    Kill(TaskId),
    /// Removes a container that does not run, with what it wrote.
    RemoveContainer(TaskId),
    /// Runs a health check. Answers [`Outcome::Probed`].
    Probe(TaskId, Box<ExecConfig>),
    /// Knocks at a container from outside. Answers [`Outcome::Probed`].
    Knock(TaskId, Box<Knock>),
    /// Runs a hook of the container's life in it. Answers [`Outcome::Probed`].
    Hook(TaskId, Box<ExecConfig>),
    /// Runs a command to its end in a container of its own before the task's is started. Answers
    /// [`Outcome::Exited`].
    RunBefore(TaskId, Box<Before>),
    /// Ends what [`Action::RunBefore`] runs.
    EndBefore(TaskId),
    /// Brings balanced addresses and ports to this. Answers [`Outcome::Balanced`].
    SetBalance(Box<Balance>),
    /// Writes to the node's own disk what must outlive the agent; done when it is durable.
    Keep(TaskId, Option<Record>),
}

/// A health check from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knock {
    /// The container's address.
    pub address: IpAddr,
    /// What is asked there.
    pub probe: Probe,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What an action gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done; there is nothing to say of it.
    Done,
    /// An image.
    Image {
        /// Its id.
        id: String,
        /// What containers inherit from it.
        config: Arc<ImageConfig>,
    },
    /// The content of a secret or config.
    Blob(Vec<u8>),
    /// Where the thing that was made is.
    Path(PathBuf),
    /// The container runs.
    Started(Started),
    /// The container ended.
    Exited(Exit),
    /// The health check or hook has ended.
    Probed(ProbeResult),
    /// The ports that could not be had.
    Balanced(Vec<Conflict>),
}

/// What a health check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// Its exit status; 0 is good.
    pub code: i32,
    /// It took too long and was killed.
    pub timed_out: bool,
    /// What it printed, cut to [`crate::limits::HEALTH_OUTPUT_BYTES`].
    pub output: String,
}

/// Why an action failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was being done to which object, and the causes.
    pub message: String,
    /// What that means for trying again.
    pub kind: FailureKind,
}

/// What a failure means for trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It may pass.
    Passing,
    /// Trying again cannot help.
    Lasting,
    /// The container's program could not be run: an exit with this status (127, 126).
    Command(i32),
    /// The container is not there, or does not run.
    Gone,
}

impl fmt::Display for Action {
    /// One short line, for traces and tests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::PullImage { reference, policy } => write!(f, "pull {reference} ({policy:?})"),
            Action::FetchBlob { digest } => write!(f, "fetch blob {digest}"),
            Action::EnsureNetwork(spec) => write!(f, "ensure network {}", spec.id),
            Action::RemoveNetwork(name) => write!(f, "remove network {name}"),
            Action::EnsureVolume(name, _) => write!(f, "ensure volume {name}"),
            Action::RemoveVolume(name) => write!(f, "remove volume {name}"),
            Action::CreateNetns(task) => write!(f, "create netns {task}"),
            Action::RemoveNetns(task) => write!(f, "remove netns {task}"),
            Action::Attach(task, endpoints) => {
                write!(f, "attach {task}")?;
                let mut all = endpoints.iter().flat_map(|e| e.addresses().map(move |ip| (&e.interface, ip)));
                all.try_for_each(|(interface, ip)| write!(f, " {interface}={ip}"))
            }
            Action::ServeDns(task) => write!(f, "serve dns {task}"),
            Action::CreateContainer(config) => write!(f, "create {}", config.id),
            Action::Start(task) => write!(f, "start {task}"),
            Action::Watch(task) => write!(f, "watch {task}"),
            Action::Signal(task, signal) => write!(f, "signal {task} {signal}"),
            Action::Kill(task) => write!(f, "kill {task}"),
            Action::RemoveContainer(task) => write!(f, "remove {task}"),
            Action::Probe(task, exec) => write!(f, "probe {task} {}", exec.args.join(" ")),
            Action::Knock(task, knock) => write!(f, "probe {task} {:?} at {}", knock.probe, knock.address),
            Action::Hook(task, exec) => write!(f, "hook {task} {}", exec.args.join(" ")),
            Action::RunBefore(task, before) => write!(f, "run before {task} {}", before.args.join(" ")),
            Action::EndBefore(task) => write!(f, "end before {task}"),
            Action::SetBalance(balance) => write!(f, "balance {}", BalanceText(balance)),
            Action::Keep(task, Some(record)) => write!(f, "keep {task} {record}"),
            Action::Keep(task, None) => write!(f, "keep {task} nothing"),
        }
    }
}

/// A balance in one line: `8080/tcp -> 80 of 10.0.0.2 10.0.0.3; 10.0.0.9 -> 10.0.0.2`.
struct BalanceText<'a>(&'a Balance);

impl fmt::Display for BalanceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for port in &self.0.published {
            let ip = port.host_ip.map(|ip| format!("{ip}:")).unwrap_or_default();
            let backends: Vec<String> = port.backends.iter().map(ToString::to_string).collect();
            parts.push(format!(
                "{ip}{}/{} -> {} of [{}]",
                port.host_port,
                port.protocol,
                port.target_port,
                backends.join(" ")
            ));
        }
        for (address, vip) in &self.0.vips {
            let backends: Vec<String> = vip.backends.iter().map(ToString::to_string).collect();
            parts.push(format!("{address} -> [{}]", backends.join(" ")));
        }
        if parts.is_empty() {
            parts.push("nothing".to_owned());
        }
        f.write_str(&parts.join("; "))
    }
}
