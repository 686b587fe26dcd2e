//! Which services take part: profiles, services named by the caller, and the resources they need.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic};
use crate::node::{Entry, Node};
use crate::project::{MountKind, Project};
use crate::report::Report;
use crate::suggest;

fn services_of(tree: &Node) -> impl Iterator<Item = (&str, &Entry)> {
    tree.get("services").into_iter().flat_map(Node::entries)
}

fn profiles(service: &Node) -> impl Iterator<Item = &str> {
    service.get("profiles").and_then(Node::as_seq).unwrap_or_default().iter().filter_map(Node::as_str)
}

/// Every profile that some service names.
pub(crate) fn declared_profiles(tree: &Node) -> BTreeSet<String> {
    services_of(tree).flat_map(|(_, entry)| profiles(&entry.node)).map(str::to_owned).collect()
}

/// Whether a service takes part.
fn enabled(service: &Node, wanted: &[String]) -> bool {
    let mut own = profiles(service).peekable();
    own.peek().is_none()
        || wanted.iter().any(|profile| profile == "*")
        || own.any(|p| wanted.iter().any(|w| w == p))
}

/// The profiles of services that the caller names although they are disabled.
pub(crate) fn profiles_of(tree: &Node, named: &[String], wanted: &[String]) -> Vec<String> {
    services_of(tree)
        .filter(|(name, entry)| named.iter().any(|n| n == name) && !enabled(&entry.node, wanted))
        .flat_map(|(_, entry)| profiles(&entry.node))
        .map(str::to_owned)
        .collect()
}

/// Takes disabled services out of the tree.
pub(crate) fn take_disabled(tree: &mut Node, wanted: &[String]) -> BTreeSet<String> {
    let mut disabled = BTreeSet::new();
    if let Some(services) = tree.get_mut("services").and_then(Node::as_map_mut) {
        services.retain(|name, entry| {
            let stays = enabled(&entry.node, wanted);
            if !stays {
                disabled.insert(name.to_owned());
            }
            stays
        });
    }
    disabled
}

/// Leaves the named services and what they depend on. Without names nothing changes.
pub(crate) fn services(
    project: &mut Project,
    named: &[String],
    disabled: &BTreeSet<String>,
    report: &mut Report,
) {
    if named.is_empty() {
        return;
    }
    let mut kept = BTreeSet::new();
    let mut open: Vec<String> = Vec::new();
    for name in named {
        if project.services.contains_key(name) {
            open.push(name.clone());
        } else {
            let known = project.services.keys().chain(disabled).map(String::as_str);
            report.add(
                Diagnostic::error(Code::Request, None, format!("no such service: `{name}`"))
                    .hint(suggest::defined("services", name, known)),
            );
        }
    }
    while let Some(name) = open.pop() {
        if let Some(service) = project.services.get(&name)
            && kept.insert(name)
        {
            open.extend(service.depends_on.keys().cloned());
        }
    }
    project.services.retain(|name, _| kept.contains(name));
}

/// Leaves the resources that some service uses.
pub(crate) fn drop_unused(project: &mut Project) {
    let Project { services, networks, volumes, secrets, configs, models, .. } = project;
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for service in services.values() {
        used.extend(service.networks.keys().map(|key| ("network", key.as_str())));
        used.extend(service.models.keys().map(|key| ("model", key.as_str())));
        used.extend(service.configs.iter().map(|reference| ("config", reference.source.as_str())));
        used.extend(service.secrets.iter().map(|reference| ("secret", reference.source.as_str())));
        if let Some(build) = &service.build {
            used.extend(build.secrets.iter().map(|reference| ("secret", reference.source.as_str())));
        }
        used.extend(
            service
                .volumes
                .iter()
                .filter(|mount| mount.kind == MountKind::Volume)
                .filter_map(|mount| Some(("volume", mount.source.as_deref()?))),
        );
    }
    networks.retain(|key, _| used.contains(&("network", key.as_str())));
    volumes.retain(|key, _| used.contains(&("volume", key.as_str())));
    secrets.retain(|key, _| used.contains(&("secret", key.as_str())));
    configs.retain(|key, _| used.contains(&("config", key.as_str())));
    models.retain(|key, _| used.contains(&("model", key.as_str())));
}
