//! `orc run`: a one-off command in a container of its own beside the stack.
//!
//! Its container is made first; then this program attaches to it; only then it is started. So nothing that it
//! says can be missed, and its exit code is told over the same line, however soon it ends.

use std::path::PathBuf;

use api::control::Accepted;
use api::node::ExecStart;
use clap::ArgAction::Set;
use clap::builder::FalseyValueParser;
use cluster::view::TaskView;
use cluster::{Phase, RunAction, StopHow, TaskId};
use compose_spec::{Condition, Dependency, Loaded};
use tonic::Streaming;

use super::exec::environment;
use super::up;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Doing, Failure, Outcome};
use crate::follow::{self, Aim};
use crate::one_off::{self, FilesAndLine, Instead};
use crate::output::Output;
use crate::provider::{Providers, Told};
use crate::session::{self, Kind, Session};
use crate::settle::Goal;
use crate::watch::StackWatch;
use crate::wish::Wish;
use crate::{project, terminal};

/// Flags of `orc run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Start it, print its name, and do not stay
    #[arg(short, long)]
    detach: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Environment variable: `NAME=VALUE`, or `NAME` for the caller's own
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// File with environment variables
    #[arg(long, value_name = "FILE")]
    env_from_file: Vec<PathBuf>,
    /// Program instead of the service's
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Do not start what the service depends on
    #[arg(long)]
    no_deps: bool,
    /// Keep standard input open
    #[arg(short, long, action = Set, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    interactive: bool,
    /// Without a terminal, which is otherwise there when the caller has one
    #[arg(short = 'T', long = "no-tty", visible_alias = "no-TTY")]
    no_tty: bool,
    /// Add or override a label
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Publish a port: `[[ADDRESS:]HOST:]CONTAINER`
    #[arg(short, long, value_name = "PORT", conflicts_with = "service_ports")]
    publish: Vec<String>,
    /// Publish the service's ports
    #[arg(short = 'P', long)]
    service_ports: bool,
    /// Answer to the service's names in its networks
    #[arg(long)]
    use_aliases: bool,
    /// Mount a volume or a folder of the host: `SOURCE:TARGET[:ro]`
    #[arg(short, long, value_name = "VOLUME")]
    volume: Vec<String>,
    /// Add a capability
    #[arg(long, value_name = "CAP")]
    cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAP")]
    cap_drop: Vec<String>,
    /// User and group, as names or numbers
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Folder to run in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Whether the registry is asked for the image
    #[arg(long, value_name = "POLICY", value_parser = ["always", "missing", "never"])]
    pull: Option<String>,
    /// Do not show progress
    #[arg(short, long)]
    quiet: bool,
    /// Do not show how images are pulled (never shown here)
    #[arg(long, hide_short_help = true)]
    quiet_pull: bool,
    /// Remove containers of services that the file does not name
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", hide_env = true, value_parser = FalseyValueParser::new())]
    remove_orphans: bool,
    /// Do not show what is built (nothing is built)
    #[arg(long, hide_short_help = true)]
    quiet_build: bool,
    /// Build the image first (not supported yet)
    #[arg(long, hide_short_help = true)]
    build: bool,
    /// Service
    service: String,
    /// Command and its arguments instead of the service's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the command and ends with its exit code.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    if args.build {
        return Err(Failure::new("`run --build` is not supported yet")
            .hint("build the image elsewhere, and `orc image load` or `orc pull` it"));
    }
    let quiet = Output::new(crate::output::ProgressMode::Quiet, global.ansi);
    let output = if args.quiet { &quiet } else { output };
    let files = FilesAndLine::default();
    let request = project::request(global, std::slice::from_ref(&args.service))?;
    let mut loaded = project::load_to_run_from(&request, &files, output, |loaded| Ok(loaded.clone()))?;
    let told = Providers::of(&loaded).up(output).await?;
    loaded.project.iter_mut().for_each(|project| told.tell(project));
    let mut instead = Instead { told, ..instead(args) };
    let own = one_off::variables(&args.env_from_file, &request, output)?;
    instead.env.splice(..0, own);
    let (spec, wish) = one_off::wish(&request, &loaded, &args.service, &instead, &files, output)?;
    let mut client = Client::connect(global).await?;
    client.same_build(output).await?;
    let stack = project::project(&loaded)?.name.clone();
    let mut watch = StackWatch::open(&mut client, &stack).await?;
    if args.remove_orphans {
        up::remove_orphans(&loaded, &mut client, &mut watch, output).await?;
    }
    prepare(args, &loaded, &mut client, &mut watch, output).await?;

    wish.store(&mut client).await?;
    let name = format!("{}-run-{}", args.service, mark()?);
    let version = client.put_one_off(&stack, &name, &spec, !args.detach).await?;
    let mut one_off = OneOff { client, watch, stack, name };
    one_off.watch.reach(version).await?;
    if args.detach {
        output.line(&one_off.begun().await?);
        return Ok(());
    }
    match one_off.talk(&instead).await {
        Ok(code) => {
            if args.rm {
                one_off.gone().await?;
            }
            session::carry(code)
        }
        // Whoever insists on an end does not want to wait for it.
        Err(Failure::Exit(code)) => Err(Failure::Exit(code)),
        Err(failure) => {
            one_off.release(global).await;
            if args.rm {
                // If nobody can say that it has gone, what came before is more worth telling.
                let _ = one_off.gone().await;
            }
            Err(failure)
        }
    }
}

/// Tells one of a service's one-offs from all others.
fn mark() -> Outcome<String> {
    let mut bytes = [0; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .doing(|| "cannot make a name".to_owned())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn instead(args: &Args) -> Instead {
    let tty = !args.no_tty && !args.detach && terminal::interactive();
    Instead {
        command: args.command.clone(),
        entrypoint: args.entrypoint.clone(),
        env: environment(&args.env),
        labels: args.label.clone(),
        volumes: args.volume.clone(),
        publish: args.publish.clone(),
        cap_add: args.cap_add.clone(),
        cap_drop: args.cap_drop.clone(),
        user: args.user.clone(),
        workdir: args.workdir.clone(),
        pull: args.pull.clone(),
        name: args.name.clone(),
        tty,
        stdin: args.interactive && !args.detach,
        service_ports: args.service_ports,
        use_aliases: args.use_aliases,
        fleeting: args.rm,
        told: Told::default(),
    }
}

/// Makes sure that the stack is there with what the service depends on; the service itself stays as it is.
async fn prepare(
    args: &Args,
    loaded: &Loaded,
    client: &mut Client,
    watch: &mut StackWatch,
    output: &Output,
) -> Outcome {
    let project = project::project(loaded)?;
    let there = |name: &str| watch.view().is_some_and(|view| view.services.contains_key(name));
    let mut wish = Wish::new(loaded, project)?;
    wish.put.partial = true;
    let needed = |name: &String| *name != args.service && !args.no_deps;
    wish.put.services = wish.put.spec.services.keys().filter(|name| needed(name)).cloned().collect();
    if !there(&args.service) {
        wish.put.services.push(args.service.clone());
        wish.put.scale.insert(args.service.clone(), 0);
    }
    wish.store(client).await?;
    if wish.put.services.is_empty() {
        return Ok(());
    }
    wish.check_ports(client, output).await?;
    let version = client.apply(&wish.put, false).await?.version;
    watch.reach(version).await?;
    let own = project.services.get(&args.service).map(|service| &service.depends_on);
    let goal = |name: &String| asked_of(own.and_then(|own| own.get(name)));
    let doing = format!("what `{}` depends on could not be started", args.service);
    for each in [Goal::Started, Goal::Healthy, Goal::Completed] {
        let names = wish.put.services.iter().filter(|name| **name != args.service);
        let names: Vec<String> = names.filter(|name| goal(name) == Some(each)).cloned().collect();
        if !names.is_empty() {
            follow::settle(watch, &Aim::new(names, each), output, &doing).await?;
        }
    }
    Ok(())
}

/// What has to become of a service before the command runs, which depends on it so, or on others that do. Nothing is
/// asked of what may as well be missing.
fn asked_of(dependency: Option<&Dependency>) -> Option<Goal> {
    match dependency {
        Some(dependency) if !dependency.required => None,
        Some(Dependency { condition: Condition::Healthy, .. }) => Some(Goal::Healthy),
        Some(Dependency { condition: Condition::CompletedSuccessfully, .. }) => Some(Goal::Completed),
        _ => Some(Goal::Started),
    }
}

/// A container beside the stack, as far as this program knows it.
struct OneOff {
    client: Client,
    watch: StackWatch,
    stack: String,
    /// The name as which the stack has it.
    name: String,
}

impl OneOff {
    fn task(&self) -> Option<&TaskView> {
        self.watch.view()?.services.get(&self.name)?.tasks.values().next()
    }

    /// Waits until it runs, or has run; answers its container's name.
    async fn begun(&mut self) -> Outcome<String> {
        let mut container = self.name.clone();
        loop {
            let there = self.watch.view().is_some_and(|view| view.services.contains_key(&self.name));
            if let Some(task) = self.task() {
                container.clone_from(&task.container_name);
                if let Some(exit) = task.task.finished().filter(|exit| exit.error.is_some()) {
                    return Err(why_not(&container, exit.error.clone().unwrap_or_default()));
                }
                if task.task.is_running() || task.task.finished().is_some() {
                    return Ok(container);
                }
            } else if !there {
                // It has ended, and was to go with its end.
                return Ok(container);
            }
            if let Some(failure) = self.problem() {
                let remove = RunAction::Remove(StopHow::default());
                self.client.set_run(&self.stack, std::slice::from_ref(&self.name), &remove).await?;
                return Err(failure);
            }
            self.watch.changed().await?;
        }
    }

    /// Attaches to it, starts it, and talks until it ends; answers its exit code.
    async fn talk(&mut self, instead: &Instead) -> Outcome<i32> {
        // If this program ends before it has started it, however that comes, nobody else would look after it.
        let _kept: Streaming<Accepted> = self.client.keep_one_off(&self.stack, &self.name).await?;
        let task = self.made().await?;
        let size = terminal::size().filter(|_| instead.tty);
        let start = ExecStart {
            task: task.to_string(),
            tty: instead.tty,
            size,
            stdin: instead.stdin,
            before_start: true,
            ..ExecStart::default()
        };
        let session = Session::open(&self.client, Kind::Attach, start).await?;
        self.client.set_run(&self.stack, std::slice::from_ref(&self.name), &RunAction::Start).await?;
        tokio::select! {
            code = session.talk() => code,
            failure = self.fails() => Err(failure),
        }
    }

    /// Waits until there is a container that was never started.
    async fn made(&mut self) -> Outcome<TaskId> {
        loop {
            if let Some(failure) = self.problem() {
                return Err(failure);
            }
            match self.task() {
                Some(task) if task.task.status.phase == Phase::Prepared => return Ok(task.task.id),
                _ => self.watch.changed().await?,
            }
        }
    }

    /// Waits until it turns out that it cannot be started.
    async fn fails(&mut self) -> Failure {
        loop {
            if let Some(failure) = self.problem() {
                return failure;
            }
            if let Err(failure) = self.watch.changed().await {
                return failure;
            }
        }
    }

    fn problem(&self) -> Option<Failure> {
        let task = self.task().filter(|task| !task.task.is_running() && task.task.finished().is_none())?;
        let problem = task.task.problem()?;
        Some(why_not(&task.container_name, problem.message.clone()))
    }

    /// The engine may have died, and with it what it knew of this program: the next one is told that this goes.
    async fn release(&mut self, global: &Global) {
        if let Ok(mut client) = Client::connect(global).await {
            // What cannot be told now is removed with the stack.
            let _ = client.keep_one_off(&self.stack, &self.name).await;
        }
    }

    /// Waits until nothing is left of it.
    async fn gone(&mut self) -> Outcome {
        while self.watch.view().is_some_and(|view| view.services.contains_key(&self.name)) {
            self.watch.changed().await?;
        }
        Ok(())
    }
}

fn why_not(container: &str, reason: String) -> Failure {
    Failure::new(format!("cannot run `{container}`")).because(&std::io::Error::other(reason))
}
