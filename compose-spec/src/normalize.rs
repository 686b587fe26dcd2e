//! Fills in what is implied: default network, names, build defaults and dependencies.

use crate::node::{Entry, Map, Node, Value};
use crate::short::clean_path;
use crate::source::Span;

/// Completes a whole settled tree.
pub(crate) fn normalize(project: &mut Node, name: &str) {
    let mut uses_default = false;
    if let Some(services) = project.get_mut("services") {
        for (_, entry) in services.entries_mut() {
            let service = &mut entry.node;
            uses_default |= join_default_network(service);
            complete_service(service);
        }
    }
    if uses_default {
        project.set_default("networks", Value::Map(Map::new()));
        if let Some(networks) = project.get_mut("networks") {
            networks.set_default("default", Value::Map(Map::new()));
        }
    }
    for kind in ["networks", "volumes", "configs", "secrets"] {
        if let Some(resources) = project.get_mut(kind) {
            name_resources(resources, name);
        }
    }
}

/// A service without networks is in the default one; says whether it is in it.
fn join_default_network(service: &mut Node) -> bool {
    if service.has("provider") || service.has("network_mode") {
        return false;
    }
    let named = service.get("networks").and_then(Node::as_map);
    match named {
        Some(networks) if !networks.is_empty() => networks.contains_key("default"),
        _ => {
            service.set("networks", Value::Map(Map::new()));
            if let Some(networks) = service.get_mut("networks") {
                networks.set("default", Value::Null);
            }
            true
        }
    }
}

fn complete_service(service: &mut Node) {
    if service.get_str("pull_policy") == Some("if_not_present") {
        service.set("pull_policy", Value::String("missing".to_owned()));
    }
    if let Some(build) = service.get_mut("build")
        && !build.has("dockerfile_inline")
    {
        build.set_default("dockerfile", Value::String("Dockerfile".to_owned()));
    }
    if let Some(volumes) = service.get_mut("volumes").and_then(Node::as_seq_mut) {
        for volume in volumes {
            if let Some(target) = volume.get_mut("target")
                && let Value::String(text) = &mut target.value
            {
                *text = clean_path(text);
            }
        }
    }
    for (dependency, restart, span) in implied_dependencies(service) {
        if !service.has("depends_on") {
            service.set("depends_on", Value::Map(Map::new()));
        }
        let Some(map) = service.get_mut("depends_on").and_then(Node::as_map_mut) else { continue };
        let mut node = Node::empty_map(span);
        node.set("condition", Value::String("service_started".to_owned()));
        node.set("required", Value::Bool(true));
        if restart {
            node.set("restart", Value::Bool(true));
        }
        map.insert_new(dependency, Entry { key: span, node });
    }
}

/// The services that `links`, shared namespaces and `volumes_from` name, whether a restart is handed on, and
/// where they are named.
fn implied_dependencies(service: &Node) -> Vec<(String, bool, Span)> {
    let mut found = Vec::new();
    for link in service.get("links").and_then(Node::as_seq).unwrap_or_default() {
        if let Some(text) = link.as_str() {
            let name = match text.split_once(':') {
                Some((name, alias)) if !alias.contains(':') => name,
                _ => text,
            };
            found.push((name.to_owned(), true, link.span));
        }
    }
    for attribute in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        if let Some(node) = service.get(attribute)
            && let Some(name) = node.as_str().and_then(|text| text.strip_prefix("service:"))
        {
            found.push((name.to_owned(), true, node.span));
        }
    }
    for source in service.get("volumes_from").and_then(Node::as_seq).unwrap_or_default() {
        if let Some(text) = source.as_str().filter(|text| !text.starts_with("container:")) {
            let name = text.split_once(':').map_or(text, |(name, _)| name);
            found.push((name.to_owned(), false, source.span));
        }
    }
    found
}

/// Resources are called after the project, unless they have a name or are not the project's.
fn name_resources(resources: &mut Node, project: &str) {
    for (key, entry) in resources.entries_mut() {
        if entry.node.is_null() {
            entry.node = Node::empty_map(entry.node.span);
        }
        let external = entry.node.get("external").and_then(Node::as_bool) == Some(true);
        let name = if external { key.to_owned() } else { format!("{project}_{key}") };
        entry.node.set_default("name", Value::String(name));
    }
}
