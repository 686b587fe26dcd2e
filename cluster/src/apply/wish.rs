//! `orc up`: what a stated wish does to the state.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::apply::{Step, conflict};
use crate::{
    NetworkName, PutStack, Refusal, Run, Service, ServiceKey, ServiceSpec, Stack, Task, Volume, VolumeName,
};

impl Step<'_> {
    pub(super) fn put_stack(&mut self, put: PutStack) -> Result<(), Refusal> {
        super::conflict::check_wish(self.state, &put)?;
        let name = put.spec.name.clone();
        let is_new = !self.state.stacks.contains_key(&name);
        let stack =
            self.state.stacks.entry(name.clone()).or_insert_with(|| Stack::new(self.version, self.at));
        let moved = !put.config_files.is_empty() && stack.config_files != put.config_files;
        if moved {
            stack.config_files.clone_from(&put.config_files);
        }
        let mut changed = is_new || stack.removing || moved;
        stack.removing = false;

        let mut replaced = Vec::new();
        for (service, spec) in &put.spec.services {
            if put.selects(service) {
                let key = ServiceKey::new(&name, service);
                let outcome = self.put_service(&key, spec, &put);
                changed |= outcome.changed;
                if outcome.replaced {
                    replaced.push(key);
                }
            }
        }
        self.restart_dependents_of(&replaced, &put.how);
        changed |= self.mark_orphans(&put);
        changed |= self.put_networks(&put);
        changed |= self.put_volumes(&put);
        if changed {
            if let Some(stack) = self.state.stacks.get_mut(&name) {
                stack.version = self.version;
            }
            self.touch_stack(&name);
        }
        Ok(())
    }

    fn put_service(&mut self, key: &ServiceKey, spec: &Arc<ServiceSpec>, put: &PutStack) -> Outcome {
        let old = self.state.service(key);
        let mut new = match old {
            Some(old) => renewed(key, old, spec, put),
            None => fresh(spec.clone(), put),
        };
        let scaled = put.scale.get(&key.service).copied();
        new.replicas = match (scaled, old) {
            (Some(replicas), _) => replicas,
            (None, Some(old)) if put.no_recreate && !old.removing => old.replicas,
            (None, _) => spec.replicas(),
        };
        let replaced = old.is_some_and(|old| {
            (old.spec.hash != new.spec.hash || old.forced != new.forced) && !self.has_no_task(key)
        });
        new.volumes_renewed += u64::from(replaced && put.renew_volumes);
        new.update = old.and_then(|old| self.update_of(key, old, &new, replaced));
        let mut changed = old != Some(&new);
        if changed {
            self.store_service(key, new);
        }
        if !put.no_start {
            changed |= self.start_again(key);
        }
        Outcome { changed, replaced }
    }

    /// Starts containers that are stopped or ended again, as far as they are what is wished now.
    pub(super) fn start_again(&mut self, key: &ServiceKey) -> bool {
        let Some(service) = self.state.service(key).cloned() else { return false };
        self.change_tasks(key, |task| service.is_current(task) && start_again(task))
    }

    fn has_no_task(&self, key: &ServiceKey) -> bool {
        self.state.tasks_of(key).next().is_none()
    }

    /// Services that the file does not name any more go if that is asked for, and are marked otherwise.
    fn mark_orphans(&mut self, put: &PutStack) -> bool {
        let Some(stack) = self.state.stacks.get(&put.spec.name) else { return false };
        if put.named.is_empty() && (put.partial || !put.services.is_empty()) {
            return false;
        }
        let orphans: Vec<(ServiceKey, Service)> = stack
            .services
            .iter()
            .filter(|(name, service)| {
                let named = put.spec.services.contains_key(*name) || put.named.contains(*name);
                !named && service.spec.one_off.is_none()
            })
            .map(|(name, service)| (ServiceKey::new(&put.spec.name, name), service.clone()))
            .collect();
        let mut changed = false;
        for (key, old) in orphans {
            let mut new = old.clone();
            new.orphan = true;
            if put.remove_orphans && !new.removing {
                new.removing = true;
                new.how = put.how.clone();
            }
            if new != old {
                self.store_service(&key, new);
                changed = true;
            }
        }
        changed
    }

    /// The networks wished for are those of the file and those of services that stay beside it. What is not
    /// wished for any more goes when its last task has gone.
    fn put_networks(&mut self, put: &PutStack) -> bool {
        let name = &put.spec.name;
        let Some(stack) = self.state.stacks.get_mut(name) else { return false };
        let staying = stack.services.values().filter(|service| !service.removing);
        let used: BTreeSet<&NetworkName> =
            staying.flat_map(Service::specs).flat_map(|spec| spec.networks.keys()).collect();
        let mut networks = put.spec.networks.clone();
        for (key, spec) in &stack.networks {
            if used.contains(&spec.name) && !networks.values().any(|other| other.name == spec.name) {
                networks.insert(key.clone(), spec.clone());
            }
        }
        let changed = stack.networks != networks;
        stack.networks = networks;
        self.turn_networks(name) || changed
    }

    fn put_volumes(&mut self, put: &PutStack) -> bool {
        let name = &put.spec.name;
        let Some(stack) = self.state.stacks.get_mut(name) else { return false };
        let staying = stack.services.values().filter(|service| !service.removing);
        let used: BTreeSet<&VolumeName> =
            staying.flat_map(Service::specs).flat_map(|spec| spec.volumes.values()).collect();
        let mut volumes = put.spec.volumes.clone();
        for (key, spec) in &stack.volumes {
            if used.contains(&spec.name) && !volumes.values().any(|other| other.name == spec.name) {
                volumes.insert(key.clone(), spec.clone());
            }
        }
        let mut changed = stack.volumes != volumes;
        stack.volumes.clone_from(&volumes);
        for spec in volumes.into_values().filter(|spec| !spec.compose.external) {
            let old = self.state.volumes.get(&spec.name);
            // One whose data are being deleted is made anew when they are gone.
            let removing = old.is_some_and(|old| old.removing && old.node.is_some());
            let new = Volume {
                stack: name.clone(),
                node: old.and_then(|old| old.node),
                removing,
                version: old.map_or(self.version, |old| old.version),
                spec,
            };
            if old != Some(&new) {
                let volume = new.spec.name.clone();
                self.state.volumes.insert(volume.clone(), Volume { version: self.version, ..new });
                self.touch_volume(&volume);
                changed = true;
            }
        }
        changed
    }

    pub(super) fn put_one_off(
        &mut self,
        key: ServiceKey,
        spec: ServiceSpec,
        held: bool,
    ) -> Result<(), Refusal> {
        if spec.one_off.is_none() {
            return Err(conflict(format!("service {key} is no one-off")));
        }
        super::conflict::check_more(self.state, &[(&key, &spec)])?;
        let nothing = crate::StackSpec {
            name: key.stack.clone(),
            services: Default::default(),
            networks: Default::default(),
            volumes: Default::default(),
        };
        let put = PutStack { no_start: held, ..PutStack::new(nothing) };
        let service = Service { replicas: 1, ..fresh(Arc::new(spec), &put) };
        if self.state.service(&key).is_some() {
            return Err(conflict(format!("there is a service {key} already")));
        }
        self.store_service(&key, service);
        Ok(())
    }
}

/// What putting one service did.
struct Outcome {
    changed: bool,
    /// Its containers are made anew.
    replaced: bool,
}

impl PutStack {
    /// Whether a service is meant.
    pub(crate) fn selects(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|name| name == service)
    }
}

fn fresh(spec: Arc<ServiceSpec>, put: &PutStack) -> Service {
    Service {
        replicas: spec.replicas(),
        spec,
        run: if put.no_start { Run::Stopped(put.how.clone()) } else { Run::Started },
        forced: 0,
        newer_image: false,
        volumes_renewed: 0,
        slots: Default::default(),
        vips: Default::default(),
        host_ports: Default::default(),
        removing: false,
        how: put.how.clone(),
        orphan: false,
        update: None,
        changed_at: Default::default(),
        version: Default::default(),
    }
}

/// A service that is there already under a new wish.
fn renewed(key: &ServiceKey, old: &Service, spec: &Arc<ServiceSpec>, put: &PutStack) -> Service {
    let mut new = old.clone();
    if !put.no_recreate || old.removing {
        if old.spec != *spec {
            keep_choices(&mut new, &old.spec, spec);
            new.spec = spec.clone();
        }
        if put.force_recreate.contains(&key.service) {
            new.forced += 1;
            new.newer_image = put.newer_images.contains(&key.service);
        }
        if new.spec.hash != old.spec.hash || new.forced != old.forced {
            new.how = put.how.clone();
        }
    }
    new.removing = false;
    new.orphan = false;
    if !put.no_start {
        new.run = Run::Started;
    } else if old.run == Run::Absent || old.removing {
        new.run = Run::Stopped(put.how.clone());
    }
    new
}

/// Drops the chosen host ports and virtual addresses that the new spec does not ask for in the same way.
pub(super) fn keep_choices(service: &mut Service, old: &ServiceSpec, spec: &ServiceSpec) {
    service.host_ports.retain(|key, _| {
        let entry = key.split('/').next().and_then(|entry| entry.parse::<usize>().ok());
        entry.is_some_and(|entry| {
            spec.compose.ports.get(entry).is_some_and(|port| old.compose.ports.get(entry) == Some(port))
        })
    });
    let balanced = spec.wants_virtual_address();
    service.vips.retain(|network, _| balanced && spec.networks.contains_key(network));
}

/// `orc up` on a container that is stopped, ended or could not be made: it is started (tried) again, once what it
/// depends on has come as far as the file says, as at its first start.
fn start_again(task: &mut Task) -> bool {
    let stopped = matches!(task.desired, crate::Desired::Stop(_));
    // Whoever asks has perhaps just mended it, and does not want to wait for the next attempt.
    let stuck = task.problem().is_some();
    let again = stopped || stuck || task.finished().is_some();
    if again {
        task.generation += 1;
        task.gate = crate::Gate::Held;
    }
    again
}

impl Task {
    /// Whether it is meant to stay: not on its way out.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !matches!(self.desired, crate::Desired::Remove(_)) && self.status.phase != crate::Phase::Removed
    }
}

impl ServiceSpec {
    /// Whether the service asks for one stable address that balances (`deploy.endpoint_mode: vip`).
    #[must_use]
    pub fn wants_virtual_address(&self) -> bool {
        self.compose.deploy.as_ref().and_then(|deploy| deploy.endpoint_mode.as_deref()) == Some("vip")
    }
}
