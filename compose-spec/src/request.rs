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
    #[must_use]
    pub fn to_json(&self) -> Option<Value> {
        if let Some(document) = &self.document {
            return Some(document.clone());
        }
        // A project consists of strings, numbers and maps with string keys: that cannot fail to be JSON.
        let mut json = serde_json::to_value(self.project.as_ref()?).ok()?;
        if let Some(map) = json.as_object_mut() {
            // The reference leaves them out of what it prints.
            map.remove("models");
        }
        double_dollars(&mut json);
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

    /// What `config` prints: the same as [`Self::to_json`], as YAML.
    #[must_use]
    pub fn to_yaml_text(&self) -> Option<String> {
        Some(yaml_print::print(&self.to_json()?))
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

fn double_dollars(json: &mut Value) {
    match json {
        Value::String(text) if text.contains('$') => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(double_dollars),
        Value::Object(map) => {
            let entries = std::mem::take(map).into_iter().map(|(key, mut value)| {
                double_dollars(&mut value);
                (if key.contains('$') { key.replace('$', "$$") } else { key }, value)
            });
            *map = entries.collect();
        }
        _ => {}
    }
}
