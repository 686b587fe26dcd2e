//! `extends`: a service takes over what another one says, in the same file or in another.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::diagnostic::{Code, Diagnostic};
use crate::environment::Environment;
use crate::format::SERVICE;
use crate::include::Scope;
use crate::limits;
use crate::loader::{EXTENDED, Loader};
use crate::merge;
use crate::node::{Map, Node, Value};
use crate::paths;
use crate::place::Place;
use crate::source::Span;
use crate::suggest;

/// One step of a chain: a service of a file, and where it was named.
struct Step {
    file: PathBuf,
    service: String,
    span: Span,
}

/// What an `extends` says.
struct Target {
    file: Option<(String, Span)>,
    service: String,
    span: Span,
}

impl Loader<'_> {
    /// Resolves every `extends` of a document that was read from `path`. Files are named relative to the project's
    /// folder, and in an extended file relative to that file's.
    pub(crate) fn resolve_extends(&mut self, document: &mut Node, path: &Path, scope: &Scope) {
        let Some(services) = document.get_mut("services").and_then(Node::as_map_mut) else { return };
        let mut services = std::mem::take(services);
        let heirs =
            services.iter().filter(|(_, entry)| entry.node.has("extends")).map(|(name, _)| name.to_owned());
        let heirs: Vec<String> = heirs.collect();
        let settled: Vec<(String, Option<Node>)> = heirs
            .into_iter()
            .map(|name| {
                let settled = self.settled(&services, path, &name, scope, &mut Vec::new());
                (name, settled)
            })
            .collect();
        for (name, settled) in settled {
            let Some(entry) = services.get_mut(&name) else { continue };
            match settled {
                Some(settled) => entry.node = settled,
                // The reason is reported; what the service says itself can still be checked.
                None => drop(entry.node.take("extends")),
            }
        }
        if let Some(emptied) = document.get_mut("services") {
            emptied.value = Value::Map(services);
        }
    }

    /// A service with everything it inherits; `None` if that cannot be had, which is then reported.
    fn settled(
        &mut self,
        services: &Map,
        path: &Path,
        name: &str,
        scope: &Scope,
        chain: &mut Vec<Step>,
    ) -> Option<Node> {
        let mut service = services.get(name)?.node.clone();
        let Some(extends) = service.take("extends").filter(|extends| !extends.is_null()) else {
            return Some(service);
        };
        let target = read_target(&extends);
        let unresolved = services.get(name)?.node.clone();
        if self.is_circle(path, name, target.span, chain) {
            return None;
        }
        chain.push(Step { file: path.to_owned(), service: name.to_owned(), span: target.span });
        let base = match &target.file {
            None => {
                if !self.is_something(services, name, &target, path)? {
                    return Some(unresolved);
                }
                self.settled(services, path, &target.service, scope, chain)?
            }
            Some((file, span)) => {
                let file = paths::absolute(&scope.base, Path::new(file));
                let others = self.extended_file(&file, *span, &scope.environment)?;
                if !self.is_something(&others, name, &target, &file)? {
                    return Some(unresolved);
                }
                let inner = Scope { base: paths::folder(&file), ..scope.clone() };
                self.settled(&others, &file, &target.service, &inner, chain)?
            }
        };
        if service.as_map().is_none() {
            return Some(service);
        }
        let top = Place::TOP;
        let services = top.key("services");
        Some(merge::merge(base, service, Some(&SERVICE), &services.key(name), &mut self.report))
    }

    /// The services of another file, read once.
    fn extended_file(&mut self, path: &Path, at: Span, environment: &Rc<Environment>) -> Option<Map> {
        if let Some(services) = self.extended.get(path) {
            return Some(services.clone());
        }
        let base = (!self.request.no_path_resolution).then(|| paths::folder(path));
        let origin = paths::Origin { base, environment: Rc::clone(environment) };
        let documents = self.documents(path, EXTENDED, Some(at), origin)?;
        let mut merged = Node::empty_map(at);
        for mut document in documents {
            self.interpolate(&mut document, environment);
            merged = merge::merge(
                merged,
                document,
                Some(&crate::interpolate::PROJECT),
                &Place::TOP,
                &mut self.report,
            );
        }
        let services = merged.take("services").and_then(|services| match services.value {
            Value::Map(map) => Some(map),
            _ => None,
        });
        if services.is_none() {
            let message = format!("{} defines no services to extend", self.shown(path));
            self.report.error(Code::Reference, at, message);
        }
        let services = services?;
        self.extended.insert(path.to_owned(), services.clone());
        Some(services)
    }

    /// Whether the base says anything at all; `None` if it is not defined, which is then reported. From an empty
    /// base nothing is inherited, and `extends` stays.
    fn is_something(&mut self, services: &Map, heir: &str, target: &Target, path: &Path) -> Option<bool> {
        if let Some(base) = services.get(&target.service) {
            return Some(!base.node.is_null());
        }
        let message = format!(
            "service `{heir}` extends `{}`, which is not defined in {}",
            target.service,
            self.shown(path)
        );
        let known = services.keys().filter(|name| *name != heir);
        self.report.add(Diagnostic::error(Code::Reference, target.span, message).hint(suggest::defined(
            "services",
            &target.service,
            known,
        )));
        None
    }

    fn is_circle(&mut self, path: &Path, name: &str, span: Span, chain: &[Step]) -> bool {
        if let Some(start) = chain.iter().position(|step| step.file == path && step.service == name) {
            let members = chain[start..].iter().map(|step| (step.file.clone(), step.service.clone()));
            let known = self.circles.len();
            self.circles.extend(members);
            if self.circles.len() == known {
                return true;
            }
            let way: Vec<&str> = chain[start..].iter().map(|step| step.service.as_str()).collect();
            let message = format!("services extend one another in a circle: {} -> {name}", way.join(" -> "));
            let mut finding = Diagnostic::error(Code::Reference, chain[start].span, message);
            for step in &chain[start + 1..] {
                finding = finding.related(step.span, format!("`{}` extends here", step.service));
            }
            self.report.add(finding);
            return true;
        }
        if chain.len() >= limits::CHAIN {
            let message = format!("the chain of `extends` is longer than {}", limits::CHAIN);
            self.report.error(Code::Limit, span, message);
            return true;
        }
        false
    }
}

fn read_target(extends: &Node) -> Target {
    let text = |key: &str| extends.get(key).and_then(|node| Some((node.as_str()?.to_owned(), node.span)));
    match extends.as_str() {
        Some(service) => Target { file: None, service: service.to_owned(), span: extends.span },
        None => {
            let (service, span) = text("service").unwrap_or((String::new(), extends.span));
            Target { file: text("file"), service, span }
        }
    }
}
