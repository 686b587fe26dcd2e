//! Processes of this machine, named so that a recycled pid is never mistaken for the old one.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::status::ProcessStatus;

/// A pid together with the time its process began, in the kernel's ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: u32,
    pub(crate) began: u64,
}

impl ProcessId {
    pub(crate) fn of(pid: u32) -> io::Result<ProcessId> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let began = began(&stat).ok_or_else(|| io::Error::other("unexpected text in /proc/<pid>/stat"))?;
        Ok(ProcessId { pid, began })
    }

    /// A handle that becomes readable when the process ends; `None` if it has ended already.
    pub(crate) fn open(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let handle = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // Looked at after opening: if it still is the process we mean, the handle is that process's.
        (ProcessId::of(self.pid).ok()? == self).then_some(handle)
    }
}

impl ProcessStatus {
    /// What proc_pid_stat(5) and its neighbours say; `None` if there is no such process.
    pub(crate) fn of(pid: u32) -> Option<ProcessStatus> {
        let file = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let stat = file("stat").ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Counted from 0, where the manual counts from 3.
        let number =
            |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let booted: u64 = fs::read_to_string("/proc/stat")
            .ok()?
            .lines()
            .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(String::from_utf8_lossy)
            .collect();
        let name = name.split_once('(').map_or(name, |(_, name)| name);
        Some(ProcessStatus {
            pid,
            parent: u32::try_from(number(1)).ok()?,
            uid: fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
            terminal: terminal(number(4)),
            started_at_ms: booted * 1000 + number(19) * 1000 / ticks,
            cpu_ms: (number(11) + number(12)) * 1000 / ticks,
            command: if words.is_empty() { format!("[{name}]") } else { words.join(" ") },
        })
    }
}

/// The name of a terminal by its device number, for the kinds that a container can have.
fn terminal(device: u64) -> Option<String> {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match major {
        136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        4 => Some(format!("tty{minor}")),
        _ => None,
    }
}

/// Field 22 of proc_pid_stat(5). The name in field 2 may contain anything, so fields are counted from its end.
fn began(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_recognised_by_its_beginning() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(me.open().is_some());
        assert!(ProcessId { began: me.began + 1, ..me }.open().is_none(), "a recycled pid");
    }

    #[test]
    fn a_process_says_what_it_is() {
        let me = ProcessStatus::of(std::process::id()).unwrap();
        assert_eq!(me.parent, std::os::unix::process::parent_id());
        assert_eq!(me.uid, rustix::process::getuid().as_raw());
        assert!(!me.command.is_empty() && me.started_at_ms <= now_ms());
        assert!(ProcessStatus::of(u32::MAX).is_none());
        assert_eq!(terminal(0x8803).as_deref(), Some("pts/3"));
        assert_eq!(terminal(0), None);
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 424242 0 0";
        assert_eq!(began(stat), Some(424_242));
    }
}
