//! `orc version`.

use serde_json::json;

use super::ps::Format;
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
    format: Format,
}

/// Prints the program's own version; `orc engine status` prints the engine's.
pub(crate) fn run(args: &Args, output: &Output) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    output.line(&match (args.short, args.format) {
        (true, _) => version.to_owned(),
        (false, Format::Json) => json!({"version": version}).to_string(),
        (false, Format::Table) => format!("orc version {version}"),
    });
    Ok(())
}
