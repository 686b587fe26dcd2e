//! `include`: other projects whose resources join this one.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::diagnostic::Code;
use crate::environment::Environment;
use crate::interpolate::PROJECT;
use crate::limits;
use crate::loader::{INCLUDED, Loader};
use crate::merge;
use crate::node::{Map, Node, Tag, Value};
use crate::paths;
use crate::place::Place;
use crate::source::Span;

/// The sections that an included file adds to.
const SECTIONS: &[&str] = &["services", "volumes", "networks", "secrets", "configs", "models"];

/// The attributes of an entry.
const KEYS: &[&str] = &["env_file", "path", "project_directory"];

/// Where files come from: what they are relative to, with which variables, and through which files.
#[derive(Clone)]
pub(crate) struct Scope {
    /// The project folder.
    pub(crate) base: PathBuf,
    /// The variables.
    pub(crate) environment: Rc<Environment>,
    /// The files that led here.
    pub(crate) chain: Vec<PathBuf>,
}

/// One entry of `include`.
struct Include {
    paths: Vec<(String, Span)>,
    env_files: Vec<(String, Span)>,
    project_directory: Option<String>,
}

impl Loader<'_> {
    /// Adds what a document includes; what the document itself says wins.
    pub(crate) fn resolve_includes(&mut self, document: &mut Node, path: &Path, scope: &Scope) {
        let includes = match document.get("include") {
            Some(node) if node.as_seq().is_some() || node.is_null() => document.take("include"),
            // The schema will say what is wrong with it.
            _ => return,
        };
        let Some(mut includes) = includes.filter(|node| node.as_seq().is_some()) else { return };
        if let Some(rule) = PROJECT.shape.entry("include") {
            let (place, key) = (Place::TOP.key("include"), includes.span);
            crate::schema::check(&mut includes, rule, &place, key, &mut self.report);
        }
        let Value::Seq(entries) = includes.value else { return };
        for entry in &entries {
            let include = read_entry(entry);
            for (key, unknown) in
                entry.entries().filter(|(key, _)| !KEYS.contains(key) && !key.starts_with("x-"))
            {
                self.report.warning(unknown.key, format!("`{key}` has no meaning in `include`"));
            }
            if include.paths.is_empty() {
                self.report.warning(entry.span, "this entry of `include` has no path and includes nothing");
                continue;
            }
            if let Some(included) = self.included(&include, path, scope) {
                add(document, included, self);
            }
        }
    }

    fn included(&mut self, include: &Include, path: &Path, scope: &Scope) -> Option<Node> {
        let files: Vec<(PathBuf, Span)> = include
            .paths
            .iter()
            .map(|(text, span)| (paths::absolute(&scope.base, Path::new(text)), *span))
            .collect();
        let mut chain = scope.chain.clone();
        chain.push(path.to_owned());
        for (file, span) in &files {
            if let Some(start) = chain.iter().position(|known| known == file) {
                let way: Vec<String> = chain[start..].iter().map(|file| self.shown(file)).collect();
                let message = format!(
                    "files include one another in a circle: {} -> {}",
                    way.join(" -> "),
                    self.shown(file)
                );
                self.report.error(Code::Reference, *span, message);
                return None;
            }
            if chain.len() > limits::CHAIN {
                let message = format!("the chain of `include` is longer than {}", limits::CHAIN);
                self.report.error(Code::Limit, *span, message);
                return None;
            }
        }
        let base = match &include.project_directory {
            Some(directory) => PathBuf::from(paths::join(&scope.base, directory)),
            None => paths::folder(&files.first()?.0),
        };
        let environment = self.included_environment(include, &base, scope)?;
        let inner = Scope { base, environment: Rc::new(environment), chain };
        let included = self.merged(&files, INCLUDED, &inner)?;
        // A fault in it remains one when the including file puts something else in its place.
        crate::schema::check(&mut included.clone(), &PROJECT, &Place::TOP, included.span, &mut self.report);
        Some(included)
    }

    fn included_environment(&mut self, include: &Include, base: &Path, scope: &Scope) -> Option<Environment> {
        let mut files = Vec::new();
        if include.env_files.is_empty() {
            let default = base.join(".env");
            if self.files.is_file(&default) {
                files.push(default);
            }
        }
        for (text, span) in &include.env_files {
            if text == "/dev/null" {
                continue;
            }
            let file = paths::absolute(&scope.base, Path::new(text));
            if !self.files.is_file(&file) {
                let message = format!("the environment file {} does not exist", self.shown(&file));
                self.report.error(Code::File, *span, message);
                return None;
            }
            files.push(file);
        }
        let outside = Rc::clone(&scope.environment);
        Some(self.with_environment_files(&outside, &files))
    }

    /// Reads and merges files in order, each with what it extends and includes.
    pub(crate) fn merged(
        &mut self,
        files: &[(PathBuf, Span)],
        what: &'static str,
        scope: &Scope,
    ) -> Option<Node> {
        let mut merged: Option<Node> = None;
        for (path, span) in files {
            let origin = self.origin_of(scope);
            for document in self.documents(path, what, Some(*span), origin)? {
                self.add_document(&mut merged, document, path, scope);
            }
        }
        merged
    }

    /// Each document has services or does not speak of them.
    fn check_services(&mut self, document: &Node) {
        let entry = document.as_map().and_then(|map| map.get("services"));
        if let (Some(entry), Some(rule)) = (entry, PROJECT.shape.entry("services"))
            && entry.node.as_map().is_none()
            && entry.node.tag == Tag::None
        {
            let place = Place::TOP.key("services");
            crate::schema::check(&mut entry.node.clone(), rule, &place, entry.key, &mut self.report);
        }
    }

    /// The origin of a scope's files.
    pub(crate) fn origin_of(&self, scope: &Scope) -> paths::Origin {
        let base = (!self.request.no_path_resolution).then(|| scope.base.clone());
        paths::Origin { base, environment: Rc::clone(&scope.environment) }
    }

    /// Merges one document into what came before.
    pub(crate) fn add_document(
        &mut self,
        merged: &mut Option<Node>,
        mut document: Node,
        path: &Path,
        scope: &Scope,
    ) {
        self.interpolate(&mut document, &scope.environment);
        self.check_services(&document);
        self.resolve_extends(&mut document, path, scope);
        self.resolve_includes(&mut document, path, scope);
        let mut whole = match merged.take() {
            Some(mut base) => {
                crate::canonical::settle_gpus_of(&mut base);
                merge::merge(base, document, Some(&PROJECT), &Place::TOP, &mut self.report)
            }
            None => {
                merge::strip(&mut document);
                document
            }
        };
        crate::unique::enforce(&mut whole, &PROJECT);
        *merged = Some(whole);
    }
}

/// Puts included resources below those of the document.
fn add(document: &mut Node, mut included: Node, loader: &mut Loader<'_>) {
    for section in SECTIONS {
        let Some(base) = included.take(section).filter(|node| node.as_map().is_some()) else { continue };
        let key = base.span;
        let merged = match document.take(section) {
            Some(own) if own.as_map().is_some() => {
                let rule = PROJECT.shape.entry(section);
                merge::merge(base, own, rule, &Place::TOP.key(section), &mut loader.report)
            }
            Some(own) if !own.is_null() => own,
            _ => base,
        };
        if let Some(map) = document.as_map_mut() {
            map.insert(*section, crate::node::Entry { key, node: merged });
        }
    }
}

fn read_entry(entry: &Node) -> Include {
    if let Some(path) = entry.as_str() {
        return Include {
            paths: vec![(path.to_owned(), entry.span)],
            env_files: Vec::new(),
            project_directory: None,
        };
    }
    let empty = Map::new();
    let map = entry.as_map().unwrap_or(&empty);
    let list = |key: &str| -> Vec<(String, Span)> {
        let Some(node) = map.get(key).map(|entry| &entry.node) else { return Vec::new() };
        let items = node.as_seq().unwrap_or(std::slice::from_ref(node));
        items.iter().filter_map(|item| Some((item.as_str()?.to_owned(), item.span))).collect()
    };
    Include {
        paths: list("path"),
        env_files: list("env_file"),
        project_directory: entry
            .get_str("project_directory")
            .filter(|folder| !folder.is_empty())
            .map(str::to_owned),
    }
}
