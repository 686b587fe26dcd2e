//! `orc engine run|status|stop|logs|install|uninstall`: looking after the engine, which other commands start by themselves.

use std::path::Path;
use std::time::Duration;

use cluster::Timestamp;
use serde_json::json;

use super::ps::Format;
use crate::attach::now_ms;
use crate::cli::Global;
use crate::client::Client;
use crate::engine::dirs::Dirs;
use crate::engine::{install, log, privileges, serve, start};
use crate::failure::{Doing, Failure, Outcome};
use crate::output::{Output, error, raw};
use crate::{limits, words};

/// What to do with the engine.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Be the engine, in the foreground
    Run {
        /// Seconds that it stays with no stack to look after and nobody connected; 0 means for ever
        #[arg(long, value_name = "SECONDS", env = "ORC_ENGINE_IDLE", default_value_t = limits::ENGINE_IDLE_SECONDS)]
        idle: u64,
        /// Started by another command: say on standard output when it answers
        #[arg(long, hide = true)]
        child: bool,
    },
    /// Say whether it runs, since when, and which build it is
    Status {
        /// Form of the output
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// End it; containers go on, and the next command starts it again
    Stop,
    /// Print its log
    Logs,
    /// Make it a service of this machine (systemd or OpenRC): stacks come back after a reboot
    Install,
    /// Take the service away; containers go on
    Uninstall,
}

/// Does it.
pub(crate) fn run(command: &Command, global: &Global, output: &Output) -> Outcome {
    let dirs = Dirs::new(global.data_dir.as_deref())?;
    match command {
        Command::Run { idle, child } => {
            let idle = (*idle > 0).then(|| Duration::from_secs(*idle));
            if *child {
                return self::child(&dirs, idle, output);
            }
            serve::run(&dirs, idle, || {
                output.note("the engine is ready");
                install::tell_ready();
            })
        }
        Command::Status { format } => super::runtime()?.block_on(status(&dirs, *format, output)),
        Command::Stop => {
            let ran = start::stop(&dirs)?;
            output.note(if ran {
                "the engine has ended; containers go on"
            } else {
                "the engine does not run"
            });
            Ok(())
        }
        Command::Logs => print_log(&dirs.log()),
        Command::Install => {
            privileges::check()?;
            let file = install::install(&dirs)?;
            output.note(&format!("the engine is a service now: `{}`", file.display()));
            Ok(())
        }
        Command::Uninstall => {
            privileges::check()?;
            output.note(if install::uninstall(&dirs)? {
                "the engine is no service any more; containers go on, and the next command starts it"
            } else {
                "the engine is no service of this machine"
            });
            Ok(())
        }
    }
}

/// The engine in a session of its own. Until it is ready, its words go to whoever started it.
fn child(dirs: &Dirs, idle: Option<Duration>, output: &Output) -> Outcome {
    // A signal to the caller's terminal is none to the engine.
    rustix::process::setsid().doing(|| "cannot leave the caller's session".to_owned())?;
    let mut ready = false;
    let result = serve::run(dirs, idle, || {
        raw::stdout(start::READY.as_bytes());
        raw::close_stdout();
        ready = true;
    });
    match result {
        Err(failure) if !ready => {
            raw::stdout(error::render(&failure, false).as_bytes());
            Err(Failure::Exit(1))
        }
        Err(failure) => {
            output.failure(&failure);
            Err(Failure::Exit(1))
        }
        Ok(()) => Ok(()),
    }
}

async fn status(dirs: &Dirs, format: Format, output: &Output) -> Outcome {
    let Some(mut client) = Client::running(dirs).await? else {
        match format {
            Format::Json => output.line(&json!({"Running": false, "DataDir": dirs.data}).to_string()),
            Format::Table => output.line("the engine does not run; the next command that needs it starts it"),
        }
        // As `systemctl status`: 3 means that it does not run.
        return Err(Failure::Exit(3));
    };
    let version = client.version().await?;
    let stacks = client.list(None).await?;
    if format == Format::Json {
        let object = json!({
            "Running": true, "Pid": version.pid, "Version": version.program, "BuildID": version.build_id,
            "EngineID": version.engine_id, "StartedAt": version.started_at_ms, "DataDir": dirs.data,
            "RunDir": dirs.run, "Stacks": stacks.iter().map(|stack| stack.name.0.clone()).collect::<Vec<_>>(),
        });
        output.line(&object.to_string());
        return Ok(());
    }
    let since = words::span(Timestamp(now_ms()), Timestamp(version.started_at_ms));
    output.line(&format!(
        "running for {since} as pid {} (orc {}, id {})",
        version.pid, version.program, version.engine_id
    ));
    output.line(&format!("stacks  {}", stacks.len()));
    output.line(&format!("data    {}", dirs.data.display()));
    output.line(&format!("socket  {}", dirs.socket().display()));
    Ok(())
}

fn print_log(path: &Path) -> Outcome {
    for part in [log::older(path), path.to_owned()] {
        match std::fs::read(&part) {
            Ok(bytes) => raw::stdout(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::new(format!("cannot read `{}`", part.display())).because(&error));
            }
        }
    }
    Ok(())
}
