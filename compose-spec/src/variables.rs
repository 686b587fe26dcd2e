//! Gives variables of services their values: those that are handed on from outside, and those of environment
//! and label files.

use std::path::Path;

use crate::diagnostic::{Code, Diagnostic};
use crate::dotenv::{self, Assignment};
use crate::environment::Environment;
use crate::loader::Loader;
use crate::node::{Entry, Map, Node, Value};
use crate::paths::Origins;
use crate::source::Span;

/// Fills in variables without a value from outside. Those of a build that are unset there too are dropped.
pub(crate) fn hand_on(service: &mut Node, origins: &Origins) {
    if let Some(environment) = service.get_mut("environment") {
        fill(environment, origins);
    }
    if let Some(args) = service.get_mut("build").and_then(|build| build.get_mut("args")) {
        fill(args, origins);
        if let Some(map) = args.as_map_mut() {
            map.retain(|_, entry| !entry.node.is_null());
        }
    }
}

fn fill(variables: &mut Node, origins: &Origins) {
    for (name, entry) in variables.entries_mut() {
        if entry.node.is_null()
            && let Some(origin) = origins.of(entry.node.span)
            && let Some(value) = origin.environment.get(name)
        {
            entry.node.value = Value::String(value.to_owned());
        }
    }
}

impl Loader<'_> {
    /// Folds a service's environment files into its `environment`, which wins.
    pub(crate) fn fold_environment_files(&mut self, service: &mut Node) {
        let Some(files) = service.take("env_file") else { return };
        let mut folded = Map::new();
        let own = service.get("environment").cloned();
        for file in files.as_seq().unwrap_or_default() {
            for assignment in self.service_file(file, own.as_ref(), &folded).unwrap_or_default() {
                let value = match assignment.value {
                    Some(value) => Value::String(value),
                    None => continue,
                };
                let node = Node::new(value, assignment.span);
                folded.insert(assignment.name, Entry { key: assignment.span, node });
            }
        }
        let Some(map) = service.as_map_mut() else { return };
        if let Some(own) = own
            && let Value::Map(entries) = own.value
        {
            folded.merge(entries, |_, _, own| own);
        }
        if !folded.is_empty() {
            let node = Node::new(Value::Map(folded), files.span);
            map.insert("environment", Entry { key: files.span, node });
        }
    }

    /// The variables of one `env_file` entry.
    fn service_file(&mut self, entry: &Node, own: Option<&Node>, folded: &Map) -> Option<Vec<Assignment>> {
        let path = entry.get("path")?;
        let span = path.span;
        let text = path.as_str()?.to_owned();
        let path = Path::new(&text);
        let path = crate::paths::absolute(&self.request.working_dir, path);
        if entry.get("required").and_then(Node::as_bool) == Some(false) && !self.files.exists(&path) {
            return None;
        }
        let outside = self.origins.of(span).map(|origin| (*origin.environment).clone()).unwrap_or_default();
        match entry.get_str("format") {
            None | Some("") => {
                let known = visible(outside, own, folded);
                Some(handed_on(self.environment_file(&path, &known, Some(span))?, &known))
            }
            Some("raw") => {
                let file = self.read(&path, "environment file", Some(span))?;
                match dotenv::parse_raw(self.sources.text(file), file) {
                    Ok(found) => Some(handed_on(found, &visible(outside, own, folded))),
                    Err(finding) => {
                        self.report.add(finding.related(span, "the file is used here"));
                        None
                    }
                }
            }
            Some(format) => {
                let message = format!("`{format}` is not a format of environment files");
                let at = entry.get("format").map_or(span, |node| node.span);
                self.report.add(
                    Diagnostic::error(Code::Value, at, message)
                        .hint("leave `format` out, or write `raw` to take values verbatim"),
                );
                None
            }
        }
    }

    /// Folds a service's label files into its `labels`, which win.
    pub(crate) fn fold_label_files(&mut self, service: &mut Node) {
        let Some(files) = service.take("label_file") else { return };
        let mut folded = Map::new();
        for file in files.as_seq().unwrap_or_default() {
            let Some(text) = file.as_str() else { continue };
            let path = crate::paths::absolute(&self.request.working_dir, Path::new(text));
            // Labels describe the service: what is set outside has no part in them.
            let outside = Environment::default();
            for assignment in self.environment_file(&path, &outside, Some(file.span)).unwrap_or_default() {
                let Some(value) = assignment.value else { continue };
                let node = Node::text(value, assignment.span);
                folded.insert(assignment.name, Entry { key: assignment.span, node });
            }
        }
        if let Some(own) = service.take("labels")
            && let Value::Map(entries) = own.value
        {
            folded.merge(entries, |_, _, own| own);
        }
        if let Some(map) = service.as_map_mut() {
            let node = Node::new(Value::Map(folded), files.span);
            map.insert("labels", Entry { key: files.span, node });
        }
    }
}

/// Gives names without a value the one that is known from elsewhere.
fn handed_on(mut found: Vec<Assignment>, known: &Environment) -> Vec<Assignment> {
    for assignment in &mut found {
        if assignment.value.is_none() {
            assignment.value = known.get(&assignment.name).map(str::to_owned);
        }
    }
    found
}

/// What a service's environment file sees: the outside first, then the service's own variables, then those of
/// earlier files.
fn visible(mut outside: Environment, own: Option<&Node>, folded: &Map) -> Environment {
    let own = own.and_then(Node::as_map);
    for map in own.into_iter().chain([folded]) {
        for (name, entry) in map.iter() {
            if let Some(value) = entry.node.as_str() {
                outside.set_default(name, value.to_owned(), None::<Span>);
            }
        }
    }
    outside
}
