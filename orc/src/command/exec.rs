//! `orc exec`: a command in a running container.

use api::node::ExecStart;

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::session::{self, Kind, Session};
use crate::{pick, project, terminal};

/// Flags of `orc exec`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Start it and do not stay
    #[arg(short, long)]
    detach: bool,
    /// Environment variable: `NAME=VALUE`, or `NAME` for the caller's own
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Which replica
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Without a terminal, which is otherwise there when the caller has one
    #[arg(short = 'T', long = "no-tty", visible_alias = "no-TTY")]
    no_tty: bool,
    /// With every right of root
    #[arg(long)]
    privileged: bool,
    /// User and group, as names or numbers
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Folder to run in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Keep standard input open (always done)
    #[arg(short, long, hide = true)]
    interactive: bool,
    /// With a terminal (the default where there is one)
    #[arg(short, long, hide = true)]
    tty: bool,
    /// Service
    service: String,
    /// Command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs a command and ends with its exit code.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let task = pick::running(&stack, view.as_ref(), &args.service, args.index)?;
    let tty = !args.no_tty && !args.detach && terminal::interactive();
    let start = ExecStart {
        task: task.task.id.to_string(),
        args: args.command.clone(),
        env: environment(&args.env),
        user: args.user.clone(),
        working_dir: args.workdir.clone(),
        tty,
        size: terminal::size().filter(|_| tty),
        stdin: !args.detach,
        privileged: args.privileged,
        detached: args.detach,
        ..ExecStart::default()
    };
    let session = Session::open(&client, Kind::Exec, start).await?;
    if args.detach {
        return Ok(());
    }
    session::carry(session.talk().await?)
}

/// `NAME=VALUE` as it is, `NAME` with the caller's value if there is one.
pub(crate) fn environment(given: &[String]) -> Vec<String> {
    let value = |text: &String| match text.contains('=') {
        true => Some(text.clone()),
        false => Some(format!("{text}={}", std::env::var(text).ok()?)),
    };
    given.iter().filter_map(value).collect()
}
