//! `orc`: the program people type. It reads the project, states the wish, and shows what becomes of it.
//!
//! The same executable is also the engine (`orc engine run`), the process beside each container
//! (`orc shim`), the first process inside one (`orc init`) and the tools of the built-in image (`demo`).
//! Which of them is decided here, before anything starts a thread.

mod attach;
mod cli;
mod client;
mod command;
mod demo;
mod engine;
mod failure;
mod files;
mod follow;
mod happenings;
mod lazy;
mod limits;
mod logs;
mod one_off;
mod output;
mod pick;
mod project;
mod provider;
mod session;
mod settle;
mod terminal;
mod watch;
mod why;
mod wish;
mod words;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    if program.as_bytes().ends_with(b"demo") {
        return demo::main(rest);
    }
    let words = || rest.iter().skip(1).cloned().collect();
    match rest.first().map(OsString::as_os_str).map(OsStr::as_bytes) {
        Some(b"shim") => exit_code(runtime::shim_main(words())),
        Some(b"init") => exit_code(runtime::init_main(words())),
        Some(b"demo") => demo::main(words()),
        _ => people(&program, rest),
    }
}

/// The program that people type. Under the name of `docker-compose`, or as `orc compose`, it is that.
fn people(program: &OsStr, mut words: Vec<OsString>) -> ExitCode {
    let plugin = words.first().is_some_and(|word| word == "compose");
    if plugin {
        words.remove(0);
    }
    let as_compose = plugin || program.as_bytes().ends_with(b"docker-compose");
    if as_compose && words.iter().map(OsString::as_os_str).eq([OsStr::new("--version")]) {
        words = vec!["version".into()];
    }
    let mut cli = match cli::parse(std::iter::once(program.to_owned()).chain(words)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    cli.global.as_compose = as_compose;
    let output = output::Output::new(cli.global.progress, cli.global.ansi);
    match command::run(cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

/// What clap has to say: help and version on standard output, mistakes on standard error.
fn usage(error: &clap::Error) -> ExitCode {
    // With nobody there to read it, the exit code still tells.
    let _ = error.print();
    exit_code(error.exit_code())
}

/// Exit codes have eight bits.
fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
