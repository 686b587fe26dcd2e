//! From a container's configuration and its image to the processes that will run in it.

use std::os::fd::OwnedFd;

use crate::bundle::{Bundle, Failure};
use crate::cgroup::Cgroup;
use crate::config::{ContainerConfig, ExecConfig, Seccomp};
use crate::confine::caps::{self, Caps};
use crate::confine::{Process, seccomp};
use crate::device::Devices;
use crate::limits;
use crate::spec;
use crate::user::{Database, Ids};

/// What an image without `PATH` means; the same as Docker's.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn first_process(bundle: &Bundle, devices: &Devices, root: &OwnedFd) -> Result<Process, Failure> {
    let config = &bundle.config;
    let mut user = resolve(root, config.user.as_deref(), &config.groups)?;
    user.groups.extend(&devices.groups);
    let caps = caps::resolve(config.privileged, &config.cap_add, &config.cap_drop).map_err(Failure::new)?;
    let args = spec::args(config);
    let env = environment(config, &devices.env, &user, config.tty);
    check_size(&args, &env)?;
    check_sysctls(config)?;
    let oom = config.resources.oom_score_adj.unwrap_or(limits::DEFAULT_OOM_SCORE_ADJ);
    Ok(Process {
        cwd: config.working_dir.clone().unwrap_or_else(|| "/".to_owned()),
        filter: filter(config, caps)?,
        no_new_privileges: config.no_new_privileges,
        ulimits: config.ulimits.clone(),
        oom_score_adj: oom,
        init: config.init.then(|| args.len() - config.args.len()),
        args,
        env,
        user,
        caps,
    })
}

/// Another process in the same container: everything as `first` unless `exec` says otherwise.
pub(super) fn other_process(
    config: &ContainerConfig,
    first: &Process,
    exec: &ExecConfig,
    root: &OwnedFd,
) -> Result<Process, Failure> {
    let user = match &exec.user {
        Some(user) => resolve(root, Some(user), &config.groups)?,
        None => first.user.clone(),
    };
    let (caps, filter) = match exec.privileged {
        true => (Caps::all(), None),
        false => (first.caps, first.filter.clone()),
    };
    let env = environment(config, &exec.env, &user, exec.tty.is_some());
    check_size(&exec.args, &env)?;
    Ok(Process {
        args: exec.args.clone(),
        env,
        cwd: exec.working_dir.clone().unwrap_or_else(|| first.cwd.clone()),
        user,
        caps,
        filter,
        init: None,
        ..first.clone()
    })
}

fn filter(config: &ContainerConfig, caps: Caps) -> Result<Option<seccomp::Filter>, Failure> {
    match config.seccomp {
        Seccomp::Default if !config.privileged => seccomp::compile(caps).map(Some).map_err(Failure::new),
        _ => Ok(None),
    }
}

fn resolve(root: &OwnedFd, user: Option<&str>, groups: &[String]) -> Result<Ids, Failure> {
    let database = Database::read(root).map_err(|error| {
        Failure::new(format!("cannot read the image's /etc/passwd or /etc/group: {error}"))
    })?;
    database.resolve(user, groups).map_err(|reason| Failure::command(126, reason))
}

/// Later ones win, and each name stands once. What nobody set gets Docker's value.
fn environment(
    config: &ContainerConfig,
    extra: &[(String, String)],
    user: &Ids,
    terminal: bool,
) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let defaults = [
        ("PATH", DEFAULT_PATH),
        ("HOSTNAME", config.hostname.as_str()),
        ("TERM", if terminal { "xterm" } else { "" }),
        ("HOME", user.home.as_str()),
    ];
    let defaults = defaults.into_iter().filter(|(_, value)| !value.is_empty());
    let defaults = defaults.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in defaults.chain(config.env.iter().cloned()).chain(extra.iter().cloned()) {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => all.push((name, value)),
        }
    }
    all
}

/// What cgroup v2 has no file for is refused: a limit that does not hold is none.
pub(super) fn check_resources(config: &ContainerConfig, cgroup: &Cgroup) -> Result<(), Failure> {
    let resources = &config.resources;
    crate::block::check(&resources.block_io, cgroup)?;
    let realtime = resources.realtime_us.is_some() || resources.realtime_period_us.is_some();
    let wished = [
        ("cpu_rt_runtime", realtime),
        ("mem_swappiness", resources.memory_swappiness.is_some()),
        ("oom_kill_disable", resources.oom_kill_disable),
    ];
    match wished.into_iter().find(|(_, wished)| *wished && cgroup.unified().is_some()) {
        Some((name, _)) => {
            Err(Failure::new(format!("`{name}` needs cgroup v1, and this machine has cgroup v2")))
        }
        None if realtime => {
            let time = resources.realtime_us.and_then(|time| u64::try_from(time).ok()).unwrap_or(0);
            cgroup.allow_realtime(time, resources.realtime_period_us).map_err(|error| {
                Failure::new(format!("`cpu_rt_runtime`: this machine has no such time to give: {error}"))
            })
        }
        None => Ok(()),
    }
}

/// libcontainer's own words for this name neither the setting nor what is wrong with it.
fn check_sysctls(config: &ContainerConfig) -> Result<(), Failure> {
    let path = |name: &str| std::path::Path::new("/proc/sys").join(name.replace('.', "/"));
    match config.sysctls.keys().find(|name| !path(name).exists()) {
        Some(name) => Err(Failure::new(format!("sysctl `{name}` does not exist on this machine"))),
        None => Ok(()),
    }
}

fn check_size(args: &[String], env: &[(String, String)]) -> Result<(), Failure> {
    let bytes: usize = args.iter().map(String::len).chain(env.iter().map(|(n, v)| n.len() + v.len())).sum();
    match bytes > limits::ARGS_BYTES {
        true => Err(Failure::command(
            126,
            format!("arguments and environment take {bytes} bytes; the limit is {}", limits::ARGS_BYTES),
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_the_services_over_the_defaults() {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let check =
            |env: &[(&str, &str)], extra: &[(&str, &str)], terminal: bool, expect: &[(&str, &str)]| {
                let config = ContainerConfig {
                    hostname: "box".into(),
                    env: env.iter().map(pair).collect(),
                    ..ContainerConfig::default()
                };
                let user = Ids { uid: 7, gid: 7, groups: vec![7], home: "/data".into() };
                let extra: Vec<_> = extra.iter().map(pair).collect();
                let got = environment(&config, &extra, &user, terminal);
                assert_eq!(got, expect.iter().map(pair).collect::<Vec<_>>());
            };
        check(&[], &[], false, &[("PATH", DEFAULT_PATH), ("HOSTNAME", "box"), ("HOME", "/data")]);
        check(
            &[("PATH", "/bin"), ("A", "1"), ("HOME", "/x")],
            &[("A", "2"), ("B", "")],
            true,
            &[
                ("PATH", "/bin"),
                ("HOSTNAME", "box"),
                ("TERM", "xterm"),
                ("HOME", "/x"),
                ("A", "2"),
                ("B", ""),
            ],
        );
    }
}
