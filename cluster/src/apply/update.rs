//! Replacements of a service's tasks a few at a time: how they begin, get on, are paused, and taken back.

use std::collections::BTreeSet;

use crate::apply::{Step, check_version, conflict, decision};
use crate::{NetworkName, Refusal, Service, ServiceKey, StackName, Update, UpdateState, UpdateStep, Version};

impl Step<'_> {
    /// The replacement that a service has under a new wish. `replaced`: its tasks are to be made anew.
    pub(super) fn update_of(
        &self,
        key: &ServiceKey,
        old: &Service,
        new: &Service,
        replaced: bool,
    ) -> Option<Update> {
        let idle = self.state.tasks_of(key).next().is_none();
        if idle || old.removing || new.run != crate::Run::Started {
            return None;
        }
        if replaced {
            return Update::begin(old, &new.spec, self.at);
        }
        let update = old.update.clone()?;
        match update.state {
            UpdateState::Running => new.spec.update_config().is_some().then_some(update),
            UpdateState::RollingBack(_) => Some(update),
            // Saying it again is how a paused one goes on.
            UpdateState::Paused(_) => Update::begin(old, &new.spec, self.at),
            UpdateState::RolledBack(_) => None,
        }
    }

    pub(super) fn step_update(
        &mut self,
        key: &ServiceKey,
        version: Version,
        step: UpdateStep,
    ) -> Result<(), Refusal> {
        let service = decision::known(self.state, key)?;
        check_version(|| format!("service {key}"), version, service.version)?;
        let mut service = service.clone();
        let Some(update) = service.update.as_mut().filter(|update| update.is_active()) else {
            return Err(conflict(format!("service {key} is not being updated")));
        };
        match step {
            UpdateStep::Fail { slot, why } => drop(update.failed.insert(slot, why)),
            UpdateStep::Pause(why) => update.state = UpdateState::Paused(why),
            UpdateStep::RollBack(why) => {
                if update.state != UpdateState::Running {
                    return Err(conflict(format!("service {key} is being taken back already")));
                }
                std::mem::swap(&mut update.other, &mut service.spec);
                (update.state, update.started_at) = (UpdateState::RollingBack(why), self.at);
                update.failed.clear();
                let (failed, spec) = (update.other.clone(), service.spec.clone());
                super::wish::keep_choices(&mut service, &failed, &spec);
            }
            UpdateStep::Finish => {
                service.update = match service.update.take() {
                    Some(Update { state: UpdateState::RollingBack(why), started_at, other, failed }) => {
                        Some(Update { state: UpdateState::RolledBack(why), started_at, other, failed })
                    }
                    _ => None,
                };
            }
        }
        let done = service.update.is_none();
        self.store_service(key, service);
        if done {
            self.drop_unused_networks(&key.stack);
        }
        Ok(())
    }

    /// Whoever wishes something else of a service has seen that its update was taken back.
    pub(super) fn forget_rollback(&mut self, key: &ServiceKey) {
        let taken_back = |update: &Update| matches!(update.state, UpdateState::RolledBack(_));
        let service =
            self.state.service(key).filter(|service| service.update.as_ref().is_some_and(taken_back));
        if let Some(service) = service.cloned() {
            self.store_service(key, Service { update: None, ..service });
        }
    }

    /// Networks that only what ran before an update was in are not wished for any more when it is through.
    fn drop_unused_networks(&mut self, name: &StackName) {
        let Some(stack) = self.state.stacks.get_mut(name) else { return };
        let used: BTreeSet<NetworkName> = stack
            .services
            .values()
            .filter(|service| !service.removing)
            .flat_map(Service::specs)
            .flat_map(|spec| spec.networks.keys().cloned())
            .collect();
        stack.networks.retain(|_, spec| used.contains(&spec.name));
        self.turn_networks(name);
    }

    /// Marks the networks of a stack that are not wished for any more as going, and those that are wished for
    /// again as staying. Answers whether there are any.
    pub(super) fn turn_networks(&mut self, name: &StackName) -> bool {
        let Some(stack) = self.state.stacks.get(name) else { return false };
        let wished: BTreeSet<&NetworkName> = stack.networks.values().map(|spec| &spec.name).collect();
        let mut turned = Vec::new();
        for (network, value) in &mut self.state.networks {
            let removing = !wished.contains(network);
            if value.stack == *name && value.removing != removing {
                value.removing = removing;
                value.version = self.version;
                turned.push(network.clone());
            }
        }
        turned.iter().for_each(|network| self.touch_network(network));
        !turned.is_empty()
    }
}
