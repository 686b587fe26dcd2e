//! Which attributes the engine honours, on one node and on a cluster: [`table`] says so, [`walk`] finds in a file
//! what is not simply honoured, [`page`] prints it all for people.

mod page;
mod table;
mod walk;

use crate::diagnostic::{Code, Diagnostic};
use crate::format::{PROJECT, Rule, Shape};
use crate::request::Loaded;
use crate::source::Span;

pub use page::{attributes, support_markdown};
pub(crate) use walk::requirements;

use Support::{Honoured, Needs, Refused, Requires};

/// What a project is to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// One machine.
    #[default]
    Node,
    /// Several machines, any of which may get a task.
    Cluster,
}

/// How the engine treats an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what the format says.
    Honoured,
    /// It does what the format says, where the machines have what is named here.
    Requires(&'static str),
    /// It will be honoured once the engine has what is named here; until then it is refused.
    Needs(&'static str),
    /// It will not be honoured, for this reason.
    Refused(&'static str),
}

impl Support {
    /// Whether `up` refuses the attribute.
    #[must_use]
    pub const fn is_refused(self) -> bool {
        matches!(self, Needs(_) | Refused(_))
    }
}

/// An attribute in a file that is not simply honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The attribute, such as `services.web.ports[0].protocol`.
    pub attribute: String,
    /// Where it stands.
    pub span: Span,
    /// What about it; never [`Support::Honoured`].
    pub support: Support,
}

impl Requirement {
    /// The error of an attribute that is refused.
    fn refusal(&self) -> Option<Diagnostic> {
        let attribute = &self.attribute;
        let error = |message| Diagnostic::error(Code::Unsupported, self.span, message);
        match self.support {
            Honoured | Requires(_) => None,
            Needs(what) => {
                Some(error(format!("`{attribute}` is not supported yet")).hint(format!("it needs {what}")))
            }
            Refused(why) => {
                Some(error(format!("`{attribute}` is not supported")).hint(format!("{why}; leave it out")))
            }
        }
    }
}

/// The status of an attribute by its path, such as `services.*.image`; `None` if the format has no such
/// attribute. The status covers what is below the attribute, unless that has a status of its own.
#[must_use]
pub fn support(path: &str, target: Target) -> Option<Support> {
    let mut shape = &Shape::Object(&PROJECT);
    for step in path.split('.') {
        let rule = if step == "*" { any(shape) } else { shape.entry(step) };
        shape = &rule?.shape;
    }
    Some(status(path, target))
}

/// An error for each attribute in the files that the engine does not honour on the [`Target`] of the request, with
/// its place. Services of disabled profiles are not looked at, since they do not run.
#[must_use]
pub fn check_support(loaded: &Loaded) -> Vec<Diagnostic> {
    loaded.requirements.iter().filter_map(Requirement::refusal).collect()
}

/// What a name or an entry leads to.
fn any(shape: &Shape) -> Option<&'static Rule> {
    shape.entry("\u{0}").or_else(|| shape.item())
}

/// The status that is listed for a path or for the nearest one above it.
fn status(path: &str, target: Target) -> Support {
    let mut path = path;
    loop {
        match (listed(path, target), path.rsplit_once('.')) {
            (Some(support), _) => return support,
            (None, Some((above, _))) => path = above,
            (None, None) => return Honoured,
        }
    }
}

/// The status that is listed for exactly this path. What one node does not honour, a cluster does not either.
fn listed(path: &str, target: Target) -> Option<Support> {
    let find = |table: &[(&str, Support)]| {
        let index = table.binary_search_by(|(listed, _)| (*listed).cmp(path)).ok()?;
        Some(table[index].1)
    };
    let on_a_node = find(table::TABLE);
    match target {
        Target::Cluster if !on_a_node.is_some_and(Support::is_refused) => find(table::CLUSTER).or(on_a_node),
        _ => on_a_node,
    }
}

#[cfg(test)]
mod tests {
    use super::table::{ALLOWED, CLUSTER, CLUSTER_VALUES, TABLE, VALUES};
    use super::*;

    #[test]
    fn every_attribute_of_a_service_has_a_status_of_its_own() {
        for path in attributes() {
            if path.starts_with("services.*.") && path.matches('.').count() == 2 {
                assert!(TABLE.iter().any(|(listed, _)| *listed == path), "{path} has no status");
            }
        }
    }

    #[test]
    fn the_tables_are_sorted_so_that_paths_are_found() {
        assert!(TABLE.is_sorted_by_key(|(path, _)| *path));
        assert!(CLUSTER.is_sorted_by_key(|(path, _)| *path));
    }

    #[test]
    fn every_listed_path_exists() {
        let values = VALUES.iter().chain(CLUSTER_VALUES).map(|(path, ..)| *path);
        let allowed = ALLOWED.iter().map(|(path, ..)| *path);
        for path in TABLE.iter().chain(CLUSTER).map(|(path, _)| *path).chain(values).chain(allowed) {
            assert!(support(path, Target::Node).is_some(), "{path}");
        }
    }

    #[test]
    fn a_cluster_honours_nothing_that_a_node_does_not() {
        for path in attributes() {
            let node = support(&path, Target::Node).unwrap();
            let cluster = support(&path, Target::Cluster).unwrap();
            assert!(!node.is_refused() || cluster.is_refused(), "{path}");
        }
    }
}
