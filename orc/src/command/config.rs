//! `orc config`: checks the Compose file and prints it in its canonical form.

use std::path::PathBuf;

use compose_spec::{LoadRequest, Loaded, Project};
use serde::Serialize;

use crate::cli::Global;
use crate::failure::{Doing, Failure, Outcome};
use crate::output::Output;
use crate::output::table::Table;
use crate::project;

/// Flags of `orc config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only check, print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Save to a file instead of printing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the service names, a line each
    #[arg(long, group = "what")]
    services: bool,
    /// Print the image names, a line each
    #[arg(long, group = "what")]
    images: bool,
    /// Print the volume names, a line each
    #[arg(long, group = "what")]
    volumes: bool,
    /// Print the network names, a line each
    #[arg(long, group = "what")]
    networks: bool,
    /// Print the model names, a line each
    #[arg(long, group = "what")]
    models: bool,
    /// Print the profile names, a line each
    // Another name than the global flag's: clap would take one for the other.
    #[arg(long = "profiles", group = "what")]
    profile_names: bool,
    /// Print the variables that the file uses, and their defaults
    #[arg(long, group = "what")]
    variables: bool,
    /// Print the variables that interpolation has
    #[arg(long, group = "what")]
    environment: bool,
    /// Print the configuration hash of services; `*` means all
    #[arg(long, value_name = "SERVICES", group = "what")]
    hash: Option<String>,
    /// Do not check that references lead anywhere
    #[arg(long)]
    no_consistency: bool,
    /// Do not read `env_file`
    #[arg(long)]
    no_env_resolution: bool,
    /// Leave variables as they stand
    #[arg(long)]
    no_interpolate: bool,
    /// Leave out defaults
    #[arg(long)]
    no_normalize: bool,
    /// Leave relative paths relative
    #[arg(long)]
    no_path_resolution: bool,
    /// Services to print, with what they depend on (default: all)
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// As a Compose file
    #[default]
    Yaml,
    /// As JSON
    Json,
}

/// Prints the project, or the part of it that was asked for.
pub(crate) fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    let request = LoadRequest {
        no_interpolate: args.no_interpolate,
        no_normalize: args.no_normalize,
        no_path_resolution: args.no_path_resolution,
        no_consistency: args.no_consistency,
        no_env_resolution: args.no_env_resolution,
        ..project::request(global, &args.names)?
    };
    let loaded = project::load(&request, output)?;
    let text = text(args, &loaded)?;
    match &args.output {
        _ if args.quiet => Ok(()),
        Some(path) => std::fs::write(path, text).doing(|| format!("cannot write `{}`", path.display())),
        None => {
            output.data(&text);
            Ok(())
        }
    }
}

fn text(args: &Args, loaded: &Loaded) -> Outcome<String> {
    if args.variables {
        return Ok(variables(loaded));
    }
    if args.environment {
        return Ok(lines(loaded.environment.iter().map(|(name, value)| format!("{name}={value}"))));
    }
    if args.profile_names {
        return Ok(lines(loaded.profiles.iter().cloned()));
    }
    if let Some(document) = &loaded.document {
        return encode(document, args.format);
    }
    let project = project::project(loaded)?;
    if args.services {
        return Ok(lines(project.services.keys().cloned()));
    }
    if args.images {
        return Ok(lines(project.services.iter().map(|(name, service)| {
            service.image.clone().unwrap_or_else(|| format!("{}-{name}", project.name))
        })));
    }
    if args.volumes {
        return Ok(lines(project.volumes.keys().cloned()));
    }
    if args.networks {
        return Ok(lines(project.networks.keys().cloned()));
    }
    if args.models {
        return Ok(lines(project.models.keys().cloned()));
    }
    if let Some(services) = &args.hash {
        return hashes(project, services);
    }
    match (args.format, loaded.to_json_text()) {
        (Format::Json, Some(text)) => Ok(text + "\n"),
        // What is printed can be loaded again: a `$` in it is meant as one.
        _ => Ok(encode(project, args.format)?.replace('$', "$$")),
    }
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.map(|item| format!("{item}\n")).collect()
}

fn hashes(project: &Project, services: &str) -> Outcome<String> {
    let names: Vec<&str> = match services {
        "*" => project.services.keys().map(String::as_str).collect(),
        names => names.split(',').collect(),
    };
    let mut text = String::new();
    for name in names {
        let hash = project.service_hash(name);
        let hash = hash.ok_or_else(|| Failure::new(format!("there is no service `{name}`")))?;
        text.push_str(&format!("{name} {hash}\n"));
    }
    Ok(text)
}

fn variables(loaded: &Loaded) -> String {
    let mut table = Table::new(&["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"]);
    for (name, variable) in &loaded.variables {
        table.row([
            name.clone(),
            variable.required.to_string(),
            variable.default.clone().unwrap_or_default(),
            variable.alternative.clone().unwrap_or_default(),
        ]);
    }
    table.render()
}

fn encode(value: &impl Serialize, format: Format) -> Outcome<String> {
    match format {
        Format::Json => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .doing(|| "cannot print the project as JSON".to_owned()),
        Format::Yaml => serde_yaml::to_string(value).doing(|| "cannot print the project as YAML".to_owned()),
    }
}
