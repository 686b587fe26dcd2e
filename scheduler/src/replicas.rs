//! Which slots of a service should have a task, and what becomes of the tasks there are.

use std::collections::{BTreeMap, BTreeSet};

use cluster::view::Wait;
use cluster::{ChangeKind, Desired, Forgotten, Gate, Run, Service, ServiceKey, StopHow, Task, Timestamp};

use crate::allocate::Needs;
use crate::decide::Round;
use crate::{gate, order, place, reap};

/// Looks at one service: each of its tasks, each slot without one, and whether anything is left of it.
pub(crate) fn look_at(round: &mut Round<'_>, key: ServiceKey) {
    round.looked_at(&key);
    let Some(service) = round.state.service(&key) else { return };
    let mut look = Look { key: &key, service, gate: None, given: Needs::default(), made: BTreeMap::new() };
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
            look.fill(round, slot, None);
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
            if self.service.wants_slot(task.slot) {
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
        if !self.service.is_current(task) || uses_doomed_volume(round, task) {
            self.retire(round, task);
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
    /// A node that does removes what is not among its assignments.
    fn move_away(&mut self, round: &mut Round<'_>, task: &Task) -> bool {
        let moved = self.fill(round, task.slot, Some(task));
        if moved {
            set_desired(round, task, Desired::Remove(self.service.how.clone()));
            round.changes.push(ChangeKind::Forget(Forgotten::Task(task.id)));
        }
        moved
    }

    /// Gives a slot a task, with all that it needs, or says why it cannot have one.
    fn fill(&mut self, round: &mut Round<'_>, slot: u32, instead_of: Option<&Task>) -> bool {
        let needs = self.given.more(round, self.key, self.service, slot);
        let placed = needs.and_then(|needs| Ok((place::choose(round, self.key, self.service)?, needs)));
        let (node, needs) = match placed {
            Ok(placed) => placed,
            Err(no) => {
                self.cannot_fill(round, slot, instead_of, no);
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
        self.made.insert(slot, ChangeKind::CreateTask { service, version, slot, node, gate });
        true
    }

    fn cannot_fill(&self, round: &mut Round<'_>, slot: u32, instead_of: Option<&Task>, mut no: No) {
        if let Some(task) = instead_of {
            let node = round.name_of(task.node);
            no = No::not_now(format!("its node `{node}` is down, and {}", no.reason));
        }
        let wait = Wait { reason: no.reason, hopeless: no.hopeless, since: self.service.changed_at };
        round.waits(self.key, slot, instead_of.map(|task| task.id), wait);
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

fn set_desired(round: &mut Round<'_>, task: &Task, desired: Desired) {
    if task.desired != desired {
        round.changes.push(ChangeKind::SetDesired { task: task.id, version: task.version, desired });
    }
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
