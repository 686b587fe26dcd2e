//! One file per command. Each takes its flags, the global ones and the output, and says how it ended.

pub(crate) mod config;
pub(crate) mod down;
pub(crate) mod engine;
pub(crate) mod exec;
pub(crate) mod graph;
pub(crate) mod image;
pub(crate) mod images;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod state;
pub(crate) mod up;
pub(crate) mod version;

use crate::cli::{Cli, Command, Global};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::Output;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli, output: &Output) -> Outcome {
    let global = cli.global;
    match cli.command {
        Command::Config(args) => config::run(&args, &global, output),
        Command::Graph(args) => graph::run(&args, &global, output),
        Command::Engine(command) => engine::run(&command, &global, output),
        Command::Version(args) => version::run(&args, output),
        command => talk(command, &global, output),
    }
}

/// The commands that talk to an engine. Their runtime is this thread: starting more costs more than they do.
fn talk(command: Command, global: &Global, output: &Output) -> Outcome {
    if global.dry_run && !matches!(command, Command::Up(_) | Command::Create(_)) && changes(&command) {
        return Err(Failure::new("this command has no plan to print")
            .hint("`--dry-run` works with `up` and `create`, and with commands that change nothing"));
    }
    let runtime = runtime()?;
    let result = runtime.block_on(dispatch(command, global, output));
    // A thread that reads the terminal may wait for a key for ever; nobody waits for it.
    runtime.shutdown_background();
    result
}

/// A runtime for a client.
pub(crate) fn runtime() -> Outcome<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.doing(|| "cannot start".to_owned())
}

fn changes(command: &Command) -> bool {
    !matches!(
        command,
        Command::Ps(_) | Command::Logs(_) | Command::Port(_) | Command::Ls(_) | Command::Images(_)
    )
}

async fn dispatch(command: Command, global: &Global, output: &Output) -> Outcome {
    match command {
        Command::Up(args) => up::run(&args, global, output).await,
        Command::Create(args) => up::run(&args.into(), global, output).await,
        Command::Down(args) => down::run(&args, global, output).await,
        Command::Ps(args) => ps::run(&args, global, output).await,
        Command::Logs(args) => logs::run(&args, global, output).await,
        Command::Exec(args) => exec::run(&args, global, output).await,
        Command::Run(args) => run::run(&args, global, output).await,
        Command::Start(args) => state::start(&args, global, output).await,
        Command::Stop(args) => state::stop(&args, global, output).await,
        Command::Restart(args) => state::restart(&args, global, output).await,
        Command::Kill(args) => state::kill(&args, global, output).await,
        Command::Rm(args) => state::rm(&args, global, output).await,
        Command::Scale(args) => scale::run(&args, global, output).await,
        Command::Port(args) => port::run(&args, global, output).await,
        Command::Ls(args) => ls::run(&args, global, output).await,
        Command::Images(args) => images::run(&args, global, output).await,
        Command::Image(command) => image::run(&command, global, output).await,
        Command::Config(_) | Command::Graph(_) | Command::Engine(_) | Command::Version(_) => Ok(()),
    }
}
