//! What an earlier run of the agent left on the machine: the first things that the core is told.

use overlay_net::Net;
use runtime::Runtime;

use crate::Error;
use crate::core::{Input, Inventory, Update};
use crate::store::Store;

/// Looks at containers, namespaces, bridges and the agent's own notes. Changes nothing.
pub(crate) async fn look(runtime: &Runtime, net: &Net, store: &Store) -> Result<Vec<Input>, Error> {
    let containers = runtime.list().await?;
    let network = net.inventory().await?;
    let kept = store.load()?;
    let inventory = Inventory {
        containers,
        netns: network.netns,
        networks: network.networks.into_iter().map(cluster::NetworkName).collect(),
        records: kept.records,
    };
    let remembered =
        kept.assignments.map(|assignments| Input::Assigned(Box::new(Update::Remembered(assignments))));
    Ok(std::iter::once(Input::Found(Box::new(inventory))).chain(remembered).collect())
}
