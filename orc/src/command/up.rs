//! `orc up`: states the wish and shows what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::{PutStack, StopHow};
use compose_spec::Loaded;

use crate::attach;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::follow::{self, Aim};
use crate::output::Output;
use crate::project;
use crate::settle::Goal;
use crate::watch::StackWatch;
use crate::wish::Wish;

/// Flags of `orc up`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Do not stay to show the output
    #[arg(short, long, conflicts_with_all = ["abort_on_container_exit", "exit_code_from"])]
    detach: bool,
    /// Wait until everything is running and healthy; implies `--detach`
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Number of replicas of a service
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = parse_scale)]
    scale: Vec<(String, u32)>,
    /// Replace containers although nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Keep containers that exist as they are
    #[arg(long)]
    no_recreate: bool,
    /// Leave alone what the services depend on
    #[arg(long)]
    no_deps: bool,
    /// Create the containers without starting them
    #[arg(long)]
    no_start: bool,
    /// Remove containers of services that the file does not name
    #[arg(long)]
    remove_orphans: bool,
    /// Seconds that a replaced container gets to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// When to pull images: always, missing or never
    #[arg(long, value_name = "WHEN", value_parser = ["always", "missing", "never"])]
    pull: Option<String>,
    /// Stop everything when the first container ends
    #[arg(long)]
    abort_on_container_exit: bool,
    /// End with the exit code of this service; implies `--abort-on-container-exit`
    #[arg(long, value_name = "SERVICE")]
    exit_code_from: Option<String>,
    /// Show output without the names of who wrote it
    #[arg(long)]
    no_log_prefix: bool,
    /// Show output without colours
    #[arg(long)]
    no_color: bool,
    /// Show the time of each line of output
    #[arg(long)]
    timestamps: bool,
    /// Services, with what they depend on (default: all)
    services: Vec<String>,
}

/// Flags of `orc create`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Replace containers although nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Keep containers that exist as they are
    #[arg(long)]
    no_recreate: bool,
    /// Remove containers of services that the file does not name
    #[arg(long)]
    remove_orphans: bool,
    /// When to pull images: always, missing or never
    #[arg(long, value_name = "WHEN", value_parser = ["always", "missing", "never"])]
    pull: Option<String>,
    /// Number of replicas of a service
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = parse_scale)]
    scale: Vec<(String, u32)>,
    /// Services, with what they depend on (default: all)
    services: Vec<String>,
}

impl From<CreateArgs> for Args {
    fn from(args: CreateArgs) -> Self {
        let CreateArgs { force_recreate, no_recreate, remove_orphans, pull, scale, services } = args;
        let flags = Self { detach: true, no_start: true, ..Self::default() };
        Self { force_recreate, no_recreate, remove_orphans, pull, scale, services, ..flags }
    }
}

/// `web=3`, also for `orc scale`.
pub(crate) fn parse_scale(text: &str) -> Result<(String, u32), String> {
    let (service, number) = text.split_once('=').ok_or("expected SERVICE=NUMBER")?;
    let number = number.parse().map_err(|_| format!("`{number}` is not a number of replicas"))?;
    Ok((service.to_owned(), number))
}

/// States the wish; then stays with the output, or until all is started.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let loaded = project::load_to_run(global, &args.services, output)?;
    let wish = wish(args, &loaded)?;
    let mut client = Client::connect(global).await?;
    client.same_build(output).await?;
    let mut watch = StackWatch::open(&mut client, &wish.put.spec.name.0).await?;
    let before = watch.view().cloned();
    wish.check_ports(&mut client).await?;
    if global.dry_run {
        let reply = client.apply(&wish.put, true).await?;
        output.data(if reply.plan.is_empty() { "nothing to do\n" } else { &reply.plan });
        return Ok(());
    }
    wish.store(&mut client).await?;
    let since_ms = attach::now_ms();
    let reply = client.apply(&wish.put, false).await?;
    watch.reach(reply.version).await?;
    warn_of_orphans(&watch, args, output);

    let goal = match (args.no_start, args.wait) {
        (true, _) => Goal::Created,
        (false, true) => Goal::Healthy,
        (false, false) => Goal::Started,
    };
    let names = if wish.put.services.is_empty() {
        wish.put.spec.services.keys().cloned().collect()
    } else {
        wish.put.services.clone()
    };
    let timeout = args.wait_timeout.filter(|_| args.wait).map(Duration::from_secs);
    let aim = Aim { timeout, before, ..Aim::new(names, goal) };
    if args.detach || args.wait || args.no_start {
        let reached = follow::settle(&mut watch, &aim, output).await?;
        return if reached { Ok(()) } else { Err(not_all(&aim, &watch)) };
    }
    let how = attach::How {
        prefix: !args.no_log_prefix,
        color: !args.no_color && output.color(),
        timestamps: args.timestamps,
        since_ms,
        abort_on_exit: args.abort_on_container_exit || args.exit_code_from.is_some(),
        exit_code_from: args.exit_code_from.clone(),
    };
    attach::attach(&mut client, &mut watch, &aim, &how, output).await
}

fn wish(args: &Args, loaded: &Loaded) -> Outcome<Wish> {
    let mut project = project::project(loaded)?.clone();
    if let Some(service) = &args.exit_code_from
        && !project.services.contains_key(service)
    {
        return Err(Failure::new(format!("`--exit-code-from {service}`: there is no such service")));
    }
    if let Some(pull) = &args.pull {
        for service in project.services.values_mut() {
            service.pull_policy = Some(pull.clone());
        }
    }
    if args.no_deps {
        // What is not to be started must not be waited for either. The next `up` without the flag says it again.
        for service in &args.services {
            project.services.get_mut(service).into_iter().for_each(|service| service.depends_on.clear());
        }
    }
    for (service, _) in &args.scale {
        if !project.services.contains_key(service) {
            return Err(Failure::new(format!("`--scale {service}`: there is no such service")));
        }
    }
    let mut wish = Wish::new(loaded, &project)?;
    let services = match (args.services.is_empty(), args.no_deps) {
        (true, _) => Vec::new(),
        (false, true) => args.services.clone(),
        // The loader has left only the named services and what they depend on.
        (false, false) => project.services.keys().cloned().collect(),
    };
    wish.put = PutStack {
        partial: !args.services.is_empty(),
        services,
        scale: args.scale.iter().cloned().collect::<BTreeMap<_, _>>(),
        force_recreate: args.force_recreate,
        no_recreate: args.no_recreate,
        remove_orphans: args.remove_orphans,
        no_start: args.no_start,
        how: StopHow { signal: None, grace_ms: args.timeout.map(|seconds| seconds.saturating_mul(1000)) },
        ..wish.put
    };
    Ok(wish)
}

fn warn_of_orphans(watch: &StackWatch, args: &Args, output: &Output) {
    if args.remove_orphans {
        return;
    }
    let services = watch.view().into_iter().flat_map(|view| &view.services);
    let orphans: Vec<String> =
        services.filter(|(_, service)| service.orphan).map(|(name, _)| format!("`{name}`")).collect();
    if !orphans.is_empty() {
        output.warning(&format!(
            "the file does not name {}, which still runs; `--remove-orphans` removes it",
            orphans.join(", ")
        ));
    }
}

/// Which services did not get there, and what each of them says.
fn not_all(aim: &Aim, watch: &StackWatch) -> Failure {
    use crate::output::progress::Status;
    let mut failed = Vec::new();
    for name in &aim.names {
        let service = watch.view().and_then(|view| view.services.get(name));
        let step = service.map(|service| crate::settle::progress(service, aim.goal).step(name));
        if let Some(step) = step.filter(|step| step.status != Status::Done) {
            let why = if step.note.is_empty() { step.text } else { step.note };
            failed.push(format!("service `{name}`: {why}"));
        }
    }
    let mut failure = Failure::new("not everything could be started");
    if let Failure::Problem(problem) = &mut failure {
        problem.causes = failed;
    }
    failure.hint("`orc ps -a` shows all of it, `orc logs SERVICE` what a service wrote")
}
