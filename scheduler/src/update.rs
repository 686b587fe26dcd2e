//! Which of a service's tasks may be replaced now, and what becomes of the replacement as a whole.
//!
//! The meaning of `update_config` and `rollback_config` is Swarm's: groups of `parallelism` slots, each watched for
//! `monitor` after its new task became ready, and an end to it when too many of those failed. A service without
//! `update_config` is replaced at once, as docker compose does.

use std::collections::{BTreeMap, BTreeSet};

use cluster::compose_spec::UpdateConfig;
use cluster::{
    Desired, Health, Run, Service, ServiceKey, State, Task, TaskId, Timestamp, Update, UpdateState,
    UpdateStep,
};

use crate::limits::MONITOR_MS;

/// How a service's tasks are replaced.
struct Policy {
    /// Slots at once.
    parallelism: usize,
    start_first: bool,
    /// Milliseconds between a slot's success and the next slot.
    delay_ms: u64,
    /// Milliseconds for which a new task is watched after it became ready.
    monitor_ms: u64,
    failure: OnFailure,
    /// The share of slots that may fail.
    ratio: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    Pause,
    Continue,
    RollBack,
}

/// How a task that is not wished for like this any more gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes now; another one is made when it has gone.
    Stop,
    /// Another one is made beside it now, and it goes when that one is ready.
    StartBeside,
    /// It stays for now.
    Wait(&'static str),
}

/// What a look at a service's slots came to.
#[derive(Default)]
pub(crate) struct Rollout {
    /// What becomes of each task that is not current.
    pub(crate) turns: BTreeMap<TaskId, Turn>,
    /// What the update as a whole needs next.
    pub(crate) step: Option<UpdateStep>,
    /// When to look again although nothing changed.
    pub(crate) wake_at: Option<Timestamp>,
}

impl Policy {
    fn of(service: &Service) -> Policy {
        let config = match &service.update {
            None => return Policy::AT_ONCE,
            Some(Update { state: UpdateState::RollingBack(_), other, .. }) => other.rollback_config(),
            Some(_) => service.spec.update_config(),
        };
        let default = UpdateConfig::default();
        let config = config.unwrap_or(&default);
        let ms = |duration: cluster::compose_spec::Duration| {
            u64::try_from(duration.as_nanos()).unwrap_or(0) / 1_000_000
        };
        Policy {
            parallelism: match config.parallelism {
                None => 1,
                Some(0) => usize::MAX,
                Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
            },
            start_first: config.order.as_deref() == Some("start-first"),
            delay_ms: config.delay.map_or(0, ms),
            monitor_ms: config.monitor.map(ms).filter(|ms| *ms > 0).unwrap_or(MONITOR_MS),
            failure: match config.failure_action.as_deref() {
                Some("continue") => OnFailure::Continue,
                Some("rollback") => OnFailure::RollBack,
                _ => OnFailure::Pause,
            },
            ratio: config.max_failure_ratio.unwrap_or(0.0),
        }
    }

    const AT_ONCE: Policy = Policy {
        parallelism: usize::MAX,
        start_first: false,
        delay_ms: 0,
        monitor_ms: 0,
        failure: OnFailure::Continue,
        ratio: 0.0,
    };
}

/// Why a service that asks for it (`order: start-first`) cannot have its next tasks started before the old ones
/// stop: two tasks of one slot cannot be there at the same time.
pub(crate) fn obstacle_to_start_first(service: &Service) -> Option<&'static str> {
    if !Policy::of(service).start_first {
        return None;
    }
    let spec = &service.spec;
    if spec.networks.values().any(|attachment| attachment.ipv4.is_some() || attachment.ipv6.is_some()) {
        return Some("its address is fixed");
    }
    if spec.compose.ports.iter().any(|port| port.mode.as_deref() == Some("host")) {
        return Some("its host port can be had once");
    }
    match spec.compose.network_mode.as_deref() {
        Some("host") => Some("it shares the machine's network"),
        Some(mode) if mode.contains(':') => Some("it shares another container's network"),
        _ => None,
    }
}

/// Looks at all slots of a service that is to run.
pub(crate) fn look(state: &State, key: &ServiceKey, service: &Service, now: Timestamp) -> Rollout {
    if service.run != Run::Started || service.removing {
        return Rollout::default();
    }
    let look = Look { service, policy: Policy::of(service), now, slots: slots_of(state, key, service) };
    let mut rollout = Rollout { turns: look.turns(), step: None, wake_at: None };
    if let Some(update) = service.update.as_ref().filter(|update| update.is_active()) {
        rollout.step = look.step(update);
        rollout.wake_at = look.wake_at(update);
    }
    rollout
}

/// The tasks in one slot.
#[derive(Default)]
struct Slot<'a> {
    current: Option<&'a Task>,
    /// Not current any more, and not told to go yet; the one most worth keeping first.
    stale: Vec<&'a Task>,
    /// Some task is on its way out.
    leaving: bool,
}

impl Slot<'_> {
    /// A successor can be made: no third task is in the way.
    fn has_room(&self) -> bool {
        !self.leaving && self.stale.len() == 1
    }
}

fn slots_of<'a>(state: &'a State, key: &ServiceKey, service: &Service) -> BTreeMap<u32, Slot<'a>> {
    let mut slots: BTreeMap<u32, Slot<'a>> = BTreeMap::new();
    if service.wants_slot(1) {
        slots.extend((1..=service.replicas).map(|slot| (slot, Slot::default())));
    }
    for task in state.tasks_of(key).filter(|task| task.holds_slot()) {
        let Some(slot) = slots.get_mut(&task.slot) else { continue };
        if matches!(task.desired, Desired::Remove(_)) {
            slot.leaving = true;
        } else if service.is_current(task) {
            slot.current = Some(task);
        } else {
            slot.stale.push(task);
        }
    }
    for slot in slots.values_mut() {
        slot.stale.sort_by_key(|task| (!task.is_ready(), task.created_at, task.id));
    }
    slots
}

struct Look<'a> {
    service: &'a Service,
    policy: Policy,
    now: Timestamp,
    slots: BTreeMap<u32, Slot<'a>>,
}

impl Look<'_> {
    fn turns(&self) -> BTreeMap<TaskId, Turn> {
        let mut turns = BTreeMap::new();
        let mut candidates = Vec::new();
        let mut in_flight: usize = 0;
        for (number, slot) in &self.slots {
            for more in slot.stale.iter().skip(1) {
                turns.insert(more.id, Turn::Stop);
            }
            let stale = slot.stale.first();
            match (slot.current, stale) {
                (Some(current), Some(stale)) => {
                    let turn = if current.is_settled() {
                        Turn::Stop
                    } else {
                        Turn::Wait("waits for its successor to be ready")
                    };
                    turns.insert(stale.id, turn);
                    in_flight += usize::from(!self.has_failed(*number));
                }
                (None, Some(stale)) if slot.has_room() => {
                    candidates.push((stale.is_ready(), *number, *stale))
                }
                (None, Some(stale)) => {
                    turns.insert(stale.id, Turn::Wait("waits for another container of its slot to stop"));
                    in_flight += 1;
                }
                (Some(current), None) => in_flight += usize::from(self.is_unsettled(*number, current)),
                (None, None) => in_flight += 1,
            }
        }
        // Who does not answer has nothing to lose: those slots first.
        candidates.sort_by_key(|(ready, number, _)| (*ready, *number));
        let paused =
            self.service.update.as_ref().is_some_and(|update| matches!(update.state, UpdateState::Paused(_)));
        let room = if paused { 0 } else { self.policy.parallelism.saturating_sub(in_flight) };
        let first = self.policy.start_first && obstacle_to_start_first(self.service).is_none();
        for (index, (.., task)) in candidates.iter().enumerate() {
            let turn = match (index < room, paused) {
                (true, _) if first => Turn::StartBeside,
                (true, _) => Turn::Stop,
                (false, true) => Turn::Wait("the update is paused"),
                (false, false) => Turn::Wait("waits for its turn to be replaced"),
            };
            turns.insert(task.id, turn);
        }
        turns
    }

    /// A slot that holds the others up: its new task has not come far enough, or not long enough ago.
    fn is_unsettled(&self, number: u32, current: &Task) -> bool {
        if self.has_failed(number) || !self.is_own(current) {
            return false;
        }
        let pause_over = current.settled_at.is_some_and(|at| self.now >= at.plus_ms(self.policy.delay_ms));
        !(current.is_settled() && pause_over)
    }

    fn has_failed(&self, slot: u32) -> bool {
        self.service.update.as_ref().is_some_and(|update| update.failed.contains_key(&slot))
    }

    /// A task that this update has made, or that had not come to anything when it began: one of the update before,
    /// when what was wished for is wished for again.
    fn is_own(&self, task: &Task) -> bool {
        self.service.update.as_ref().is_some_and(|update| {
            task.created_at >= update.started_at || task.settled_at.is_none_or(|at| at >= update.started_at)
        })
    }

    fn step(&self, update: &Update) -> Option<UpdateStep> {
        for (slot, task) in self.own() {
            if let Some(why) = (!update.failed.contains_key(&slot)).then(|| self.failure(task)).flatten() {
                return Some(UpdateStep::Fail {
                    slot,
                    why: format!("{}.{slot} {why}", task.service.service),
                });
            }
        }
        if let Some(why) = update.failed.values().next().filter(|_| self.too_many(update.failed.len())) {
            // A replacement by the same (`--force-recreate`) has nothing to go back to.
            let back = matches!(update.state, UpdateState::RollingBack(_))
                || update.other.hash == self.service.spec.hash;
            match self.policy.failure {
                OnFailure::RollBack if !back => return Some(UpdateStep::RollBack(why.clone())),
                OnFailure::Pause | OnFailure::RollBack => return Some(UpdateStep::Pause(why.clone())),
                OnFailure::Continue => {}
            }
        }
        let through = |(number, slot): (&u32, &Slot<'_>)| {
            !slot.leaving
                && slot.stale.is_empty()
                && slot.current.is_some_and(|task| self.is_through(*number, task))
        };
        self.slots.iter().all(through).then_some(UpdateStep::Finish)
    }

    fn own(&self) -> impl Iterator<Item = (u32, &Task)> {
        let current = self.slots.iter().filter_map(|(number, slot)| Some((*number, slot.current?)));
        current.filter(|(_, task)| self.is_own(task))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of slots are small")]
    fn too_many(&self, failed: usize) -> bool {
        failed > 0 && failed as f64 / self.slots.len().max(1) as f64 > self.policy.ratio
    }

    /// Nothing more is to be waited for in this slot.
    fn is_through(&self, number: u32, task: &Task) -> bool {
        self.has_failed(number) || !self.is_own(task) || (task.is_settled() && self.was_watched(task))
    }

    fn was_watched(&self, task: &Task) -> bool {
        task.settled_at.is_some_and(|at| self.now >= at.plus_ms(self.policy.monitor_ms))
    }

    /// What became of a new task that failed while it was watched.
    fn failure(&self, task: &Task) -> Option<String> {
        if self.was_watched(task) {
            return None;
        }
        if let Some(container) = task.container() {
            if let Some(exit) = container.exit.as_ref().filter(|exit| {
                container.restarts > 0 || exit.error.is_some() || task.finished().is_some() && exit.code != 0
            }) {
                let error = exit.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
                return Some(format!("ended with exit code {}{error}", exit.code));
            }
            if let Health::Unhealthy { output, .. } = &container.health {
                return Some(format!("is unhealthy: {}", output.trim()));
            }
        }
        let problem = task.status.problem.as_ref().filter(|problem| problem.retry_at.is_none())?;
        Some(format!("cannot be started: {}", problem.message))
    }

    /// The next time at which a pause or a watch is over.
    fn wake_at(&self, update: &Update) -> Option<Timestamp> {
        let watched: BTreeSet<Timestamp> = self
            .own()
            .filter(|(slot, _)| !update.failed.contains_key(slot))
            .filter_map(|(_, task)| task.settled_at)
            .flat_map(|at| [at.plus_ms(self.policy.delay_ms), at.plus_ms(self.policy.monitor_ms)])
            .collect();
        watched.into_iter().find(|at| *at > self.now)
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
