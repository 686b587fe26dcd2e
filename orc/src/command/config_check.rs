//! `orc config --check`: what a file needs beside itself, and what `up` would refuse, with places (ours alone).

use compose_spec::{Loaded, Requirement, Support, Target};
use serde_json::json;

use super::config::Format;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::output::table::Table;

/// What the file is to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RunsOn {
    /// One machine
    #[default]
    Node,
    /// Several machines, any of which may get a task
    Cluster,
}

impl From<RunsOn> for Target {
    fn from(on: RunsOn) -> Self {
        match on {
            RunsOn::Node => Self::Node,
            RunsOn::Cluster => Self::Cluster,
        }
    }
}

/// Prints the list; fails if something on it is refused.
pub(crate) fn run(loaded: &Loaded, format: Format, output: &Output) -> Outcome {
    let found = &loaded.requirements;
    output.data(&match format {
        Format::Json => as_json(loaded, found)?,
        Format::Yaml => as_table(loaded, found),
    });
    if found.iter().any(|requirement| requirement.support.is_refused()) {
        Err(Failure::Exit(1))
    } else {
        Ok(())
    }
}

fn as_table(loaded: &Loaded, found: &[Requirement]) -> String {
    let mut text = String::new();
    if found.is_empty() {
        text.push_str("all attributes are honoured\n");
    } else {
        let mut table = Table::new(&["PLACE", "ATTRIBUTE", "STATUS", "REASON"]);
        for requirement in found {
            let (status, reason) = in_words(requirement.support);
            let span = requirement.span;
            let place = format!("{}:{}:{}", loaded.sources.shown(span.file), span.line, span.column);
            table.row([place, requirement.attribute.clone(), status.to_owned(), reason.to_owned()]);
        }
        text.push_str(&table.render());
    }
    for path in loaded.files_outside() {
        text.push_str(&format!("reads {}, which is outside of the project's folder\n", path.display()));
    }
    text
}

fn as_json(loaded: &Loaded, found: &[Requirement]) -> Outcome<String> {
    let rows: Vec<_> = found
        .iter()
        .map(|requirement| {
            let (status, reason) = in_words(requirement.support);
            json!({
                "attribute": requirement.attribute,
                "status": status,
                "reason": reason,
                "file": loaded.sources.shown(requirement.span.file),
                "line": requirement.span.line,
                "column": requirement.span.column,
            })
        })
        .collect();
    let outside: Vec<_> = loaded.files_outside().map(|path| path.display().to_string()).collect();
    super::config::encode(&json!({ "attributes": rows, "files_outside": outside }))
}

fn in_words(support: Support) -> (&'static str, &'static str) {
    match support {
        Support::Honoured => ("honoured", ""),
        Support::Requires(what) => ("requires", what),
        Support::Needs(what) => ("not yet", what),
        Support::Refused(why) => ("refused", why),
    }
}
