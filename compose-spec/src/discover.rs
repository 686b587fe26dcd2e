//! Finds what the request leaves open: Compose files, variables, project folder and name.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::cast;
use crate::diagnostic::{Code, Diagnostic};
use crate::environment::Environment;
use crate::interpolate::{Context, Uses, interpolate};
use crate::loader::Loader;
use crate::node::Node;
use crate::paths;
use crate::place::Place;
use crate::report::Report;

/// The variable that names the project.
const PROJECT_NAME: &str = "COMPOSE_PROJECT_NAME";
/// Names of Compose files, the best first.
const NAMES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// Names of files that are merged over a found one, the best first.
const OVERRIDES: &[&str] = &[
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// What was found.
pub(crate) struct Found {
    /// Compose files in order.
    pub(crate) files: Vec<PathBuf>,
    /// What relative paths are relative to.
    pub(crate) project_directory: PathBuf,
    /// The caller's variables over those of environment files.
    pub(crate) environment: Environment,
}

impl Loader<'_> {
    /// Finds files and variables; `None` if there is no Compose file, which is then reported.
    pub(crate) fn discover(&mut self) -> Option<Found> {
        let request = self.request;
        let here = &request.working_dir;
        let directory = request.project_directory.as_ref().map(|path| paths::absolute(here, path));
        let mut environment = Environment::of_caller(&request.env);
        let named: Vec<PathBuf> = request.files.iter().map(|path| paths::absolute(here, path)).collect();
        let explicit = self.explicit_env_files(&environment);
        let mut first = None;
        if explicit.is_empty() {
            let folder = directory.clone().or_else(|| named.first().map(|file| self.folder_of(file)));
            let folder = folder.unwrap_or_else(|| here.clone());
            self.default_env_file(&mut environment, &folder);
            first = Some(folder);
        } else {
            environment = self.with_environment_files(&environment, &explicit);
        }
        let files =
            if named.is_empty() { self.find_files(&environment, directory.as_deref())? } else { named };
        let project_directory = directory
            .unwrap_or_else(|| files.first().map_or_else(|| here.clone(), |file| self.folder_of(file)));
        if explicit.is_empty() && first.is_some_and(|first| first != project_directory) {
            self.default_env_file(&mut environment, &project_directory);
        }
        Some(Found { files, project_directory, environment })
    }

    fn folder_of(&self, file: &Path) -> PathBuf {
        if file.as_os_str() == "-" { self.request.working_dir.clone() } else { paths::folder(file) }
    }

    fn explicit_env_files(&self, environment: &Environment) -> Vec<PathBuf> {
        let here = &self.request.working_dir;
        if !self.request.env_files.is_empty() {
            return self.request.env_files.iter().map(|path| paths::absolute(here, path)).collect();
        }
        let listed = environment.get("COMPOSE_ENV_FILES").unwrap_or_default();
        listed
            .split(',')
            .filter(|path| !path.is_empty())
            .map(|path| paths::absolute(here, Path::new(path)))
            .collect()
    }

    /// Adds the variables of a folder's `.env`, which do not beat those that are set.
    fn default_env_file(&mut self, environment: &mut Environment, folder: &Path) {
        let disabled = environment.get("COMPOSE_DISABLE_ENV_FILE").and_then(cast::to_bool).unwrap_or(false)
            || environment.get("COMPOSE_DISABLE_ENV_FILE") == Some("1");
        let file = folder.join(".env");
        if !disabled && self.files.is_file(&file) {
            *environment = self.with_environment_files(environment, &[file]);
        }
    }

    fn find_files(&mut self, environment: &Environment, directory: Option<&Path>) -> Option<Vec<PathBuf>> {
        let here = &self.request.working_dir;
        if let Some(listed) = environment.get("COMPOSE_FILE").filter(|listed| !listed.is_empty()) {
            let separator =
                environment.get("COMPOSE_PATH_SEPARATOR").filter(|s| !s.is_empty()).unwrap_or(":");
            let files = listed.split(separator).map(|path| paths::absolute(here, Path::new(path)));
            return Some(files.collect());
        }
        let start = directory.unwrap_or(here);
        for folder in start.ancestors() {
            let first = |names: &[&str]| {
                names.iter().map(|name| folder.join(name)).find(|path| self.files.is_file(path))
            };
            if let Some(found) = first(NAMES) {
                return Some(std::iter::once(found).chain(first(OVERRIDES)).collect());
            }
        }
        let message = format!("no Compose file in {} or any folder above", start.display());
        self.report.add(
            Diagnostic::error(Code::Request, None, message)
                .hint("write a `compose.yaml`, or name a file with `-f`"),
        );
        None
    }

    /// The project's name: the caller's, else the files', else the folder's.
    pub(crate) fn project_name(&mut self, documents: &[(PathBuf, Node)], found: &Found) -> Option<String> {
        let given = self.request.project_name.as_deref().filter(|name| !name.is_empty());
        let given = given.map(|name| (name, "the project name"));
        let from_environment = || {
            let name = found.environment.get(PROJECT_NAME).filter(|name| !name.is_empty())?;
            Some((name, PROJECT_NAME))
        };
        if let Some((name, what)) = given.or_else(from_environment) {
            if is_project_name(name) {
                return Some(name.to_owned());
            }
            let message = format!("{what} cannot be `{name}`");
            let setting = found.environment.setting(PROJECT_NAME).filter(|_| what == PROJECT_NAME);
            let at = setting.and_then(|setting| setting.origin);
            self.report.add(Diagnostic::error(Code::Request, at, message).hint(NAME_HINT));
            return None;
        }
        let from_files = documents.iter().rev().find_map(|(_, document)| {
            let name = self.interpolated_name(document, &found.environment)?;
            (!name.is_empty()).then_some(name)
        });
        let folder = found.project_directory.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = normal_name(&from_files.or(folder).unwrap_or_default());
        if name.is_empty() {
            let message = "the project has no name: neither the files nor the folder yield one";
            self.report.add(
                Diagnostic::error(Code::Request, None, message)
                    .hint("give it one with `-p`, or write `name:`"),
            );
            return None;
        }
        Some(name)
    }

    /// The `name:` of a document with its variables replaced; faults are found again, and reported, later.
    fn interpolated_name(&self, document: &Node, environment: &Environment) -> Option<String> {
        let mut name = document.get("name")?.clone();
        let mut context = Context { environment, uses: &mut Uses::default(), report: &mut Report::default() };
        interpolate(&mut name, None, &Place::TOP, &mut context);
        name.as_str().map(str::to_owned)
    }

    /// The profiles that are enabled by the caller.
    pub(crate) fn profiles(&self, environment: &Rc<Environment>) -> Vec<String> {
        if !self.request.profiles.is_empty() {
            return self.request.profiles.clone();
        }
        let listed = environment.get("COMPOSE_PROFILES").unwrap_or_default();
        listed.split(',').map(|profile| profile.trim().to_owned()).collect()
    }
}

/// What [`is_project_name`] asks for, in words.
pub const NAME_HINT: &str =
    "it may have lower-case letters, digits, `-` and `_`, and begins with a letter or digit";

/// Whether a project may be called so: docker compose's rule for `-p` and `COMPOSE_PROJECT_NAME`.
#[must_use]
pub fn is_project_name(name: &str) -> bool {
    !name.is_empty() && normal_name(name) == name
}

/// Lower case, without what a project name may not contain.
pub(crate) fn normal_name(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{is_project_name, normal_name};

    #[test]
    fn names_lose_what_they_may_not_contain() {
        for (name, normal) in [("My Dir.v2", "mydirv2"), ("_-a", "a"), ("a_b-c", "a_b-c"), ("!!", "")] {
            assert_eq!(normal_name(name), normal, "{name}");
            assert_eq!(is_project_name(name), name == normal && !name.is_empty(), "{name}");
        }
        assert!(!is_project_name(""));
    }
}
