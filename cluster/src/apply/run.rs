//! `orc down`, `start`, `stop`, `restart`, `kill`, `rm` and `scale`.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::{Step, conflict, conflict_with_hint};
use crate::{Gate, Refusal, Run, RunAction, Service, ServiceKey, Stack, StackName, StopHow, VolumeName};

impl Step<'_> {
    /// The volumes that go with a stack: its own, which are never external to it, as far as they are meant.
    pub(super) fn doomed(
        &self,
        name: &StackName,
        volumes: bool,
        only: Option<&BTreeSet<VolumeName>>,
    ) -> Vec<VolumeName> {
        let own = self.state.volumes.iter().filter(|(_, volume)| volume.stack == *name && !volume.removing);
        let meant = own.filter(|(volume, _)| volumes && only.is_none_or(|only| only.contains(*volume)));
        meant.map(|(volume, _)| volume.clone()).collect()
    }

    pub(super) fn remove_stack(
        &mut self,
        name: &StackName,
        doomed: Vec<VolumeName>,
        how: &StopHow,
    ) -> Result<(), Refusal> {
        let is_new = !self.state.stacks.contains_key(name);
        if is_new && doomed.is_empty() {
            return Err(Refusal::Unknown { object: format!("stack `{name}`") });
        }
        self.refuse_what_others_use(name, &doomed)?;
        // Volumes that outlived their stack go with a stack of nothing else, so that watchers see when they have.
        let stack =
            self.state.stacks.entry(name.clone()).or_insert_with(|| Stack::new(self.version, self.at));
        let first = !std::mem::replace(&mut stack.removing, true);
        if first || !doomed.is_empty() {
            stack.version = self.version;
            self.touch_stack(name);
        }
        self.remove_services(name, how);
        self.remove_networks(name);
        for name in doomed {
            if let Some(volume) = self.state.volumes.get_mut(&name) {
                volume.removing = true;
                volume.version = self.version;
            }
            self.touch_volume(&name);
        }
        Ok(())
    }

    /// Their data would be deleted once the last of them is gone, whenever that is.
    fn refuse_what_others_use(&self, name: &StackName, doomed: &[VolumeName]) -> Result<(), Refusal> {
        let others = self.state.services().filter(|(key, service)| key.stack != *name && !service.removing);
        for (key, service) in others {
            if let Some(volume) = service.spec.volumes.values().find(|volume| doomed.contains(volume)) {
                return Err(conflict_with_hint(
                    format!(
                        "volume `{volume}` is used by service `{}` of stack `{}`",
                        key.service, key.stack
                    ),
                    "bring that stack down first, or leave `-v` away",
                ));
            }
        }
        Ok(())
    }

    fn remove_services(&mut self, name: &StackName, how: &StopHow) {
        let Some(stack) = self.state.stacks.get(name) else { return };
        let services: Vec<(ServiceKey, Service)> = stack
            .services
            .iter()
            .map(|(service, value)| (ServiceKey::new(name, service), value.clone()))
            .collect();
        for (key, old) in services {
            // What is on its way out already may be in more of a hurry now (`orc down -t 0`).
            let new = Service { removing: true, how: how.clone(), ..old.clone() };
            if new != old {
                self.store_service(&key, new);
            }
        }
    }

    fn remove_networks(&mut self, name: &StackName) {
        let mut turned = Vec::new();
        for (network, value) in &mut self.state.networks {
            if value.stack == *name && !value.removing {
                value.removing = true;
                value.version = self.version;
                turned.push(network.clone());
            }
        }
        for network in turned {
            self.touch_network(&network);
        }
    }

    pub(super) fn set_run(&mut self, services: &[ServiceKey], action: &RunAction) -> Result<(), Refusal> {
        for key in services {
            // What is on its way out can still be told to hurry.
            let hurry = matches!(action, RunAction::Stop(_));
            let service = if hurry { self.known(key)? } else { self.existing(key)? };
            if service.run == Run::Absent && needs_container(action) {
                return Err(conflict_with_hint(
                    format!("service `{}` has no container to start", key.service),
                    "`orc up` makes one",
                ));
            }
        }
        if needs_container(action) {
            self.check_ports_of_stopped(services.iter())?;
        }
        for key in services.iter().collect::<BTreeSet<_>>() {
            self.forget_rollback(key);
            match action {
                RunAction::Start => {
                    self.set_service_run(key, Run::Started);
                    self.start_again(key);
                }
                RunAction::Stop(how) => match self.state.service(key).cloned() {
                    Some(old) if old.removing && old.how != *how => {
                        self.store_service(key, Service { how: how.clone(), ..old });
                    }
                    Some(old) if !old.removing && old.run != Run::Absent => {
                        self.set_service_run(key, Run::Stopped(how.clone()));
                    }
                    _ => {}
                },
                RunAction::Restart(how) | RunAction::RestartAlone(how) => self.restart(key, how),
                RunAction::Remove(how) => self.remove_stopped(key, how),
            }
        }
        if let RunAction::Restart(how) = action {
            self.restart_dependents_of(services, how);
        }
        Ok(())
    }

    /// While they were stopped, or with nothing to run, they had no ports; somebody else may have them by now.
    fn check_ports_of_stopped<'k>(
        &self,
        services: impl Iterator<Item = &'k ServiceKey>,
    ) -> Result<(), Refusal> {
        let known = services.filter_map(|key| Some((key, self.state.service(key)?)));
        let rested = known.filter(|(_, service)| service.run != Run::Started || service.replicas == 0);
        let rested: Vec<_> = rested.map(|(key, service)| (key, &*service.spec)).collect();
        super::conflict::check_more(self.state, &rested)
    }

    fn known(&self, key: &ServiceKey) -> Result<&Service, Refusal> {
        let object = || format!("service `{}` in stack `{}`", key.service, key.stack);
        self.state.service(key).ok_or_else(|| Refusal::Unknown { object: object() })
    }

    fn existing(&self, key: &ServiceKey) -> Result<&Service, Refusal> {
        let service = self.known(key)?;
        if service.removing {
            let ServiceKey { stack, service } = key;
            return Err(conflict(format!("service `{service}` of stack `{stack}` is being removed")));
        }
        Ok(service)
    }

    fn set_service_run(&mut self, key: &ServiceKey, run: Run) {
        if let Some(service) = self.state.service(key).filter(|service| service.run != run).cloned() {
            self.store_service(key, Service { run, ..service });
        }
    }

    fn restart(&mut self, key: &ServiceKey, how: &StopHow) {
        self.set_service_run(key, Run::Started);
        self.change_tasks(key, |task| {
            task.generation += 1;
            task.restart_how = how.clone();
            true
        });
    }

    /// `depends_on: {x: {restart: true}}`: what depends so on a service that is restarted or replaced restarts
    /// in its turn, when that has come as far as the file says; and so does what depends so on that one.
    pub(super) fn restart_dependents_of(&mut self, changed: &[ServiceKey], how: &StopHow) {
        let mut again: BTreeSet<ServiceKey> = BTreeSet::new();
        let mut next = changed.to_vec();
        while let Some(dependency) = next.pop() {
            for (key, service) in self.state.dependents(&dependency) {
                let depends = service.spec.compose.depends_on.get(&dependency.service);
                let restarts = depends.is_some_and(|depends| depends.restart)
                    && !service.removing
                    && service.run == Run::Started;
                if restarts && !changed.contains(key) && again.insert(key.clone()) {
                    next.push(key.clone());
                }
            }
        }
        for key in again {
            self.change_tasks(&key, |task| {
                task.generation += 1;
                task.gate = Gate::Held;
                task.restart_how = how.clone();
                true
            });
        }
    }

    /// A one-off goes altogether; another service's containers go when none of them lives.
    fn remove_stopped(&mut self, key: &ServiceKey, how: &StopHow) {
        let Some(service) = self.state.service(key).cloned() else { return };
        let alive = self
            .state
            .tasks_of(key)
            .any(|task| task.is_alive() || task.desired == crate::Desired::Run && task.finished().is_none());
        if service.spec.one_off.is_some() {
            self.store_service(key, Service { removing: true, how: how.clone(), ..service });
        } else if !alive && service.run != Run::Absent {
            self.store_service(key, Service { run: Run::Absent, how: how.clone(), ..service });
        }
    }

    /// Nobody is there any more who would see what it does, or remove it.
    pub(super) fn release_one_off(&mut self, key: &ServiceKey) {
        let Some(service) = self.state.service(key).filter(|service| !service.removing).cloned() else {
            return;
        };
        let Some(one_off) = &service.spec.one_off else { return };
        let started = self.state.tasks_of(key).any(|task| task.status.phase >= crate::Phase::Started);
        if one_off.fleeting || !started {
            self.store_service(key, Service { removing: true, ..service });
        }
    }

    /// A fleeting one-off has ended: it goes.
    pub(super) fn end_one_off(&mut self, key: &ServiceKey) {
        let fleeting = |service: &&Service| {
            !service.removing && service.spec.one_off.as_ref().is_some_and(|one_off| one_off.fleeting)
        };
        let Some(service) = self.state.service(key).filter(fleeting).cloned() else { return };
        if self.state.tasks_of(key).any(|task| task.finished().is_some()) {
            self.store_service(key, Service { removing: true, ..service });
        }
    }

    pub(super) fn scale(&mut self, replicas: &BTreeMap<ServiceKey, u32>) -> Result<(), Refusal> {
        for (key, replicas) in replicas {
            let service = self.existing(key)?;
            super::conflict::check_replicas(key, &service.spec, *replicas)?;
        }
        let wanted = replicas.iter().filter(|(_, replicas)| **replicas > 0);
        self.check_ports_of_stopped(wanted.map(|(key, _)| key))?;
        for (key, replicas) in replicas {
            self.forget_rollback(key);
            let Some(old) = self.state.service(key).cloned() else { continue };
            // As in docker compose, it is an `up` of the service with another number: what is stopped starts.
            let new = Service { replicas: *replicas, run: Run::Started, ..old.clone() };
            if new != old {
                self.store_service(key, new);
            }
            self.start_again(key);
        }
        Ok(())
    }
}

/// Whether it is about containers that are there.
fn needs_container(action: &RunAction) -> bool {
    matches!(action, RunAction::Start | RunAction::Restart(_) | RunAction::RestartAlone(_))
}
