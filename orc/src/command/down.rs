//! `orc down`: wishes the stack away and waits until nothing of it is left.

use std::collections::BTreeSet;

use cluster::view::StackView;
use cluster::{NetworkName, StopHow, VolumeName};

use super::state;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::follow;
use crate::output::Output;
use crate::output::progress::{Renderer, Status, Step};
use crate::pick;
use crate::project::{self, Stack};
use crate::watch::StackWatch;

/// Flags of `orc down`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove the named volumes that the file declares (without a file: all of the stack), with their data
    #[arg(short, long)]
    volumes: bool,
    /// Seconds that containers get to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Remove containers of services that the file does not name (always done)
    #[arg(long)]
    remove_orphans: bool,
    /// Remove the services' images, too: all of them, or those made from the file (of which there are none)
    #[arg(long, value_enum, value_name = "WHICH")]
    rmi: Option<Rmi>,
    /// Services whose containers go; networks, volumes and other services stay (default: the whole stack)
    services: Vec<String>,
}

/// Which images go with the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Rmi {
    /// All that services use.
    All,
    /// Those that were built from the file; nothing is built yet.
    Local,
}

/// Removes the stack, or the containers of some of its services; then what programs made.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let found = project::stack(global, output)?;
    if global.dry_run {
        let mut client = Client::connect(global).await?;
        return plan(args, &found, &mut client, output).await;
    }
    match args.services.as_slice() {
        [] => remove(args, &found, global, output).await?,
        named => state::remove(found.clone(), named, args.timeout, global, output).await?,
    }
    found.providers.only(&args.services).down(output).await
}

async fn remove(args: &Args, found: &Stack, global: &Global, output: &Output) -> Outcome {
    let mut client = Client::connect(global).await?;
    let Stack { name: stack, .. } = found;
    let mut watch = StackWatch::open(&mut client, stack).await?;
    let before = watch.view().cloned();
    let doomed = doomed(args, found, &mut client).await?;
    let how = StopHow { signal: None, grace_ms: args.timeout.map(|seconds| seconds.saturating_mul(1000)) };
    let Some(version) = client.remove_stack(stack, &doomed, how).await? else {
        output.note(&format!("there is nothing of stack `{stack}`"));
        return Ok(());
    };
    watch.reach(version).await?;

    let mut renderer = output.progress();
    let shown = Shown::new(before.as_ref(), doomed);
    loop {
        shown.update(watch.view(), renderer.as_mut());
        match watch.view() {
            None => break,
            Some(view) if !view.removing => {
                renderer.finish();
                return Err(Failure::new(format!("somebody has started stack `{stack}` again meanwhile")));
            }
            Some(_) => {}
        }
        follow::changed(&mut watch, renderer.as_mut()).await?;
    }
    renderer.finish();
    if args.rmi == Some(Rmi::All) {
        remove_images(&mut client, before.as_ref(), output).await;
    }
    Ok(())
}

/// The volumes that go with the stack. As in docker compose, what only an earlier file declared is not this one's to
/// delete.
async fn doomed(args: &Args, stack: &Stack, client: &mut Client) -> Outcome<Vec<VolumeName>> {
    if !args.volumes || !args.services.is_empty() {
        return Ok(Vec::new());
    }
    let mut doomed: Vec<VolumeName> =
        client.volumes(&stack.name).await?.into_iter().map(|volume| volume.spec.name).collect();
    doomed.retain(|name| stack.volumes.as_ref().is_none_or(|declared| declared.contains(name)));
    Ok(doomed)
}

/// Prints what would be removed.
async fn plan(args: &Args, stack: &Stack, client: &mut Client, output: &Output) -> Outcome {
    let view = client.stack(&stack.name).await?;
    let mut gone = Vec::new();
    let services: Vec<_> = match args.services.is_empty() {
        true => view.iter().flat_map(|view| &view.services).collect(),
        false => pick::with_one_offs(stack, view.as_ref(), &args.services)?,
    };
    for (name, service) in services {
        gone.extend(service.tasks.values().map(|task| format!("{name}.{}", task.task.slot)));
    }
    if args.services.is_empty() {
        let networks = view.iter().flat_map(|view| view.networks.keys());
        gone.extend(networks.map(|name| format!("network {}", name.0)));
        gone.extend(doomed(args, stack, client).await?.iter().map(|name| format!("volume {}", name.0)));
        let images = images(view.as_ref()).into_iter().filter(|_| args.rmi == Some(Rmi::All));
        gone.extend(images.map(|name| format!("image {name}, unless others use it")));
    }
    if gone.is_empty() {
        output.line("nothing to do");
    }
    gone.iter().for_each(|thing| output.line(&format!("remove  {thing}")));
    Ok(())
}

/// Removes the images that services were made from; what others still use stays.
async fn remove_images(client: &mut Client, before: Option<&StackView>, output: &Output) {
    for name in images(before) {
        match client.remove_images(vec![name.clone()], false).await {
            Ok(_) => output.note(&format!("image `{name}` removed")),
            Err(Failure::Problem(problem)) => {
                let why = problem.causes.first().unwrap_or(&problem.message);
                output.warning(&format!("image `{name}` stays: {why}"));
            }
            Err(Failure::Exit(_)) => {}
        }
    }
}

/// The images that services are made from.
fn images(view: Option<&StackView>) -> BTreeSet<String> {
    let services = view.into_iter().flat_map(|view| view.services.values());
    services.filter_map(|service| service.spec.compose.image.clone()).collect()
}

/// What there was, as it goes.
struct Shown {
    things: Vec<Thing>,
}

impl Shown {
    fn new(before: Option<&StackView>, doomed: Vec<VolumeName>) -> Self {
        let mut things: Vec<Thing> = doomed.into_iter().map(Thing::Volume).collect();
        if let Some(view) = before {
            things.extend(view.services.keys().cloned().map(Thing::Service));
            things.extend(view.networks.keys().cloned().map(Thing::Network));
        }
        Self { things }
    }

    fn update(&self, view: Option<&StackView>, renderer: &mut dyn Renderer) {
        for thing in &self.things {
            let (key, step) = thing.step(view);
            renderer.update(&key, step);
        }
    }
}

/// One of the things of a stack that go.
enum Thing {
    Service(String),
    Volume(VolumeName),
    Network(NetworkName),
}

impl Thing {
    /// Its place among the others, and where it stands.
    fn step(&self, view: Option<&StackView>) -> (String, Step) {
        match self {
            Self::Service(name) => {
                let service = view.and_then(|view| view.services.get(name));
                (format!("0 {name}"), follow::leaving(name, service))
            }
            Self::Volume(name) => {
                let there = view.is_some_and(|view| view.volumes.contains_key(name));
                (format!("1 {name}"), shared("volume", &name.0, there))
            }
            Self::Network(name) => {
                let there = view.is_some_and(|view| view.networks.contains_key(name));
                (format!("2 {name}"), shared("network", &name.0, there))
            }
        }
    }
}

fn shared(label: &str, name: &str, there: bool) -> Step {
    let (word, status) = if there { ("removing", Status::Working) } else { ("removed", Status::Done) };
    Step { label: label.to_owned(), text: format!("{name} {word}"), note: String::new(), status }
}
