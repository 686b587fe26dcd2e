//! `orc volumes`: the volumes of a stack, which outlive its containers.

use std::collections::BTreeSet;

use serde_json::json;

use super::ps::Format;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::table::Table;
use crate::{pick, project};

/// Flags of `orc volumes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only print names
    #[arg(short, long)]
    quiet: bool,
    /// Form of the output; `json` is an object a line with the field names of docker compose
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only those of these services
    services: Vec<String>,
}

/// Prints a line for each volume.
pub(crate) async fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let stack = project::stack(global, output)?;
    let mut client = Client::connect(global).await?;
    let view = client.stack(&stack.name).await?;
    let volumes = client.volumes(&stack.name).await?;
    let services = pick::services(&stack, view.as_ref(), &args.services)?;
    let used: BTreeSet<_> = services.iter().flat_map(|(_, service)| service.spec.volumes.values()).collect();
    let mut table = Table::new(&["DRIVER", "VOLUME NAME"]);
    for volume in &volumes {
        let name = &volume.spec.name;
        if !args.services.is_empty() && !used.contains(name) {
            continue;
        }
        let driver = volume.spec.compose.driver.as_deref().unwrap_or("local");
        if args.quiet {
            output.line(&name.0);
        } else if args.format == Format::Json {
            let labels: Vec<String> =
                volume.spec.compose.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let object = json!({
                "Availability": "N/A", "Driver": driver, "Group": "N/A", "Labels": labels.join(","), "Links": "N/A",
                "Name": name.0, "Scope": "local", "Size": "N/A", "Status": "N/A",
            });
            output.line(&object.to_string());
        } else {
            table.row([driver.to_owned(), name.0.clone()]);
        }
    }
    if !args.quiet && args.format == Format::Table {
        output.data(&table.render());
    }
    Ok(())
}
