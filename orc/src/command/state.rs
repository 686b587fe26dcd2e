//! `orc start`, `stop`, `restart` and `rm`: wishes about what runs, for services that are there.

use std::io::{BufRead, IsTerminal};

use cluster::view::TaskView;
use cluster::{Run, RunAction, StopHow};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::follow::{self, Aim};
use crate::output::Output;
use crate::output::raw;
use crate::pick;
use crate::project::{self, Stack};
use crate::settle::Goal;
use crate::watch::StackWatch;

/// Flags of `orc start`.
#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    /// Wait until everything is running and healthy, or has completed
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most; implies `--wait`
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Services (default: all)
    services: Vec<String>,
}

/// Flags of `orc stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// Seconds that containers get to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Services (default: all)
    services: Vec<String>,
}

/// Flags of `orc restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestartArgs {
    /// Leave alone what depends on the services with `restart: true`
    #[arg(long)]
    no_deps: bool,
    /// Seconds that containers get to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Services (default: all)
    services: Vec<String>,
}

/// Flags of `orc rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Stop the containers first
    #[arg(short, long)]
    stop: bool,
    /// Remove their anonymous volumes, too (always done)
    #[arg(short, long)]
    volumes: bool,
    /// Services (default: all)
    services: Vec<String>,
}

/// What of a stack a wish is about.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) watch: StackWatch,
    pub(super) stack: Stack,
    pub(super) services: Vec<String>,
}

/// Whether containers of `orc run` are meant with their services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OneOffs {
    Included,
    Excluded,
}

impl Target {
    pub(super) async fn find(
        names: &[String],
        one_offs: OneOffs,
        global: &Global,
        output: &Output,
    ) -> Outcome<Self> {
        Self::of(project::stack(global, output)?, names, one_offs, global).await
    }

    async fn of(stack: Stack, names: &[String], one_offs: OneOffs, global: &Global) -> Outcome<Self> {
        let mut client = Client::connect(global).await?;
        let watch = StackWatch::open(&mut client, &stack.name).await?;
        let services = match one_offs {
            OneOffs::Included => pick::with_one_offs(&stack, watch.view(), names)?,
            OneOffs::Excluded => pick::services(&stack, watch.view(), names)?,
        };
        let services = services.into_iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { client, watch, stack, services })
    }

    /// Whether there is nothing that could be changed, which is then said: as in docker compose it is no failure.
    pub(super) fn is_nothing(&self, output: &Output) -> bool {
        if self.services.is_empty() {
            output.note(&format!("stack `{}` has no such containers", self.stack.name));
        }
        self.services.is_empty()
    }

    /// States the wish and waits until the manager has taken it over.
    pub(super) async fn wish(&mut self, action: &RunAction) -> Outcome {
        let version = self.client.set_run(&self.stack.name, &self.services, action).await?;
        self.watch.reach(version).await
    }

    /// What a dry run prints: the containers that the command is about.
    pub(super) fn plan(&self, verb: &str, which: impl Fn(&TaskView) -> bool, output: &Output) -> Outcome {
        let services = self.watch.view().into_iter().flat_map(|view| &view.services);
        let mut meant = Vec::new();
        for (name, service) in services.filter(|(name, _)| self.services.contains(name)) {
            meant
                .extend(service.tasks.values().filter(|task| which(task)).map(|task| (name, task.task.slot)));
        }
        meant.sort_unstable();
        if meant.is_empty() {
            output.line("nothing to do");
        }
        meant.iter().for_each(|(name, slot)| output.line(&format!("{verb}  {name}.{slot}")));
        Ok(())
    }

    pub(super) async fn reach(
        &mut self,
        goal: Goal,
        timeout: Option<u64>,
        output: &Output,
        doing: &str,
    ) -> Outcome {
        let timeout = timeout.map(std::time::Duration::from_secs);
        let aim = Aim { timeout, ..Aim::new(self.services.clone(), goal) };
        follow::settle(&mut self.watch, &aim, output, doing).await
    }
}

/// Starts services, and what they depend on: they would wait for it for ever.
pub(crate) async fn start(args: &StartArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, OneOffs::Excluded, global, output).await?;
    if target.services.is_empty() {
        let message = match args.services.first() {
            Some(name) => format!("service `{name}` has no container to start"),
            None => format!("stack `{}` has no container to start", target.stack.name),
        };
        return Err(Failure::new(message).hint("`orc up` makes them"));
    }
    if let Some(view) = target.watch.view() {
        target.services = pick::with_dependencies(view, &target.services).into_iter().collect();
    }
    if global.dry_run {
        return target.plan("start", |task| !task.task.is_alive(), output);
    }
    target.wish(&RunAction::Start).await?;
    let wait = args.wait || args.wait_timeout.is_some();
    let goal = if wait { Goal::Healthy } else { Goal::Started };
    target.reach(goal, args.wait_timeout, output, "not everything could be started").await
}

/// Stops services.
pub(crate) async fn stop(args: &StopArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, OneOffs::Included, global, output).await?;
    if target.is_nothing(output) {
        return Ok(());
    }
    if global.dry_run {
        return target.plan("stop", |task| task.task.is_alive(), output);
    }
    target.wish(&RunAction::Stop(grace(args.timeout))).await?;
    target.reach(Goal::Stopped, None, output, "not everything has stopped").await
}

/// Restarts services.
pub(crate) async fn restart(args: &RestartArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, OneOffs::Excluded, global, output).await?;
    if target.is_nothing(output) {
        return Ok(());
    }
    if global.dry_run {
        return target.plan("restart", |_| true, output);
    }
    let how = grace(args.timeout);
    target.wish(&if args.no_deps { RunAction::RestartAlone(how) } else { RunAction::Restart(how) }).await?;
    target.reach(Goal::Started, None, output, "not everything could be restarted").await
}

/// Removes containers that do not run.
pub(crate) async fn rm(args: &RmArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, OneOffs::Excluded, global, output).await?;
    if global.dry_run {
        return target.plan("remove", |task| args.stop || !task.task.is_alive(), output);
    }
    if args.stop && !target.services.is_empty() {
        target.wish(&RunAction::Stop(StopHow::default())).await?;
        target.reach(Goal::Stopped, None, output, "not everything has stopped").await?;
    }
    let view = target.watch.view();
    let stopped = |name: &String| {
        let service = view.and_then(|view| view.services.get(name));
        service.is_some_and(|service| {
            !service.tasks.is_empty() && service.tasks.values().all(|t| !t.task.is_alive())
        })
    };
    target.services.retain(stopped);
    if target.services.is_empty() {
        output.note("no stopped containers");
        return Ok(());
    }
    let names = target.services.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !args.force && !confirmed(&format!("remove the containers of {names}? [y/N] "))? {
        return Err(Failure::Exit(1));
    }
    target.wish(&RunAction::Remove(StopHow::default())).await?;
    target.gone(output).await
}

/// Stops services and removes their containers, without a question (`orc down SERVICE`).
pub(crate) async fn remove(
    stack: Stack,
    names: &[String],
    timeout: Option<u64>,
    global: &Global,
    output: &Output,
) -> Outcome {
    let mut target = Target::of(stack, names, OneOffs::Included, global).await?;
    if target.is_nothing(output) {
        return Ok(());
    }
    target.wish(&RunAction::Stop(grace(timeout))).await?;
    target.reach(Goal::Stopped, None, output, "not everything has stopped").await?;
    // One-offs that were to go with their end have gone.
    let view = target.watch.view();
    target.services.retain(|name| view.is_some_and(|view| view.services.contains_key(name)));
    if target.services.is_empty() {
        return Ok(());
    }
    target.wish(&RunAction::Remove(StopHow::default())).await?;
    target.gone(output).await
}

impl Target {
    /// Waits until the containers of the services are gone.
    async fn gone(&mut self, output: &Output) -> Outcome {
        let mut renderer = output.progress();
        loop {
            let mut left = false;
            for name in &self.services {
                let service = self.watch.view().and_then(|view| view.services.get(name));
                if service.is_some_and(|service| service.run == Run::Started) {
                    return Err(Failure::new(format!("service `{name}` was started again meanwhile")));
                }
                let service = service.filter(|service| !service.tasks.is_empty());
                left |= service.is_some();
                renderer.update(name, follow::leaving(name, service));
            }
            if !left {
                renderer.finish();
                return Ok(());
            }
            follow::changed(&mut self.watch, renderer.as_mut()).await?;
        }
    }
}

fn confirmed(question: &str) -> Outcome<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("there is nobody to ask").hint("`--force` does not ask"));
    }
    raw::stderr(question);
    let mut answer = String::new();
    // Nothing to read is no yes.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn grace(seconds: Option<u64>) -> StopHow {
    StopHow { signal: None, grace_ms: seconds.map(|seconds| seconds.saturating_mul(1000)) }
}
