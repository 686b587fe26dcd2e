//! `orc volumes`: the volumes of a stack, which outlive its containers.

use std::collections::BTreeSet;

use cluster::Volume;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::Outcome;
use crate::output::Output;
use crate::output::form::Form;
use crate::output::table::Table;
use crate::{pick, project};

/// Flags of `orc volumes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only print names
    #[arg(short, long)]
    quiet: bool,
    /// Form of the output: table, json (an object a line with the field names of docker compose), or a Go template
    /// like `{{.Name}}` or `table {{.Name}}`
    #[arg(long, value_name = "FORM", default_value = "table", value_parser = Form::parse)]
    format: Form,
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
    let shown = volumes.iter().filter(|volume| args.services.is_empty() || used.contains(&volume.spec.name));
    if args.quiet {
        shown.for_each(|volume| output.line(&volume.spec.name.0));
        return Ok(());
    }
    let rows: Vec<Value> = shown.map(object).collect();
    match &args.format {
        Form::Json => rows.iter().for_each(|row| output.line(&row.to_string())),
        Form::Template(template) => output.data(&template.render(&rows)?),
        Form::Table => {
            let mut table = Table::new(&["DRIVER", "VOLUME NAME"]);
            let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
            rows.iter().for_each(|row| table.row([text(row, "Driver"), text(row, "Name")]));
            output.data(&table.render());
        }
    }
    Ok(())
}

/// A volume with the fields of docker compose.
fn object(volume: &Volume) -> Value {
    let compose = &volume.spec.compose;
    let labels: Vec<String> = compose.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    json!({
        "Availability": "N/A", "Driver": compose.driver.as_deref().unwrap_or("local"), "Group": "N/A",
        "Labels": labels.join(","), "Links": "N/A", "Name": volume.spec.name.0, "Scope": "local", "Size": "N/A",
        "Status": "N/A",
    })
}
