//! One file per command. Each takes its flags, the global ones and the output, and says how it ended.

pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod config_check;
mod config_pin;
pub(crate) mod cp;
pub(crate) mod down;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod graph;
pub(crate) mod image;
pub(crate) mod images;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod pull;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod volumes;
pub(crate) mod wait;
pub(crate) mod why;

use crate::cli::{Cli, Command, Global};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::Output;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli, output: &Output) -> Outcome {
    let global = &cli.global;
    refuse_without_plan(&cli.command, global)?;
    warn_of_flags(global, output);
    match cli.command {
        Command::Config(args) => config::run(&args, global, output),
        Command::Graph(args) => graph::run(&args, global, output),
        Command::Engine(command) => engine::run(&command, global, output),
        Command::Version(args) => version::run(&args, global, output),
        Command::Completion(args) => {
            completion::run(&args, output);
            Ok(())
        }
        Command::Man(args) => completion::man(&args, output),
        Command::Up(args) => talk(up::run(&args, global, output)),
        Command::Plan(args) => talk(up::plan(args.into_inner(), global, output)),
        Command::Why(args) => talk(why::run(&args, global, output)),
        Command::Create(args) => talk(up::run(&args.into_inner().into(), global, output)),
        Command::Down(args) => talk(down::run(&args, global, output)),
        Command::Ps(args) => talk(ps::run(&args, global, output)),
        Command::Logs(args) => talk(logs::run(&args, global, output)),
        Command::Exec(args) => talk(exec::run(&args, global, output)),
        Command::Run(args) => talk(run::run(&args, global, output)),
        Command::Start(args) => talk(state::start(&args, global, output)),
        Command::Stop(args) => talk(state::stop(&args, global, output)),
        Command::Restart(args) => talk(state::restart(&args, global, output)),
        Command::Kill(args) => talk(kill::run(&args, global, output)),
        Command::Rm(args) => talk(state::rm(&args, global, output)),
        Command::Attach(args) => talk(attach::run(&args, global, output)),
        Command::Commit(args) => talk(commit::run(&args, global, output)),
        Command::Cp(args) => talk(cp::run(&args, global, output)),
        Command::Events(args) => talk(events::run(&args, global, output)),
        Command::Export(args) => talk(export::run(&args, global, output)),
        Command::Pause(args) => talk(pause::run(&args, true, global, output)),
        Command::Unpause(args) => talk(pause::run(&args, false, global, output)),
        Command::Pull(args) => talk(pull::run(&args, global, output)),
        Command::Stats(args) => talk(stats::run(&args, global, output)),
        Command::Top(args) => talk(top::run(&args, global, output)),
        Command::Volumes(args) => talk(volumes::run(&args, global, output)),
        Command::Wait(args) => talk(wait::run(&args, global, output)),
        Command::Scale(args) => talk(scale::run(&args, global, output)),
        Command::Port(args) => talk(port::run(&args, global, output)),
        Command::Ls(args) => talk(ls::run(&args, global, output)),
        Command::Images(args) => talk(images::run(&args, global, output)),
        Command::Image(command) => talk(image::run(&command, global, output)),
    }
}

/// A command that would change something although only a plan was asked for must not run.
fn refuse_without_plan(command: &Command, global: &Global) -> Outcome {
    use Command::{
        Completion, Config, Create, Down, Events, Graph, Images, Kill, Logs, Ls, Man, Pause, Plan, Port, Ps,
        Restart, Rm, Scale, Start, Stats, Stop, Top, Unpause, Up, Version, Volumes, Wait, Why,
    };
    let planned = matches!(command, Create(_) | Down(_) | Plan(_) | Scale(_) | Up(_))
        || matches!(command, Kill(_) | Pause(_) | Restart(_) | Rm(_) | Start(_) | Stop(_) | Unpause(_));
    let looks = match command {
        Events(_) | Images(_) | Logs(_) | Ls(_) | Port(_) | Ps(_) | Stats(_) | Top(_) => true,
        Volumes(_) | Why(_) => true,
        Wait(args) => !args.down_project,
        _ => false,
    };
    let reads = matches!(command, Completion(_) | Config(_) | Graph(_) | Man(_) | Version(_));
    if !global.dry_run || planned || looks || reads {
        return Ok(());
    }
    Err(Failure::new("this command has no plan to print").hint(
        "`--dry-run` works with `up`, `down` and commands like `stop`, and with those that change nothing",
    ))
}

/// Of flags of docker compose that change nothing here it is said that they do not.
fn warn_of_flags(global: &Global, output: &Output) {
    if global.compatibility {
        output.warning(
            "`--compatibility` changes nothing: containers are named STACK-SERVICE-NUMBER; `container_name` \
             names one otherwise",
        );
    }
}

/// Talks to an engine. The runtime is this thread: starting more costs more than they do.
fn talk(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = runtime()?;
    let result = runtime.block_on(command);
    // A thread that reads the terminal may wait for a key for ever; nobody waits for it.
    runtime.shutdown_background();
    result
}

/// A runtime for a client.
pub(crate) fn runtime() -> Outcome<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.doing(|| "cannot start".to_owned())
}
