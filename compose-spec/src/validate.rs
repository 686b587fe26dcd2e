//! Checks values that the format's shapes cannot express.

use crate::diagnostic::{Code, Diagnostic};
use crate::node::Node;
use crate::report::Report;

/// Checks the whole settled tree.
pub(crate) fn check(tree: &Node, report: &mut Report) {
    for (name, entry) in tree.get("volumes").into_iter().flat_map(Node::entries) {
        check_volume(name, &entry.node, report);
    }
    for (name, entry) in tree.get("configs").into_iter().flat_map(Node::entries) {
        check_content("configs", name, entry, &["file", "environment", "content"], report);
    }
    for (name, entry) in tree.get("secrets").into_iter().flat_map(Node::entries) {
        check_content("secrets", name, entry, &["file", "environment"], report);
    }
    for (name, entry) in tree.get("services").into_iter().flat_map(Node::entries) {
        let watch = entry.node.get("develop").and_then(|develop| develop.get("watch")).and_then(Node::as_seq);
        for rule in watch.unwrap_or_default() {
            if rule.get_str("path").is_none_or(str::is_empty) {
                let message = format!("`services.{name}.develop.watch`: `path` is empty");
                report.error(Code::Value, rule.span, message);
            }
        }
    }
}

/// An external volume is made elsewhere, so nothing about its making can be said here.
fn check_volume(name: &str, volume: &Node, report: &mut Report) {
    if volume.get("external").and_then(Node::as_bool) != Some(true) {
        return;
    }
    for (key, entry) in volume.entries() {
        if !matches!(key, "external" | "name") && !key.starts_with("x-") {
            let message = format!("volume `{name}` is external, so `{key}` conflicts with `external`");
            report.add(
                Diagnostic::error(Code::Consistency, entry.key, message)
                    .hint(format!("leave out `{key}`, or `external`")),
            );
        }
    }
}

/// A secret or config has exactly one source.
fn check_content(
    section: &str,
    name: &str,
    entry: &crate::node::Entry,
    sources: &[&str],
    report: &mut Report,
) {
    let node = &entry.node;
    let given: Vec<&str> = sources
        .iter()
        .copied()
        .filter(|key| node.as_map().is_some_and(|map| map.contains_key(key)))
        .collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            let elsewhere =
                node.has("driver") || node.as_map().is_some_and(|map| map.contains_key("external"));
            if !elsewhere {
                report.add(
                    Diagnostic::error(
                        Code::Consistency,
                        entry.key,
                        format!("`{section}.{name}` says not where its content comes from"),
                    )
                    .hint(format!("expected one of {}", crate::suggest::listed(sources.iter().copied()))),
                );
            }
        }
        [first, second, ..] => {
            let message = format!("`{section}.{name}`: `{first}` and `{second}` exclude one another");
            report.error(Code::Consistency, entry.key, message);
        }
    }
}
