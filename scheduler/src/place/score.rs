//! Which of the nodes that fit is the best: tasks of one service spread first, over what its preferences name, then
//! over nodes; then all tasks.

use cluster::{Node, NodeId, Service, ServiceKey};

use super::filter::label;
use crate::decide::Round;

/// Smaller is better: tasks of the service on nodes that are like this one in what each preference names, on the
/// node itself, all tasks on the node, and the node's id as the last word.
pub(crate) fn rank(
    round: &Round<'_>,
    node: &Node,
    key: &ServiceKey,
    service: &Service,
) -> (Vec<usize>, usize, usize, NodeId) {
    let alike = preferences(service).map(|spread| {
        let value = label(node, spread);
        let like_it = round.state.nodes.values().filter(|other| label(other, spread) == value);
        like_it.map(|other| tasks_of(round, other, key)).sum()
    });
    let here = round.state.tasks_on(node.id).count() + round.ledger.placed(node.id).len();
    (alike.collect(), tasks_of(round, node, key), here, node.id)
}

/// How many tasks of a service a node has, those of this round included.
fn tasks_of(round: &Round<'_>, node: &Node, key: &ServiceKey) -> usize {
    let before = round.state.tasks_of(key).filter(|task| task.node == node.id).count();
    before + round.ledger.placed(node.id).iter().filter(|placed| placed.service == *key).count()
}

/// The labels over whose values the tasks are spread.
fn preferences(service: &Service) -> impl Iterator<Item = &str> {
    let placement = service.spec.compose.deploy.as_ref().and_then(|deploy| deploy.placement.as_ref());
    let all = placement.into_iter().flat_map(|placement| &placement.preferences);
    all.filter_map(|preference| preference.spread.as_deref())
}
