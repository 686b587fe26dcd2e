//! What `orc run` makes of a service: the file with the command line's wishes merged over it, as if they stood in
//! one more Compose file. So they are read, checked and reported like any other.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use cluster::{OneOff, ServiceSpec};
use compose_spec::{Files, LoadRequest, Loaded};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::files::DiskFiles;
use crate::output::Output;
use crate::project;
use crate::provider::Told;
use crate::wish::Wish;

/// What findings name as their file.
const NAME: &str = "command line";

/// What the command line says instead of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instead {
    pub(crate) command: Vec<String>,
    /// A line as a shell would read it.
    pub(crate) entrypoint: Option<String>,
    /// `NAME=VALUE`.
    pub(crate) env: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) volumes: Vec<String>,
    pub(crate) publish: Vec<String>,
    pub(crate) cap_add: Vec<String>,
    pub(crate) cap_drop: Vec<String>,
    pub(crate) user: Option<String>,
    pub(crate) workdir: Option<String>,
    pub(crate) pull: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) tty: bool,
    pub(crate) stdin: bool,
    pub(crate) service_ports: bool,
    pub(crate) use_aliases: bool,
    pub(crate) fleeting: bool,
    /// What providers told; the command line has the last word.
    pub(crate) told: Told,
}

/// The service with what the command line says instead, and its secrets.
pub(crate) fn wish(
    request: &LoadRequest,
    loaded: &Loaded,
    service: &str,
    instead: &Instead,
    files: &FilesAndLine,
    output: &Output,
) -> Outcome<(ServiceSpec, Wish)> {
    // Whoever gave the text as a file on standard input cannot give it twice: `files` remembers it.
    files.line.set(overlay(service, instead)).map_err(|_| Failure::new("there is one command line only"))?;
    let project = project::project(loaded)?;
    let request = LoadRequest {
        files: loaded.files.iter().cloned().chain([NAME.into()]).collect(),
        project_name: Some(project.name.clone()),
        project_directory: Some(loaded.project_directory.clone()),
        ..request.clone()
    };
    let loaded = project::load_to_run_from(&request, files, output, |loaded| Ok(loaded.clone()))?;
    let mut project = project::project(&loaded)?.clone();
    instead.told.tell(&mut project);
    for service in project.services.get_mut(service).into_iter() {
        let own = instead.env.iter().filter_map(|variable| variable.split_once('='));
        service.environment.extend(own.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))));
    }
    let wish = Wish::new(&loaded, &project)?;
    let spec = wish.put.spec.services.get(service);
    let mut spec = (**spec.ok_or_else(|| Failure::new(format!("there is no service `{service}`")))?).clone();
    for attachment in spec.networks.values_mut() {
        // It is not one of the service's replicas, so that it does not answer for it unless asked to.
        if instead.use_aliases {
            attachment.aliases.insert(service.to_owned());
        } else {
            attachment.aliases.clear();
        }
    }
    spec.one_off = Some(OneOff { of: service.to_owned(), fleeting: instead.fleeting });
    Ok((spec, wish))
}

/// The variables that files like those of `env_file` set, as `NAME=VALUE`.
pub(crate) fn variables(paths: &[PathBuf], request: &LoadRequest, output: &Output) -> Outcome<Vec<String>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let text = format!("services: {{run: {{image: run, env_file: {}}}}}", json!(paths)).replace('$', "$$");
    let files = FilesAndLine { line: OnceCell::from(text), stdin: OnceCell::new() };
    let request = LoadRequest {
        files: vec![NAME.into()],
        project_name: Some("run".to_owned()),
        services: Vec::new(),
        ..request.clone()
    };
    let loaded = project::load_from(&request, &files, output)?;
    let services = &project::project(&loaded)?.services;
    let variables = services.values().flat_map(|service| &service.environment);
    Ok(variables.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect())
}

/// The command line as a Compose file.
fn overlay(service: &str, instead: &Instead) -> String {
    let mut lines = Vec::new();
    let mut set = |name: &str, tag: &str, value: Value| lines.push((name.to_owned(), tag.to_owned(), value));
    if let Some(entrypoint) = &instead.entrypoint {
        set("entrypoint", "", json!(entrypoint));
    }
    if instead.entrypoint.is_some() || !instead.command.is_empty() {
        set("command", "", json!(instead.command));
    }
    let texts = [
        ("user", &instead.user),
        ("working_dir", &instead.workdir),
        ("pull_policy", &instead.pull),
        ("container_name", &instead.name),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            set(name, "", json!(text));
        }
    }
    if instead.name.is_none() {
        set("container_name", "!reset ", Value::Null);
    }
    let lists = [
        ("environment", &instead.env),
        ("labels", &instead.labels),
        ("volumes", &instead.volumes),
        ("cap_add", &instead.cap_add),
        ("cap_drop", &instead.cap_drop),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            set(name, "", json!(list));
        }
    }
    if !instead.service_ports {
        set("ports", "!override ", json!(instead.publish));
    }
    // One of it, once, whatever the service itself does; what it depends on is seen to before.
    set("restart", "", json!("no"));
    set("scale", "!reset ", Value::Null);
    set("deploy", "!reset ", Value::Null);
    set("depends_on", "!reset ", Value::Null);
    set("tty", "", json!(instead.tty));
    set("stdin_open", "", json!(instead.stdin));
    // JSON is YAML; a `$` of the command line is no variable of the file.
    let text = |value: &Value| value.to_string().replace('$', "$$");
    let mut file = format!("services:\n  {}:\n", text(&json!(service)));
    for (name, tag, value) in lines {
        // Writing to a text cannot fail.
        let _ = writeln!(file, "    {name}: {tag}{}", text(&value));
    }
    file
}

/// The disk, and the command line beside it.
#[derive(Default)]
pub(crate) struct FilesAndLine {
    line: OnceCell<String>,
    stdin: OnceCell<Vec<u8>>,
}

impl Files for FilesAndLine {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        match self.line.get().filter(|_| is_line(path)) {
            Some(line) => Ok(line.clone().into_bytes()),
            None if path != Path::new("-") => DiskFiles.read(path, limit),
            None => match self.stdin.get() {
                Some(text) => Ok(text.clone()),
                None => DiskFiles.read(path, limit).map(|text| self.stdin.get_or_init(|| text).clone()),
            },
        }
    }

    fn is_file(&self, path: &Path) -> bool {
        self.line.get().is_some() && is_line(path) || DiskFiles.is_file(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        DiskFiles.is_dir(path)
    }
}

fn is_line(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_one_more_file() {
        let instead = Instead {
            command: vec!["echo".to_owned(), "$HOME".to_owned()],
            env: vec!["A=b".to_owned()],
            publish: vec!["8080:80".to_owned()],
            ..Instead::default()
        };
        let expect = "services:\n  \"web\":\n    command: [\"echo\",\"$$HOME\"]\n    container_name: !reset null\n    \
                      environment: [\"A=b\"]\n    ports: !override [\"8080:80\"]\n    restart: \"no\"\n    \
                      scale: !reset null\n    deploy: !reset null\n    depends_on: !reset null\n    tty: false\n    \
                      stdin_open: false\n";
        assert_eq!(overlay("web", &instead), expect);
    }
}
