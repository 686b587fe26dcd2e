//! `orc images`: what the stack's containers were made from.

use std::collections::{BTreeMap, BTreeSet};

use api::node::Image;
use cluster::Timestamp;
use serde_json::{Value, json};

use super::ps;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::form::Form;
use crate::output::table::Table;
use crate::{pick, project};

/// Flags of `orc images`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only print ids
    #[arg(short, long)]
    quiet: bool,
    /// Form of the output: table, json, or a Go template like `{{.ID}}` or `table {{.ID}}`
    #[arg(long, value_name = "FORM", default_value = "table", value_parser = Form::parse)]
    format: Form,
    /// Services (default: all)
    services: Vec<String>,
}

/// Prints a line for each container.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let images = client.images(None).await?;
    let by_id: BTreeMap<&str, &Image> = images.iter().map(|image| (image.id.as_str(), image)).collect();
    let mut uses = Vec::new();
    for (_, service) in pick::services(&stack, view.as_ref(), &args.services)? {
        for task in service.tasks.values() {
            let Some(container) = task.task.container().filter(|c| !c.image.is_empty()) else { continue };
            let name = task.task.spec.compose.image.as_deref().unwrap_or_default();
            let image = by_id.get(container.image.as_str()).copied();
            uses.push(Use { container: &task.container_name, id: &container.image, name, image });
        }
    }
    uses.sort_by_key(|used| used.container);
    if args.quiet {
        let ids: BTreeSet<&str> = uses.iter().map(|used| used.id).collect();
        ids.into_iter().for_each(|id| output.line(id.strip_prefix("sha256:").unwrap_or(id)));
        return Ok(());
    }
    match &args.format {
        Form::Json => output.line(&uses.iter().map(Use::object).collect::<Value>().to_string()),
        Form::Template(template) => {
            output.data(&template.render(&uses.iter().map(Use::object).collect::<Vec<_>>())?);
        }
        Form::Table => output.data(&table(&uses).render()),
    }
    Ok(())
}

fn table(uses: &[Use<'_>]) -> Table {
    let mut table = Table::new(&["CONTAINER", "REPOSITORY", "TAG", "IMAGE ID", "SIZE"]);
    for used in uses {
        let (repository, tag) = repository_and_tag(used.name);
        let (id, size) = (super::image::short(used.id), bytes(used.size()));
        table.row([used.container.to_owned(), repository.to_owned(), tag.to_owned(), id, size]);
    }
    table
}

/// A container and what it was made from.
struct Use<'a> {
    container: &'a str,
    id: &'a str,
    /// As the file names it.
    name: &'a str,
    /// `None` when it was removed meanwhile.
    image: Option<&'a Image>,
}

impl Use<'_> {
    fn size(&self) -> u64 {
        self.image.map_or(0, |image| image.size_bytes)
    }

    /// With the fields of docker compose.
    fn object(&self) -> Value {
        let (repository, tag) = repository_and_tag(self.name);
        let created = self.image.map(|image| image.created_at_ms).filter(|at| *at > 0);
        json!({
            "ID": self.id,
            "ContainerName": self.container,
            "Repository": repository,
            "Tag": tag,
            "Platform": format!("linux/{}", architecture()),
            "Size": self.size(),
            "Created": created.map(|at| ps::time(Timestamp(at))),
        })
    }
}

/// This machine's architecture in the words of images: only such images are pulled.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `redis` and `alpine` of `redis:alpine`; a digest counts for nothing, and `latest` is what no tag means.
pub(crate) fn repository_and_tag(name: &str) -> (&str, &str) {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// A size as people read it: `5.1 MiB`.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = size;
    let mut tenths = 0;
    let mut unit = 0;
    while value >= 1024 && unit < UNITS.len() - 1 {
        tenths = value % 1024 * 10 / 1024;
        value /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{value} B") } else { format!("{value}.{tenths} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::{bytes, repository_and_tag};

    #[test]
    fn names_have_a_repository_and_a_tag() {
        let check = |name: &str, repository: &str, tag: &str| {
            assert_eq!(repository_and_tag(name), (repository, tag), "{name}");
        };
        check("redis", "redis", "latest");
        check("redis:alpine", "redis", "alpine");
        check("localhost:5000/a/b", "localhost:5000/a/b", "latest");
        check("localhost:5000/a/b:1@sha256:00", "localhost:5000/a/b", "1");
    }

    #[test]
    fn sizes_are_in_the_largest_unit_that_fits() {
        let check = |size: u64, expect: &str| assert_eq!(bytes(size), expect);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1536, "1.5 KiB");
        check(5 * 1024 * 1024 + 100_000, "5.0 MiB");
        check(u64::MAX, "16777215.9 TiB");
    }
}
