//! Which slots of a service should have a task, and what becomes of the tasks there are.

use std::collections::{BTreeMap, BTreeSet};

use cluster::view::Wait;
use cluster::{ChangeKind, Desired, Forgotten, Gate, Run, Service, ServiceKey, StopHow, Task, Timestamp};

use crate::allocate::Needs;
use crate::decide::Round;
use crate::update::{self, Rollout, Turn};
use crate::{gate, order, place, reap};

/// Looks at one service: each of its tasks, each slot without one, and whether anything is left of it.
pub(crate) fn look_at(round: &mut Round<'_>, key: ServiceKey) {
    round.looked_at(&key);
    let Some(service) = round.state.service(&key) else { return };
    let rollout = update::look(round.state, &key, service, round.now);
    round.wake_at(rollout.wake_at);
    if let Some(step) = rollout.step {
        // What else is to be done about the service is decided on what it is after this.
        let version = service.version;
        return round.changes.push(ChangeKind::Update { service: key, version, step });
    }
    let mut look =
        Look { key: &key, service, rollout, gate: None, given: Needs::default(), made: BTreeMap::new() };
    let mut held = BTreeSet::new();
    let mut left = BTreeSet::new();
    let mut tasks: Vec<&Task> = round.state.tasks_of(&key).collect();
    tasks.sort_by_key(|task| (task.slot, task.id));
    for task in tasks {
        if reap::task(round, task) {
            continue;
        }
        left.insert(task.slot);
        let replaced = look.at_task(round, task);
        if !replaced && task.holds_slot() {
            held.insert(task.slot);
        }
    }
    for slot in (1..=service.replicas).filter(|slot| service.wants_slot(*slot) && !held.contains(slot)) {
        if !look.made.contains_key(&slot) {
            look.fill(round, slot, For::Empty);
        }
    }
    look.finish(round);
    for slot in service.slots.keys().filter(|slot| !service.wants_slot(**slot)) {
        if !left.contains(slot) && !service.removing && service.run != Run::Absent {
            round.changes.push(ChangeKind::Forget(Forgotten::Slot(key.clone(), *slot)));
        }
    }
    if service.removing && left.is_empty() {
        round.changes.push(ChangeKind::Forget(Forgotten::Service(key.clone())));
    }
}

/// One look at one service.
struct Look<'a> {
    key: &'a ServiceKey,
    service: &'a Service,
    /// What becomes of tasks that are not current any more.
    rollout: Rollout,
    /// The answer of the gate, once somebody asked: it is the same for all tasks of a service.
    gate: Option<Option<gate::Waits>>,
    /// What this look gave to slots.
    given: Needs,
    /// The tasks that this look makes, by slot.
    made: BTreeMap<u32, ChangeKind>,
}

impl Look<'_> {
    /// Looks at one task. Answers whether it has just been given up for one on another node.
    fn at_task(&mut self, round: &mut Round<'_>, task: &Task) -> bool {
        if let Desired::Remove(how) = &task.desired {
            if self.service.removing && *how != self.service.how {
                // The whole service is in more of a hurry than this task was.
                set_desired(round, task, Desired::Remove(self.service.how.clone()));
            }
            let taken_over = self.holds_another(round, task);
            if self.service.wants_slot(task.slot) && !taken_over {
                let reason = if round.state.is_ready(task.node) {
                    "waits for its former container to stop".to_owned()
                } else {
                    format!(
                        "waits for its former container on node `{}`, which is down",
                        round.name_of(task.node)
                    )
                };
                self.slot_waits(round, task.slot, None, task.status.at, reason);
            }
            return false;
        }
        let current = self.service.is_current(task);
        if uses_doomed_volume(round, task)
            || !current && (round.is_lost(task.node) || is_in_the_way(round, task))
        {
            self.retire(round, task);
            return false;
        }
        if !current {
            self.give_way(round, task);
            return false;
        }
        if round.is_lost(task.node) && self.service.run == Run::Started {
            return self.move_away(round, task);
        }
        match &self.service.run {
            Run::Stopped(how) => self.stop(round, task, how),
            Run::Started | Run::Absent => self.run(round, task),
        }
        false
    }

    /// A task that is not wished for any more, or not like this, goes. When its service goes, what depends on
    /// it goes first.
    fn retire(&self, round: &mut Round<'_>, task: &Task) {
        let first = self.service.removing.then(|| order::stops_first(round.state, self.key, self.service));
        if let Some(first) = first.flatten() {
            let reason = format!("waits for `{}` to stop", first.service);
            return self.slot_waits(round, task.slot, Some(task), self.service.changed_at, reason);
        }
        set_desired(round, task, Desired::Remove(self.service.how.clone()));
    }

    /// A task that is not wished for like this any more gives way to its successor, in its turn.
    fn give_way(&mut self, round: &mut Round<'_>, task: &Task) {
        let Some(turn) = self.rollout.turns.get(&task.id).copied() else { return self.retire(round, task) };
        let successor = self.holds_another(round, task);
        if let Turn::Wait(why) = turn {
            return self.slot_waits(round, task.slot, Some(task), self.service.changed_at, why.to_owned());
        }
        // What answers now is not taken away before its successor may start.
        if task.is_serving()
            && !successor
            && let Some(waits) = self.gate(round)
        {
            let reason = format!("is replaced later: {}", waits.reason);
            let wait = Wait { reason, hopeless: waits.hopeless, since: self.service.changed_at };
            return round.waits(self.key, task.slot, Some(task.id), wait);
        }
        match turn {
            Turn::StartBeside => drop(self.fill(round, task.slot, For::Beside(task))),
            Turn::Stop | Turn::Wait(_) => self.retire(round, task),
        }
    }

    /// Whether another task is in the same slot, and is to stay.
    fn holds_another(&self, round: &Round<'_>, task: &Task) -> bool {
        let mut tasks = round.state.tasks_of(self.key);
        tasks.any(|other| other.id != task.id && other.slot == task.slot && other.is_wanted())
    }

    fn stop(&self, round: &mut Round<'_>, task: &Task, how: &StopHow) {
        let wish = Desired::Stop(how.clone());
        if task.desired == wish {
            return;
        }
        if let Some(first) = order::stops_first(round.state, self.key, self.service) {
            let reason = format!("waits for `{}` to stop", first.service);
            return self.slot_waits(round, task.slot, Some(task), self.service.changed_at, reason);
        }
        set_desired(round, task, wish);
    }

    fn run(&mut self, round: &mut Round<'_>, task: &Task) {
        if task.desired != Desired::Run {
            // The gate is looked at when this has changed the task, and with it its version.
            return set_desired(round, task, Desired::Run);
        }
        if task.gate == Gate::Open {
            return;
        }
        match self.gate(round) {
            None => round.changes.push(ChangeKind::OpenGate { task: task.id, version: task.version }),
            Some(waits) => {
                let wait = Wait { reason: waits.reason, hopeless: waits.hopeless, since: task.created_at };
                round.waits(self.key, task.slot, Some(task.id), wait);
            }
        }
    }

    /// A task whose node is lost is replaced if another node can have it; otherwise the node may come back.
    /// A node that does removes what is not among its assignments. One that was to take over from another is
    /// given up: the other gets its next successor in its turn.
    fn move_away(&mut self, round: &mut Round<'_>, task: &Task) -> bool {
        let mut tasks = round.state.tasks_of(self.key);
        let shares = tasks.any(|other| other.id != task.id && other.slot == task.slot && other.holds_slot());
        if !shares && !self.fill(round, task.slot, For::Lost(task)) {
            return false;
        }
        set_desired(round, task, Desired::Remove(self.service.how.clone()));
        round.changes.push(ChangeKind::Forget(Forgotten::Task(task.id)));
        true
    }

    /// Gives a slot a task, with all that it needs, or says why it cannot have one.
    fn fill(&mut self, round: &mut Round<'_>, slot: u32, whom: For<'_>) -> bool {
        let anew = matches!(whom, For::Beside(_));
        let needs = self.given.more(round, self.key, self.service, (slot, anew));
        let placed = needs.and_then(|needs| Ok((place::choose(round, self.key, self.service)?, needs)));
        let (node, needs) = match placed {
            Ok(placed) => placed,
            Err(no) => {
                self.cannot_fill(round, slot, &whom, no);
                return false;
            }
        };
        self.given.take(round, needs);
        place::commit(round, self.key, self.service, node);
        let waits = if self.service.run == Run::Started { self.gate(round) } else { None };
        let gate = if self.service.run == Run::Started && waits.is_none() { Gate::Open } else { Gate::Held };
        if let Some(waits) = waits {
            let wait = Wait { reason: waits.reason, hopeless: waits.hopeless, since: round.now };
            round.waits(self.key, slot, None, wait);
        }
        let (service, version) = (self.key.clone(), self.service.version);
        let beside = if let For::Beside(task) = whom { Some(task.id) } else { None };
        self.made.insert(slot, ChangeKind::CreateTask { service, version, slot, node, gate, beside });
        true
    }

    fn cannot_fill(&self, round: &mut Round<'_>, slot: u32, whom: &For<'_>, mut no: No) {
        let task = match whom {
            For::Empty => None,
            For::Lost(task) => {
                let node = round.name_of(task.node);
                no = No::not_now(format!("its node `{node}` is down, and {}", no.reason));
                Some(task.id)
            }
            For::Beside(task) => Some(task.id),
        };
        let wait = Wait { reason: no.reason, hopeless: no.hopeless, since: self.service.changed_at };
        round.waits(self.key, slot, task, wait);
    }

    /// Puts what the look gave and made among the changes: first what slots get, then their tasks.
    fn finish(self, round: &mut Round<'_>) {
        round.changes.extend(self.given.into_change(self.key, self.service));
        round.changes.extend(self.made.into_values());
    }

    fn gate(&mut self, round: &Round<'_>) -> Option<gate::Waits> {
        let (key, service) = (self.key, self.service);
        self.gate.get_or_insert_with(|| gate::check(round.state, key, service)).clone()
    }

    fn slot_waits(
        &self,
        round: &mut Round<'_>,
        slot: u32,
        task: Option<&Task>,
        since: Timestamp,
        reason: String,
    ) {
        let wait = Wait { reason, hopeless: false, since };
        round.waits(self.key, slot, task.map(|task| task.id), wait);
    }
}

/// Whether a task uses a volume whose data are to be deleted (`orc down -v`, and `orc up` right after it).
fn uses_doomed_volume(round: &Round<'_>, task: &Task) -> bool {
    let mut volumes = task.spec.volumes.values().filter_map(|name| round.state.volumes.get(name));
    volumes.any(|volume| volume.removing)
}

/// Whether a task keeps a network from being made anew: all that are in it have to go first.
fn is_in_the_way(round: &Round<'_>, task: &Task) -> bool {
    let Some(stack) = round.state.stacks.get(&task.service.stack) else { return false };
    task.endpoints.iter().any(|endpoint| {
        let wished = stack.networks.values().find(|spec| spec.name == endpoint.network);
        let found = round.state.networks.get(&endpoint.network);
        wished.zip(found).is_some_and(|(wished, found)| !wished.compose.external && found.spec != *wished)
    })
}

fn set_desired(round: &mut Round<'_>, task: &Task, desired: Desired) {
    if task.desired != desired {
        round.changes.push(ChangeKind::SetDesired { task: task.id, version: task.version, desired });
    }
}

/// For whom a slot gets a task.
#[derive(Clone, Copy)]
enum For<'t> {
    /// It has none.
    Empty,
    /// The one it has is on a node that is lost.
    Lost(&'t Task),
    /// The one it has goes when the new one is ready.
    Beside(&'t Task),
}

/// Why a slot cannot have a task now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct No {
    /// In words for a person.
    pub(crate) reason: String,
    /// No change but that of the wish can help.
    pub(crate) hopeless: bool,
}

impl No {
    pub(crate) fn not_now(reason: String) -> Self {
        Self { reason, hopeless: false }
    }

    pub(crate) fn never(reason: String) -> Self {
        Self { reason, hopeless: true }
    }
}
