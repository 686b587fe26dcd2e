//! `orc version`.

use serde_json::json;

use crate::cli::Global;
use crate::failure::Outcome;
use crate::output::Output;

/// Flags of `orc version`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the number
    #[arg(long)]
    short: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    format: Form,
}

/// Form of the output, in docker compose's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A line for people.
    #[default]
    #[value(alias = "table")]
    Pretty,
    /// An object for programs.
    Json,
}

/// The generation of docker compose whose commands and flags these are.
const COMPOSE: &str = "5.5.0";

/// Prints the program's own version; `orc engine status` prints the engine's.
pub(crate) fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let own = env!("CARGO_PKG_VERSION");
    // Scripts that call `docker-compose` look for a number to compare; what follows the plus is not compared.
    let (name, mark, version) = match global.as_compose {
        true => ("Docker Compose", "v", format!("{COMPOSE}+orc-{own}")),
        false => ("orc", "", own.to_owned()),
    };
    output.line(&match (args.short, args.format) {
        (true, _) => version,
        (false, Form::Json) => json!({"version": format!("{mark}{version}")}).to_string(),
        (false, Form::Pretty) => format!("{name} version {mark}{version}"),
    });
    Ok(())
}
