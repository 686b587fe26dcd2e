//! Which attributes the engine honours: [`table`] says so, and this finds in a file what it says nothing good about.

mod table;

use crate::diagnostic::{Code, Diagnostic};
use crate::format::{PROJECT, Shape};
use crate::node::{Node, Value};
use crate::place::Place;
use crate::request::Loaded;
use crate::source::Span;
use table::{SAME_AS_UNSET, SECURITY_OPTIONS, TABLE, VALUES};

use Support::{Honoured, Needs, Refused};

/// How the engine treats an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what the format says.
    Honoured,
    /// It will be honoured once the engine has what is named here.
    Needs(&'static str),
    /// It will not be honoured, for this reason.
    Refused(&'static str),
}

/// The status of an attribute by its path, such as `services.*.image`; `None` if the format has no such
/// attribute. The status covers what is below the attribute, unless that has a status of its own.
#[must_use]
pub fn support(path: &str) -> Option<Support> {
    let mut shape = &Shape::Object(&PROJECT);
    for step in path.split('.') {
        let rule = if step == "*" { any(shape) } else { shape.entry(step) };
        shape = &rule?.shape;
    }
    Some(status(path))
}

/// The status of every attribute that has one of its own, as a table in Markdown.
#[must_use]
pub fn support_markdown() -> String {
    let mut text = String::from("| Attribute | Status |\n|---|---|\n");
    for (path, support) in TABLE {
        let status = match support {
            Honoured => "honoured".to_owned(),
            Needs(what) => format!("not yet: needs {what}"),
            Refused(why) => format!("refused: {why}"),
        };
        text.push_str(&format!("| `{path}` | {status} |\n"));
    }
    text
}

/// What a name or an entry leads to.
fn any(shape: &Shape) -> Option<&'static crate::format::Rule> {
    shape.entry("\u{0}").or_else(|| shape.item())
}

/// The status that is listed for a path or for the nearest one above it.
fn status(path: &str) -> Support {
    let mut path = path;
    loop {
        match (listed(path), path.rsplit_once('.')) {
            (Some(support), _) => return support,
            (None, Some((above, _))) => path = above,
            (None, None) => return Honoured,
        }
    }
}

/// The status that is listed for exactly this path.
fn listed(path: &str) -> Option<Support> {
    let index = TABLE.binary_search_by(|(listed, _)| (*listed).cmp(path)).ok()?;
    Some(TABLE[index].1)
}

/// An error for each attribute in the files that the engine does not honour, with its place. Services of disabled
/// profiles are not looked at, since they do not run.
#[must_use]
pub fn check_support(loaded: &Loaded) -> Vec<Diagnostic> {
    loaded.unsupported.clone()
}

/// The same for a settled tree without disabled services. What normalisation added to it is honoured.
pub(crate) fn unsupported(tree: &Node) -> Vec<Diagnostic> {
    let mut walk = Walk { pattern: String::new(), findings: Vec::new() };
    walk.below(tree, &Shape::Object(&PROJECT), Honoured, &Place::TOP);
    walk.findings.sort_by_key(|finding| finding.span);
    walk.findings
}

/// A walk over a tree and the table of the format.
struct Walk {
    /// Where the walk is, with `*` for names and entries.
    pattern: String,
    findings: Vec<Diagnostic>,
}

impl Walk {
    fn below(&mut self, node: &Node, shape: &Shape, inherited: Support, place: &Place<'_>) {
        match &node.value {
            Value::Map(map) => {
                let object = shape.object();
                for (key, entry) in map.iter() {
                    let Some(rule) = shape.entry(key) else { continue };
                    let known = object.is_some_and(|object| object.field(key).is_some());
                    let step = if known { key } else { "*" };
                    self.step(step, (&entry.node, entry.key), &rule.shape, inherited, &place.key(key));
                }
            }
            Value::Seq(items) => {
                let Some(rule) = shape.item() else { return };
                for (index, item) in items.iter().enumerate() {
                    self.step("*", (item, item.span), &rule.shape, inherited, &place.index(index));
                }
            }
            _ => {}
        }
    }

    /// One attribute, name or entry, and where its key stands.
    fn step(
        &mut self,
        step: &str,
        (node, key): (&Node, Span),
        shape: &Shape,
        inherited: Support,
        place: &Place<'_>,
    ) {
        let length = self.pattern.len();
        if length > 0 {
            self.pattern.push('.');
        }
        self.pattern.push_str(step);
        let support = listed(&self.pattern).unwrap_or(inherited);
        match refused(node, &self.pattern, support, place, key) {
            Some(finding) => self.findings.push(finding),
            None => self.below(node, shape, support, place),
        }
        self.pattern.truncate(length);
    }
}

/// What is wrong with an attribute that is not honoured.
fn refused(node: &Node, pattern: &str, support: Support, place: &Place<'_>, key: Span) -> Option<Diagnostic> {
    let (support, at) = match by_value(node, pattern) {
        Some(support) => (support, node.span),
        None => (support, key),
    };
    if support == Honoured || node.is_null() || means_nothing(node, pattern) {
        return None;
    }
    let error = |message| Diagnostic::error(Code::Unsupported, at, message);
    match support {
        Honoured => None,
        Needs(what) => {
            Some(error(format!("`{place}` is not supported yet")).hint(format!("it needs {what}")))
        }
        Refused(why) => {
            Some(error(format!("`{place}` is not supported")).hint(format!("{why}; leave it out")))
        }
    }
}

fn by_value(node: &Node, pattern: &str) -> Option<Support> {
    let text = node.as_str()?;
    if pattern == "services.*.security_opt.*" && !SECURITY_OPTIONS.contains(&text) {
        return Some(Needs("this security option"));
    }
    VALUES.iter().find(|(path, value, _)| *path == pattern && *value == text).map(|(.., support)| *support)
}

fn means_nothing(node: &Node, pattern: &str) -> bool {
    let text = node.to_text().unwrap_or_default();
    SAME_AS_UNSET.contains(&(pattern, text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Object;

    fn join(prefix: &str, name: &str) -> String {
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
    }

    /// Every path of the format.
    fn paths(object: &'static Object, prefix: &str, out: &mut Vec<String>) {
        for (name, rule) in object.fields {
            let path = join(prefix, name);
            below(&rule.shape, &path, out);
            out.push(path);
        }
    }

    fn below(shape: &Shape, path: &str, out: &mut Vec<String>) {
        if let Some(object) = shape.object() {
            paths(object, path, out);
        } else if let Some(rule) = any(shape) {
            below(&rule.shape, &format!("{path}.*"), out);
        }
    }

    #[test]
    fn every_attribute_of_a_service_has_a_status_of_its_own() {
        let mut all = Vec::new();
        paths(&PROJECT, "", &mut all);
        for path in
            all.iter().filter(|path| path.starts_with("services.*.") && path.matches('.').count() == 2)
        {
            assert!(TABLE.iter().any(|(listed, _)| listed == path), "{path} has no status");
        }
    }

    #[test]
    fn the_table_is_sorted_so_that_paths_are_found() {
        assert!(TABLE.is_sorted_by_key(|(path, _)| *path));
    }

    #[test]
    fn every_listed_path_exists() {
        for path in TABLE.iter().map(|(path, _)| *path).chain(VALUES.iter().map(|(path, ..)| *path)) {
            assert!(support(path).is_some(), "{path}");
        }
    }
}
