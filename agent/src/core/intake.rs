//! Takes happenings in, and notes what has to be looked at because of them.

use std::path::PathBuf;

use cluster::view::{Assignments, AssignmentsDelta};
use cluster::{Network, NetworkName, Task, TaskId, Timestamp, VolumeName};
use overlay_net::NetworkSpec;

use super::action::{ActionId, Failure, Input, Inventory, Outcome, Output, Update};
use super::settle::network_spec;
use super::shared::Shared;
use super::task::{Machine, Wiring};
use super::{AgentCore, Key, Owner};

impl AgentCore {
    pub(super) fn take(&mut self, input: Input, now: Timestamp, outputs: &mut Vec<Output>) {
        match input {
            Input::Found(inventory) => self.found(*inventory, now),
            Input::Assigned(update) => match *update {
                Update::Remembered(assignments) => self.replace(assignments, now),
                Update::Complete(assignments) => {
                    self.synced = true;
                    self.replace(assignments, now);
                    self.tell_everything_again();
                }
                Update::Delta(delta) => self.delta(delta, now, outputs),
            },
            Input::Done(id, result) => self.done(id, result, now),
            Input::Dying(id) => {
                if let Some(Owner::Watch(task)) = self.owners.get(&id).cloned() {
                    self.for_task(task, |machine| machine.dying(id));
                }
            }
            Input::Slow(id) => {
                if let Some(Owner::Lane(task)) = self.owners.get(&id).cloned() {
                    self.for_task(task, |machine| machine.takes_long(id));
                }
            }
            Input::Paused(task, paused) => self.for_task(task, |machine| machine.paused(paused)),
            Input::Wake => {
                self.woken = None;
                for key in self.timers.due(now) {
                    self.timer(key);
                }
            }
        }
    }

    fn timer(&mut self, key: Key) {
        match key {
            Key::Task(id) => drop(self.touched.tasks.insert(id)),
            Key::Network(name) => drop(self.touched.networks.insert(name)),
            Key::Volume(name) => drop(self.touched.volumes.insert(name)),
            Key::Balance => self.projection.retry(),
        }
    }

    fn found(&mut self, inventory: Inventory, now: Timestamp) {
        let mut records = inventory.records;
        for found in inventory.containers {
            // A container with another kind of id is not an agent's.
            let Ok(id) = found.config.id.parse::<TaskId>() else { continue };
            let machine = self.tasks.entry(id).or_insert_with(|| Machine::new(id));
            machine.adopt(found, records.remove(&id), now);
            if machine.adopted {
                self.adopting.insert(id);
            } else {
                self.recovering.insert(id);
            }
            self.touched.tasks.insert(id);
        }
        for netns in inventory.netns {
            let Ok(id) = netns.parse::<TaskId>() else { continue };
            self.tasks.entry(id).or_insert_with(|| Machine::new(id)).wiring = Wiring::Left;
            self.touched.tasks.insert(id);
        }
        for id in records.into_keys() {
            // Nothing is left of it but the record; looking after it will forget that too.
            self.tasks.entry(id).or_insert_with(|| Machine::new(id)).kept = true;
            self.touched.tasks.insert(id);
        }
        self.left_networks.extend(inventory.networks);
        for name in self.left_networks.clone() {
            self.network(&name);
            self.touched.networks.insert(name);
        }
        for id in self.touched.tasks.clone() {
            self.note_uses(id);
        }
    }

    fn replace(&mut self, new: Assignments, now: Timestamp) {
        let nothing = Assignments::default();
        let delta = self.assigned.as_ref().unwrap_or(&nothing).delta(&new);
        self.apply(delta, now);
        // A complete set says what the manager knows; whatever differs is told again.
        for (id, task) in &new.tasks {
            if let Some(machine) = self.tasks.get_mut(id) {
                machine.reported = task.status.clone();
                self.touched.reports.insert(*id);
            }
        }
        self.assigned = Some(new);
        // What is not among them has to go, which only now is certain.
        self.touched.tasks.extend(self.tasks.keys());
        self.touched.networks.extend(self.networks.keys().cloned());
        self.touched.volumes.extend(self.volumes.keys().cloned());
    }

    fn delta(&mut self, delta: AssignmentsDelta, now: Timestamp, outputs: &mut Vec<Output>) {
        let fits = self.assigned.as_ref().is_some_and(|assigned| assigned.version == delta.from);
        if !fits || !self.synced {
            outputs.push(Output::Resync);
            return;
        }
        self.apply(delta.clone(), now);
        if let Some(assigned) = &mut self.assigned {
            // It fits, as was just seen.
            let _ = assigned.apply_delta(delta);
        }
    }

    /// Brings everything to a difference but `assigned` itself, which still is what it was.
    fn apply(&mut self, delta: AssignmentsDelta, now: Timestamp) {
        self.touch_names(&delta);
        for (id, task) in delta.tasks {
            self.assign(id, task, now);
        }
        for (name, network) in delta.networks {
            let shared = self.network(&name);
            let changed =
                |network: &Network| shared.ready().is_some_and(|spec| *spec != network_spec(network));
            if network.as_ref().is_some_and(changed) {
                shared.renew();
            }
            self.touched.networks.insert(name);
        }
        for name in delta.volumes.into_keys() {
            self.volume(&name);
            self.touched.volumes.insert(name);
        }
    }

    /// Names and ports of changed services are made anew, in the networks where they were and where they are.
    fn touch_names(&mut self, delta: &AssignmentsDelta) {
        for (key, new) in &delta.services {
            let old = self.assigned.as_ref().and_then(|assigned| assigned.services.get(key));
            let networks = old.into_iter().chain(new).flat_map(|service| service.aliases.keys());
            self.projection.touch(networks.cloned());
        }
    }

    fn assign(&mut self, id: TaskId, task: Option<Task>, now: Timestamp) {
        if task.is_none() && !self.tasks.contains_key(&id) {
            return;
        }
        let machine = self.tasks.entry(id).or_insert_with(|| Machine::new(id));
        machine.assign(task, now);
        if machine.task.is_none() && machine.is_gone() {
            self.tasks.remove(&id);
            return;
        }
        self.touched.tasks.insert(id);
        self.note_uses(id);
    }

    /// Enters a task as a user of its networks and volumes, so that they are made and kept.
    fn note_uses(&mut self, id: TaskId) {
        let Some(machine) = self.tasks.get(&id) else { return };
        let (networks, volumes) = machine.uses();
        for name in networks {
            self.network(&name).add_user(id);
            self.touched.networks.insert(name);
        }
        for name in volumes {
            self.volume(&name).add_user(id);
            self.touched.volumes.insert(name);
        }
    }

    fn network(&mut self, name: &NetworkName) -> &mut Shared<NetworkSpec> {
        let absent = !self.left_networks.contains(name);
        self.networks.entry(name.clone()).or_insert_with(|| Shared::new(absent))
    }

    fn volume(&mut self, name: &VolumeName) -> &mut Shared<PathBuf> {
        self.volumes.entry(name.clone()).or_insert_with(|| Shared::new(false))
    }

    fn tell_everything_again(&mut self) {
        for network in self.networks.values_mut() {
            network.tell_again();
        }
        for volume in self.volumes.values_mut() {
            volume.tell_again();
        }
    }

    fn done(&mut self, id: ActionId, result: Result<Outcome, Failure>, now: Timestamp) {
        let Some(owner) = self.owners.remove(&id) else { return };
        match owner {
            Owner::Lane(task) => self.for_task(task, |machine| machine.done(id, result, now)),
            Owner::Watch(task) => self.for_task(task, |machine| machine.exited(id, result, now)),
            Owner::Probe(task) => self.for_task(task, |machine| machine.probed(id, result, now)),
            Owner::Network(name, spec) => {
                let wished = self.assigned.as_ref().and_then(|assigned| assigned.networks.get(&name));
                let wished = wished.map(network_spec);
                if let Some(shared) = self.networks.get_mut(&name) {
                    shared.done(id, result.map(|_| spec), now);
                    // The wish may have changed while it was made.
                    if wished.is_some() && shared.ready().is_some_and(|made| Some(made) != wished.as_ref()) {
                        shared.renew();
                    }
                    self.touched.tasks.extend(shared.users());
                    self.projection.touch([name.clone()]);
                }
                self.touched.networks.insert(name);
            }
            Owner::Volume(name) => {
                if let Some(shared) = self.volumes.get_mut(&name) {
                    let path = result.map(|outcome| match outcome {
                        Outcome::Path(path) => Some(path),
                        _ => None,
                    });
                    shared.done(id, path, now);
                    self.touched.tasks.extend(shared.users());
                }
                self.touched.volumes.insert(name);
            }
            Owner::Balance => {
                self.projection.finished(id, result, now);
                self.balance_is_in_force();
            }
        }
    }

    fn for_task(&mut self, id: TaskId, change: impl FnOnce(&mut Machine)) {
        if let Some(machine) = self.tasks.get_mut(&id) {
            change(machine);
            self.touched.tasks.insert(id);
        }
    }
}
