//! The command line. Names, flags and their meaning are those of `docker compose`, so that fingers and
//! scripts need not learn anything; what is ours alone says so in its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{
    completion, config, down, engine, exec, graph, image, images, logs, ls, port, ps, run, scale, state, up,
    version, why,
};
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

/// Runs Compose files: a wish that is kept, on one machine or on many.
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
    /// Print what would be done, and do nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Things done at once at most (the engine decides)
    #[arg(long, value_name = "NUMBER", global = true, hide = true, allow_negative_numbers = true)]
    pub(crate) parallel: Option<i64>,
    /// Names as docker-compose 1 made them (not supported)
    #[arg(long, global = true, hide = true)]
    pub(crate) compatibility: bool,
    /// Networks and volumes that no service uses, too (not supported yet)
    #[arg(long, global = true, hide = true)]
    pub(crate) all_resources: bool,
    /// Called as `docker-compose` or `orc compose`: people expect its tables.
    #[arg(skip)]
    pub(crate) as_compose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and start the stack's containers
    Up(up::Args),
    /// Create the stack's containers without starting them
    Create(up::CreateArgs),
    /// Print what `up` would do and why; ends with code 2 when that is something
    Plan(up::PlanArgs),
    /// Stop and remove the stack's containers and networks
    Down(down::Args),
    /// List the stack's containers
    Ps(ps::Args),
    /// Tell why services are as they are: from the wish to the last lines of the log
    Why(why::Args),
    /// Show the output of containers
    Logs(logs::Args),
    /// Run a command in a running container
    Exec(exec::Args),
    /// Run a one-off command in a container of its own
    Run(run::Args),
    /// Start services
    Start(state::StartArgs),
    /// Stop services
    Stop(state::StopArgs),
    /// Restart services
    Restart(state::RestartArgs),
    /// Kill services with a signal
    Kill(state::KillArgs),
    /// Remove stopped containers
    Rm(state::RmArgs),
    /// Set the number of replicas
    Scale(scale::Args),
    /// Print the public address of a container's port
    Port(port::Args),
    /// List stacks
    Ls(ls::Args),
    /// List the images of the stack's containers
    Images(images::Args),
    /// Check the Compose file and print it in its canonical form
    #[command(alias = "convert")]
    Config(Box<config::Args>),
    /// Draw the services and what they depend on
    Graph(graph::Args),
    /// Manage the images on this machine
    #[command(subcommand)]
    Image(image::Command),
    /// Look after the engine, which other commands start by themselves
    #[command(subcommand)]
    Engine(engine::Command),
    /// Print versions
    Version(version::Args),
    /// Print a completion script: `source <(orc completion bash)`
    Completion(completion::Args),
    /// Print or write manual pages: `orc man | man -l -`
    Man(completion::ManArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_of_every_command_make_sense() {
        Cli::command().debug_assert();
        let check = |line: &str| {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        };
        check("orc -f a.yaml -f b.yaml -p shop --profile x config --profiles");
        check("orc config --format json --no-interpolate web --env-file .env");
        check("orc up -d --wait --scale web=3 --dry-run");
        check("orc logs -f -n 10 -t --since 5m web");
        check("orc exec -T -u 1000 -w / -e A=b web demo get -x http://store/");
        check("orc run --rm -e A=b web demo -f -d");
        check("orc image save -o x.tar a b");
        check("orc kill -s TERM web");
    }
}
