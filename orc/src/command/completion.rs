//! `orc completion` and `orc man`: what shells and `man` know of the program, made from its own command line.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use crate::cli;
use crate::failure::{Doing, Outcome};
use crate::output::Output;

/// Flags of `orc completion`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Flags of `orc man`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Folder for one page for each command (default: print the first page)
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints the script that a shell reads: `source <(orc completion bash)`.
pub(crate) fn run(args: &Args, output: &Output) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "orc", &mut script);
    output.bytes(&script);
}

/// Prints or writes pages for `man`.
pub(crate) fn man(args: &ManArgs, output: &Output) -> Outcome {
    let mut command = cli::command();
    command.build();
    match &args.folder {
        Some(folder) => write_pages(&command, "orc", folder),
        None => {
            output.bytes(&page(&command, "orc")?);
            Ok(())
        }
    }
}

/// The page of a command, and those of the commands below it.
fn write_pages(command: &clap::Command, name: &str, folder: &Path) -> Outcome {
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(command, name)?).doing(|| format!("cannot write `{}`", path.display()))?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &clap::Command, name: &str) -> Outcome<Vec<u8>> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone()).title(name.to_owned());
    page.render(&mut text).doing(|| format!("cannot make the page `{name}`"))?;
    Ok(text)
}
