//! `orc cp`: files between this machine and a service's containers, as archives in both directions.

use std::path::{Path, PathBuf};

use api::node::copy_part::Kind;
use api::node::{CopyPart, CopyRequest, CopyTarget, ImageBytes};
use api::parts::{Parts, Sink};
use cluster::view::{StackView, TaskView};
use runtime::copy::{Packing, Tree, only_content};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::Global;
use crate::client::{self, Client};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::{Output, raw};
use crate::pick;
use crate::project::{self, Stack};

/// Flags of `orc cp`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Into containers of `orc run` as well
    #[arg(long)]
    all: bool,
    /// Keep owners
    #[arg(short, long)]
    archive: bool,
    /// Follow the source if it is a symbolic link
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Which replica; the first to copy from, all to copy into
    #[arg(long, value_name = "NUMBER", conflicts_with = "all")]
    index: Option<u32>,
    /// `SERVICE:PATH`, a path of this machine, or `-` for an archive on standard input
    source: String,
    /// `SERVICE:PATH`, a path of this machine, or `-` for an archive on standard output
    destination: String,
}

/// Messages under way; more wait at their source.
const QUEUE: usize = 16;

/// Copies.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    match (inside(&args.source), inside(&args.destination)) {
        (Some((service, path)), None) => {
            let task = pick::container(&stack, view.as_ref(), service, args.index)?;
            copy_out(&mut client, task, path, args).await
        }
        (None, Some((service, path))) => {
            for task in targets(&stack, view.as_ref(), service, args)? {
                copy_in(&mut client, task, path, args).await?;
                output.note(&format!("{} copied to {}:{path}", args.source, task.container_name));
            }
            Ok(())
        }
        (None, None) => Err(Failure::new("neither end is in a container").hint("name one as `SERVICE:PATH`")),
        (Some(_), Some(_)) => Err(Failure::new("copying between containers is not supported")
            .hint("copy to this machine first, or through a pipe: `orc cp A:/x - | orc cp - B:/`")),
    }
}

/// Service and path of `SERVICE:PATH`; a path of this machine may contain a colon after a slash.
fn inside(text: &str) -> Option<(&str, &str)> {
    let (service, path) = text.split_once(':')?;
    (!service.is_empty() && !service.contains('/') && !service.starts_with('.')).then_some((service, path))
}

/// Every container of a service, as docker compose has it, or the one that is meant.
fn targets<'a>(
    stack: &Stack,
    view: Option<&'a StackView>,
    service: &str,
    args: &Args,
) -> Outcome<Vec<&'a TaskView>> {
    let is_service = view.is_some_and(|view| view.services.contains_key(service));
    if args.index.is_some() || !(args.all || is_service) {
        return Ok(vec![pick::container(stack, view, service, args.index)?]);
    }
    let names = [service.to_owned()];
    let found = match args.all {
        true => pick::with_one_offs(stack, view, &names)?,
        false => pick::services(stack, view, &names)?,
    };
    let tasks = found.into_iter().flat_map(|(_, service)| service.tasks.values());
    let tasks: Vec<_> = tasks.filter(|task| task.task.container().is_some()).collect();
    match tasks.len() {
        0 => Err(Failure::new(format!("service `{service}` has no container")).hint("`orc ps -a` says why")),
        2.. if args.source == "-" => Err(Failure::new("standard input can be read only once")
            .hint("say which replica is meant, with `--index`")),
        _ => Ok(tasks),
    }
}

async fn copy_out(client: &mut Client, task: &TaskView, path: &str, args: &Args) -> Outcome {
    let doing = || format!("cannot copy `{}`", args.source);
    let request =
        CopyRequest { task: task.task.id.to_string(), path: path.to_owned(), follow: args.follow_link };
    let mut stream = client.copy_out(request).await?;
    let failed = |status: tonic::Status| client::refusal(&doing(), &status);
    if args.destination == "-" {
        while let Some(ImageBytes { data }) = stream.message().await.map_err(failed)? {
            raw::stdout(&data);
        }
        return Ok(());
    }
    let (bytes, receiver) = mpsc::channel(QUEUE);
    let (content, to) = (only_content(Path::new(path)), absolute(&args.destination)?);
    let owner =
        (!args.archive).then(|| (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
    let unpacking = tokio::task::spawn_blocking(move || {
        Tree::open(Path::new("/"))?.unpack(&to, content, owner, Parts::new(receiver))
    });
    let mut sent = Ok(());
    loop {
        match stream.message().await {
            Ok(Some(ImageBytes { data })) => {
                if bytes.send(data).await.is_err() {
                    // Whoever unpacks has hung up, and says why below.
                    break;
                }
            }
            Ok(None) => break,
            Err(status) => {
                sent = Err(failed(status));
                break;
            }
        }
    }
    drop(bytes);
    let unpacked = unpacking.await.doing(doing)?;
    sent?;
    unpacked.doing(doing)
}

async fn copy_in(client: &mut Client, task: &TaskView, path: &str, args: &Args) -> Outcome {
    let doing = || format!("cannot copy `{}`", args.source);
    let from_pipe = args.source == "-";
    let source = if from_pipe { PathBuf::new() } else { absolute(&args.source)? };
    let target = CopyTarget {
        task: task.task.id.to_string(),
        path: path.to_owned(),
        content: from_pipe || only_content(Path::new(&args.source)),
        keep_owner: args.archive,
    };
    let (parts, receiver) = mpsc::channel(QUEUE);
    // The channel is new and has room.
    let _ = parts.try_send(CopyPart { kind: Some(Kind::Target(target)) });
    let packing = Packing { follow: args.follow_link, ..Packing::default() };
    let packed = tokio::task::spawn_blocking(move || {
        let mut sink = Sink::new(parts, |data| CopyPart { kind: Some(Kind::Data(data)) });
        if from_pipe {
            std::io::copy(&mut std::io::stdin().lock(), &mut sink)
                .doing(|| "cannot read the archive".to_owned())?;
        } else {
            let tree = Tree::open(Path::new("/")).doing(|| "cannot open `/`".to_owned())?;
            tree.pack(&source, packing, &mut sink).doing(|| format!("cannot copy `{}`", source.display()))?;
        }
        std::io::Write::flush(&mut sink).doing(|| "cannot send the archive".to_owned())
    });
    let copied = client.copy_in(ReceiverStream::new(receiver)).await;
    let packed = packed.await.doing(doing)?;
    // What broke at the other end is the reason why this end could not send.
    match copied {
        Err(failure) if packed.is_ok() => Err(failure),
        Err(failure) if matches!(&packed, Err(Failure::Problem(p)) if p.causes.iter().any(|c| c.contains("pipe"))) => {
            Err(failure)
        }
        _ => packed,
    }
}

/// A path of this machine from the root. Its end is kept as it is: `/.` and `/` at the end mean something.
fn absolute(path: &str) -> Outcome<PathBuf> {
    let here = std::env::current_dir().doing(|| "cannot find the current folder".to_owned())?;
    // Joining keeps the text of what is joined.
    Ok(here.join(path))
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn a_path_in_a_container_begins_with_a_service() {
        let check = |text: &str, expect: Option<(&str, &str)>| assert_eq!(inside(text), expect, "{text}");
        check("web:/etc/hosts", Some(("web", "/etc/hosts")));
        check("web:etc", Some(("web", "etc")));
        check("./a:b", None);
        check("/a:b", None);
        check("a", None);
        check("-", None);
        check(":/x", None);
    }
}
