//! Which of the nodes that fit is the best: tasks of one service spread first, then all tasks.

use cluster::{Node, NodeId, ServiceKey};

use crate::decide::Round;

/// Smaller is better: tasks of the service on the node, tasks on the node, and the node's id as the last word.
pub(crate) fn rank(round: &Round<'_>, node: &Node, key: &ServiceKey) -> (usize, usize, NodeId) {
    let placed = round.ledger.placed(node.id);
    let same = round.state.tasks_of(key).filter(|task| task.node == node.id).count();
    let same_now = placed.iter().filter(|placed| placed.service == *key).count();
    (same + same_now, round.state.tasks_on(node.id).count() + placed.len(), node.id)
}
