//! `orc down`: wishes the stack away and waits until nothing of it is left.

use std::collections::BTreeMap;

use cluster::StopHow;
use cluster::view::StackView;

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::follow;
use crate::output::Output;
use crate::output::progress::{Renderer, Status, Step};
use crate::project;
use crate::watch::StackWatch;

/// Flags of `orc down`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove the stack's named volumes too, with their data
    #[arg(short, long)]
    volumes: bool,
    /// Seconds that containers get to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Remove containers of services that the file does not name (always done)
    #[arg(long)]
    remove_orphans: bool,
}

/// Removes the stack.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack_name(global, output)?;
    let mut client = Client::connect(global).await?;
    let mut watch = StackWatch::open(&mut client, &stack).await?;
    let before = watch.view().cloned();
    let how = StopHow { signal: None, grace_ms: args.timeout.map(|seconds| seconds.saturating_mul(1000)) };
    let Some(version) = client.remove_stack(&stack, args.volumes, how).await? else {
        output.note(&format!("there is nothing of stack `{stack}`"));
        return Ok(());
    };
    watch.reach(version).await?;

    let mut renderer = output.progress();
    let mut shown = Shown::new(before.as_ref(), args.volumes);
    loop {
        shown.update(watch.view(), renderer.as_mut());
        if watch.view().is_none() {
            break;
        }
        follow::changed(&mut watch, renderer.as_mut()).await?;
    }
    renderer.finish();
    Ok(())
}

/// What there was, as it goes.
struct Shown {
    /// Label and text of each thing by its key.
    things: BTreeMap<String, (String, String)>,
}

impl Shown {
    fn new(before: Option<&StackView>, volumes: bool) -> Self {
        let mut things = BTreeMap::new();
        if let Some(view) = before {
            for name in view.services.keys() {
                things.insert(format!("0 {name}"), (name.clone(), String::new()));
            }
            for name in view.volumes.keys().filter(|_| volumes) {
                things.insert(format!("1 {name}"), ("volume".to_owned(), name.0.clone()));
            }
            for name in view.networks.keys() {
                things.insert(format!("2 {name}"), ("network".to_owned(), name.0.clone()));
            }
        }
        Self { things }
    }

    fn update(&mut self, view: Option<&StackView>, renderer: &mut dyn Renderer) {
        for (key, (label, name)) in &self.things {
            let left = view.and_then(|view| left_of(view, key));
            let status = if left.is_some() { Status::Working } else { Status::Done };
            let word = left.unwrap_or_else(|| "removed".to_owned());
            let text = [name.as_str(), word.as_str()].join(" ").trim().to_owned();
            renderer.update(key, Step { label: label.clone(), text, note: String::new(), status });
        }
    }
}

/// What is still there of a thing; `None` when it is gone.
fn left_of(view: &StackView, key: &str) -> Option<String> {
    let (kind, name) = key.split_once(' ')?;
    match kind {
        "0" => view.services.get(name).map(|service| match service.tasks.len() {
            0 => "removing".to_owned(),
            count => format!("{count} stopping"),
        }),
        "1" => view.volumes.keys().any(|volume| volume.0 == name).then(|| "removing".to_owned()),
        _ => view.networks.keys().any(|network| network.0 == name).then(|| "removing".to_owned()),
    }
}
