//! Real-time scheduling in cgroup v1: a new group may use none, and no group may give away more than it has.

use std::fs;
use std::io;
use std::path::Path;

use super::{Cgroup, folders_in};

const RUNTIME: &str = "cpu.rt_runtime_us";
const PERIOD: &str = "cpu.rt_period_us";
/// The kernel's period when nothing else is said, in microseconds.
const SECOND: u64 = 1_000_000;

impl Cgroup {
    /// Gives the groups above this one what they need so that it can have `time_us` in each `period_us`.
    pub(crate) fn allow_realtime(&self, time_us: u64, period_us: Option<u64>) -> io::Result<()> {
        let Some(own) = self.controller("cpu") else { return Err(io::ErrorKind::Unsupported.into()) };
        // All but the top, which is the machine's own.
        let above: Vec<&Path> = own.ancestors().skip(1).take_while(|f| f.join(RUNTIME).exists()).collect();
        let [above @ .., _] = above.as_slice() else { return Err(io::ErrorKind::Unsupported.into()) };
        let mut wanted = per_second(time_us, period_us.unwrap_or(SECOND));
        let mut child = own;
        let mut raised = Vec::new();
        for group in above {
            for other in folders_in(group)?.iter().filter(|other| other.as_path() != child) {
                wanted = wanted.saturating_add(share(other)?);
            }
            let has = share(group)?;
            if has < wanted {
                raised.push((group.join(RUNTIME), wanted));
            }
            (wanted, child) = (wanted.max(has), *group);
        }
        // From the top: a group can only be given what the one above it has.
        raised.iter().rev().try_for_each(|(file, wanted)| fs::write(file, wanted.to_string()))
    }
}

/// What a group has, in microseconds a second.
fn share(group: &Path) -> io::Result<u64> {
    let number = |file: &str| match fs::read_to_string(group.join(file)) {
        // A group that was removed meanwhile has nothing; -1 stands for no limit, which only the top has.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        text => Ok(text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)),
    };
    Ok(per_second(number(RUNTIME)?, number(PERIOD)?))
}

fn per_second(time_us: u64, period_us: u64) -> u64 {
    time_us.saturating_mul(SECOND).div_ceil(period_us.max(1))
}
