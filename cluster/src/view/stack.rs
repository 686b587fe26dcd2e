//! A stack as a person sees it.

use crate::view::{ServiceView, StackView, TaskView, Waits};
use crate::{Service, ServiceKey, StackName, State, Task};

impl State {
    /// A stack with its services, tasks, networks and volumes; `waits` says why some of it does not get on.
    #[must_use]
    pub fn stack_view(&self, name: &StackName, waits: &Waits) -> Option<StackView> {
        let stack = self.stacks.get(name)?;
        Some(StackView {
            name: name.clone(),
            version: stack.version,
            removing: stack.removing,
            services: stack
                .services
                .iter()
                .map(|(service, value)| {
                    (service.clone(), self.service_view(&ServiceKey::new(name, service), value, waits))
                })
                .collect(),
            networks: self
                .networks
                .iter()
                .filter(|(_, network)| network.stack == *name)
                .map(|(name, network)| (name.clone(), network.clone()))
                .collect(),
            volumes: self
                .volumes
                .iter()
                .filter(|(_, volume)| volume.stack == *name)
                .map(|(name, volume)| (name.clone(), volume.clone()))
                .collect(),
            config_files: stack.config_files.clone(),
        })
    }

    /// One task with what a person wants to know of it.
    #[must_use]
    pub fn task_view(&self, task: &Task, waits: &Waits) -> TaskView {
        TaskView {
            task: task.clone(),
            container_name: task.container_name(),
            current: self.service(&task.service).is_some_and(|service| service.is_current(task)),
            waits: waits
                .of(&task.service)
                .iter()
                .find(|blocked| blocked.task == Some(task.id))
                .map(|blocked| blocked.wait.clone()),
        }
    }

    /// One service with its tasks.
    #[must_use]
    pub fn service_view(&self, key: &ServiceKey, service: &Service, waits: &Waits) -> ServiceView {
        ServiceView {
            spec: service.spec.clone(),
            replicas: service.replicas,
            run: service.run.clone(),
            removing: service.removing,
            ports: service.published_ports(),
            orphan: service.orphan,
            update: service.update.as_ref().map(|update| update.state.clone()),
            tasks: self.tasks_of(key).map(|task| (task.id, self.task_view(task, waits))).collect(),
            pending: waits
                .of(key)
                .iter()
                .filter(|blocked| blocked.task.is_none())
                .map(|blocked| (blocked.slot, blocked.wait.clone()))
                .collect(),
        }
    }
}
