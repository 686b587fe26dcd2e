//! The flags of `orc up` and `orc create`: those of docker compose, by name and meaning.

use std::collections::BTreeSet;

use clap::builder::FalseyValueParser;

use crate::failure::{Failure, Outcome};

/// Flags of `orc up`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Do not stay to show the output
    #[arg(short, long, conflicts_with_all = ["abort_on_container_exit", "abort_on_container_failure", "exit_code_from", "attach", "attach_dependencies"])]
    pub(super) detach: bool,
    /// Wait until everything is running and healthy, or has completed; implies `--detach`
    #[arg(long)]
    pub(super) wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    pub(super) wait_timeout: Option<u64>,
    /// Number of replicas of a service
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = parse_scale)]
    pub(super) scale: Vec<(String, u32)>,
    /// Replace containers although nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(super) force_recreate: bool,
    /// Replace what the services depend on, too, although nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(super) always_recreate_deps: bool,
    /// Keep containers that exist as they are
    #[arg(long)]
    pub(super) no_recreate: bool,
    /// Give containers that are replaced new anonymous volumes instead of those they had
    #[arg(short = 'V', long, conflicts_with = "no_recreate")]
    pub(super) renew_anon_volumes: bool,
    /// Leave alone what the services depend on
    #[arg(long)]
    pub(super) no_deps: bool,
    /// Create the containers without starting them
    #[arg(long)]
    pub(super) no_start: bool,
    /// Remove containers of services that the file does not name
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", hide_env = true, value_parser = FalseyValueParser::new())]
    pub(super) remove_orphans: bool,
    /// Seconds that containers get to stop when they are replaced, or when the output ends
    #[arg(short, long, value_name = "SECONDS")]
    pub(super) timeout: Option<u64>,
    /// When to pull images: always, missing or never
    #[arg(long, value_name = "WHEN", value_parser = ["always", "missing", "never"])]
    pub(super) pull: Option<String>,
    /// Stop everything when the first container ends
    #[arg(long, conflicts_with = "abort_on_container_failure")]
    pub(super) abort_on_container_exit: bool,
    /// Stop everything when the first container fails
    #[arg(long)]
    pub(super) abort_on_container_failure: bool,
    /// End with the exit code of this service; implies `--abort-on-container-exit`
    #[arg(long, value_name = "SERVICE")]
    pub(super) exit_code_from: Option<String>,
    /// Show the output of these services only
    #[arg(long, value_name = "SERVICE", conflicts_with = "attach_dependencies")]
    pub(super) attach: Vec<String>,
    /// Do not show the output of these services
    #[arg(long, value_name = "SERVICE")]
    pub(super) no_attach: Vec<String>,
    /// Show the output of what the services depend on, too
    #[arg(long)]
    pub(super) attach_dependencies: bool,
    /// Show output without the names of who wrote it
    #[arg(long)]
    pub(super) no_log_prefix: bool,
    /// Show output without colours
    #[arg(long)]
    pub(super) no_color: bool,
    /// Show the time of each line of output
    #[arg(long)]
    pub(super) timestamps: bool,
    #[command(flatten)]
    pub(super) later: Later,
    /// Services, with what they depend on (default: all)
    pub(super) services: Vec<String>,
}

/// Flags of `orc create`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Replace containers although nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Keep containers that exist as they are
    #[arg(long)]
    no_recreate: bool,
    /// Remove containers of services that the file does not name
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", hide_env = true, value_parser = FalseyValueParser::new())]
    remove_orphans: bool,
    /// When to pull images: always, missing or never
    #[arg(long, value_name = "WHEN", value_parser = ["always", "missing", "never"])]
    pull: Option<String>,
    /// Number of replicas of a service
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = parse_scale)]
    scale: Vec<(String, u32)>,
    #[command(flatten)]
    later: Later,
    /// Services, with what they depend on (default: all)
    services: Vec<String>,
}

/// Flags of docker compose about what orc does not do, or never asks.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Later {
    /// Build images first (not supported yet)
    #[arg(long, hide_short_help = true)]
    build: bool,
    /// Replace containers when files change (not supported yet)
    #[arg(short, long, hide_short_help = true)]
    watch: bool,
    /// Do not build images (nothing is built)
    #[arg(long, hide_short_help = true)]
    no_build: bool,
    /// Do not show what is built (nothing is built)
    #[arg(long, hide_short_help = true)]
    quiet_build: bool,
    /// Do not show how images are pulled (never done)
    #[arg(long, hide_short_help = true)]
    quiet_pull: bool,
    /// Answer every question with yes (nothing is asked)
    #[arg(short, long, hide_short_help = true)]
    yes: bool,
    /// Show a menu below the output (there is none)
    #[arg(long, hide_short_help = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    menu: Option<bool>,
}

impl Later {
    /// Refuses what would change the result.
    fn check(&self) -> Outcome {
        let asked = [
            (self.build, "--build", "build the image with another tool and `orc image load` it"),
            (self.watch, "--watch", "run `orc up -d` after a change: only what changed is replaced"),
        ];
        match asked.into_iter().find(|(asked, ..)| *asked) {
            Some((_, flag, hint)) => Err(Failure::new(format!("`{flag}` is not supported yet")).hint(hint)),
            None => Ok(()),
        }
    }
}

impl From<CreateArgs> for Args {
    fn from(args: CreateArgs) -> Self {
        let CreateArgs { force_recreate, no_recreate, remove_orphans, pull, scale, later, services } = args;
        let flags = Self { detach: true, no_start: true, ..Self::default() };
        Self { force_recreate, no_recreate, remove_orphans, pull, scale, later, services, ..flags }
    }
}

impl Args {
    /// What `orc scale` means by itself: these services, so many of each.
    pub(crate) fn of_scale(scale: Vec<(String, u32)>, no_deps: bool) -> Self {
        let services = scale.iter().map(|(name, _)| name.clone()).collect();
        Self { detach: true, scale, no_deps, services, ..Self::default() }
    }

    /// Refuses flags that orc cannot follow, and names that are none of the file's services.
    pub(super) fn check(&self, known: &BTreeSet<String>) -> Outcome {
        self.later.check()?;
        let scaled = self.scale.iter().map(|(name, _)| ("--scale", name));
        let from = self.exit_code_from.iter().map(|name| ("--exit-code-from", name));
        let shown = self.attach.iter().map(|name| ("--attach", name));
        let hidden = self.no_attach.iter().map(|name| ("--no-attach", name));
        for (flag, name) in scaled.chain(from).chain(shown).chain(hidden) {
            if !known.contains(name) {
                let hint = compose_spec::defined("services", name, known.iter().map(String::as_str));
                return Err(Failure::new(format!("`{flag} {name}`: there is no such service")).hint(hint));
            }
        }
        Ok(())
    }

    /// The services whose containers are replaced although nothing changed, among those that are meant.
    pub(super) fn forced(&self, meant: &BTreeSet<String>) -> BTreeSet<String> {
        let named = |name: &String| self.services.is_empty() || self.services.contains(name);
        let forced = |name: &&String| {
            if named(name) { self.force_recreate } else { self.always_recreate_deps }
        };
        meant.iter().filter(forced).cloned().collect()
    }

    /// The services whose output is shown: those named, or all, as far as they are to be shown at all.
    pub(super) fn attached(&self, meant: &BTreeSet<String>) -> BTreeSet<String> {
        let named = |name: &String| {
            if self.attach.is_empty() {
                self.services.is_empty() || self.attach_dependencies || self.services.contains(name)
            } else {
                self.attach.contains(name)
            }
        };
        meant.iter().filter(|name| named(name) && !self.no_attach.contains(name)).cloned().collect()
    }
}

/// `web=3`, also for `orc scale`.
pub(crate) fn parse_scale(text: &str) -> Result<(String, u32), String> {
    let (service, number) = text.split_once('=').ok_or("expected SERVICE=NUMBER")?;
    let number = number.parse().map_err(|_| format!("`{number}` is not a number of replicas"))?;
    Ok((service.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        Line::try_parse_from(format!("up {line}").split_whitespace())
            .unwrap_or_else(|e| panic!("{line}: {e}"))
            .args
    }

    fn set(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_replaced_follows_the_flags() {
        let check =
            |line: &str, expect: &str| assert_eq!(args(line).forced(&set("db web")), set(expect), "{line}");
        check("", "");
        check("--force-recreate", "db web");
        check("--force-recreate web", "web");
        check("--always-recreate-deps web", "db");
        check("--force-recreate --always-recreate-deps web", "db web");
    }

    #[test]
    fn what_is_shown_follows_the_flags() {
        let check =
            |line: &str, expect: &str| assert_eq!(args(line).attached(&set("db web")), set(expect), "{line}");
        check("", "db web");
        check("web", "web");
        check("web --attach-dependencies", "db web");
        check("--attach db", "db");
        check("--no-attach db", "web");
        check("--attach db --attach web --no-attach web", "db");
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let known = set("db web");
        let check = |line: &str, expect: Result<(), &str>| match args(line).check(&known) {
            Err(Failure::Problem(problem)) => assert_eq!(Err(problem.message.as_str()), expect, "{line}"),
            result => assert_eq!(result.is_ok(), expect.is_ok(), "{line}"),
        };
        check("--no-build --quiet-pull -y --menu=false", Ok(()));
        check("--build", Err("`--build` is not supported yet"));
        check("-w", Err("`--watch` is not supported yet"));
        check("--scale wbe=2", Err("`--scale wbe`: there is no such service"));
        check("--exit-code-from cache", Err("`--exit-code-from cache`: there is no such service"));
    }
}
