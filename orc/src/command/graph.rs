//! `orc graph`: the services and what they depend on, as a drawing (ours alone).

use compose_spec::{Condition, Project};

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
    /// Graphviz
    #[default]
    Dot,
    /// Mermaid, which renders in Markdown on many sites
    Mermaid,
}

/// Prints the drawing.
pub(crate) fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let loaded = project::load(&project::request(global, &args.services)?, output)?;
    let project = project::project(&loaded)?;
    output.data(&match args.format {
        Format::Dot => dot(project),
        Format::Mermaid => mermaid(project),
    });
    Ok(())
}

fn edges(project: &Project) -> impl Iterator<Item = (&str, &str, &'static str)> {
    project.services.iter().flat_map(|(from, service)| {
        service.depends_on.iter().map(move |(to, dependency)| {
            let label = match dependency.condition {
                Condition::Started => "started",
                Condition::Healthy => "healthy",
                Condition::CompletedSuccessfully => "completed",
            };
            (from.as_str(), to.as_str(), label)
        })
    })
}

/// Service names hold no quotes or backslashes, so that they need no escapes.
fn dot(project: &Project) -> String {
    let mut text = format!("digraph \"{}\" {{\n", project.name);
    for name in project.services.keys() {
        text.push_str(&format!("  \"{name}\"\n"));
    }
    for (from, to, label) in edges(project) {
        text.push_str(&format!("  \"{from}\" -> \"{to}\" [label=\"{label}\"]\n"));
    }
    text.push_str("}\n");
    text
}

fn mermaid(project: &Project) -> String {
    let ids: std::collections::BTreeMap<&str, usize> =
        project.services.keys().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let mut text = String::from("flowchart LR\n");
    for (name, id) in &ids {
        text.push_str(&format!("  s{id}[\"{name}\"]\n"));
    }
    for (from, to, label) in edges(project) {
        if let (Some(from), Some(to)) = (ids.get(from), ids.get(to)) {
            text.push_str(&format!("  s{from} -- {label} --> s{to}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_say_what_is_waited_for() {
        let json = r#"{"name": "shop", "services": {"db": {}, "web": {"depends_on": {"db": {"condition": "service_healthy"}}}}}"#;
        let project: Project = serde_json::from_str(json).unwrap();
        assert_eq!(
            dot(&project),
            "digraph \"shop\" {\n  \"db\"\n  \"web\"\n  \"web\" -> \"db\" [label=\"healthy\"]\n}\n"
        );
        assert_eq!(mermaid(&project), "flowchart LR\n  s0[\"db\"]\n  s1[\"web\"]\n  s1 -- healthy --> s0\n");
    }
}
