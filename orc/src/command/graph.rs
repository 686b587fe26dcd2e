//! `orc graph`: the services and what they depend on, as a drawing (ours alone).

use compose_spec::DependencyGraph;

use crate::cli::Global;
use crate::failure::Outcome;
use crate::output::Output;
use crate::project;

/// Flags of `orc graph`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Language of the drawing
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Services to draw, with what they depend on (default: all)
    services: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// Text, each service above what it depends on
    #[default]
    Tree,
    /// Graphviz
    Dot,
    /// Mermaid, which renders in Markdown on many sites
    Mermaid,
}

/// Prints the drawing.
pub(crate) fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let loaded = project::load(&project::request(global, &args.services)?, output)?;
    let graph = DependencyGraph::new(project::project(&loaded)?);
    output.data(&match args.format {
        Format::Tree => graph.tree(),
        Format::Dot => graph.dot(),
        Format::Mermaid => graph.mermaid(),
    });
    Ok(())
}
