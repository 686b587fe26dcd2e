//! The tools inside the built-in image `orc/demo`, which is this program called as `demo`.
//!
//! They serve the example stack and the end-to-end tests, so that neither needs any other image: a web
//! server that says which replica answers, a persistent key-value store, a client for both, and small
//! helpers that a container without a shell is looked into with.

mod client;
mod dns;
mod echo;
mod files;
mod health;
mod http;
mod limits;
mod process;
mod serve;
mod server;
mod store;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::output::raw;

/// How a tool ended: the exit code, or what went wrong (exit code 1).
type Outcome = Result<u8, String>;

/// One tool.
struct Tool {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const TOOLS: &[Tool] = &[
    tool("serve", "[PORT]", "web server: which replica answers; /healthz, /kv/KEY from $STORE", serve::run),
    tool("store", "[PORT]", "key-value store over HTTP, kept in $DATA or /data", store::run),
    tool("seed", "URL KEY=VALUE...", "fills a store and ends", client::seed),
    tool("get", "URL", "prints what is there", client::get),
    tool("put", "URL TEXT", "stores a text", client::put),
    tool("resolve", "NAME|ADDRESS...", "asks the name server of this container", dns::run),
    tool("health", "[PORT] [SERVICE...]", "gRPC server that says SERVING of itself and these", health::run),
    tool("tcp-echo", "[PORT]", "says its name and repeats each line", echo::tcp),
    tool("udp-echo", "[PORT]", "answers each datagram with its name and the datagram", echo::udp),
    tool("udp-send", "HOST:PORT TEXT", "sends a datagram and prints the answer", echo::send),
    tool("sleep", "[SECONDS]", "waits, for ever without a number; ends at SIGTERM", process::sleep),
    tool("stubborn", "", "waits for ever and ignores SIGTERM", process::stubborn),
    tool("daemon", "", "starts `demo stubborn` in the background and ends", process::daemon),
    tool("count", "[MILLISECONDS]", "prints 1, 2, 3, ... a line at a time", process::count),
    tool("exit", "CODE [SECONDS]", "ends with the code, after a while", process::exit),
    tool("echo", "TEXT...", "prints its arguments", process::echo),
    tool("env", "[NAME]", "prints the environment or one variable", process::env),
    tool("id", "", "prints user, groups and working directory", process::id),
    tool("status", "", "prints what /proc/self/status says of its confinement", process::status),
    tool("tty", "", "says whether there is a terminal and how large it is", process::tty),
    tool("alloc", "MIB", "uses so much memory", process::alloc),
    tool("fork", "N", "starts N processes and says how many it got", process::fork),
    tool("zombies", "N", "starts N processes that end at once and looks after none", process::zombies),
    tool("open", "N", "opens a file N times and says how often it could", process::open),
    tool("burn", "SECONDS", "computes, and prints how much processor time it got", process::burn),
    tool("try", "WHAT", "tries something a container must not do", process::attempt),
    tool("cat", "[PATH...]", "prints files, or standard input", files::cat),
    tool("ls", "[PATH]", "lists a folder", files::ls),
    tool("stat", "PATH...", "prints kind, mode, owner and size", files::stat),
    tool("write", "PATH [TEXT]", "writes a file, with standard input if there is no text", files::write),
    tool("rm", "PATH...", "removes files", files::rm),
];

const fn tool(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
) -> Tool {
    Tool { name, usage, about, run }
}

/// Runs the tool that the first argument names.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let args: Vec<String> = args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let Some((name, rest)) = args.split_first() else {
        raw::stderr(&usage());
        return ExitCode::from(2);
    };
    let Some(tool) = TOOLS.iter().find(|tool| tool.name == name) else {
        raw::stderr(&usage());
        return ExitCode::from(if matches!(name.as_str(), "help" | "--help" | "-h") { 0 } else { 2 });
    };
    match (tool.run)(rest) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            raw::stderr(&format!("demo {name}: {message}\n"));
            ExitCode::from(1)
        }
    }
}

fn usage() -> String {
    let mut text = String::from("usage: demo TOOL [ARGUMENT...]\n\n");
    for tool in TOOLS {
        text.push_str(&format!("  {:<26} {}\n", format!("{} {}", tool.name, tool.usage), tool.about));
    }
    text
}

/// The `index`th argument as a number, or the default when it is missing.
fn number<T: std::str::FromStr>(args: &[String], index: usize, default: T) -> Result<T, String> {
    match args.get(index) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("`{text}` is not a number that fits")),
    }
}

/// The `index`th argument, which must be there.
fn required<'a>(args: &'a [String], index: usize, name: &str) -> Result<&'a str, String> {
    args.get(index).map(String::as_str).ok_or_else(|| format!("{name} is missing"))
}

/// Runs a future on this thread alone: a tool must cost as little memory as a sleeping process can.
fn block_on<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(future)
}

/// The name this container goes by.
fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
