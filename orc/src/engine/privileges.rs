//! Whether this process may do what an engine must, said before anything is tried.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{Failure, Outcome};

/// Capabilities without which no container can be made, with their numbers (capabilities(7)).
const NEEDED: &[(&str, u32)] = &[
    ("CAP_CHOWN", 0),
    ("CAP_KILL", 5),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_MKNOD", 27),
];

/// Refuses with the list of what is missing.
pub(crate) fn check() -> Outcome {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = rustix::process::geteuid().is_root();
    match missing(&status) {
        missing if missing.is_empty() && root => Ok(()),
        missing => Err(refusal(root, &missing)),
    }
}

/// Lets this process open as many files as it may at all: a descriptor for each container, watcher and connection
/// is more than the usual soft limit. Containers get a soft limit of their own (`runtime`'s `confine`).
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where even this is not granted the limit stays what it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// When memory runs out, others are killed first: what the engine answers for would be without it. Containers have a
/// score of their own (`runtime`'s `confine`).
pub(crate) fn be_spared() {
    // Where that is not granted it is one among all.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-900");
}

fn refusal(root: bool, missing: &[&str]) -> Failure {
    if root {
        let message = format!("this root may not run containers: it lacks {}", missing.join(", "));
        return Failure::new(message)
            .hint("inside a container, start that one with `--privileged`, or run `orc` outside of it");
    }
    Failure::new("the engine needs root to make namespaces, cgroups, mounts and network interfaces")
        .hint("run `sudo orc ...`; `orc config` and `orc graph` work without")
}

/// The needed capabilities that are not in the effective set of a `/proc/*/status`.
fn missing(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0);
    NEEDED.iter().filter(|(_, bit)| effective & (1 << bit) == 0).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::error;

    #[test]
    fn what_is_missing_is_named() {
        assert!(missing("CapInh:\t0\nCapEff:\t000001ffffffffff\n").is_empty());
        assert_eq!(missing("CapEff:\t000001ffffdfefff\n"), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
        assert_eq!(missing("").len(), NEEDED.len());
        let text = error::render(&refusal(true, &["CAP_SYS_ADMIN"]), false);
        assert!(text.contains("lacks CAP_SYS_ADMIN\nhint: inside a container"), "{text}");
        let text = error::render(&refusal(false, &[]), false);
        assert!(text.contains("needs root") && text.contains("hint: run `sudo orc"), "{text}");
    }
}
