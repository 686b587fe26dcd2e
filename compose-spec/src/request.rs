//! What is asked of the loader, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::project::Project;
use crate::source::Sources;
use crate::support::{Requirement, Target};
use crate::yaml_print;

/// What to load and how; the flags are those of `docker compose` and `docker compose config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadRequest {
    /// `-f`: Compose files, merged in order; `-` is standard input. Empty means `COMPOSE_FILE`, or else
    /// discovery in the working folder and its parents.
    pub files: Vec<PathBuf>,
    /// `-p`: project name.
    pub project_name: Option<String>,
    /// `--project-directory`: what relative paths are relative to; unset means the first file's folder.
    pub project_directory: Option<PathBuf>,
    /// The folder of the call; absolute.
    pub working_dir: PathBuf,
    /// The caller's environment; `COMPOSE_*` variables in it are obeyed.
    pub env: BTreeMap<String, String>,
    /// `--env-file`: variables for interpolation; empty means `COMPOSE_ENV_FILES`, or else `.env`.
    pub env_files: Vec<PathBuf>,
    /// `--profile`: enabled profiles; `*` enables all.
    pub profiles: Vec<String>,
    /// Services named by the caller: their profiles are enabled, and only they and what they depend on
    /// remain. Empty means all.
    pub services: Vec<String>,
    /// `--all-resources`: networks, volumes, secrets and configs remain although no service uses them.
    pub all_resources: bool,
    /// Leave `${...}` as it stands; the answer is then only a [`Loaded::document`].
    pub no_interpolate: bool,
    /// Leave out defaults and implied dependencies.
    pub no_normalize: bool,
    /// Leave relative paths relative.
    pub no_path_resolution: bool,
    /// Do not check that references lead anywhere.
    pub no_consistency: bool,
    /// Leave `env_file` unread.
    pub no_env_resolution: bool,
    /// What the project is to run on; decides what [`Loaded::requirements`] lists.
    pub target: Target,
    /// Leave [`Loaded::requirements`] empty, for those who only want to see the project.
    pub no_requirements: bool,
}

/// What came of a request.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The project; `None` if and only if there is an error among the findings, or if it was not to be
    /// interpolated.
    pub project: Option<Project>,
    /// With `no_interpolate`: the merged files as they stand, without types.
    pub document: Option<Value>,
    /// All findings, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that were read, to show findings in.
    pub sources: Sources,
    /// What relative paths are relative to; absolute.
    pub project_directory: PathBuf,
    /// The Compose files that were loaded, in order of merging.
    pub files: Vec<PathBuf>,
    /// Services whose profiles are not enabled.
    pub disabled: BTreeSet<String>,
    /// All services that the files name, whether enabled and asked for or not.
    pub named: BTreeSet<String>,
    /// Every profile that some service names.
    pub profiles: BTreeSet<String>,
    /// The variables that the files use.
    pub variables: BTreeMap<String, Variable>,
    /// The variables that interpolation had: the caller's environment over the environment files.
    pub environment: BTreeMap<String, String>,
    /// What the enabled services ask for that is not simply honoured on the request's target.
    pub requirements: Vec<Requirement>,
}

/// How the files use a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// Whether `${NAME:?...}` demands it.
    pub required: bool,
    /// The default of `${NAME:-...}`.
    pub default: Option<String>,
    /// The alternative of `${NAME:+...}`.
    pub alternative: Option<String>,
}

impl Loaded {
    /// What `config --format json` prints: the project in canonical form with each `$` doubled, so that it can
    /// be loaded again; or, without interpolation, the document. `None` after an error.
    ///
    /// Models are left out, as the reference leaves them out of its JSON.
    #[must_use]
    pub fn to_json(&self) -> Option<Value> {
        let mut json = self.printed(Keys::Doubled)?;
        if let (None, Some(map)) = (&self.document, json.as_object_mut()) {
            map.remove("models");
        }
        Some(json)
    }

    /// The project, or the document, with each `$` of the former doubled.
    fn printed(&self, keys: Keys) -> Option<Value> {
        if let Some(document) = &self.document {
            return Some(document.clone());
        }
        // A project consists of strings, numbers and maps with string keys: that cannot fail to be JSON.
        let mut json = serde_json::to_value(self.project.as_ref()?).ok()?;
        double_dollars(&mut json, keys);
        Some(json)
    }

    /// The same as text, indented by two spaces. For large projects this is much faster.
    #[must_use]
    pub fn to_json_text(&self) -> Option<String> {
        let Some(project) = self.project.as_ref().filter(|project| project.models.is_empty()) else {
            return serde_json::to_string_pretty(&self.to_json()?).ok();
        };
        // In JSON a `$` can only stand inside of a text.
        let text = serde_json::to_string_pretty(project).ok()?;
        Some(if text.contains('$') { text.replace('$', "$$") } else { text })
    }

    /// What `config` prints: the same as YAML, with the models. A `$` in a key stays alone, since keys are not
    /// interpolated when this is loaded again.
    #[must_use]
    pub fn to_yaml_text(&self) -> Option<String> {
        let mut file = self.printed(Keys::AsTheyAre)?;
        for service in file.get_mut("services").and_then(Value::as_object_mut).into_iter().flatten() {
            drop_peculiarities(service.1);
        }
        Some(yaml_print::print(&file))
    }

    /// The files that were read although they lie outside of the project's folder: `extends`, `include` and
    /// environment files may lead anywhere.
    pub fn files_outside(&self) -> impl Iterator<Item = &Path> {
        self.sources.paths().filter(|path| path.is_absolute() && !path.starts_with(&self.project_directory))
    }

    /// Whether some finding is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Takes out of a service what the reference prints as JSON only, and what cannot be loaded again: capitals in
/// `blkio_config`, and commands of watched files that are none.
fn drop_peculiarities(service: &mut Value) {
    let limits = service.get_mut("blkio_config").and_then(Value::as_object_mut);
    let devices = limits.into_iter().flat_map(|map| map.values_mut()).filter_map(Value::as_array_mut);
    for device in devices.flatten().filter_map(Value::as_object_mut) {
        let lower = |(key, value): (String, Value)| (key.to_ascii_lowercase(), value);
        *device = std::mem::take(device).into_iter().map(lower).collect();
    }
    let watched = service.pointer_mut("/develop/watch").and_then(Value::as_array_mut);
    for rule in watched.into_iter().flatten().filter_map(Value::as_object_mut) {
        if rule.get("exec").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
            rule.remove("exec");
        }
    }
}

/// What becomes of a `$` in keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// It is doubled, as the reference does in its JSON.
    Doubled,
    AsTheyAre,
}

fn double_dollars(json: &mut Value, keys: Keys) {
    match json {
        Value::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(|item| double_dollars(item, keys)),
        Value::Object(map) if keys == Keys::AsTheyAre => {
            map.values_mut().for_each(|value| double_dollars(value, keys));
        }
        Value::Object(map) => {
            let entries = std::mem::take(map).into_iter().map(|(key, mut value)| {
                double_dollars(&mut value, keys);
                (if key.contains('$') { key.replace('$', "$$") } else { key }, value)
            });
            *map = entries.collect();
        }
        _ => {}
    }
}
