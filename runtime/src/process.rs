//! Processes of this machine, named so that a recycled pid is never mistaken for the old one.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

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
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 424242 0 0";
        assert_eq!(began(stat), Some(424_242));
    }
}
