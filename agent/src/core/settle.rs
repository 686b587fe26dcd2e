//! Looks at what was touched until nothing is left to be looked at, then tells the manager and sets the clock.

use std::collections::BTreeSet;

use cluster::view::TaskEndpoint;
use cluster::{Desired, GatewayMode, Network, NetworkName, TaskId, Timestamp, VolumeName};
use overlay_net::{NetworkSpec, NetworkV4, NetworkV6, Reach};

use super::action::{Action, ActionId, Output, Report};
use super::project::{self, Local, Sight};
use super::shared::{Doing, Step};
use super::task::{Machine, Wish, World};
use super::{AgentCore, Key, Owner};

impl AgentCore {
    pub(super) fn settle(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        loop {
            if let Some(id) = self.touched.tasks.pop_first() {
                self.settle_task(id, now, outputs);
            } else if let Some(name) = self.touched.networks.pop_first() {
                self.settle_network(&name, now, outputs);
            } else if let Some(name) = self.touched.volumes.pop_first() {
                self.settle_volume(&name, now, outputs);
            } else if self.assigned.is_some() && self.adopting.is_empty() && self.projection.is_due() {
                self.project(outputs);
            } else {
                break;
            }
        }
        self.tell(now, outputs);
        self.timers.set(&Key::Balance, self.projection.retry_at());
        let first = self.timers.first();
        if first != self.woken {
            self.woken = first;
            outputs.extend(first.map(Output::WakeAt));
        }
    }

    fn act(&mut self, owner: Owner, action: Action, outputs: &mut Vec<Output>) -> ActionId {
        self.actions += 1;
        let id = ActionId(self.actions);
        self.owners.insert(id, owner);
        outputs.push(Output::Do(id, action));
        id
    }

    fn settle_task(&mut self, id: TaskId, now: Timestamp, outputs: &mut Vec<Output>) {
        // Out of the map while it is looked at, so that it can see everything else.
        let Some(mut machine) = self.tasks.remove(&id) else { return };
        let world = self.world(&machine);
        if let Some((step, action)) = machine.next(&world, now) {
            match &action {
                Action::ServeDns(_) => {
                    let service = machine.task.as_ref().map(|task| &task.spec.compose);
                    outputs.push(Output::View(id, Some(project::view(&machine.uses().0, service))));
                }
                Action::RemoveNetns(_) => outputs.push(Output::View(id, None)),
                _ => {}
            }
            let action_id = self.act(Owner::Lane(id), action, outputs);
            machine.begin(action_id, step);
        }
        if machine.needs_watch() {
            machine.watch = Some(self.act(Owner::Watch(id), Action::Watch(id), outputs));
        }
        if let Some(action) = machine.next_probe(now) {
            machine.probe = Some((self.act(Owner::Probe(id), action, outputs), now));
        }
        self.timers.set(&Key::Task(id), machine.wake);
        self.note_local(&machine);
        self.note_recovery(&machine);
        self.note_ties(&machine);
        self.note_ahead(&machine);
        self.touched.reports.insert(id);
        if machine.is_gone() {
            self.forget_uses(id);
            if machine.task.is_none() {
                return;
            }
        }
        self.tasks.insert(id, machine);
    }

    fn world(&self, machine: &Machine) -> World<'_> {
        let wish = machine.wish(self.synced);
        let running = machine.local().running;
        World {
            synced: self.synced,
            assigned: self.assigned.as_ref(),
            networks: &self.networks,
            volumes: &self.volumes,
            has_heir: matches!(wish, Wish::Gone(_)) && self.has_heir(machine),
            has_others: running && self.has_others(machine),
            recovers_later: self.recovers_later(machine),
            company: self.company(machine),
            first_is_through: self.first_is_through(machine),
            balanced: self.projection.done(),
            next_projection: self.projection.next(),
        }
    }

    /// Another task of its slot is here or will come, and has its volumes.
    fn has_heir(&self, machine: &Machine) -> bool {
        let Some(origin) = &machine.origin else { return false };
        let (service, slot) = (&origin.service, origin.slot);
        let Some(assigned) = &self.assigned else { return false };
        assigned.services.get(service).is_some_and(|service| {
            let expected = slot <= service.slots && service.volumes_renewed == origin.volumes_renewed;
            let there = |(id, endpoint): (&TaskId, &TaskEndpoint)| {
                let task = assigned.tasks.get(id);
                let stays = task.is_some_and(|task| {
                    !matches!(task.desired, Desired::Remove(_))
                        && task.volumes_renewed == origin.volumes_renewed
                });
                *id != machine.id && endpoint.slot == slot && stays
            };
            expected || service.tasks.iter().any(there)
        })
    }

    fn has_others(&self, machine: &Machine) -> bool {
        let Some(task) = &machine.task else { return false };
        self.with_sight(|sight| sight.has_others(&task.service, machine.id)).unwrap_or(false)
    }

    fn with_sight<R>(&self, look: impl FnOnce(&Sight<'_>) -> R) -> Option<R> {
        let networks: BTreeSet<NetworkName> = self
            .networks
            .iter()
            .filter(|(_, network)| network.ready().is_some())
            .map(|(name, _)| name.clone())
            .collect();
        let assigned = self.assigned.as_ref()?;
        Some(look(&Sight { assigned, node: self.node, local: &self.local, networks: &networks }))
    }

    /// Notes what names and ports have to know of a task, and whether it waits to be out of the balance.
    fn note_local(&mut self, machine: &Machine) {
        let local = machine.local();
        let before = match local == Local::default() {
            true => self.local.remove(&machine.id),
            false => self.local.insert(machine.id, local),
        };
        if before.unwrap_or_default() != local {
            // An adopted one may be in force since before this agent, and is known to run anyway.
            if local.running && !self.adopting.contains(&machine.id) {
                self.arriving.insert(machine.id, self.projection.next());
            } else {
                self.arriving.remove(&machine.id);
            }
            self.projection.touch(machine.uses().0);
        }
        if !machine.is_being_adopted(self.synced) && self.assigned.is_some() {
            self.adopting.remove(&machine.id);
        }
        match &machine.stop {
            Some(stop) => {
                self.leaving.insert(machine.id);
                // Who is to go as soon as it runs was never in a projection, so that nothing else makes the next.
                if stop.waits_for(self.projection.next()) {
                    self.projection.touch([]);
                }
            }
            None => drop(self.leaving.remove(&machine.id)),
        }
    }

    fn forget_uses(&mut self, id: TaskId) {
        for (name, network) in &mut self.networks {
            if network.remove_user(id) {
                self.touched.networks.insert(name.clone());
            }
        }
        for (name, volume) in &mut self.volumes {
            if volume.remove_user(id) {
                self.touched.volumes.insert(name.clone());
            }
        }
    }

    fn settle_network(&mut self, name: &NetworkName, now: Timestamp, outputs: &mut Vec<Output>) {
        let assigned = self.assigned.as_ref().and_then(|assigned| assigned.networks.get(name));
        let (known, removing) = (assigned.is_some(), assigned.is_some_and(|network| network.removing));
        let doomed = removing || (!known && self.synced);
        let spec = assigned.filter(|network| !network.removing).map(network_spec);
        let Some(shared) = self.networks.get_mut(name) else { return };
        let step = shared.next(doomed, spec.is_some(), now);
        let mut wake = None;
        match step {
            Step::Nothing => {}
            Step::Wait(at) => wake = Some(at),
            Step::Tell => {
                shared.telling();
                if known {
                    self.ended.networks.push(name.clone());
                }
            }
            Step::Do(doing) => {
                let action = match (&spec, doing) {
                    (Some(spec), Doing::Make) => Action::EnsureNetwork(Box::new(spec.clone())),
                    _ => Action::RemoveNetwork(name.clone()),
                };
                let id = self.act(Owner::Network(name.clone(), spec), action, outputs);
                if let Some(shared) = self.networks.get_mut(name) {
                    shared.begin(id, doing);
                }
            }
        }
        self.timers.set(&Key::Network(name.clone()), wake);
        if !known && self.networks.get(name).is_some_and(|shared| shared.is_nothing()) {
            self.networks.remove(name);
            self.left_networks.remove(name);
        }
    }

    fn settle_volume(&mut self, name: &VolumeName, now: Timestamp, outputs: &mut Vec<Output>) {
        let assigned = self.assigned.as_ref().and_then(|assigned| assigned.volumes.get(name));
        let (known, doomed) = (assigned.is_some(), assigned.is_some_and(|volume| volume.removing));
        let Some(shared) = self.volumes.get_mut(name) else { return };
        let mut wake = None;
        match shared.next(doomed, !doomed, now) {
            Step::Nothing => {}
            Step::Wait(at) => wake = Some(at),
            Step::Tell => {
                shared.telling();
                self.ended.volumes.push(name.clone());
            }
            Step::Do(doing) => {
                let labels = assigned.map(|volume| volume.spec.compose.labels.clone()).unwrap_or_default();
                let action = match doing {
                    Doing::Make => Action::EnsureVolume(name.0.clone(), labels),
                    Doing::Remove => Action::RemoveVolume(name.0.clone()),
                };
                let id = self.act(Owner::Volume(name.clone()), action, outputs);
                if let Some(shared) = self.volumes.get_mut(name) {
                    shared.begin(id, doing);
                }
            }
        }
        self.timers.set(&Key::Volume(name.clone()), wake);
        if !known && self.volumes.get(name).is_some_and(|shared| shared.is_unused()) {
            self.volumes.remove(name);
        }
    }

    fn project(&mut self, outputs: &mut Vec<Output>) {
        let mut projection = std::mem::take(&mut self.projection);
        let changes = self.with_sight(|sight| projection.make(sight)).unwrap_or_default();
        self.projection = projection;
        if self.projection.is_first() {
            // They waited for their names.
            self.touched.tasks.extend(self.tasks.keys());
        }
        outputs.extend(changes.zones.into_iter().map(|(network, zone)| Output::Zone(network, zone)));
        match changes.balance {
            Some(balance) => {
                let id = self.act(Owner::Balance, Action::SetBalance(Box::new(balance)), outputs);
                self.projection.begin(id);
            }
            None => self.touched.tasks.extend(&self.leaving),
        }
    }

    /// Tasks that waited for it go on, and those whose ports could not be had say so.
    pub(super) fn balance_is_in_force(&mut self) {
        self.touched.tasks.extend(&self.leaving);
        let problems = self.with_sight(|sight| self.projection.problems(sight)).unwrap_or_default();
        let before = std::mem::replace(&mut self.conflicts, problems);
        let Some(assigned) = &self.assigned else { return };
        for service in before.keys().chain(self.conflicts.keys()) {
            let tasks = assigned.services.get(service).into_iter().flat_map(|service| service.tasks.keys());
            self.touched.reports.extend(tasks);
        }
    }

    fn tell(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        // What is remembered may be older than what the manager knows: nothing is told before that is known too.
        if !self.synced {
            return;
        }
        let in_force = self.projection.done();
        self.arriving.retain(|_, projection| *projection > in_force);
        let mut report = Report { statuses: Vec::new(), ended: std::mem::take(&mut self.ended) };
        let touched = std::mem::take(&mut self.touched.reports);
        let (arriving, told) = touched.into_iter().partition(|id| self.arriving.contains_key(id));
        self.touched.reports = arriving;
        for id in Vec::from_iter(told) {
            let Some(machine) = self.tasks.get_mut(&id) else { continue };
            let service = machine.task.as_ref().map(|task| &task.service);
            let conflict = service.and_then(|service| self.conflicts.get(service));
            if let Some(status) = machine.report(conflict, self.synced, now) {
                report.statuses.push((id, status));
            }
        }
        if !report.is_empty() {
            outputs.push(Output::Report(report));
        }
    }
}

/// A network as this machine has to make it.
pub(super) fn network_spec(network: &Network) -> NetworkSpec {
    // What cannot be read was refused with the wish.
    let options = network.spec.options().ok();
    NetworkSpec {
        id: network.spec.name.0.clone(),
        v4: network.subnet4.zip(network.gateway4).map(|(subnet, gateway)| NetworkV4 { subnet, gateway }),
        v6: network.subnet6.zip(network.gateway6).map(|(subnet, gateway)| NetworkV6 { subnet, gateway }),
        internal: network.spec.compose.internal,
        mtu: options.and_then(|options| options.mtu),
        members_meet: options.is_none_or(|options| options.members_meet),
        masquerade: options.is_none_or(|options| options.masquerade),
        reach4: options.map_or(Reach::Published, |options| reach(options.gateway4)),
        reach6: options.map_or(Reach::Published, |options| reach(options.gateway6)),
    }
}

fn reach(mode: GatewayMode) -> Reach {
    match mode {
        GatewayMode::Nat => Reach::Published,
        GatewayMode::NatUnprotected => Reach::All,
        GatewayMode::Routed => Reach::Opened,
    }
}
