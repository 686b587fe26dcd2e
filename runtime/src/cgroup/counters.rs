//! What a container uses, read from its groups' counters; v1 and v2 name them differently.

use std::fs;
use std::path::Path;

use super::Cgroup;
use crate::status::Stats;

/// v1 writes "no limit" as the largest page-aligned number.
const V1_UNLIMITED: u64 = i64::MAX as u64 & !0xfff;

impl Cgroup {
    /// Counters that this machine does not keep are zero.
    pub(crate) fn stats(&self) -> Stats {
        match self.unified() {
            Some(folder) => unified(folder),
            None => self.legacy(),
        }
    }

    fn legacy(&self) -> Stats {
        let text = |controller: &str, file: &str| {
            let folder = self.controller(controller)?;
            fs::read_to_string(folder.join(file)).ok()
        };
        let number = |controller: &str, file: &str| text(controller, file)?.trim().parse::<u64>().ok();
        let used = number("memory", "memory.usage_in_bytes").unwrap_or(0);
        let statistics = text("memory", "memory.stat").unwrap_or_default();
        let limit = number("memory", "memory.limit_in_bytes").filter(|limit| *limit < V1_UNLIMITED);
        let io = text("blkio", "blkio.throttle.io_service_bytes").unwrap_or_default();
        Stats {
            cpu_nanos: number("cpuacct", "cpuacct.usage").unwrap_or(0),
            memory_bytes: used.saturating_sub(keyed(&statistics, "total_inactive_file").unwrap_or(0)),
            memory_limit_bytes: limit,
            pids: number("pids", "pids.current").unwrap_or(0),
            read_bytes: sum(&io, "Read"),
            written_bytes: sum(&io, "Write"),
            ..Stats::default()
        }
    }
}

fn unified(folder: &Path) -> Stats {
    let text = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let used: u64 = text("memory.current").trim().parse().unwrap_or(0);
    let io = text("io.stat");
    let total = |key: &str| {
        io.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok()).sum()
    };
    Stats {
        cpu_nanos: keyed(&text("cpu.stat"), "usage_usec").unwrap_or(0).saturating_mul(1000),
        memory_bytes: used.saturating_sub(keyed(&text("memory.stat"), "inactive_file").unwrap_or(0)),
        memory_limit_bytes: text("memory.max").trim().parse().ok(),
        pids: text("pids.current").trim().parse().unwrap_or(0),
        read_bytes: total("rbytes="),
        written_bytes: total("wbytes="),
        ..Stats::default()
    }
}

/// The number after `key ` at the beginning of a line.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `8:0 Read 4096`, one line per device.
fn sum(text: &str, operation: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let found = words.nth(1)? == operation;
            found.then(|| words.next()?.parse::<u64>().ok()).flatten()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_whole_names() {
        let events = "low 0\noom 3\noom_kill_group 9\noom_kill 2\n";
        assert_eq!(keyed(events, "oom_kill"), Some(2));
        assert_eq!(keyed(events, "max"), None);
        assert_eq!(sum("8:0 Read 10\n8:0 Write 4\n8:16 Read 5\nTotal 19\n", "Read"), 15);
    }
}
