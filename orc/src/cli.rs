//! The command line. Names, flags and their meaning are those of `docker compose`, so that fingers and
//! scripts need not learn anything; what is ours alone says so in its help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command::{
    attach, commit, completion, config, cp, down, engine, events, exec, export, graph, image, images, kill,
    logs, ls, pause, port, ps, pull, run, scale, state, stats, top, up, version, volumes, wait, why,
};
use crate::lazy::Lazy;
use crate::output::{Ansi, ProgressMode};

/// What most days need.
const EVERYDAY: &str = "\
Everyday:
  orc up -d       make it so; again: only what changed in the file is replaced
  orc ps          what runs; why something does not
  orc why WEB     how `WEB` has come to where it is
  orc logs -f     what the containers say
  orc plan        what `orc up` would do, and why
  orc down        nothing of it is left, but for named volumes";

/// Runs Compose files on this machine: a wish that is kept.
#[derive(Debug, Parser)]
#[command(name = "orc", version, disable_help_subcommand = true, arg_required_else_help = true)]
#[command(after_help = EVERYDAY)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Compose file; several are merged in order, `-` is standard input
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Project name
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project_name: Option<String>,
    /// Folder that relative paths start from (default: that of the first Compose file)
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) project_directory: Option<PathBuf>,
    /// Enable a profile; `*` enables all
    #[arg(long = "profile", value_name = "NAME", global = true)]
    pub(crate) profiles: Vec<String>,
    /// File with variables for interpolation (default: `.env`)
    #[arg(long = "env-file", value_name = "FILE", global = true)]
    pub(crate) env_files: Vec<PathBuf>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, env = "COMPOSE_PROGRESS", hide_env = true, global = true)]
    pub(crate) progress: ProgressMode,
    /// When colours and cursor movements are used
    #[arg(long, value_enum, default_value_t, env = "COMPOSE_ANSI", hide_env = true, global = true)]
    pub(crate) ansi: Ansi,
    /// Folder of the engine's data; each has an engine of its own
    #[arg(long, value_name = "DIR", env = "ORC_DATA_DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    // Shown only where there is a plan to print: see `command`.
    #[arg(long, global = true, hide = true)]
    pub(crate) dry_run: bool,
    /// Things done at once at most (the engine decides)
    #[arg(long, value_name = "NUMBER", global = true, hide_short_help = true, allow_negative_numbers = true)]
    pub(crate) parallel: Option<i64>,
    /// Names as docker-compose 1 made them (not made: a warning says so)
    #[arg(long, global = true, hide_short_help = true, env = "COMPOSE_COMPATIBILITY", hide_env = true, value_parser = FalseyValueParser::new())]
    pub(crate) compatibility: bool,
    /// Show more (does nothing: what is worth knowing is said)
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) verbose: bool,
    /// Networks and volumes that no service uses, too
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) all_resources: bool,
    /// Called as `docker-compose` or `orc compose`: people expect its tables.
    #[arg(skip)]
    pub(crate) as_compose: bool,
}

/// The commands that print a plan with `--dry-run`.
const PLANNED: [&str; 11] =
    ["create", "down", "kill", "pause", "restart", "rm", "scale", "start", "stop", "unpause", "up"];

/// The command line as a value.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| {
        if !PLANNED.contains(&command.get_name()) {
            return command;
        }
        // Of the same name as the global one, whose place it takes.
        let help = "Print what would be done, and do nothing";
        command.arg(Arg::new("dry_run").long("dry-run").action(ArgAction::SetTrue).help(help))
    })
}

/// Reads a command line, the program's name first.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches_mut(&mut command().try_get_matches_from(words)?)
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and start the stack's containers
    Up(Lazy<up::Args>),
    /// Create the stack's containers without starting them
    Create(Lazy<up::CreateArgs>),
    /// Print what `up` would do and why; ends with code 2 when that is something
    Plan(Lazy<up::PlanArgs>),
    /// Stop and remove the stack's containers and networks
    Down(Lazy<down::Args>),
    /// List the stack's containers
    Ps(Lazy<ps::Args>),
    /// Tell why services are as they are: from the wish to the last lines of the log
    Why(Lazy<why::Args>),
    /// Show the output of containers
    Logs(Lazy<logs::Args>),
    /// Run a command in a running container
    Exec(Lazy<exec::Args>),
    /// Run a one-off command in a container of its own
    Run(Lazy<run::Args>),
    /// Start services
    Start(Lazy<state::StartArgs>),
    /// Stop services
    Stop(Lazy<state::StopArgs>),
    /// Restart services
    Restart(Lazy<state::RestartArgs>),
    /// Kill services with a signal
    Kill(Lazy<kill::Args>),
    /// Remove stopped containers
    Rm(Lazy<state::RmArgs>),
    /// Follow a service's own process
    Attach(Lazy<attach::Args>),
    /// Make an image of a container
    Commit(Lazy<commit::Args>),
    /// Copy files between this machine and a container
    Cp(Lazy<cp::Args>),
    /// Show what happens to containers, as it happens
    Events(Lazy<events::Args>),
    /// Write a container's files as an archive
    Export(Lazy<export::Args>),
    /// Stop the clock of services
    Pause(Lazy<pause::Args>),
    /// Start the clock of services again
    Unpause(Lazy<pause::Args>),
    /// Pull the images of services
    Pull(Lazy<pull::Args>),
    /// Show what containers use
    Stats(Lazy<stats::Args>),
    /// List the processes in containers
    Top(Lazy<top::Args>),
    /// List the stack's volumes
    Volumes(Lazy<volumes::Args>),
    /// Wait until the first of some services has ended
    Wait(Lazy<wait::Args>),
    /// Set the number of replicas
    Scale(Lazy<scale::Args>),
    /// Print the public address of a container's port
    Port(Lazy<port::Args>),
    /// List stacks
    Ls(Lazy<ls::Args>),
    /// List the images of the stack's containers
    Images(Lazy<images::Args>),
    /// Check the Compose file and print it in its canonical form
    #[command(alias = "convert")]
    Config(Lazy<config::Args>),
    /// Draw the services and what they depend on
    Graph(Lazy<graph::Args>),
    /// Manage the images on this machine
    #[command(subcommand)]
    Image(image::Command),
    /// Look after the engine, which other commands start by themselves
    #[command(subcommand)]
    Engine(engine::Command),
    /// Print versions
    Version(Lazy<version::Args>),
    /// Print a completion script: `source <(orc completion bash)`
    Completion(Lazy<completion::Args>),
    /// Print or write manual pages: `orc man | man -l -`
    Man(Lazy<completion::ManArgs>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_every_command_make_sense() {
        command().debug_assert();
        let check = |line: &str| {
            let parsed = parse(line.split(' ').map(OsString::from));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            assert_eq!(parsed.unwrap().global.dry_run, line.contains("--dry-run"), "{line}");
        };
        check("orc --dry-run create web");
        check("orc run --rm -i=false -p 80:80 -v a:/b --cap-add ALL web demo -f -d --dry");
        check("orc cp -aL web:/x -");
        check("orc attach --sig-proxy=false --detach-keys ctrl-a web");
        check("orc -f a.yaml -f b.yaml -p shop --profile x config --profiles");
        check("orc config --format json --no-interpolate web --env-file .env");
        check("orc up -d --wait --scale web=3 --dry-run");
        check("orc logs -f -n 10 -t --since 5m web");
        check("orc exec -T -u 1000 -w / -e A=b web demo get -x http://store/");
        check("orc run --rm -e A=b web demo -f -d");
        check("orc image save -o x.tar a b");
        check("orc kill -s TERM web");
    }

    #[test]
    fn a_plan_is_offered_where_there_is_one() {
        for mut command in command().get_subcommands().cloned() {
            let offered = command.render_long_help().to_string().contains("--dry-run");
            assert_eq!(offered, PLANNED.contains(&command.get_name()), "{}", command.get_name());
        }
    }
}
