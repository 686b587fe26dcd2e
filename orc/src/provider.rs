//! Services that no container runs: a program beside orc makes each of them, and tells those that depend on it how it
//! is reached (`provider`). The protocol is docker compose's: `PROGRAM compose --project-name=STACK up --OPTION=VALUE...
//! SERVICE`, and `down` likewise; the answer is a JSON object a line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use compose_spec::{DependencyGraph, Loaded, Project, Provider};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::failure::{Failure, Outcome};
use crate::limits::PROVIDER_WORDS;
use crate::output::Output;
use crate::project;

/// The services of a project that programs make.
#[derive(Clone, Debug, Default)]
pub(crate) struct Providers {
    stack: String,
    /// What the files are interpolated with; the programs get it as well.
    environment: BTreeMap<String, String>,
    /// Each after those that it depends on.
    services: Vec<Service>,
}

#[derive(Clone, Debug)]
struct Service {
    name: String,
    provider: Provider,
    dependents: Vec<String>,
}

/// What providers told: variables of the services that depend on them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(BTreeMap<String, BTreeMap<String, String>>);

impl Told {
    /// Gives the services their variables.
    pub(crate) fn tell(&self, project: &mut Project) {
        for (name, variables) in &self.0 {
            let Some(service) = project.services.get_mut(name) else { continue };
            let variables = variables.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
            service.environment.extend(variables);
        }
    }
}

/// A line of a provider's answer.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    message: String,
}

/// What a provider says of its own options, if it says anything.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    up: Known,
    down: Known,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Known {
    parameters: Option<Vec<Parameter>>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    name: String,
    #[serde(default)]
    required: bool,
}

/// What a provider is asked to do.
#[derive(Clone, Copy, Debug)]
enum Call {
    Up,
    Down,
}

impl Providers {
    /// Those of the services that were asked for.
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let Some(project) = &loaded.project else { return Self::default() };
        if project.services.values().all(|service| service.provider.is_none()) {
            return Self::default();
        }
        let graph = DependencyGraph::new(project);
        // The loader has refused circles.
        let order = graph.start_order().unwrap_or_default();
        let service = |name: &str| {
            let provider = project.services.get(name)?.provider.clone()?;
            let dependents = graph.dependents(name).into_iter().map(str::to_owned).collect();
            Some(Service { name: name.to_owned(), provider, dependents })
        };
        Self {
            stack: project.name.clone(),
            environment: loaded.environment.clone(),
            services: order.into_iter().filter_map(service).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Leaves the services with these names; all if there are none.
    pub(crate) fn only(mut self, names: &[String]) -> Self {
        self.services.retain(|service| names.is_empty() || names.contains(&service.name));
        self
    }

    /// Has each service made, or found as it is, and gathers what its dependents have to know.
    pub(crate) async fn up(&self, output: &Output) -> Outcome<Told> {
        let mut told = Told::default();
        for service in &self.services {
            let variables = self.call(service, Call::Up, output).await?;
            for dependent in &service.dependents {
                told.0.entry(dependent.clone()).or_default().extend(variables.clone());
            }
        }
        Ok(told)
    }

    /// Has the services taken away, each before those that it depends on. One that stays keeps no other.
    pub(crate) async fn down(&self, output: &Output) -> Outcome {
        let mut failures = Vec::new();
        for service in self.services.iter().rev() {
            failures.extend(self.call(service, Call::Down, output).await.err());
        }
        if failures.len() > 1 {
            let all = failures.into_iter().map(Failure::in_one_line);
            return Err(Failure::new("not everything could be taken away").causes(all));
        }
        failures.pop().map_or(Ok(()), Err)
    }

    /// Calls a service's program and gives the variables that it tells.
    async fn call(
        &self,
        service: &Service,
        call: Call,
        output: &Output,
    ) -> Outcome<BTreeMap<String, String>> {
        let (name, kind) = (&service.name, &service.provider.kind);
        let (word, doing) = match call {
            Call::Up => ("up", "make"),
            Call::Down => ("down", "take away"),
        };
        let failed = |cause: String| {
            Failure::new(format!("provider `{kind}` could not {doing} service `{name}`")).causes([cause])
        };
        let broken = |error: std::io::Error| failed(error.to_string());
        let program = program(kind).ok_or_else(|| {
            failed(format!("there is no program `docker-{kind}` or `{kind}`"))
                .hint("a provider is found by its name: in Docker's folders for plugins, or along PATH")
        })?;
        let options = options(&service.provider, call, self.metadata(&program).await).map_err(failed)?;
        let mut command = Command::new(&program);
        command.args(["compose", &format!("--project-name={}", self.stack), word]).args(options).arg(name);
        let mut child = self.prepare(&mut command).spawn().map_err(broken)?;
        let mut variables = BTreeMap::new();
        if let Some(answer) = child.stdout.take() {
            let mut lines = BufReader::new(answer.take(PROVIDER_WORDS)).lines();
            while let Some(line) = lines.next_line().await.map_err(broken)? {
                match understand(&line, name).map_err(failed)? {
                    Word::Info(text) => output.note(&format!("{name}: {text}")),
                    Word::Variable(name, value) => _ = variables.insert(name, value),
                    Word::Nothing => {}
                }
            }
        }
        let status = child.wait().await.map_err(broken)?;
        if status.success() { Ok(variables) } else { Err(failed(format!("the program ended with {status}"))) }
    }

    /// What the program says of its options; nothing when it does not know the question.
    async fn metadata(&self, program: &Path) -> Metadata {
        let mut command = Command::new(program);
        let said = self.prepare(command.args(["compose", "metadata"])).stderr(Stdio::null()).output().await;
        said.ok().and_then(|said| serde_json::from_slice(&said.stdout).ok()).unwrap_or_default()
    }

    fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(&self.environment).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true)
    }
}

/// The options of the file as arguments. A provider that says which ones it knows gets no others.
fn options(provider: &Provider, call: Call, metadata: Metadata) -> Result<Vec<String>, String> {
    let silent = metadata.up.parameters.is_none() && metadata.down.parameters.is_none();
    let known = match call {
        Call::Up => metadata.up,
        Call::Down => metadata.down,
    };
    let known = known.parameters.unwrap_or_default();
    let lacks = |known: &&Parameter| known.required && !provider.options.contains_key(&known.name);
    if let Some(lacking) = known.iter().find(lacks) {
        return Err(format!("`provider.options` lacks `{}`, which it needs", lacking.name));
    }
    let wanted = |name: &String| silent || known.iter().any(|known| known.name == *name);
    let options = provider.options.iter().filter(|(name, _)| wanted(name));
    Ok(options
        .flat_map(|(name, values)| values.iter().map(move |value| format!("--{name}={value}")))
        .collect())
}

/// What a line of an answer means.
enum Word {
    Info(String),
    Variable(String, String),
    Nothing,
}

fn understand(line: &str, service: &str) -> Result<Word, String> {
    if line.trim().is_empty() {
        return Ok(Word::Nothing);
    }
    let said: Message =
        serde_json::from_str(line).map_err(|error| format!("it answered `{line}`: {error}"))?;
    let variable = |prefix: &str| match said.message.split_once('=') {
        Some((name, value)) => Ok(Word::Variable(format!("{prefix}{name}"), value.to_owned())),
        None => Err(format!("it told the variable `{}`, which is not NAME=VALUE", said.message)),
    };
    match said.kind.as_str() {
        "info" => Ok(Word::Info(said.message)),
        "debug" => Ok(Word::Nothing),
        "error" => Err(said.message),
        "setenv" => variable(&format!("{}_", service.to_uppercase())),
        "rawsetenv" => variable(""),
        other => Err(format!("it answered with a message of type `{other}`, which means nothing here")),
    }
}

/// Docker's plugin of this name, or the program along PATH. A path is refused: a file of somebody else could bring the
/// program along.
fn program(kind: &str) -> Option<PathBuf> {
    if kind.is_empty() || kind.contains('/') {
        return None;
    }
    let own = project::docker_config().and_then(|config| Some(config.parent()?.join("cli-plugins")));
    let plugins =
        ["/usr/local/lib/docker", "/usr/local/libexec/docker", "/usr/lib/docker", "/usr/libexec/docker"];
    let plugins = plugins.map(|folder| PathBuf::from(folder).join("cli-plugins"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let plugin = own
        .into_iter()
        .chain(plugins)
        .chain(path.clone())
        .map(|folder| folder.join(format!("docker-{kind}")));
    plugin.chain(path.iter().map(|folder| folder.join(kind))).find(|file| executable(file))
}

fn executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}
