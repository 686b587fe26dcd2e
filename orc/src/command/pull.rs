//! `orc pull`: the images of a file's services, before anything is started.

use std::collections::BTreeMap;

use super::image;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, ProgressMode};
use crate::project;

/// Flags of `orc pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave out services whose images can be built
    #[arg(long)]
    ignore_buildable: bool,
    /// Pull what can be had, and do not fail for the rest
    #[arg(long)]
    ignore_pull_failures: bool,
    /// What the services depend on, too
    #[arg(long)]
    include_deps: bool,
    /// Whether the registry is asked for what is here
    #[arg(long, value_name = "POLICY", value_parser = ["missing", "always"])]
    policy: Option<String>,
    /// Do not show progress
    #[arg(short, long)]
    quiet: bool,
    /// Services (default: all)
    services: Vec<String>,
}

/// Pulls each image once.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let loaded = project::load(&project::request(global, &args.services)?, output)?;
    let quiet = Output::new(ProgressMode::Quiet, global.ansi);
    let output = if args.quiet { &quiet } else { output };
    let mut images = BTreeMap::new();
    for (name, service) in &project::project(&loaded)?.services {
        let named = args.services.is_empty() || args.include_deps || args.services.contains(name);
        let buildable = args.ignore_buildable && service.build.is_some();
        let Some(image) = service.image.as_ref().filter(|_| named && !buildable) else { continue };
        let policy = args.policy.as_deref().or(service.pull_policy.as_deref()).unwrap_or("always");
        let wanted = policy != "never";
        if wanted {
            let always = images.entry(image.clone()).or_insert(false);
            *always |= !matches!(policy, "missing" | "if_not_present");
        }
    }
    let mut client = Client::connect(global).await?;
    let mut failed = Vec::new();
    for (reference, always) in &images {
        if let Err(failure) = image::pull(&mut client, std::slice::from_ref(reference), *always, output).await
        {
            if !args.ignore_pull_failures && images.len() == 1 {
                return Err(failure);
            }
            output.failure(&failure);
            failed.push(format!("`{reference}`"));
        }
    }
    if failed.is_empty() || args.ignore_pull_failures {
        return Ok(());
    }
    Err(Failure::new(format!("could not pull {}", failed.join(", ")))
        .hint("`--ignore-pull-failures` goes on without them"))
}
