//! `orc export`: the files of a service's container as an archive.

use std::io::IsTerminal;
use std::path::PathBuf;

use tokio::io::AsyncWriteExt;

use crate::cli::Global;
use crate::client::{self, Client};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::{Output, raw};
use crate::{pick, project};

/// Flags of `orc export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which replica
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// File to write (default: standard output)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Service
    service: String,
}

/// Writes the archive. What is mounted into the container is left out.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    if args.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::new("an archive is nothing for a terminal").hint("name a file with `--output`"));
    }
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let task = pick::container(&stack, view.as_ref(), &args.service, args.index)?.task.id.to_string();
    let mut stream = client.export(&task).await?;
    let mut file = match &args.output {
        Some(path) => {
            let created = tokio::fs::File::create(path).await;
            Some(created.doing(|| format!("cannot write `{}`", path.display()))?)
        }
        None => None,
    };
    let failed = |status: tonic::Status| client::refusal("cannot export the container", &status);
    while let Some(part) = stream.message().await.map_err(failed)? {
        match &mut file {
            Some(file) => file.write_all(&part.data).await.doing(|| "cannot write the archive".to_owned())?,
            None => raw::stdout(&part.data),
        }
    }
    match &mut file {
        Some(file) => file.flush().await.doing(|| "cannot write the archive".to_owned()),
        None => Ok(()),
    }
}
