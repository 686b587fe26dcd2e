//! From the command line to a loaded project: the call's own part of loading, and the findings shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cluster::VolumeName;
use compose_spec::{Files, LoadRequest, Loaded, Project};

use crate::cli::Global;
use crate::failure::{Doing, Failure, Outcome};
use crate::files::DiskFiles;
use crate::output::Output;
use crate::provider::Providers;

/// What this call asks of the loader: files, names and profiles of the command line, and the environment.
pub(crate) fn request(global: &Global, services: &[String]) -> Outcome<LoadRequest> {
    Ok(LoadRequest {
        files: global.files.clone(),
        project_name: global.project_name.clone(),
        project_directory: global.project_directory.clone(),
        working_dir: working_dir()?,
        env: environment(),
        env_files: global.env_files.clone(),
        profiles: global.profiles.clone(),
        all_resources: global.all_resources,
        services: services.to_vec(),
        ..LoadRequest::default()
    })
}

/// Loads what is asked for and shows every finding. Errors among them end the command.
pub(crate) fn load(request: &LoadRequest, output: &Output) -> Outcome<Loaded> {
    load_from(request, &DiskFiles, output)
}

/// As [`load`], from these files.
pub(crate) fn load_from(request: &LoadRequest, files: &dyn Files, output: &Output) -> Outcome<Loaded> {
    let loaded = compose_spec::load(request, files);
    show(&loaded, &loaded.diagnostics, output);
    if loaded.has_errors() { Err(Failure::Exit(1)) } else { Ok(loaded) }
}

/// Loads a project that is to be run, and makes `wish` of it. Every attribute in it must be one that the engine
/// honours; all that is wrong is said at once, with what the wish finds.
pub(crate) fn load_to_run<T>(
    global: &Global,
    services: &[String],
    output: &Output,
    wish: impl FnOnce(&Loaded) -> Outcome<T>,
) -> Outcome<T> {
    load_to_run_from(&request(global, services)?, &DiskFiles, output, wish)
}

/// As [`load_to_run`], from these files.
pub(crate) fn load_to_run_from<T>(
    request: &LoadRequest,
    files: &dyn Files,
    output: &Output,
    wish: impl FnOnce(&Loaded) -> Outcome<T>,
) -> Outcome<T> {
    let loaded = compose_spec::load(request, files);
    let mut findings = loaded.diagnostics.clone();
    findings.extend(compose_spec::check_support(&loaded));
    show(&loaded, &findings, output);
    let refused = findings.iter().any(compose_spec::Diagnostic::is_error);
    if loaded.project.is_none() {
        return Err(Failure::Exit(1));
    }
    let wish = wish(&loaded)?;
    if refused { Err(Failure::Exit(1)) } else { Ok(wish) }
}

/// The project of a successful load.
pub(crate) fn project(loaded: &Loaded) -> Outcome<&Project> {
    loaded.project.as_ref().ok_or_else(|| Failure::new("the Compose files hold no project"))
}

/// The stack that a command is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    /// Its name: as given, or that of the Compose file found.
    pub(crate) name: String,
    /// The services that its file names, those of disabled profiles included; none when no file was read.
    pub(crate) declared: BTreeSet<String>,
    /// The volumes that its file declares as its own; `None` when no file was read.
    pub(crate) volumes: Option<BTreeSet<VolumeName>>,
    /// Those of its services that programs make; none when no file was read.
    pub(crate) providers: Providers,
}

/// The stack that a command is about, by its name if that is given, by its file otherwise.
pub(crate) fn stack(global: &Global, output: &Output) -> Outcome<Stack> {
    let named = global.project_name.clone().or_else(|| variable("COMPOSE_PROJECT_NAME"));
    match named {
        // A stack that runs can be looked after without its file, when its name is given.
        Some(name) if global.files.is_empty() => {
            if !compose_spec::is_project_name(&name) {
                return Err(
                    Failure::new(format!("no stack can be called `{name}`")).hint(compose_spec::NAME_HINT)
                );
            }
            Ok(Stack { name, ..Stack::default() })
        }
        _ => {
            // Commands about a running stack must not fail for an attribute that only `up` cares about.
            // What no service uses any more may still be there.
            let request = LoadRequest { all_resources: true, ..request(global, &[])? };
            let loaded = load(&request, output)?;
            let project = project(&loaded)?;
            let volumes = Some(cluster::own_volumes(project));
            let providers = Providers::of(&loaded);
            Ok(Stack { name: project.name.clone(), declared: loaded.named.clone(), volumes, providers })
        }
    }
}

fn show(loaded: &Loaded, findings: &[compose_spec::Diagnostic], output: &Output) {
    if !findings.is_empty() {
        output.findings(|color| compose_spec::render(findings, &loaded.sources, color));
    }
}

fn working_dir() -> Outcome<PathBuf> {
    // `PWD` keeps the links that the caller came along; it is believed when it leads to the same folder.
    let here = std::env::current_dir().doing(|| "cannot find the current folder".to_owned())?;
    let said = std::env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute());
    let same = said.filter(|path| path.canonicalize().ok() == here.canonicalize().ok());
    Ok(same.unwrap_or(here))
}

/// The caller's environment; names and values that are no UTF-8 cannot be meant by a Compose file.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A variable of the environment that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where the credentials for registries are: Docker's own configuration file, if there can be one.
pub(crate) fn docker_config() -> Option<PathBuf> {
    let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}
