//! Of list entries that mean the same thing, the later one stays, at the place of the earlier one.

use std::collections::BTreeMap;

use crate::format::{Identity, Rule};
use crate::node::{Node, Value};
use crate::short;

/// Removes superseded entries everywhere in a tree.
pub(crate) fn enforce(node: &mut Node, rule: &'static Rule) {
    match &mut node.value {
        Value::Map(map) => {
            for (key, entry) in map.iter_mut() {
                // Nothing is looked up for scalars, which most values are.
                if matches!(entry.node.value, Value::Map(_) | Value::Seq(_))
                    && let Some(rule) = rule.shape.entry(key)
                {
                    enforce(&mut entry.node, rule);
                }
            }
        }
        Value::Seq(items) => {
            if let Some(identity) = rule.unique {
                if items.len() > 1 {
                    deduplicate(items, identity);
                }
            } else if let Some(rule) = rule.shape.item() {
                items.iter_mut().for_each(|item| enforce(item, rule));
            }
        }
        _ => {}
    }
}

fn deduplicate(items: &mut Vec<Node>, identity: Identity) {
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for item in items.drain(..) {
        // An entry of the wrong type has no identity; the schema will say so.
        match key(&item, identity) {
            Some(key) => match known.get(&key) {
                Some(&index) => kept[index] = item,
                None => {
                    known.insert(key, kept.len());
                    kept.push(item);
                }
            },
            None => kept.push(item),
        }
    }
    *items = kept;
}

fn key(item: &Node, identity: Identity) -> Option<String> {
    match identity {
        Identity::Key => {
            let text = item.as_str()?;
            Some(text.split_once('=').map_or(text, |(key, _)| key).to_owned())
        }
        Identity::Volume => match item.as_str() {
            Some(text) => Some(short::mount_target(text)),
            None => item.get_str("target").map(short::clean_path),
        },
        Identity::Device => match item.as_str() {
            Some(text) => Some(text.split(':').nth(1).unwrap_or(text).to_owned()),
            None => item.get_str("target").map(str::to_owned),
        },
        Identity::Config => reference(item, ""),
        Identity::Secret => reference(item, "/run/secrets"),
        Identity::Expose => item.to_text(),
        Identity::EnvFile => match item.as_str() {
            Some(text) => Some(text.to_owned()),
            None => item.get_str("path").map(str::to_owned),
        },
        Identity::Port => port(item),
    }
}

fn reference(item: &Node, folder: &str) -> Option<String> {
    match item.as_str() {
        Some(source) => Some(format!("{folder}/{source}")),
        None => match item.get_str("target") {
            Some(target) => Some(target.to_owned()),
            None => Some(format!("{folder}/{}", item.get_str("source")?)),
        },
    }
}

fn port(item: &Node) -> Option<String> {
    if item.as_map().is_none() {
        return item.to_text();
    }
    let part = |name: &str| item.get(name).and_then(Node::to_text);
    let host = part("host_ip").unwrap_or_else(|| "0.0.0.0".to_owned());
    let protocol = part("protocol").unwrap_or_else(|| "tcp".to_owned());
    let published = part("published").unwrap_or_default();
    Some(format!("{host}:{published}:{}/{protocol}", part("target")?))
}
