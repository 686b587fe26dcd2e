//! The canonical forms of lists and mappings of the same kind of thing.

use super::values::wrong;
use super::{from_text, replace};
use crate::diagnostic::{Code, Diagnostic};
use crate::merge::into_dependencies;
use crate::node::{Entry, Key, Map, Node, Value};
use crate::place::Place;
use crate::short;

/// Refuses entries of a list of pairs that are no pairs, except `alone`.
pub(super) fn require_values(
    node: &Node,
    place: &Place<'_>,
    alone: Option<&str>,
) -> Result<(), Box<Diagnostic>> {
    let items = node.as_seq().unwrap_or_default();
    match items
        .iter()
        .find(|item| item.as_str().is_some_and(|text| !text.contains('=') && Some(text) != alone))
    {
        Some(item) => {
            let text = item.as_str().unwrap_or_default();
            Err(wrong(item, place, format!("`{text}` has no value; expected `name=value`")))
        }
        None => Ok(()),
    }
}

/// A list of `key=value` becomes a mapping; `missing` stands where there is no value.
pub(super) fn settle_pairs(node: &mut Node, missing: Value) {
    match &mut node.value {
        Value::Seq(items) => {
            let mut entries = Vec::with_capacity(items.len());
            for item in std::mem::take(items) {
                let Value::String(text) = item.value else { continue };
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (Key::new(key), Value::String(value.to_owned())),
                    None => (text.into(), missing.clone()),
                };
                entries.push((key, Entry { key: item.span, node: Node::new(value, item.span) }));
            }
            node.value = Value::Map(Map::from_pairs(entries));
        }
        Value::Map(map) => {
            for (_, entry) in map.iter_mut() {
                entry.node.value = match entry.node.to_text() {
                    Some(text) => Value::String(text),
                    None => missing.clone(),
                };
            }
        }
        _ => {}
    }
}

/// A name that ends with a space is a `NAME = value` that was meant otherwise.
pub(super) fn check_names(node: &Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    match node.entries().find(|(name, _)| name.ends_with(' ')) {
        Some((name, entry)) => Err(Box::new(
            Diagnostic::error(
                Code::Value,
                entry.key,
                format!("`{place}`: the name `{name}` ends with a space"),
            )
            .hint("write `NAME=value` without spaces"),
        )),
        None => Ok(()),
    }
}

pub(super) fn settle_hosts(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let mut hosts = Vec::new();
    match &node.value {
        Value::Seq(items) => {
            for item in items {
                let text = item.as_str().unwrap_or_default();
                let (name, address) = short::parse_host(text).ok_or_else(|| {
                    wrong(item, place, format!("`{text}` has no address; expected `name=address`"))
                })?;
                hosts.push(Node::text(format!("{name}={address}"), item.span));
            }
        }
        Value::Map(map) => {
            for (name, entry) in map.iter() {
                let addresses = entry.node.as_seq().unwrap_or(std::slice::from_ref(&entry.node));
                for address in addresses {
                    let text = short::bare_address(address.as_str().unwrap_or_default());
                    hosts.push(Node::text(format!("{name}={text}"), address.span));
                }
            }
        }
        _ => return Ok(()),
    }
    node.value = Value::Seq(hosts);
    Ok(())
}

pub(super) fn settle_options(node: &mut Node) {
    let Some(map) = node.as_map_mut() else { return };
    for (_, entry) in map.iter_mut() {
        let items = match std::mem::replace(&mut entry.node.value, Value::Null) {
            Value::Seq(items) => items,
            value => vec![Node::new(value, entry.node.span)],
        };
        let texts = items.iter().filter_map(|item| Some(Node::text(item.to_text()?, item.span)));
        entry.node.value = Value::Seq(texts.collect());
    }
}

pub(super) fn settle_dependencies(node: &mut Node) {
    replace(node, into_dependencies);
    for (_, entry) in node.entries_mut() {
        entry.node.set_default("required", Value::Bool(true));
        if entry.node.get("restart").and_then(Node::as_bool) == Some(false) {
            entry.node.take("restart");
        }
    }
}

pub(super) fn settle_env_files(node: &mut Node) {
    replace(node, |node| match node.value {
        Value::Seq(items) => {
            let files = items.into_iter().map(|item| from_text(item, "path")).collect();
            Node::new(Value::Seq(files), node.span)
        }
        _ => {
            let span = node.span;
            Node::new(Value::Seq(vec![from_text(node, "path")]), span)
        }
    });
}

/// The services' `gpus` as lists. A later file appends to what an earlier one says, be that `all`.
pub(crate) fn settle_gpus_of(project: &mut Node) {
    for (_, entry) in project.get_mut("services").into_iter().flat_map(Node::entries_mut) {
        if let Some(gpus) = entry.node.get_mut("gpus") {
            settle_gpus(gpus);
        }
    }
}

pub(super) fn settle_gpus(node: &mut Node) {
    if node.as_str().is_some() {
        let mut request = Node::empty_map(node.span);
        request.set("count", Value::Int(-1));
        node.value = Value::Seq(vec![request]);
    }
}

pub(super) fn settle_device_request(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    if node.has("count") && node.has("device_ids") {
        return Err(wrong(node, place, "`count` and `device_ids` exclude one another"));
    }
    if !node.has("count") && !node.has("device_ids") {
        node.set("count", Value::Int(-1));
    }
    if let Some(count) = node.get("count")
        && let Some(text) = count.as_str()
    {
        let number = match text {
            "all" => -1,
            _ => text.parse().map_err(|_| {
                wrong(count, place, format!("`count` must be a whole number or `all`, not `{text}`"))
            })?,
        };
        node.set("count", Value::Int(number));
    }
    Ok(())
}

pub(super) fn settle_device(node: &mut Node, place: &Place<'_>) -> Result<(), Box<Diagnostic>> {
    let Some(text) = node.as_str() else {
        return if node.has("target") {
            Ok(())
        } else {
            Err(wrong(node, place, "the path in the container (`target`) is missing"))
        };
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => return Err(wrong(node, place, format!("`{text}` has too many colons"))),
    };
    let target = if target.is_empty() { source } else { target };
    let mut device = Node::empty_map(node.span);
    for (key, value) in [("source", source), ("target", target), ("permissions", permissions)] {
        device.set(key, Value::String(value.to_owned()));
    }
    *node = device;
    Ok(())
}
