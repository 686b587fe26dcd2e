//! What a task has of another container on this machine: its network, its IPC or process namespace, its mounts.
//!
//! Namespaces end: those of IPC and processes with the run of the container that made them, a network with its
//! task. Whoever shares one that is about to go, or is gone, is started anew in the next one, so that nobody stays
//! behind in a dead namespace; and whose task is to go waits until its guests have left.

use ::core::net::IpAddr;
use std::collections::BTreeMap;

use cluster::{Desired, Problem, ServiceKey, Task, TaskId};
use runtime::{ContainerConfig, JoinedRuns, MountsOf};

use super::AgentCore;
use super::task::{Container, Ended, Machine, Step, Todo, Wish, World};
use super::translate;

/// The status of a process that SIGKILL ended.
const KILLED: i32 = 137;
/// The replica that others share with: the first, as in docker compose.
const SHARED_SLOT: u32 = 1;

/// Something that a task has of another container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tie {
    kind: Kind,
    whose: Whose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Network,
    Ipc,
    Pid,
    Mounts { read_only: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    /// The first container of a service.
    Service(ServiceKey),
    /// The container of this name.
    Container(String),
}

/// The container at the other end of a tie.
#[derive(Clone, Debug)]
struct Owner {
    id: TaskId,
    /// Its first process, if that lives.
    run: Option<u32>,
    made: bool,
    /// It does not run and will.
    comes: bool,
    lends_ipc: bool,
    hostname: String,
    domainname: Option<String>,
    address: Option<IpAddr>,
}

/// What a task with ties sees of the others, and they of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Company {
    ties: Vec<(Tie, Option<Owner>)>,
    /// A namespace that it is in has gone, or is about to.
    pub(super) estranged: bool,
    /// Others are in its namespaces.
    pub(super) guests: bool,
}

/// A container that has something of others.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guest {
    /// What it was made from last, but for the content of its files.
    config: ContainerConfig,
    /// What it joined when it was last started.
    pub(super) runs: JoinedRuns,
    /// Where it can be reached from this machine, if it has no address of its own.
    pub(super) address: Option<IpAddr>,
}

/// As much of a task as matters to those who share something with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Presence {
    made: bool,
    run: Option<u32>,
    /// Also while it is dying.
    running: bool,
    comes: bool,
    going: bool,
    hosts: Vec<TaskId>,
}

/// All ties of a task.
fn ties(task: &Task) -> Vec<Tie> {
    let compose = &task.spec.compose;
    let stack = &task.service.stack;
    let container =
        |text: &str| text.strip_prefix("container:").map(|name| Whose::Container(name.to_owned()));
    let service = |name: &str| Whose::Service(ServiceKey::new(stack, name));
    let modes =
        [(Kind::Network, &compose.network_mode), (Kind::Ipc, &compose.ipc), (Kind::Pid, &compose.pid)];
    let mut ties = Vec::new();
    for (kind, mode) in modes {
        let Some(mode) = mode else { continue };
        let whose = mode.strip_prefix("service:").map(service).or_else(|| container(mode));
        ties.extend(whose.map(|whose| Tie { kind, whose }));
    }
    for source in &compose.volumes_from {
        let (name, access) = match source.rsplit_once(':') {
            Some((name, access @ ("ro" | "rw"))) => (name, access),
            _ => (source.as_str(), "rw"),
        };
        let whose = container(name).unwrap_or_else(|| service(name));
        ties.push(Tie { kind: Kind::Mounts { read_only: access == "ro" }, whose });
    }
    ties
}

impl Tie {
    /// `container `db`, whose network it shares,`
    fn words(&self) -> String {
        let what = match self.kind {
            Kind::Network => "network",
            Kind::Ipc => "IPC namespace",
            Kind::Pid => "process namespace",
            Kind::Mounts { .. } => "mounts",
        };
        match &self.whose {
            Whose::Service(key) => format!("service `{}`, whose {what} it shares,", key.service),
            Whose::Container(name) => format!("container `{name}`, whose {what} it shares,"),
        }
    }

    /// Why a container cannot be started yet; without words while the other one is on its way.
    fn obstacle(&self, owner: Option<&Owner>) -> Option<Option<String>> {
        let Some(owner) = owner else { return Some(Some(format!("{} is not there", self.words()))) };
        if self.kind == Kind::Ipc && !owner.lends_ipc {
            let why = "keeps that for itself: say `ipc: shareable` there";
            return Some(Some(format!("{} {why}", self.words())));
        }
        let ready = match self.kind {
            Kind::Mounts { .. } => owner.made,
            Kind::Network | Kind::Ipc | Kind::Pid => owner.run.is_some(),
        };
        if ready {
            return None;
        }
        Some((!owner.comes).then(|| format!("{} does not run", self.words())))
    }
}

impl Company {
    /// Completes a configuration by what the container has of others. `false`: one of them is not there.
    fn complete(&self, config: &mut ContainerConfig) -> bool {
        config.mounts_of.clear();
        for (tie, owner) in &self.ties {
            let Some(owner) = owner else { return false };
            let id = owner.id.to_string();
            match tie.kind {
                Kind::Network => {
                    config.joined.network = Some(id);
                    config.hostname.clone_from(&owner.hostname);
                    config.domainname.clone_from(&owner.domainname);
                }
                Kind::Ipc => config.joined.ipc = Some(id),
                Kind::Pid => config.joined.pid = Some(id),
                Kind::Mounts { read_only } => config.mounts_of.push(MountsOf { container: id, read_only }),
            }
        }
        true
    }

    fn obstacle(&self) -> Option<Option<String>> {
        self.ties.iter().find_map(|(tie, owner)| tie.obstacle(owner.as_ref()))
    }

    fn owner(&self, kind: Kind) -> Option<&Owner> {
        self.ties.iter().find(|(tie, _)| tie.kind == kind)?.1.as_ref()
    }
}

impl Guest {
    /// Of a container's configuration; `None` when it has nothing of others.
    pub(super) fn of(config: &ContainerConfig) -> Option<Box<Guest>> {
        let alone = config.joined == runtime::Joined::default() && config.mounts_of.is_empty();
        let mut config = config.clone();
        config.files.clear();
        (!alone).then(|| Box::new(Guest { config, runs: JoinedRuns::default(), address: None }))
    }

    /// The tasks whose namespaces it is in, with the run that it knows of where that matters.
    fn hosts(&self) -> impl Iterator<Item = (TaskId, Option<u32>)> {
        let (joined, runs) = (&self.config.joined, self.runs);
        let all = [(&joined.network, runs.network), (&joined.ipc, runs.ipc), (&joined.pid, runs.pid)];
        all.into_iter().filter_map(|(id, run)| Some((id.as_ref()?.parse().ok()?, run)))
    }
}

impl Machine {
    /// The configuration of a new container with what it has of others; `None` as long as they are not there.
    pub(super) fn share(
        &mut self,
        mut config: ContainerConfig,
        world: &World<'_>,
    ) -> Option<ContainerConfig> {
        if !world.company.complete(&mut config) {
            self.blocked = self.obstacle(world).flatten();
            return None;
        }
        self.guest = Guest::of(&config);
        Some(config)
    }

    /// Whom it shares with may have been made anew since its container was: then it gets another configuration.
    pub(super) fn share_anew(&mut self, world: &World<'_>) {
        let Some(guest) = &mut self.guest else { return };
        let mut config = guest.config.clone();
        if world.company.complete(&mut config) && config != guest.config {
            guest.config = config.clone();
            self.stale = Some(Box::new(config));
        }
    }

    /// A start has to wait until those are there with whom it shares something.
    pub(super) fn wait_for_company(&mut self, todo: Todo, world: &World<'_>) -> Todo {
        let starts = matches!(todo, Err(Some((Step::Start | Step::Keep(_) | Step::PreStart, _))));
        match self.obstacle(world).filter(|_| starts) {
            None => todo,
            Some(problem) => {
                self.blocked = problem;
                Err(None)
            }
        }
    }

    fn obstacle(&self, world: &World<'_>) -> Option<Option<Problem>> {
        let words = world.company.obstacle()?;
        Some(words.map(|message| Problem { message, retry_at: None }))
    }

    pub(super) fn note_address(&mut self, world: &World<'_>) {
        if let (Some(guest), Some(owner)) = (&mut self.guest, world.company.owner(Kind::Network)) {
            guest.address = owner.address;
        }
    }

    /// The kernel killed it because the first process of its process namespace, another container's, ended.
    pub(super) fn fell_with_owner(&self, ended: &Ended, world: &World<'_>) -> bool {
        let Some(run) = self.guest.as_ref().and_then(|guest| guest.runs.pid) else { return false };
        let killed = ended.exit.code == KILLED && !ended.exit.oom;
        killed && world.company.owner(Kind::Pid).is_none_or(|owner| owner.run != Some(run))
    }

    fn run_of(&self) -> Option<u32> {
        match self.container {
            Container::Running { pid, dying: false, .. } => Some(pid),
            _ => None,
        }
    }

    fn owner(&self, task: &Task, synced: bool) -> Owner {
        let guest = self.guest.as_deref();
        let first = task.endpoints.first().and_then(|endpoint| endpoint.addresses().each().next());
        let ipc = task.spec.compose.ipc.as_deref().unwrap_or_default();
        let own = guest.filter(|guest| guest.config.joined.network.is_some()).map(|guest| &guest.config);
        Owner {
            id: self.id,
            run: self.run_of(),
            made: self.has_container(),
            comes: self.comes(synced),
            lends_ipc: matches!(ipc, "shareable" | "host") || ipc.contains(':'),
            hostname: own.map_or_else(|| translate::hostname(task), |config| config.hostname.clone()),
            domainname: own.map_or_else(|| task.spec.compose.domainname.clone(), |c| c.domainname.clone()),
            address: first.or_else(|| guest.and_then(|guest| guest.address)),
        }
    }

    /// It does not run and will, or does while it is being looked at.
    fn comes(&self, synced: bool) -> bool {
        is_running(self) || self.comes_back(synced) || self.wish(synced) == Wish::Prepared
    }

    fn presence(&self, synced: bool) -> Presence {
        Presence {
            made: self.has_container(),
            run: self.run_of(),
            running: is_running(self),
            comes: self.comes(synced),
            going: matches!(self.wish(synced), Wish::Gone(_)),
            hosts: self.guest.iter().flat_map(|guest| guest.hosts()).map(|(host, _)| host).collect(),
        }
    }
}

impl AgentCore {
    pub(super) fn company(&self, machine: &Machine) -> Company {
        let ties = machine.task.as_ref().map(ties).unwrap_or_default();
        if ties.is_empty() && self.tied.is_empty() {
            return Company::default();
        }
        let find = |tie: Tie| {
            let owner = self.find(&tie.whose, machine.id);
            let owner = owner.and_then(|other| Some(other.owner(other.task.as_ref()?, self.synced)));
            (tie, owner)
        };
        let guests = self.tied.iter().filter_map(|id| self.tasks.get(id));
        Company {
            ties: ties.into_iter().map(find).collect(),
            estranged: self.is_estranged(machine),
            guests: guests.filter(|guest| is_running(guest)).any(|guest| {
                guest.guest.iter().any(|guest| guest.hosts().any(|(host, _)| host == machine.id))
            }),
        }
    }

    /// The container that is meant: one that is to stay, and of several in one slot the newest.
    fn find(&self, whose: &Whose, of: TaskId) -> Option<&Machine> {
        let meant = |task: &Task| match whose {
            Whose::Service(key) => task.service == *key && task.slot == SHARED_SLOT,
            Whose::Container(name) => task.container_name() == *name,
        };
        let stays =
            |task: &&Task| task.id != of && !matches!(task.desired, Desired::Remove(_)) && meant(task);
        let tasks = self.tasks.values().filter_map(|machine| machine.task.as_ref()).filter(stays);
        let newest = tasks.max_by_key(|task| (task.created_at, task.id))?;
        self.tasks.get(&newest.id)
    }

    /// Whether a namespace that it is in has gone, or is about to go with its task.
    fn is_estranged(&self, machine: &Machine) -> bool {
        let Some(guest) = machine.guest.as_ref().filter(|_| is_running(machine)) else { return false };
        guest.hosts().any(|(host, run)| match self.tasks.get(&host) {
            None => self.synced,
            Some(host) if matches!(host.wish(self.synced), Wish::Gone(_)) => true,
            Some(host) => run.zip(host.run_of()).is_some_and(|(known, now)| known != now),
        })
    }

    /// Lets those look again who share something with a task that has changed.
    pub(super) fn note_ties(&mut self, machine: &Machine) {
        let tied =
            machine.guest.is_some() || machine.task.as_ref().is_some_and(|task| !ties(task).is_empty());
        if tied && !machine.is_gone() {
            self.tied.insert(machine.id);
        } else {
            self.tied.remove(&machine.id);
        }
        if self.tied.is_empty() && !tied {
            self.presences = BTreeMap::new();
            return;
        }
        let now = match machine.is_gone() {
            true => Presence::default(),
            false => machine.presence(self.synced),
        };
        let before = match machine.is_gone() {
            true => self.presences.remove(&machine.id),
            false => self.presences.insert(machine.id, now.clone()),
        };
        let before = before.unwrap_or_default();
        if before != now {
            self.touched.tasks.extend(self.tied.iter().filter(|id| **id != machine.id));
            self.touched.tasks.extend(before.hosts.iter().chain(&now.hosts));
        }
    }
}

fn is_running(machine: &Machine) -> bool {
    matches!(machine.container, Container::Running { .. })
}
