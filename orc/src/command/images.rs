//! `orc images`: what the stack's containers were made from.

use std::collections::BTreeMap;

use api::node::Image;
use serde_json::json;

use super::ps::Format;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::table::Table;
use crate::{pick, project};

/// Flags of `orc images`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only print ids
    #[arg(short, long)]
    quiet: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Services (default: all)
    services: Vec<String>,
}

/// Prints a line for each container.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack_name(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack).await?;
    let images = client.images(None).await?;
    let by_id: BTreeMap<&str, &Image> = images.iter().map(|image| (image.id.as_str(), image)).collect();
    let mut table = Table::new(&["CONTAINER", "IMAGE", "ID", "SIZE"]);
    for (_, service) in pick::services(view.as_ref(), &args.services)? {
        for task in service.tasks.values() {
            let Some(container) = task.task.container() else { continue };
            let name = task.task.spec.compose.image.clone().unwrap_or_default();
            let size = by_id.get(container.image.as_str()).map_or(0, |image| image.size_bytes);
            if args.quiet {
                output.line(&container.image);
            } else if args.format == Format::Json {
                let object = json!({
                    "ContainerName": task.container_name, "Repository": name, "ID": container.image, "Size": size,
                });
                output.line(&object.to_string());
            } else {
                table.row([
                    task.container_name.clone(),
                    name,
                    super::image::short(&container.image),
                    bytes(size),
                ]);
            }
        }
    }
    if !args.quiet && args.format == Format::Table {
        output.data(&table.render());
    }
    Ok(())
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
    use super::bytes;

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
