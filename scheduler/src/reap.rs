//! What can be forgotten: of which nothing is left, so that its addresses and names are free again.

use std::collections::BTreeSet;

use cluster::{ChangeKind, Desired, Forgotten, NetworkName, Phase, StackName, Task, VolumeName};

use crate::decide::Round;

/// Forgets a task of which nothing is left, or whose node is lost and that was given up. Answers whether.
pub(crate) fn task(round: &mut Round<'_>, task: &Task) -> bool {
    let given_up = matches!(task.desired, Desired::Remove(_)) && round.is_lost(task.node);
    let gone = task.status.phase == Phase::Removed || given_up;
    if gone {
        round.changes.push(ChangeKind::Forget(Forgotten::Task(task.id)));
    }
    gone
}

/// Forgets removed networks that nobody uses and of which no bridge is left.
pub(crate) fn networks(round: &mut Round<'_>, touched: &BTreeSet<NetworkName>) {
    for name in touched {
        let removing = round.state.networks.get(name).is_some_and(|network| network.removing);
        if removing && round.state.is_unused(name) {
            round.changes.push(ChangeKind::Forget(Forgotten::Network(name.clone())));
        }
    }
}

/// Forgets removed volumes without data.
pub(crate) fn volumes(round: &mut Round<'_>, touched: &BTreeSet<VolumeName>) {
    for name in touched {
        let gone = |volume: &cluster::Volume| volume.removing && volume.node.is_none();
        if round.state.volumes.get(name).is_some_and(gone) {
            round.changes.push(ChangeKind::Forget(Forgotten::Volume(name.clone())));
        }
    }
}

/// Forgets removed stacks of which nothing is left. Networks that other stacks still use may stay behind.
pub(crate) fn stacks(round: &mut Round<'_>, touched: &BTreeSet<StackName>) {
    let state = round.state;
    for name in touched {
        if !state.stacks.get(name).is_some_and(|stack| stack.removing && stack.services.is_empty()) {
            continue;
        }
        let leaves = |network: &cluster::Network| {
            let mut users = state.services_in(&network.spec.name);
            network.stack == *name && users.all(|user| user.stack == *name)
        };
        let volumes = state.volumes.values().any(|volume| volume.stack == *name && volume.removing);
        if !volumes && !state.networks.values().any(leaves) {
            round.changes.push(ChangeKind::Forget(Forgotten::Stack(name.clone())));
        }
    }
}
