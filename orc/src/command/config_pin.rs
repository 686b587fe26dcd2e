//! `orc config --resolve-image-digests` and `--lock-image-digests`: images pinned to what their tags mean now.

use std::collections::BTreeMap;

use api::node::ImageResolveRequest;
use compose_spec::Loaded;
use serde_json::{Map, Value, json};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::project;

/// Gives each image the digest that its registry has for it now. What has a digest stays as it is.
pub(super) async fn pin(loaded: &mut Loaded, global: &Global) -> Outcome {
    let mut pinned = BTreeMap::new();
    each_image(loaded, |image| {
        pinned.insert(image.clone(), image.clone());
    });
    pinned.retain(|image, _| !image.contains('@'));
    if pinned.is_empty() {
        return Ok(());
    }
    let docker_config = project::docker_config().map_or_else(String::new, |path| path.display().to_string());
    let mut client = Client::connect(global).await?;
    for (image, pinned) in &mut pinned {
        let request = ImageResolveRequest { reference: image.clone(), docker_config: docker_config.clone() };
        *pinned = client.resolve_image(request).await?;
    }
    each_image(loaded, |image| {
        if let Some(pinned) = pinned.get(image) {
            image.clone_from(pinned);
        }
    });
    Ok(())
}

/// Leaves nothing but the images: a file that is merged over the others.
pub(super) fn keep_images(loaded: &mut Loaded) {
    let mut services = Map::new();
    let file = loaded.to_json().unwrap_or_default();
    for (name, service) in file["services"].as_object().into_iter().flatten() {
        if let Some(image) = service.get("image").filter(|image| image.is_string()) {
            services.insert(name.clone(), json!({ "image": image }));
        }
    }
    loaded.document = Some(json!({ "services": services }));
}

/// Shows the image of each service that has one, be the file interpolated or not.
fn each_image(loaded: &mut Loaded, mut show: impl FnMut(&mut String)) {
    let services = loaded.project.iter_mut().flat_map(|project| project.services.values_mut());
    services.filter_map(|service| service.image.as_mut()).for_each(&mut show);
    let document = loaded.document.as_mut().and_then(|file| file.get_mut("services"));
    for (_, service) in document.and_then(Value::as_object_mut).into_iter().flatten() {
        if let Some(Value::String(image)) = service.get_mut("image") {
            show(image);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_the_images_as_they_are_pinned_and_nothing_else() {
        let document = json!({"name": "p", "volumes": {"v": {}}, "services": {
            "built": {"build": "."},
            "db": {"image": "db:1", "command": "x"},
            "web": {"image": "web:$TAG"},
        }});
        let mut loaded = Loaded { document: Some(document), ..Loaded::default() };
        each_image(&mut loaded, |image| image.push_str("@d"));
        keep_images(&mut loaded);
        let text = loaded.to_yaml_text().unwrap();
        assert_eq!(text, "services:\n  db:\n    image: db:1@d\n  web:\n    image: web:$TAG@d\n");
    }
}
