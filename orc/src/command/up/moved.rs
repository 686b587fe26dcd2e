//! Images whose name means something newer than what the containers were made from.

use std::collections::{BTreeMap, BTreeSet};

use cluster::PutStack;
use cluster::view::StackView;

use crate::client::Client;
use crate::command::image;
use crate::failure::Outcome;
use crate::output::Output;

/// Asks the registries anew for the images of services that have containers and want that at each start
/// (`pull_policy: always`, `--pull always`). For those without, and for containers made anew in any case, the engine
/// does it.
pub(super) async fn pull(
    client: &mut Client,
    before: Option<&StackView>,
    put: &PutStack,
    output: &Output,
) -> Outcome {
    let mut images = BTreeSet::new();
    for name in super::meant(put) {
        let Some(spec) = put.spec.services.get(&name) else { continue };
        let always = spec.compose.pull_policy.as_deref() == Some("always");
        if always && !put.force_recreate.contains(&name) && !used(before, &name).is_empty() {
            images.extend(spec.compose.image.clone());
        }
    }
    let images: Vec<String> = images.into_iter().collect();
    if images.is_empty() { Ok(()) } else { image::pull(client, &images, true, output).await }
}

/// The services whose image was pulled or loaded again since their containers were made, and is another one now: as
/// with docker compose they are made anew, so that `orc pull` and `orc up` bring a new version.
pub(super) async fn services(
    client: &mut Client,
    before: Option<&StackView>,
    put: &PutStack,
) -> Outcome<BTreeSet<String>> {
    let mut moved = BTreeSet::new();
    // Services of one image are many, and each question takes its time.
    let mut ids: BTreeMap<String, Option<String>> = BTreeMap::new();
    for name in super::meant(put) {
        let used = used(before, &name);
        let image = put.spec.services.get(&name).and_then(|spec| spec.compose.image.clone());
        let Some(image) = image.filter(|_| !used.is_empty()) else { continue };
        if !ids.contains_key(&image) {
            let found = client.images(Some(image.clone())).await?;
            ids.insert(image.clone(), found.into_iter().next().map(|now| now.id));
        }
        // No image of that name any more is no reason to replace what runs.
        if ids[&image].as_deref().is_some_and(|now| used.iter().any(|id| *id != now)) {
            moved.insert(name);
        }
    }
    Ok(moved)
}

/// The ids of the images that a service's containers were made from.
fn used<'a>(before: Option<&'a StackView>, service: &str) -> BTreeSet<&'a str> {
    let service = before.and_then(|view| view.services.get(service));
    let tasks = service.into_iter().flat_map(|service| service.tasks.values());
    let images = tasks.filter_map(|task| Some(task.task.container()?.image.as_str()));
    images.filter(|id| !id.is_empty()).collect()
}
