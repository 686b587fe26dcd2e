//! The phases of loading, in order.
//!
//! Per file: YAML, interpolation, `extends`, `include`, merge into what came before. Then over the whole:
//! schema, canonical forms, paths, variables, defaults, types, consistency, selection.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use crate::canonical::Canonical;
use crate::consistency::{self, Declared};
use crate::decode;
use crate::diagnostic::{Code, Diagnostic};
use crate::files::Files;
use crate::finish;
use crate::include::Scope;
use crate::interpolate::PROJECT;
use crate::loader::Loader;
use crate::node::{Map, Node, Value};
use crate::normalize;
use crate::paths;
use crate::place::Place;
use crate::project::{Project, Service};
use crate::request::{LoadRequest, Loaded};
use crate::schema;
use crate::select;
use crate::source::{FileId, Span};
use crate::support;
use crate::suspicious;
use crate::unique;
use crate::validate;
use crate::variables;

/// Loads a project, or says what keeps it from being loaded.
///
/// All findings are reported at once. There is a project if and only if none of them is an error.
#[must_use]
pub fn load(request: &LoadRequest, files: &dyn Files) -> Loaded {
    let mut loader = Loader::new(request, files);
    let mut loaded = Loaded::default();
    run(&mut loader, &mut loaded);
    if loader.report.errors() > 0 {
        loaded.project = None;
        loaded.document = None;
    }
    loaded.variables = std::mem::take(&mut loader.uses.variables);
    let origins = std::mem::take(&mut loader.uses.origins);
    loaded.diagnostics = loader.report.finish();
    for finding in &mut loaded.diagnostics {
        add_origins(finding, &origins);
        add_way(finding, &mut loader.brought);
    }
    loaded.sources = loader.sources;
    loaded
}

/// Says where the variables of a faulty value were set.
fn add_origins(finding: &mut Diagnostic, origins: &BTreeMap<Span, Vec<(Span, String)>>) {
    let Some(found) = finding.span.and_then(|span| origins.get(&span)) else { return };
    for (span, name) in found {
        finding.related.push((*span, format!("`{name}` is set here")));
    }
}

/// Says through which files the fault came in, from the file of the fault to the one that was asked for. It is said
/// with the first finding in each file.
fn add_way(finding: &mut Diagnostic, brought: &mut BTreeMap<FileId, (Span, &'static str)>) {
    let mut file = finding.span.map(|span| span.file);
    while let Some((at, how)) = file.and_then(|file| brought.remove(&file)) {
        finding.related.push((at, how.to_owned()));
        file = Some(at.file);
    }
}

fn run(loader: &mut Loader<'_>, loaded: &mut Loaded) -> Option<()> {
    let found = loader.discover()?;
    loaded.files.clone_from(&found.files);
    loaded.project_directory.clone_from(&found.project_directory);
    let mut scope = Scope {
        base: found.project_directory.clone(),
        environment: Rc::new(found.environment.clone()),
        chain: Vec::new(),
    };
    let mut documents: Vec<(PathBuf, Node)> = Vec::new();
    let mut unreadable = false;
    for path in &found.files {
        let origin = loader.origin_of(&scope);
        match loader.documents(path, "Compose file", None, origin) {
            Some(found) => documents.extend(found.into_iter().map(|document| (path.clone(), document))),
            None => unreadable = true,
        }
    }
    if unreadable {
        // What the others lack, a name above all, may well be in the one that cannot be read.
        return None;
    }
    let name = loader.project_name(&documents, &found)?;
    let mut environment = found.environment;
    environment.set("COMPOSE_PROJECT_NAME", name.clone(), None);
    loaded.environment = environment.to_map();
    scope.environment = Rc::new(environment);
    loader.origins.set_environment(&scope.environment);
    if documents.is_empty() {
        if loader.report.errors() == 0 {
            loader.empty(&found.files);
        }
        return None;
    }
    let mut merged: Option<Node> = None;
    for (path, document) in documents {
        if let Some(so_far) = &merged {
            // A fault in a file remains one when a later file would have put something else in its place.
            let (mut so_far, key) = (so_far.clone(), so_far.span);
            schema::check(&mut so_far, &PROJECT, &Place::TOP, key, &mut loader.report);
        }
        loader.add_document(&mut merged, document, &path, &scope);
    }
    let mut tree = merged?;
    let declared = Declared::of(&tree);
    settle(loader, &mut tree);
    if tree.as_map().is_none_or(Map::is_empty) && loader.report.errors() == 0 {
        loader.empty(&loaded.files);
    }
    complete(loader, &mut tree, &name, &declared, loaded, &scope)
}

/// From the merged tree to canonical forms.
fn settle(loader: &mut Loader<'_>, tree: &mut Node) {
    let key = tree.span;
    schema::check(tree, &PROJECT, &Place::TOP, key, &mut loader.report);
    suspicious::check(tree, &mut loader.report);
    if let Some(version) = tree.take("version") {
        loader.report.add(
            Diagnostic::warning(Code::Suspicious, version.span, "`version` is obsolete and ignored")
                .hint("leave it out"),
        );
    }
    let lenient = loader.request.no_interpolate;
    let mut canonical = Canonical { report: &mut loader.report, lenient };
    canonical.settle(tree, &PROJECT, &Place::TOP);
    unique::enforce(tree, &PROJECT);
    if loader.report.errors() == 0 {
        validate::check(tree, &mut loader.report);
    }
    finish::secret_targets(tree);
    if !loader.request.no_path_resolution || !loader.extended.is_empty() {
        paths::resolve(tree, &PROJECT, &loader.origins);
        if let Some(volumes) = tree.get_mut("volumes") {
            for (_, entry) in volumes.entries_mut() {
                paths::resolve_volume(&mut entry.node, &loader.origins);
            }
        }
    }
    if let Some(services) = tree.get_mut("services") {
        for (_, entry) in services.entries_mut() {
            variables::hand_on(&mut entry.node, &loader.origins);
            if let Some(build) = entry.node.get_mut("build")
                && !build.has("context")
            {
                build.set("context", Value::String(".".to_owned()));
                if let Some(context) = build.get_mut("context") {
                    let (text, span) = (".".to_owned(), context.span);
                    context.value = Value::String(loader.origins.absolute(&text, span));
                }
            }
        }
    }
}

/// From canonical forms to the typed, checked and selected project.
fn complete(
    loader: &mut Loader<'_>,
    tree: &mut Node,
    name: &str,
    declared: &Declared,
    loaded: &mut Loaded,
    scope: &Scope,
) -> Option<()> {
    tree.set("name", Value::String(name.to_owned()));
    if !loader.request.no_normalize {
        normalize::normalize(tree, name);
    }
    loaded.profiles = select::declared_profiles(tree);
    if loader.request.no_interpolate {
        loaded.document = Some(crate::document::to_json(tree));
        return Some(());
    }
    let mut profiles = loader.profiles(&scope.environment);
    profiles.extend(select::profiles_of(tree, &loader.request.services, &profiles));
    let disabled = select::take_disabled(tree, &profiles);
    if !loader.request.no_requirements {
        loaded.requirements = support::requirements(tree, loader.request.target);
    }
    if let Some(services) = tree.get_mut("services") {
        for (_, entry) in services.entries_mut() {
            loader.fold_label_files(&mut entry.node);
            if !loader.request.no_env_resolution {
                loader.fold_environment_files(&mut entry.node);
            }
        }
    }
    finish::finish(tree, &PROJECT);
    let mut project = typed(loader, tree)?;
    loaded.disabled = disabled;
    if !loader.request.no_consistency {
        consistency::check(&project, tree, declared, &loaded.disabled, &mut loader.report);
    }
    loaded.named = project.services.keys().chain(&loaded.disabled).cloned().collect();
    select::services(&mut project, &loader.request.services, &loaded.disabled, &mut loader.report);
    if !loader.request.all_resources {
        select::drop_unused(&mut project);
    }
    loaded.project = Some(project);
    Some(())
}

/// Reads the types from the tree, service by service so that all faults are found.
fn typed(loader: &mut Loader<'_>, tree: &mut Node) -> Option<Project> {
    let mut project = Project::default();
    let mut complete = true;
    // What was taken out for its fault is missing now; that is no second fault.
    let damaged = loader.report.errors() > 0;
    for (key, entry) in tree.entries_mut() {
        let node = &mut entry.node;
        let result = match key {
            "name" => decode::decode(node).map(|name| project.name = name),
            "services" => {
                for (name, entry) in node.entries_mut() {
                    match decode::decode::<Box<Service>>(&mut entry.node) {
                        Ok(service) => {
                            project.services.insert(name.to_owned(), service);
                        }
                        Err(_) if damaged => complete = false,
                        Err(error) => {
                            complete = false;
                            loader.report.error(
                                Code::Value,
                                error.span,
                                format!("service `{name}`: {}", error.message),
                            );
                        }
                    }
                }
                Ok(())
            }
            "networks" => decode::decode(node).map(|networks| project.networks = networks),
            "volumes" => decode::decode(node).map(|volumes| project.volumes = volumes),
            "secrets" => decode::decode(node).map(|secrets| project.secrets = secrets),
            "configs" => decode::decode(node).map(|configs| project.configs = configs),
            "models" => decode::decode(node).map(|models| project.models = models),
            key if key.starts_with("x-") => {
                crate::document::check_numbers(node, &mut loader.report);
                project.extensions.0.insert(key.to_owned(), crate::document::to_json(node));
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = result {
            complete = false;
            if damaged {
                continue;
            }
            loader.report.error(Code::Value, error.span, format!("`{key}`: {}", error.message));
        }
    }
    complete.then_some(project)
}
