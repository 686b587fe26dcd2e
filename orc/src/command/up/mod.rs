//! `orc up`: states the wish and shows what becomes of it.

mod args;
mod moved;
mod orphans;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::view::StackView;
use cluster::{PutStack, StopHow};
use compose_spec::Loaded;

pub(crate) use args::{Args, CreateArgs, parse_scale};
pub(crate) use orphans::remove as remove_orphans;
pub(crate) use plan::{PlanArgs, plan};

use crate::attach::{self, Abort, How};
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::follow::{self, Aim};
use crate::output::Output;
use crate::output::log::LogStyle;
use crate::project;
use crate::provider::{Providers, Told};
use crate::settle::Goal;
use crate::watch::StackWatch;
use crate::wish::Wish;

/// States the wish; then stays with the output, or until all is started.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let mut wish = provided(args, global, output).await?;
    if wish.put.partial && wish.put.services.is_empty() {
        // All that was named is made by programs.
        return Ok(());
    }
    let mut client = Client::connect(global).await?;
    client.same_build(output).await?;
    let mut watch = StackWatch::open(&mut client, &wish.put.spec.name.0).await?;
    let before = watch.view().cloned();
    wish.check_ports(&mut client, output).await?;
    if !global.dry_run {
        moved::pull(&mut client, before.as_ref(), &wish.put, output).await?;
    }
    replace_moved(&mut client, before.as_ref(), &mut wish.put).await?;
    if global.dry_run {
        let reply = client.apply(&wish.put, true).await?;
        output.data(plan::text(&reply));
        return Ok(());
    }
    wish.store(&mut client).await?;
    let since_ms = attach::now_ms();
    let reply = client.apply(&wish.put, false).await?;
    watch.reach(reply.version).await?;
    orphans::warn(watch.view(), output);

    let goal = match (args.no_start, args.wait) {
        (true, _) => Goal::Created,
        (false, true) => Goal::Healthy,
        (false, false) => Goal::Started,
    };
    let meant = meant(&wish.put);
    let timeout = args.wait_timeout.filter(|_| args.wait).map(Duration::from_secs);
    let leaving = orphans::leaving(watch.view());
    let aim = Aim { timeout, before, leaving, ..Aim::new(meant.iter().cloned(), goal) };
    if args.detach || args.wait || args.no_start {
        return follow::settle(&mut watch, &aim, output, "not everything could be started").await;
    }
    let how = how(args, &wish.put, &meant, output, since_ms);
    attach::attach(&client, &mut watch, &aim, how, output).await
}

/// The wish. What programs make is made before it, for its dependents are told of it; a dry run makes nothing.
async fn provided(args: &Args, global: &Global, output: &Output) -> Outcome<Wish> {
    let (wish, providers, loaded) = project::load_to_run(global, &args.services, output, |loaded| {
        let providers = Providers::of(loaded);
        let kept = (!providers.is_empty()).then(|| loaded.clone());
        Ok((wish(args, loaded, &Told::default())?, providers, kept))
    })?;
    let Some(loaded) = loaded else { return Ok(wish) };
    if global.dry_run {
        output.warning("providers are not asked by a dry run, so that services that depend on them may be shown as changed");
        return Ok(wish);
    }
    // With `--no-deps` as well: without what they tell, the services would be replaced by some that lack it.
    self::wish(args, &loaded, &providers.up(output).await?)
}

/// Adds the services to be made anew because their image is another one now.
async fn replace_moved(client: &mut Client, before: Option<&StackView>, put: &mut PutStack) -> Outcome {
    if !put.no_recreate {
        let moved = moved::services(client, before, put).await?;
        put.newer_images = moved.difference(&put.force_recreate).cloned().collect();
        put.force_recreate.extend(moved);
    }
    Ok(())
}

/// The services that a wish is about.
fn meant(put: &PutStack) -> BTreeSet<String> {
    let all = put.spec.services.keys().cloned();
    if put.services.is_empty() { all.collect() } else { put.services.iter().cloned().collect() }
}

/// What is shown, and when that ends.
fn how(args: &Args, put: &PutStack, meant: &BTreeSet<String>, output: &Output, since_ms: u64) -> How {
    let mut attached = args.attached(meant);
    let silent = |name: &String| put.spec.services.get(name).is_some_and(|s| s.compose.attach == Some(false));
    attached.retain(|name| args.attach.contains(name) || !silent(name));
    let named =
        if args.services.is_empty() { meant.iter().cloned().collect() } else { args.services.clone() };
    How {
        style: LogStyle {
            prefix: !args.no_log_prefix,
            color: !args.no_color && output.color(),
            timestamps: args.timestamps,
        },
        since_ms,
        attached,
        stopped: named,
        abort: match (args.abort_on_container_failure, &args.exit_code_from) {
            (true, _) => Abort::OnFailure,
            (false, Some(_)) => Abort::OnExit,
            (false, None) if args.abort_on_container_exit => Abort::OnExit,
            (false, None) => Abort::Never,
        },
        exit_code_from: args.exit_code_from.clone(),
        stop: grace(args),
    }
}

fn grace(args: &Args) -> StopHow {
    StopHow { signal: None, grace_ms: args.timeout.map(|seconds| seconds.saturating_mul(1000)) }
}

fn wish(args: &Args, loaded: &Loaded, told: &Told) -> Outcome<Wish> {
    let mut project = project::project(loaded)?.clone();
    told.tell(&mut project);
    args.check(&project.services.keys().cloned().collect())?;
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
    let mut wish = Wish::new(loaded, &project)?;
    let services = match (args.services.is_empty(), args.no_deps) {
        (true, _) => Vec::new(),
        (false, true) => {
            args.services.iter().filter(|name| wish.put.spec.services.contains_key(*name)).cloned().collect()
        }
        // The loader has left only the named services and what they depend on.
        (false, false) => wish.put.spec.services.keys().cloned().collect(),
    };
    wish.put = PutStack {
        partial: !args.services.is_empty(),
        services,
        scale: args.scale.iter().cloned().collect::<BTreeMap<_, _>>(),
        no_recreate: args.no_recreate,
        remove_orphans: args.remove_orphans,
        named: match args.remove_orphans || args.services.is_empty() {
            true => loaded.named.clone(),
            false => BTreeSet::new(),
        },
        renew_volumes: args.renew_anon_volumes,
        no_start: args.no_start,
        how: grace(args),
        ..wish.put
    };
    wish.put.force_recreate = args.forced(&meant(&wish.put));
    wish.check()?;
    Ok(wish)
}
