//! The last touches before a tree becomes typed: defaults that are always printed, and attributes that say
//! nothing.

use crate::format::{Form, Rule};
use crate::node::{Map, Node, Value};

/// Completes a settled tree.
pub(crate) fn finish(project: &mut Node, rule: &'static Rule) {
    for section in ["networks", "volumes"] {
        for (_, entry) in project.get_mut(section).into_iter().flat_map(Node::entries_mut) {
            if entry.node.is_null() {
                entry.node = Node::empty_map(entry.node.span);
            }
        }
    }
    for (_, entry) in project.get_mut("services").into_iter().flat_map(Node::entries_mut) {
        complete(&mut entry.node);
    }
    prune(project, rule);
}

/// Fills in the target of each secret.
pub(crate) fn secret_targets(project: &mut Node) {
    for (_, entry) in project.get_mut("services").into_iter().flat_map(Node::entries_mut) {
        for secret in items(entry.node.get_mut("secrets")) {
            if let Some(source) = secret.get_str("source") {
                let target = format!("/run/secrets/{source}");
                secret.set_default("target", Value::String(target));
            }
        }
    }
}

fn complete(service: &mut Node) {
    let scale = service.get("scale").map(|scale| scale.value.clone());
    let image = service.get("image").map(|image| image.value.clone());
    if let Some(deploy) = service.get_mut("deploy").filter(|deploy| !deploy.is_null()) {
        deploy.set_default("resources", Value::Map(Map::new()));
        deploy.set_default("placement", Value::Map(Map::new()));
        if let Some(scale) = scale {
            deploy.set_default("replicas", scale);
        }
    }
    for hook in items(service.get_mut("pre_start")) {
        if let Some(image) = &image {
            hook.set_default("image", image.clone());
        }
    }
    let watch = service.get_mut("develop").and_then(|develop| develop.get_mut("watch"));
    for rule in items(watch) {
        rule.set_default("exec", Value::Map(Map::new()));
    }
}

fn items(list: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    list.and_then(Node::as_seq_mut).into_iter().flatten()
}

/// Takes out attributes whose value means the same as their absence.
fn prune(node: &mut Node, rule: &'static Rule) {
    match &mut node.value {
        Value::Map(map) => {
            let known = rule.shape.object();
            map.retain(|key, entry| {
                let Some(rule) = rule.shape.entry(key) else { return true };
                prune(&mut entry.node, rule);
                known.is_none() || says_something(&entry.node, rule)
            });
        }
        Value::Seq(items) => {
            if let Some(rule) = rule.shape.item() {
                items.iter_mut().for_each(|item| prune(item, rule));
            }
        }
        _ => {}
    }
}

/// Whether a value differs from what an absent attribute means.
fn says_something(node: &Node, rule: &Rule) -> bool {
    match &node.value {
        Value::Null => false,
        _ if rule.form == Some(Form::Unused) => false,
        Value::String(text) if rule.form == Some(Form::Bytes) => text != "0",
        Value::String(text) if rule.form == Some(Form::Pause) => text != "0s",
        Value::String(text) => !text.is_empty(),
        Value::Int(0) => rule.form == Some(Form::Count),
        Value::Float(value) => *value != 0.0,
        _ => true,
    }
}
