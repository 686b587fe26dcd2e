//! One task: what is wished, what is there, and the one next step from the one to the other.
//!
//! A task does one thing at a time (its lane); waiting for the container's end and health checks run beside
//! it. Each look at it starts from the wish, so nothing is lost when the wish changes half-way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use cluster::view::Assignments;
use cluster::{
    Desired, Gate, Health, NetworkName, Phase, Problem, StopHow, Task, TaskId, TaskStatus, Timestamp,
    VolumeName,
};
use overlay_net::NetworkSpec;
use runtime::ContainerConfig;
use runtime::image::ImageConfig;

use super::action::{Action, ActionId};
use super::ahead::Ahead;
pub(super) use super::container::{Container, Ended, Wiring};
use super::health::Monitor;
use super::join::{Company, Guest};
use super::project::Local;
use super::record::{Origin, Record};
use super::restart::Verdict;
use super::shared::{Hold, Shared, Trouble};
use super::stop::Stop;
use super::translate::{self, Volumes};
use crate::limits::WORD_WAIT_MS;

/// A task on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(super) id: TaskId,
    /// As last assigned; `None` when nobody assigns it (yet, or any more).
    pub(super) task: Option<Task>,
    /// What its container was made from, or is about to be.
    pub(super) origin: Option<Origin>,
    pub(super) container: Container,
    pub(super) wiring: Wiring,
    pub(super) image: Option<(String, Arc<ImageConfig>)>,
    /// The ids of the images that it mounts, by their references.
    pub(super) mounted_images: BTreeMap<String, String>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    /// Where the container's own volumes are, by name.
    pub(super) own_volumes: Volumes,
    pub(super) ahead: Ahead,
    /// What it has of other containers, once it has a container itself.
    pub(super) guest: Option<Box<Guest>>,
    /// The container may be from an earlier boot: its files, which were in memory only, are lost.
    pub(super) stale: Option<Box<ContainerConfig>>,
    pub(super) record: Record,
    /// A record is on the disk.
    pub(super) kept: bool,
    /// The record speaks of the start that comes next.
    pub(super) armed: bool,
    /// The generation that the last start answered.
    pub(super) answered: u64,
    pub(super) doing: Option<(ActionId, Step)>,
    /// That takes long already.
    pub(super) slow: bool,
    pub(super) watch: Option<ActionId>,
    pub(super) probe: Option<(ActionId, Timestamp)>,
    pub(super) monitor: Option<Monitor>,
    /// It was found, and no assignment has said yet what was known of its health.
    pub(super) adopted: bool,
    /// When it was found not running, until it is started.
    pub(super) orderly: Option<Timestamp>,
    /// Its health checks failed, and it is being restarted because of that.
    pub(super) sick: bool,
    /// How many of its `post_start` hooks were run since it was started.
    pub(super) hooks: usize,
    /// Which of them failed, and how.
    pub(super) hook_failure: Option<String>,
    pub(super) stop: Option<Stop>,
    pub(super) trouble: Option<Trouble>,
    /// Why a network or volume that it waits for is not ready.
    pub(super) blocked: Option<Problem>,
    pub(super) phase: Phase,
    /// What the manager was told.
    pub(super) reported: TaskStatus,
    /// When to look again.
    pub(super) wake: Option<Timestamp>,
}

/// What a lane is doing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Pull,
    PullMounted(String),
    Fetch(String),
    OwnVolume(String),
    Netns,
    Attach,
    Dns,
    Create,
    Refresh,
    Keep(Record),
    Start,
    PreStartImage,
    PreStart,
    EndPreStart,
    PostStart,
    PreStop,
    Signal,
    Kill,
    RemoveContainer,
    RemoveNetns,
    RemoveOwnVolume(String),
    Forget,
}

/// What is wished of a task.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    /// Nobody has said yet.
    Unknown,
    Gone(StopHow),
    Still(StopHow),
    Prepared,
    Running,
}

/// What comes next: `Ok` when the goal is reached, an action to be taken, or `None` to wait.
pub(super) type Todo = Result<(), Option<(Step, Action)>>;

/// What a task sees of everything else.
#[derive(Debug)]
pub(crate) struct World<'a> {
    /// A manager has given the complete assignments: what is not among them has to go.
    pub(super) synced: bool,
    pub(super) assigned: Option<&'a Assignments>,
    pub(super) networks: &'a BTreeMap<NetworkName, Shared<NetworkSpec>>,
    pub(super) volumes: &'a BTreeMap<VolumeName, Shared<PathBuf>>,
    /// Another task of the same slot is assigned here: it inherits the slot's volumes.
    pub(super) has_heir: bool,
    /// Others of its service answer while it does not.
    pub(super) has_others: bool,
    /// It is dead since before this run of the agent, and what it depends on comes back first.
    pub(super) recovers_later: bool,
    /// With whom it shares something.
    pub(super) company: Company,
    /// The first replica of its service has run what is to be run once.
    pub(super) first_is_through: bool,
    /// The number of the last projection in force, and of the next to be made.
    pub(super) balanced: u64,
    pub(super) next_projection: u64,
}

impl Machine {
    /// A task of which nothing is on the machine.
    pub(crate) fn new(id: TaskId) -> Machine {
        Machine {
            id,
            task: None,
            origin: None,
            container: Container::Absent,
            wiring: Wiring::Absent,
            image: None,
            mounted_images: BTreeMap::new(),
            blobs: BTreeMap::new(),
            own_volumes: Volumes::new(),
            ahead: Ahead::default(),
            guest: None,
            stale: None,
            record: Record::default(),
            kept: false,
            armed: false,
            answered: 0,
            doing: None,
            slow: false,
            watch: None,
            probe: None,
            monitor: None,
            adopted: false,
            orderly: None,
            sick: false,
            hooks: 0,
            hook_failure: None,
            stop: None,
            trouble: None,
            blocked: None,
            phase: Phase::Assigned,
            reported: TaskStatus::default(),
            wake: None,
        }
    }

    /// There is a container, whatever it does.
    pub(crate) fn has_container(&self) -> bool {
        self.container != Container::Absent
    }

    /// Nothing of it is left.
    pub(crate) fn is_gone(&self) -> bool {
        self.phase == Phase::Removed
    }

    pub(super) fn wish(&self, synced: bool) -> Wish {
        let Some(task) = &self.task else {
            return if synced { Wish::Gone(StopHow::default()) } else { Wish::Unknown };
        };
        match (&task.desired, &task.gate) {
            (Desired::Remove(how), _) => Wish::Gone(how.clone()),
            (Desired::Stop(how), _) => Wish::Still(how.clone()),
            (Desired::Run, Gate::Held) => Wish::Prepared,
            (Desired::Run, Gate::Open) => Wish::Running,
        }
    }

    /// What the projection of names and ports needs to know.
    pub(crate) fn local(&self) -> Local {
        let alive = self.lives() && self.stop.is_none();
        let wished = self.task.as_ref().is_some_and(|task| task.desired == Desired::Run);
        let content = self.monitor.as_ref().is_none_or(|monitor| *monitor.state() == Health::Healthy);
        let content = content && !self.is_paused() && self.next_hook().is_none();
        Local { running: alive, ready: alive && wished && content }
    }

    /// The networks and volumes that it has or will have.
    pub(crate) fn uses(&self) -> (BTreeSet<NetworkName>, BTreeSet<VolumeName>) {
        if self.is_gone() {
            return Default::default();
        }
        let origin = self.origin.as_ref();
        let task = self.task.as_ref();
        let networks = origin.into_iter().flat_map(|origin| origin.networks.clone());
        let assigned = task.into_iter().flat_map(super::translate::networks);
        let volumes = origin.into_iter().flat_map(|origin| origin.volumes.clone());
        let mounted = task.into_iter().flat_map(|task| task.spec.volumes.values().cloned());
        (networks.chain(assigned).collect(), volumes.chain(mounted).collect())
    }

    /// The next action of the lane; the caller numbers it and calls [`Machine::begin`].
    pub(crate) fn next(&mut self, world: &World<'_>, now: Timestamp) -> Option<(Step, Action)> {
        self.wake = None;
        self.blocked = None;
        let wish = self.wish(world.synced);
        if let Some((_, step)) = &self.doing {
            // What is fetched belongs to nobody yet, and a hook may take its time: who is to go need not wait.
            let gives_up = matches!(
                (step, &wish),
                (Step::Pull | Step::PullMounted(_) | Step::Fetch(_), Wish::Gone(_))
                    | (Step::PostStart | Step::PreStart, Wish::Gone(_) | Wish::Still(_))
            );
            if !gives_up {
                self.note_slowness();
                return None;
            }
            let ends = matches!((step, &wish), (Step::PreStart, Wish::Still(_)));
            self.doing = None;
            if ends {
                return Some((Step::EndPreStart, Action::EndBefore(self.id)));
            }
        }
        match self.trouble.as_ref().and_then(|trouble| trouble.holds(now)) {
            Some(Hold::Forever) => return None,
            Some(Hold::Until(at)) => {
                self.wake_at(at);
                return None;
            }
            None => {}
        }
        self.note_address(world);
        self.advance(&wish, world, now).err().flatten()
    }

    /// The action of [`Machine::next`] has its number.
    pub(crate) fn begin(&mut self, id: ActionId, step: Step) {
        (self.doing, self.slow) = (Some((id, step)), false);
    }

    /// Its container's first process is there.
    pub(super) fn lives(&self) -> bool {
        matches!(self.container, Container::Running { dying: false, .. })
    }

    /// A container that runs and is not waited for.
    pub(crate) fn needs_watch(&self) -> bool {
        matches!(self.container, Container::Running { .. }) && self.watch.is_none()
    }

    fn advance(&mut self, wish: &Wish, world: &World<'_>, now: Timestamp) -> Todo {
        let running = matches!(self.container, Container::Running { .. });
        match wish {
            Wish::Unknown => Ok(()),
            // Remembered only, and perhaps removed since.
            _ if !world.synced && !self.has_container() => Ok(()),
            Wish::Gone(_) if world.company.guests => Err(None),
            Wish::Gone(how) | Wish::Still(how) if running => self.leave(how, world, now),
            Wish::Gone(_) => self.tear_down(world),
            Wish::Prepared if world.company.estranged => self.leave(&StopHow::default(), world, now),
            Wish::Prepared if running => self.wire(world),
            Wish::Still(_) | Wish::Prepared => self.prepare(world),
            Wish::Running => {
                let todo = world.hold_back(self.run(world, now));
                self.wait_for_company(todo, world)
            }
        }
    }

    fn run(&mut self, world: &World<'_>, now: Timestamp) -> Todo {
        let Some(task) = &self.task else { return Ok(()) };
        let generation = task.generation;
        let newer = self.record.generation < generation;
        let how = if newer { task.restart_how.clone() } else { StopHow::default() };
        match &self.container {
            Container::Running { .. } => {
                let committed = self.stop.as_ref().is_some_and(Stop::is_final);
                if newer || committed || self.sick || world.company.estranged {
                    return self.leave(&how, world, now);
                }
                self.stop = None;
                self.wire(world)?;
                match self.next_hook() {
                    None => Ok(()),
                    Some(next) => {
                        let exec = translate::hook(next, None);
                        Err(Some((Step::PostStart, Action::Hook(self.id, Box::new(exec)))))
                    }
                }
            }
            // What this node remembers may be older than the last wish; a manager that is there says so soon.
            _ if !world.synced && self.orderly.is_some_and(|found| now < found.plus_ms(WORD_WAIT_MS)) => {
                self.wake = self.orderly.map(|found| found.plus_ms(WORD_WAIT_MS));
                Err(None)
            }
            Container::Absent | Container::Created => {
                self.prepare(world)?;
                self.go_ahead(world)?;
                let first = Record { generation, at: now, ..Record::default() };
                if newer { self.start(first) } else { Err(Some((Step::Start, Action::Start(self.id)))) }
            }
            Container::Ended(_) if self.armed => {
                self.prepare(world)?;
                self.start(Record::default())
            }
            Container::Ended(ended) if newer || ended.stopped || self.fell_with_owner(ended, world) => {
                self.prepare(world)?;
                if newer {
                    self.go_ahead(world)?;
                }
                self.start(Record { generation, at: now, ..Record::default() })
            }
            Container::Ended(_) => match self.verdict() {
                Verdict::Stay => Ok(()),
                Verdict::Again { at, .. } if now < at => {
                    self.wake_at(at);
                    Err(None)
                }
                Verdict::Again { streak, restarts, .. } => {
                    self.prepare(world)?;
                    self.start(Record { generation: self.record.generation, restarts, streak, at: now })
                }
            },
        }
    }

    /// Starts the container once `record` is on the disk: a start that an agent's death hides from the next
    /// agent would be made twice.
    fn start(&mut self, record: Record) -> Todo {
        if self.armed {
            return Err(Some((Step::Start, Action::Start(self.id))));
        }
        Err(Some((Step::Keep(record.clone()), Action::Keep(self.id, Some(record)))))
    }

    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |before| before.min(at)));
    }
}
