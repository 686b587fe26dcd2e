//! A machine that exists only here: containers, namespaces, bridges and volumes as entries in maps.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use agent::core::{Action, ActionId, Failure, FailureKind, Inventory, Outcome, ProbeResult, Record};
use cluster::{NetworkName, TaskId, Timestamp};
use overlay_net::EndpointSpec;
use runtime::image::ImageConfig;
use runtime::{ContainerConfig, Exit, Found, FoundState, JoinedRuns, Started};

use crate::rng::Rng;

/// Milliseconds after which a server answers its health check.
const SERVER_READY_MS: u64 = 300;
const SIGKILL: i32 = 9;

/// Something that the outside can see of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Started(TaskId),
    Healthy(TaskId),
    Ended(TaskId, i32),
}

/// A container's end that lies ahead: in so many milliseconds its run ends with this status.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) task: TaskId,
    pub(crate) run: u64,
    pub(crate) after_ms: u64,
    pub(crate) code: i32,
}

pub(crate) struct Container {
    pub(crate) config: ContainerConfig,
    pub(crate) state: FoundState,
    /// Counts the starts on this machine, so that an end belongs to one run.
    run: u64,
}

/// What survives the agent's process.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) containers: BTreeMap<TaskId, Container>,
    pub(crate) namespaces: BTreeMap<TaskId, Vec<IpAddr>>,
    pub(crate) bridges: BTreeSet<String>,
    pub(crate) volumes: BTreeSet<String>,
    pub(crate) records: BTreeMap<TaskId, Record>,
    /// Who waits for the end of a container. Does not survive the agent.
    pub(crate) watchers: BTreeMap<TaskId, ActionId>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) ends: Vec<End>,
    runs: u64,
}

impl Machine {
    /// What an agent finds when it starts.
    pub(crate) fn inventory(&self) -> Inventory {
        Inventory {
            containers: self
                .containers
                .values()
                .map(|container| Found {
                    config: container.config.clone(),
                    state: container.state.clone(),
                    paused: false,
                })
                .collect(),
            netns: self.namespaces.keys().map(ToString::to_string).collect(),
            networks: self.bridges.iter().cloned().map(NetworkName).collect(),
            records: self.records.clone(),
        }
    }

    pub(crate) fn is_running(&self, task: TaskId) -> bool {
        self.containers.get(&task).is_some_and(|c| matches!(c.state, FoundState::Running(_)))
    }

    /// Nothing of any task or network is left. Volumes may be.
    pub(crate) fn is_empty(&self) -> bool {
        self.containers.is_empty()
            && self.namespaces.is_empty()
            && self.bridges.is_empty()
            && self.records.is_empty()
    }

    /// Carries an action out. `None`: its answer comes with the container's end.
    pub(crate) fn perform(
        &mut self,
        id: ActionId,
        action: &Action,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<Result<Outcome, Failure>> {
        let outcome = match action {
            Action::PullImage { reference, .. } => {
                let config = ImageConfig { cmd: vec!["run".to_owned()], ..ImageConfig::default() };
                Outcome::Image { id: format!("sha256:{reference}"), config: Arc::new(config) }
            }
            Action::FetchBlob { digest } => Outcome::Blob(digest.clone().into_bytes()),
            Action::EnsureNetwork(spec) => {
                self.bridges.insert(spec.id.to_string());
                Outcome::Done
            }
            Action::RemoveNetwork(name) => {
                self.bridges.remove(&name.0);
                Outcome::Done
            }
            Action::EnsureVolume(name, _) => {
                self.volumes.insert(name.clone());
                Outcome::Path(PathBuf::from(format!("/volumes/{name}")))
            }
            Action::RemoveVolume(name) => {
                self.volumes.remove(name);
                Outcome::Done
            }
            Action::CreateNetns(task) => {
                self.namespaces.entry(*task).or_default();
                Outcome::Path(PathBuf::from(format!("/netns/{task}")))
            }
            Action::RemoveNetns(task) => {
                self.namespaces.remove(task);
                Outcome::Done
            }
            Action::Attach(task, endpoints) => {
                let addresses = endpoints.iter().flat_map(EndpointSpec::addresses).collect();
                self.namespaces.insert(*task, addresses);
                Outcome::Done
            }
            Action::SetBalance(_) => Outcome::Balanced(Vec::new()),
            Action::ServeDns(_) => Outcome::Done,
            Action::Keep(task, record) => {
                match record {
                    Some(record) => self.records.insert(*task, record.clone()),
                    None => self.records.remove(task),
                };
                Outcome::Done
            }
            _ => return self.perform_on_container(id, action, now, rng),
        };
        Some(Ok(outcome))
    }

    fn perform_on_container(
        &mut self,
        id: ActionId,
        action: &Action,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Option<Result<Outcome, Failure>> {
        Some(match action {
            Action::CreateContainer(config) => self.create(config),
            Action::Start(task) => self.start(*task, now, rng),
            Action::Watch(task) => match self.containers.get(task).map(|container| &container.state) {
                Some(FoundState::Exited(exit)) => Ok(Outcome::Exited(exit.clone())),
                Some(FoundState::Running(_)) => {
                    self.watchers.insert(*task, id);
                    return None;
                }
                _ => Err(gone(*task)),
            },
            Action::Signal(task, signal) => {
                let after_ms = rng.range(0, 300);
                // One in ten does not listen, and waits for SIGKILL.
                if *signal == SIGKILL || rng.percent(90) {
                    self.will_end(*task, after_ms, 128 + signal);
                }
                Ok(Outcome::Done)
            }
            Action::Kill(task) => {
                self.will_end(*task, 0, 128 + SIGKILL);
                Ok(Outcome::Done)
            }
            Action::RemoveContainer(task) if self.is_running(*task) => {
                Err(Failure { message: format!("{task} runs"), kind: FailureKind::Passing })
            }
            Action::RemoveContainer(task) => match self.containers.remove(task) {
                Some(_) => Ok(Outcome::Done),
                None => Err(gone(*task)),
            },
            Action::Probe(task, _) | Action::Knock(task, _) => self.probe(*task, now),
            other => Err(Failure { message: format!("no machine can {other}"), kind: FailureKind::Lasting }),
        })
    }

    fn create(&mut self, config: &ContainerConfig) -> Result<Outcome, Failure> {
        let task: TaskId = config.id.parse().expect("a task's id");
        if self.is_running(task) {
            return Err(Failure { message: format!("{task} runs"), kind: FailureKind::Passing });
        }
        let new = || Container { config: config.clone(), state: FoundState::Created, run: 0 };
        // One that has ended stays so; it is only described anew.
        self.containers.entry(task).or_insert_with(new).config = config.clone();
        Ok(Outcome::Done)
    }

    fn start(&mut self, task: TaskId, now: Timestamp, rng: &mut Rng) -> Result<Outcome, Failure> {
        let Some(container) = self.containers.get_mut(&task) else { return Err(gone(task)) };
        if matches!(container.state, FoundState::Running(_)) {
            return Err(Failure { message: format!("{task} runs already"), kind: FailureKind::Passing });
        }
        self.runs += 1;
        container.run = self.runs;
        let pid = u32::try_from(self.runs).unwrap_or(u32::MAX);
        let started = Started { pid, started_at_ms: now.0, joined: JoinedRuns::default() };
        container.state = FoundState::Running(started);
        let job = container.config.image.contains("job");
        self.seen.push(Seen::Started(task));
        if job {
            self.will_end(task, rng.range(20, 400), 0);
        }
        Ok(Outcome::Started(started))
    }

    fn probe(&mut self, task: TaskId, now: Timestamp) -> Result<Outcome, Failure> {
        match self.containers.get(&task).map(|container| &container.state) {
            Some(FoundState::Running(started)) => {
                let ready = now.0 >= started.started_at_ms + SERVER_READY_MS;
                if ready {
                    self.seen.push(Seen::Healthy(task));
                }
                let code = i32::from(!ready);
                Ok(Outcome::Probed(ProbeResult { code, timed_out: false, output: String::new() }))
            }
            _ => Err(gone(task)),
        }
    }

    pub(crate) fn will_end(&mut self, task: TaskId, after_ms: u64, code: i32) {
        if let Some(container) = self.containers.get(&task).filter(|_| self.is_running(task)) {
            self.ends.push(End { task, run: container.run, after_ms, code });
        }
    }

    /// A run ends, if it has not ended otherwise. Answers who waited for it, and what they are told.
    pub(crate) fn end(&mut self, end: End, now: Timestamp) -> Option<(ActionId, Outcome)> {
        let container = self.containers.get_mut(&end.task).filter(|container| container.run == end.run)?;
        let FoundState::Running(started) = container.state else { return None };
        let exit = Exit {
            code: end.code,
            signal: (end.code > 128).then_some(end.code - 128),
            oom: false,
            error: None,
            started_at_ms: started.started_at_ms,
            finished_at_ms: now.0,
        };
        container.state = FoundState::Exited(exit.clone());
        self.seen.push(Seen::Ended(end.task, end.code));
        Some((self.watchers.remove(&end.task)?, Outcome::Exited(exit)))
    }

    /// The power fails: what ran has ended, what lived in memory is gone.
    pub(crate) fn reboot(&mut self, now: Timestamp) {
        let running: Vec<TaskId> =
            self.containers.keys().copied().filter(|task| self.is_running(*task)).collect();
        for task in running {
            let run = self.containers[&task].run;
            self.end(End { task, run, after_ms: 0, code: 255 }, now);
        }
        self.namespaces.clear();
        self.bridges.clear();
        self.watchers.clear();
    }
}

fn gone(task: TaskId) -> Failure {
    Failure { message: format!("there is no {task}, or it does not run"), kind: FailureKind::Gone }
}
