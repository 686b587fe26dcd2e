//! `orc run`: a one-off command in a container of its own beside the stack.

use api::node::ExecStart;
use cluster::view::StackView;
use cluster::{RunAction, ServiceSpec, StopHow};
use compose_spec::{Loaded, Project};

use super::exec::environment;
use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::follow::{self, Aim};
use crate::logs::{Lines, Query};
use crate::output::Output;
use crate::output::log::{LogPrinter, LogStyle};
use crate::session::{self, Kind};
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
    /// Program instead of the service's
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Do not start what the service depends on
    #[arg(long)]
    no_deps: bool,
    /// Without a terminal, which is otherwise there when the caller has one
    #[arg(short = 'T', long = "no-tty", visible_alias = "no-TTY")]
    no_tty: bool,
    /// Publish the service's ports
    #[arg(short = 'P', long)]
    service_ports: bool,
    /// User and group, as names or numbers
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Folder to run in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Service
    service: String,
    /// Command and its arguments instead of the service's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the command and ends with its exit code.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let services = std::slice::from_ref(&args.service);
    let loaded = project::load_to_run(global, services, output, |loaded| Ok(loaded.clone()))?;
    let tty = !args.no_tty && !args.detach && terminal::interactive();
    let mut client = Client::connect(global).await?;
    client.same_build(output).await?;
    let stack = project::project(&loaded)?.name.clone();
    let mut watch = StackWatch::open(&mut client, &stack).await?;
    prepare(args, &loaded, &mut client, &mut watch, output).await?;

    let name = format!("{}-run-{:012x}", args.service, now_ms());
    let spec = one_off(args, &loaded, tty)?;
    let started_ms = now_ms();
    let version = client.put_one_off(&stack, &name, &spec).await?;
    watch.reach(version).await?;
    if args.detach {
        let aim = Aim::new([name.clone()], Goal::Started);
        follow::settle(&mut watch, &aim, output, &format!("cannot run `{name}`")).await?;
        output.line(&name);
        return Ok(());
    }
    let one_off = OneOff { name: &name, tty, started_ms };
    let code = one_off.follow(&mut client, &mut watch).await;
    if args.rm || code.is_err() {
        client.set_run(&stack, std::slice::from_ref(&name), &RunAction::Remove(StopHow::default())).await?;
    }
    session::carry(code?)
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
    wish.put.services = project.services.keys().filter(|name| needed(name)).cloned().collect();
    if !there(&args.service) {
        wish.put.services.push(args.service.clone());
        wish.put.scale.insert(args.service.clone(), 0);
    }
    wish.store(client).await?;
    if wish.put.services.is_empty() {
        return Ok(());
    }
    wish.check_ports(client).await?;
    let version = client.apply(&wish.put, false).await?.version;
    watch.reach(version).await?;
    let names: Vec<String> = wish.put.services.into_iter().filter(|name| *name != args.service).collect();
    if names.is_empty() {
        return Ok(());
    }
    let doing = format!("what `{}` depends on could not be started", args.service);
    follow::settle(watch, &Aim::new(names, Goal::Started), output, &doing).await
}

/// The service with what the command line says instead.
fn one_off(args: &Args, loaded: &Loaded, tty: bool) -> Outcome<ServiceSpec> {
    let mut project: Project = project::project(loaded)?.clone();
    let unknown = || Failure::new(format!("there is no service `{}`", args.service));
    let service = project.services.get_mut(&args.service).ok_or_else(unknown)?;
    if !args.command.is_empty() {
        service.command = Some(args.command.clone());
    }
    if let Some(entrypoint) = &args.entrypoint {
        service.entrypoint = Some(entrypoint.split_whitespace().map(ToOwned::to_owned).collect());
        if args.command.is_empty() {
            service.command = Some(Vec::new());
        }
    }
    for pair in environment(&args.env) {
        if let Some((name, value)) = pair.split_once('=') {
            service.environment.insert(name.to_owned(), Some(value.to_owned()));
        }
    }
    if !args.service_ports {
        service.ports.clear();
    }
    if args.no_deps {
        service.depends_on.clear();
    }
    service.user = args.user.clone().or_else(|| service.user.take());
    service.working_dir = args.workdir.clone().or_else(|| service.working_dir.take());
    service.container_name = args.name.clone();
    // One of it, once, whatever the service itself does.
    service.restart = Some("no".to_owned());
    service.scale = None;
    service.deploy = None;
    (service.tty, service.stdin_open) = (tty, tty);
    service.depends_on.clear();
    let wish = Wish::new(loaded, &project)?;
    let spec = wish.put.spec.services.get(&args.service).ok_or_else(unknown)?;
    Ok(ServiceSpec { one_off: true, ..(**spec).clone() })
}

struct OneOff<'a> {
    name: &'a str,
    tty: bool,
    started_ms: u64,
}

impl OneOff<'_> {
    /// Follows the container to its end; answers its exit code.
    async fn follow(&self, client: &mut Client, watch: &mut StackWatch) -> Outcome<i32> {
        let task = loop {
            let view = watch.view().and_then(|view| view.services.get(self.name));
            let task = view.and_then(|service| service.tasks.values().next());
            match task {
                Some(task) if task.task.is_running() || task.task.finished().is_some() => break task.task.id,
                Some(task) if task.task.status.problem.is_some() => {
                    return Err(why_not(watch.view(), self.name));
                }
                _ => watch.changed().await?,
            }
        };
        if self.tty {
            self.talk(client, task.to_string()).await?;
            return loop {
                if let Some(code) = self.exit_code(watch.view())? {
                    break Ok(code);
                }
                watch.changed().await?;
            };
        }
        self.read(client, watch).await
    }

    /// Keys in, screen out.
    async fn talk(&self, client: &mut Client, task: String) -> Outcome {
        let start =
            ExecStart { task, tty: true, size: terminal::size(), stdin: true, ..ExecStart::default() };
        session::talk(client, Kind::Attach, start).await.map(|_| ())
    }

    /// What it writes, from the log, which has it from the first line; answers its exit code.
    async fn read(&self, client: &Client, watch: &mut StackWatch) -> Outcome<i32> {
        let query = Query { follow: true, since_ms: Some(self.started_ms), ..Query::default() };
        let mut lines = Lines::new(client.clone(), query);
        let mut printer = LogPrinter::new(LogStyle::default(), []);
        loop {
            if let Some(view) = watch.view() {
                lines.add(view, |service| service == self.name);
            }
            if let Some(code) = self.exit_code(watch.view())? {
                lines.rest(&mut printer).await?;
                return Ok(code);
            }
            tokio::select! {
                line = lines.next(), if lines.is_open() => {
                    if let Some(line) = line? {
                        lines.print(&line, &mut printer);
                    }
                }
                changed = watch.changed() => changed?,
            }
        }
    }

    /// How it ended, if it has.
    fn exit_code(&self, view: Option<&StackView>) -> Outcome<Option<i32>> {
        let service = view.and_then(|view| view.services.get(self.name));
        let Some(task) = service.and_then(|service| service.tasks.values().next()) else {
            return Err(Failure::new(format!("`{}` was removed before it ended", self.name)));
        };
        let Some(exit) = task.task.finished() else { return Ok(None) };
        match &exit.error {
            // 127 and 126, as a shell has it for what is not there or cannot be executed.
            Some(error) => Err(Failure::new(error.clone()).code(u8::try_from(exit.code).unwrap_or(1))),
            None => Ok(Some(exit.code)),
        }
    }
}

fn why_not(view: Option<&StackView>, name: &str) -> Failure {
    let service = view.and_then(|view| view.services.get(name));
    let problem =
        service.and_then(|service| service.tasks.values().find_map(|task| task.task.status.problem.as_ref()));
    let message = problem.map_or_else(|| "it did not start".to_owned(), |problem| problem.message.clone());
    Failure::new(format!("cannot run `{name}`")).because(&std::io::Error::other(message))
}
