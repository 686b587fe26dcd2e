//! What nodes and their agents say.

use std::collections::BTreeSet;

use crate::apply::{Step, check_version, conflict};
use crate::{
    Ended, NetworkName, Node, NodeDescription, NodeId, NodeState, Refusal, TaskId, TaskStatus, Version,
    VolumeName, limits,
};

impl Step<'_> {
    pub(super) fn put_node(&mut self, id: NodeId, description: NodeDescription) -> Result<(), Refusal> {
        let new = Node { id, description, state: NodeState::Ready, version: self.version };
        let old = self.state.nodes.get(&id);
        if old.is_some_and(|old| old.description == new.description && old.state == NodeState::Ready) {
            return Ok(());
        }
        self.state.nodes.insert(id, new);
        self.touch_node(id);
        self.look_at_tasks_of(id);
        Ok(())
    }

    pub(super) fn node_down(&mut self, id: NodeId, version: Version) -> Result<(), Refusal> {
        let Some(node) = self.state.nodes.get_mut(&id) else {
            return Err(Refusal::Unknown { object: format!("node {id}") });
        };
        check_version(|| format!("node {id}"), version, node.version)?;
        if node.state == NodeState::Ready {
            node.state = NodeState::Down { since: self.at };
            node.version = self.version;
            self.touch_node(id);
            self.look_at_tasks_of(id);
        }
        Ok(())
    }

    fn look_at_tasks_of(&mut self, node: NodeId) {
        let services: BTreeSet<_> = self.state.tasks_on(node).map(|task| task.service.clone()).collect();
        services.iter().for_each(|service| self.look_around(service));
        let networks = self.state.networks.iter().filter(|(_, network)| network.nodes.contains(&node));
        self.state.touched.networks.extend(networks.map(|(name, _)| name.clone()));
    }

    pub(super) fn report(
        &mut self,
        node: NodeId,
        statuses: Vec<(TaskId, TaskStatus)>,
        ended: &Ended,
    ) -> Result<(), Refusal> {
        if !self.state.nodes.contains_key(&node) {
            return Err(Refusal::Unknown { object: format!("node {node}") });
        }
        let foreign = |id: &TaskId| self.state.tasks.get(id).is_some_and(|task| task.node != node);
        if let Some((id, _)) = statuses.iter().find(|(id, _)| foreign(id)) {
            return Err(conflict(format!("node {node} reports on task {id}, which is another node's")));
        }
        for (id, status) in statuses {
            self.take_status(id, status);
        }
        for network in &ended.networks {
            self.network_ended(node, network);
        }
        for volume in &ended.volumes {
            self.volume_ended(node, volume);
        }
        Ok(())
    }

    /// A task's status only moves forward: what an agent said earlier and what arrives late changes nothing.
    /// A status of a task that is forgotten is no news either.
    fn take_status(&mut self, id: TaskId, mut status: TaskStatus) {
        let Some(task) = self.state.tasks.get_mut(&id) else { return };
        let generation = |status: &TaskStatus| status.container.as_ref().map_or(0, |c| c.generation);
        let late = status.phase < task.status.phase
            || (status.phase == task.status.phase && generation(&status) < generation(&task.status));
        shorten(&mut status);
        if late || task.status == status {
            return;
        }
        task.status = status;
        if task.settled_at.is_none() && task.is_settled() {
            task.settled_at = Some(self.at);
        }
        task.version = self.version;
        let (service, node) = (task.service.clone(), task.node);
        self.touch_task(id, &service, node);
        if self.state.tasks[&id].status.phase == crate::Phase::Removed {
            self.state.touched.room = true;
        }
        self.end_one_off(&service);
    }

    /// Nothing is left of a network on a node, unless the node has been given a task in it meanwhile.
    fn network_ended(&mut self, node: NodeId, name: &NetworkName) {
        let used = self
            .state
            .tasks_in(name)
            .any(|task| task.node == node && task.status.phase != crate::Phase::Removed);
        let Some(network) = self.state.networks.get_mut(name).filter(|_| !used) else { return };
        if network.nodes.remove(&node) {
            network.version = self.version;
            self.state.touched.nodes.insert(node);
            self.touch_network(name);
        }
    }

    /// The data of a removed volume are gone. If it is wished for again it starts empty.
    fn volume_ended(&mut self, node: NodeId, name: &VolumeName) {
        let Some(volume) = self.state.volumes.get_mut(name) else { return };
        if !volume.removing || volume.node != Some(node) {
            return;
        }
        let stack = self.state.stacks.get(&volume.stack).filter(|stack| !stack.removing);
        volume.removing = !stack.is_some_and(|stack| stack.volumes.values().any(|spec| spec.name == *name));
        volume.node = None;
        volume.version = self.version;
        self.state.touched.nodes.insert(node);
        self.state.touched.room = true;
        self.touch_volume(name);
    }
}

/// Cuts texts that come from containers to their limit.
fn shorten(status: &mut TaskStatus) {
    if let Some(problem) = &mut status.problem {
        cut(&mut problem.message);
    }
    if let Some(container) = &mut status.container {
        if let crate::Health::Unhealthy { output, .. } = &mut container.health {
            cut(output);
        }
        container.checks.iter_mut().for_each(|check| cut(&mut check.output));
        if let Some(error) = container.exit.as_mut().and_then(|exit| exit.error.as_mut()) {
            cut(error);
        }
    }
}

fn cut(text: &mut String) {
    if text.len() > limits::REPORTED_TEXT {
        let end = (0..=limits::REPORTED_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
}
