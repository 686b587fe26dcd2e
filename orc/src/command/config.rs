//! `orc config`: checks the Compose file and prints it in its canonical form.

use std::path::PathBuf;

use compose_spec::{LoadRequest, Loaded, Project, Variable};
use serde::Serialize;
use serde_json::json;

use super::config_check::{self, RunsOn};
use super::config_pin;
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
    /// Print the models, a line each
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
    #[arg(long, value_name = "SERVICES", group = "what", conflicts_with = "no_interpolate")]
    hash: Option<String>,
    /// Print what the file needs beside itself and what `up` would refuse (ours alone)
    #[arg(long, group = "what")]
    check: bool,
    /// What `--check` is about
    #[arg(long, value_enum, default_value_t, requires = "check")]
    target: RunsOn,
    /// Print the JSON Schema of Compose files, for editors (ours alone)
    #[arg(long, group = "what")]
    schema: bool,
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
    /// Pin images to the digests that their registries have for them now
    #[arg(long)]
    resolve_image_digests: bool,
    /// Print a file that only pins images to their digests, to be given as one more `-f`
    #[arg(long, group = "what")]
    lock_image_digests: bool,
    /// Services to print, with what they depend on (default: all)
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// As a Compose file
    #[default]
    Yaml,
    /// As JSON
    Json,
}

/// Prints the project, or the part of it that was asked for.
pub(crate) fn run(args: &Args, global: &Global, output: &Output) -> Outcome {
    if args.schema {
        output.data(&encode(&compose_spec::json_schema())?);
        return Ok(());
    }
    let request = LoadRequest {
        target: args.target.into(),
        // Which variables there are does not depend on their values, nor on their having one.
        no_interpolate: args.no_interpolate || args.variables,
        no_normalize: args.no_normalize,
        no_path_resolution: args.no_path_resolution,
        no_consistency: args.no_consistency,
        no_env_resolution: args.no_env_resolution,
        no_requirements: !args.check,
        ..project::request(global, &args.names)?
    };
    let mut loaded = project::load(&request, output)?;
    if args.check {
        return config_check::run(&loaded, args.format, output);
    }
    if args.resolve_image_digests || args.lock_image_digests {
        super::talk(config_pin::pin(&mut loaded, global))?;
    }
    if args.lock_image_digests {
        config_pin::keep_images(&mut loaded);
    }
    let text = text(args, &loaded)?;
    // The process ends with this. To give back a large project piece by piece would take longer than to print it.
    std::mem::forget(loaded);
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
        return variables(loaded, args.format);
    }
    if args.environment {
        return Ok(lines(loaded.environment.iter().map(|(name, value)| format!("{name}={value}"))));
    }
    if args.profile_names {
        return Ok(lines(loaded.profiles.iter().cloned()));
    }
    for (wanted, section) in
        [(args.services, "services"), (args.volumes, "volumes"), (args.networks, "networks")]
    {
        if wanted {
            return Ok(lines(names(loaded, section)));
        }
    }
    if args.images {
        return Ok(lines(images(loaded)));
    }
    if args.models {
        return Ok(lines(models(loaded)));
    }
    if let Some(services) = &args.hash {
        return hashes(project::project(loaded)?, services);
    }
    whole(loaded, args.format)
}

/// All of it, so that it can be loaded again.
fn whole(loaded: &Loaded, format: Format) -> Outcome<String> {
    let text = match format {
        Format::Json => loaded.to_json_text().map(|text| text + "\n"),
        Format::Yaml => loaded.to_yaml_text(),
    };
    text.ok_or_else(|| Failure::new("cannot print the project"))
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.map(|item| format!("{item}\n")).collect()
}

/// The names in a section of the file.
fn names(loaded: &Loaded, section: &str) -> impl Iterator<Item = String> {
    let file = loaded.to_json().unwrap_or_default();
    let section = file.get(section).and_then(|section| section.as_object()).cloned().unwrap_or_default();
    section.into_iter().map(|(name, _)| name)
}

/// The image of each service; one that is built without a name gets its service's.
fn images(loaded: &Loaded) -> impl Iterator<Item = String> {
    let file = loaded.to_json().unwrap_or_default();
    let project = file["name"].as_str().unwrap_or_default().to_owned();
    let services = file["services"].as_object().cloned().unwrap_or_default();
    services.into_iter().map(move |(name, service)| {
        service["image"].as_str().map_or_else(|| format!("{project}-{name}"), ToOwned::to_owned)
    })
}

/// What each model is, be the file interpolated or not.
fn models(loaded: &Loaded) -> impl Iterator<Item = String> {
    let typed = loaded.project.iter().flat_map(|project| project.models.values());
    let models = loaded.document.as_ref().and_then(|file| file["models"].as_object());
    let untyped = models.into_iter().flat_map(|models| models.values());
    let untyped = untyped.filter_map(|model| model["model"].as_str().map(ToOwned::to_owned));
    typed.filter_map(|model| model.model.clone()).chain(untyped).collect::<Vec<_>>().into_iter()
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

fn variables(loaded: &Loaded, format: Format) -> Outcome<String> {
    if format == Format::Json {
        let entry = |(name, variable): (&String, &Variable)| {
            let value = json!({
                "Name": name,
                "DefaultValue": variable.default.as_deref().unwrap_or_default(),
                "PresenceValue": variable.alternative.as_deref().unwrap_or_default(),
                "Required": variable.required,
            });
            (name.clone(), value)
        };
        return encode(&loaded.variables.iter().map(entry).collect::<serde_json::Map<_, _>>());
    }
    let mut table = Table::new(&["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"]);
    for (name, variable) in &loaded.variables {
        table.row([
            name.clone(),
            variable.required.to_string(),
            variable.default.clone().unwrap_or_default(),
            variable.alternative.clone().unwrap_or_default(),
        ]);
    }
    Ok(table.render())
}

/// A value as JSON for people.
pub(super) fn encode(value: &impl Serialize) -> Outcome<String> {
    let text = serde_json::to_string_pretty(value).doing(|| "cannot print JSON".to_owned())?;
    Ok(text + "\n")
}
