//! The status of every attribute as a page for people: `docs/compose-support.md`.

use std::collections::BTreeMap;

use super::table::{ALLOWED, CLUSTER_VALUES, KEYS, VALUES};
use super::{Support, Target, any, status};
use crate::format::{Object, PROJECT, Shape};
use Support::{Honoured, Needs, Refused, Requires};

/// The status of every attribute of the format, on one node and on a cluster, in Markdown. `proofs` has what proves
/// an attribute, in Markdown by the attribute's path; those of it that are the engine's own (`x-...`) come last.
#[must_use]
pub fn support_markdown(proofs: &BTreeMap<String, String>) -> String {
    let mut text = String::from(HEAD);
    let mut section = String::new();
    let own = proofs.keys().filter(|path| path.contains(".x-")).cloned();
    for path in attributes().into_iter().chain(own) {
        let of = section_of(&path);
        if of != section {
            text.push_str(&format!("\n## {of}\n\n{COLUMNS}\n"));
            section = of;
        }
        let cell = |target| in_words(status(&path, target));
        let proof = proofs.get(&path).map_or("", String::as_str);
        text.push_str(&format!(
            "| `{path}` | {} | {} | {proof} |\n",
            cell(Target::Node),
            cell(Target::Cluster)
        ));
    }
    text.push_str(&values());
    text
}

const COLUMNS: &str = "| Attribute | One node | Cluster | Proved by |\n|---|---|---|---|";

const HEAD: &str = "\
# Which attributes of Compose files are honoured

This page is made from `compose-spec/src/support/table.rs`; `BLESS=1 cargo test -p compose-spec --test compose support` writes it
anew. `orc config --check` says the same about a file, with places; `--target cluster` asks for the second column.

- **honoured**: does what the format says.
- **honoured; requires ...**: does so where the machines have what is named.
- **not yet**: `orc up` refuses it with its place, until the engine has what is named.
- **refused**: `orc up` refuses it with its place, for the reason given.

The last column names the end-to-end scenarios that show what an attribute does on one node, with real containers: `tests/e2e/attributes.txt` has them.
";

/// The part of the format that a path belongs to: the section of the file, and for services the attribute that has
/// attributes of its own.
fn section_of(path: &str) -> String {
    let steps: Vec<&str> = path.split('.').collect();
    match steps.as_slice() {
        ["services", "*", attribute, ..] if attribute.starts_with("x-") => {
            "services: what orc adds".to_owned()
        }
        ["services", "*", attribute, _, ..] => format!("services: {attribute}"),
        [section, "*", ..] => (*section).to_owned(),
        _ => "Top level".to_owned(),
    }
}

fn in_words(support: Support) -> String {
    match support {
        Honoured => "honoured".to_owned(),
        Requires(what) => format!("honoured; requires {what}"),
        Needs(what) => format!("not yet: needs {what}"),
        Refused(why) => format!("refused: {why}"),
    }
}

/// The values that are treated in another way than their attributes.
fn values() -> String {
    let mut text = String::from("\n## Values\n\n| Attribute | Value | Where | Status |\n|---|---|---|---|\n");
    let mut row = |path: &str, value: &str, place: &str, support: Support| {
        text.push_str(&format!("| `{path}` | {value} | {place} | {} |\n", in_words(support)));
    };
    for (path, value, support) in VALUES {
        row(path, &format!("`{value}`"), "anywhere", *support);
    }
    for (path, value, support) in CLUSTER_VALUES {
        row(path, &format!("`{value}`"), "cluster", *support);
    }
    for (path, words, support) in ALLOWED {
        row(
            path,
            &format!("other than {}", crate::suggest::listed(words.iter().copied())),
            "anywhere",
            *support,
        );
    }
    for (path, _, support) in KEYS {
        row(&format!("{path}.*"), "another name", "anywhere", *support);
    }
    text
}

/// The path of every attribute of the format, such as `services.*.image`: those of services before what is nested in
/// them.
#[must_use]
pub fn attributes() -> Vec<String> {
    let mut paths = Vec::new();
    below(&Shape::Object(&PROJECT), "", &mut paths);
    paths.sort_by_key(|path| (section_rank(path), path.clone()));
    paths
}

/// Sections in the order of a file, attributes of services before what is nested in them.
fn section_rank(path: &str) -> (bool, String) {
    let section = section_of(path);
    (section != "Top level", section)
}

fn below(shape: &Shape, prefix: &str, paths: &mut Vec<String>) {
    match shape {
        Shape::OneOf(shapes) => shapes.iter().for_each(|shape| below(shape, prefix, paths)),
        Shape::Object(object) => fields(object, prefix, paths),
        Shape::Map(..) | Shape::List(_) | Shape::Set(_) => {
            if let Some(rule) = any(shape) {
                below(&rule.shape, &format!("{prefix}.*"), paths);
            }
        }
        _ => {}
    }
}

fn fields(object: &'static Object, prefix: &str, paths: &mut Vec<String>) {
    for (name, rule) in object.fields {
        let path = if prefix.is_empty() { (*name).to_owned() } else { format!("{prefix}.{name}") };
        below(&rule.shape, &path, paths);
        paths.push(path);
    }
}
