//! `orc attach`: the console of a service's own process.

use api::node::ExecStart;
use clap::ArgAction::Set;

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::session::{self, Kind, Session};
use crate::{pick, project, terminal};

/// Flags of `orc attach`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keys that leave the process alone: characters or `ctrl-` and a letter, with commas between
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
    /// Which replica
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Do not pass on what is typed
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the process
    #[arg(long, action = Set, default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    sig_proxy: bool,
    /// Service
    service: String,
}

/// Follows the process until it ends, and ends with its exit code.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let keys = session::detach_keys(&args.detach_keys)?;
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let task = pick::running(&stack, view.as_ref(), &args.service, args.index)?;
    let compose = &task.task.spec.compose;
    let tty = compose.tty && terminal::interactive();
    let start = ExecStart {
        task: task.task.id.to_string(),
        tty,
        size: terminal::size().filter(|_| tty),
        stdin: !args.no_stdin && (compose.stdin_open || compose.tty),
        ..ExecStart::default()
    };
    let session = Session::open(&client, Kind::Attach, start).await?;
    match session.talk_or_detach(&keys, args.sig_proxy).await? {
        Some(code) => session::carry(code),
        None => {
            output.note("\ndetached; the process goes on");
            Ok(())
        }
    }
}
