//! `orc start`, `stop`, `restart`, `kill` and `rm`: wishes about what runs, for services that are there.

use std::io::{BufRead, IsTerminal};

use cluster::{RunAction, StopHow};

use crate::cli::Global;
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::follow::{self, Aim};
use crate::output::Output;
use crate::output::raw;
use crate::settle::Goal;
use crate::watch::StackWatch;
use crate::{pick, project};

/// Flags of `orc start`.
#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    /// Wait until everything is running and healthy
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Services (default: all)
    services: Vec<String>,
}

/// Flags of `orc stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// Seconds that containers get to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Services (default: all)
    services: Vec<String>,
}

/// Flags of `orc restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestartArgs {
    /// Leave alone what depends on the services
    #[arg(long)]
    no_deps: bool,
    /// Seconds that containers get to stop
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Services (default: all)
    services: Vec<String>,
}

/// Flags of `orc kill`.
#[derive(Debug, clap::Args)]
pub(crate) struct KillArgs {
    /// Signal to send
    #[arg(short, long, value_name = "SIGNAL", default_value = "SIGKILL")]
    signal: String,
    /// Services (default: all)
    services: Vec<String>,
}

/// Flags of `orc rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Stop the containers first
    #[arg(short, long)]
    stop: bool,
    /// Services (default: all)
    services: Vec<String>,
}

/// A stack that commands of this file are about.
struct Target {
    client: Client,
    watch: StackWatch,
    stack: String,
    services: Vec<String>,
}

impl Target {
    async fn find(names: &[String], global: &Global, output: &Output) -> Outcome<Self> {
        let stack = project::stack_name(global, output)?;
        let mut client = Client::connect(global).await?;
        let watch = StackWatch::open(&mut client, &stack).await?;
        let services = pick::services(watch.view(), names)?;
        let services: Vec<String> = services.into_iter().map(|(name, _)| name.clone()).collect();
        if services.is_empty() {
            return Err(
                Failure::new(format!("nothing of stack `{stack}` was started")).hint("`orc up -d` does")
            );
        }
        Ok(Self { client, watch, stack, services })
    }

    /// States the wish and waits until the manager has taken it over.
    async fn wish(&mut self, action: &RunAction) -> Outcome {
        let version = self.client.set_run(&self.stack, &self.services, action).await?;
        self.watch.reach(version).await
    }

    async fn reach(&mut self, goal: Goal, timeout: Option<u64>, output: &Output) -> Outcome {
        let timeout = timeout.map(std::time::Duration::from_secs);
        let aim = Aim { timeout, ..Aim::new(self.services.clone(), goal) };
        if follow::settle(&mut self.watch, &aim, output).await? {
            return Ok(());
        }
        Err(Failure::new("not everything got there").hint("`orc ps -a` says why"))
    }
}

/// Starts services.
pub(crate) async fn start(args: &StartArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, global, output).await?;
    target.wish(&RunAction::Start).await?;
    let goal = if args.wait { Goal::Healthy } else { Goal::Started };
    target.reach(goal, args.wait_timeout.filter(|_| args.wait), output).await
}

/// Stops services.
pub(crate) async fn stop(args: &StopArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, global, output).await?;
    target.wish(&RunAction::Stop(grace(args.timeout))).await?;
    target.reach(Goal::Stopped, None, output).await
}

/// Restarts services.
pub(crate) async fn restart(args: &RestartArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, global, output).await?;
    target.wish(&RunAction::Restart(grace(args.timeout))).await?;
    target.reach(Goal::Started, None, output).await
}

/// Kills services.
pub(crate) async fn kill(args: &KillArgs, global: &Global, output: &Output) -> Outcome {
    let signal = ending_signal(&args.signal)?;
    let mut target = Target::find(&args.services, global, output).await?;
    let how = StopHow { signal: Some(signal.to_owned()), grace_ms: (signal == "SIGKILL").then_some(0) };
    target.wish(&RunAction::Stop(how)).await?;
    target.reach(Goal::Stopped, None, output).await
}

/// The full name of a signal that ends a process.
fn ending_signal(text: &str) -> Outcome<&'static str> {
    const ENDING: [(&str, &str); 4] =
        [("SIGKILL", "9"), ("SIGTERM", "15"), ("SIGINT", "2"), ("SIGQUIT", "3")];
    let upper = text.to_ascii_uppercase();
    let found =
        ENDING.iter().find(|(name, number)| upper == *number || name.ends_with(&upper) && upper.len() > 2);
    found.map(|(name, _)| *name).ok_or_else(|| {
        Failure::new(format!("`kill --signal {text}` is not supported yet"))
            .hint("SIGKILL, SIGTERM, SIGINT and SIGQUIT are; `orc exec` can send others from inside")
    })
}

/// Removes containers that do not run.
pub(crate) async fn rm(args: &RmArgs, global: &Global, output: &Output) -> Outcome {
    let mut target = Target::find(&args.services, global, output).await?;
    if args.stop {
        target.wish(&RunAction::Stop(StopHow::default())).await?;
        target.reach(Goal::Stopped, None, output).await?;
    }
    let view = target.watch.view();
    let stopped = |name: &String| {
        let service = view.and_then(|view| view.services.get(name));
        service.is_some_and(|service| {
            !service.tasks.is_empty() && service.tasks.values().all(|t| !t.task.is_running())
        })
    };
    target.services.retain(stopped);
    if target.services.is_empty() {
        output.note("no stopped containers");
        return Ok(());
    }
    let names = target.services.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !args.force && !confirmed(&format!("remove the containers of {names}? [y/N] "))? {
        return Err(Failure::Exit(1));
    }
    target.wish(&RunAction::Remove(StopHow::default())).await?;
    let gone = |target: &Target| {
        let view = target.watch.view();
        let tasks =
            |name| view.and_then(|view| view.services.get(name)).map_or(0, |service| service.tasks.len());
        target.services.iter().all(|name| tasks(name) == 0)
    };
    while !gone(&target) {
        target.watch.changed().await?;
    }
    Ok(())
}

fn confirmed(question: &str) -> Outcome<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("there is nobody to ask").hint("`--force` does not ask"));
    }
    raw::stderr(question);
    let mut answer = String::new();
    // Nothing to read is no yes.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn grace(seconds: Option<u64>) -> StopHow {
    StopHow { signal: None, grace_ms: seconds.map(|seconds| seconds.saturating_mul(1000)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_by_name_or_number() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(ending_signal(text).ok(), expect, "{text}");
        check("SIGKILL", Some("SIGKILL"));
        check("term", Some("SIGTERM"));
        check("2", Some("SIGINT"));
        check("HUP", None);
        check("L", None);
        check("", None);
    }
}
