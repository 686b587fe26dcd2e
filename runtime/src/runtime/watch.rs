//! One container in memory: its state, the task that waits for its shim to end, and the handle that tells before
//! the shim does.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;

use super::{Inner, blocking};
use crate::asyncfd;
use crate::cgroup::Cgroup;
use crate::error::{Error, Result, chain};
use crate::folders::{self, Folders};
use crate::process::{ProcessId, now_ms};
use crate::status::{Exit, FoundState, Started};

pub(super) struct Entry {
    pub(super) id: String,
    /// Held by whoever creates, starts or removes the container.
    pub(super) lock: Arc<tokio::sync::Mutex<()>>,
    pub(super) state: watch::Sender<FoundState>,
    /// The request of whoever attached before the start, on its way to the shim that will be.
    given: Mutex<Option<UnixStream>>,
}

impl Entry {
    pub(super) fn new(id: &str) -> Entry {
        let state = watch::Sender::new(FoundState::Created);
        Entry { id: id.to_owned(), lock: Arc::default(), state, given: Mutex::default() }
    }

    /// Puts a request in the place of the one before, or takes it.
    pub(super) fn swap_given(&self, given: Option<UnixStream>) -> Option<UnixStream> {
        // Replacing a value cannot leave it half-made, so a panic elsewhere does no harm.
        std::mem::replace(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner), given)
    }
}

/// Waits in the background for the end of a shim and then publishes how its container ended. `child` is there
/// if this engine started the shim and has to collect it.
pub(super) fn watch(inner: Arc<Inner>, entry: Arc<Entry>, shim: OwnedFd, child: Option<Child>) -> Result<()> {
    let shim = asyncfd::register(shim).map_err(Error::system("cannot watch a shim"))?;
    tokio::spawn(async move {
        // An error here would mean that the handle is no handle; the state on disk is looked at in any case.
        let _ = shim.readable().await;
        let id = entry.id.clone();
        let ended = blocking(move || {
            if let Some(mut child) = child {
                let _ = child.wait();
            }
            let outcome = outcome(&inner, &id);
            inner.mounted.leave(&id);
            outcome
        })
        .await;
        let exit = ended.unwrap_or_else(|error| lost(chain(&error), 0));
        entry.state.send_replace(FoundState::Exited(exit));
    });
    Ok(())
}

/// A handle that becomes readable when the first process of a running container dies; `None` if it is dead.
pub(super) fn first_process(folders: &Folders, pid: u32) -> Result<Option<OwnedFd>> {
    // A shim removes its file only after its container's end.
    let Some(shim) = folders::read_json::<ProcessId>(&folders.shim())? else { return Ok(None) };
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let look = || -> io::Result<Option<OwnedFd>> {
        let handle = pidfd_open(raw, PidfdFlags::NONBLOCK)?;
        // Looked at after opening: the shim is the only parent that the first process ever has. If the number
        // now is another's, the first process has been collected, whoever that other is.
        let status = fs::read(format!("/proc/{pid}/status"))?;
        Ok((parent(&String::from_utf8_lossy(&status)) == Some(shim.pid)).then_some(handle))
    };
    match look() {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        looked => looked.map_err(Error::system("cannot look at the first process of a container")),
    }
}

/// The parent that proc_pid_status(5) names. The process's own name, above it, may contain anything but a line
/// feed, which the kernel escapes.
fn parent(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// What the shim wrote down; or, if it could not, an end made up after the container was killed.
pub(super) fn outcome(inner: &Inner, id: &str) -> Result<Exit> {
    let folders = inner.folders(id);
    if let Some(exit) = folders::read_json(&folders.exit())? {
        return Ok(exit);
    }
    let cgroup = inner.cgroup(id)?;
    clean_up(&folders, &cgroup)?;
    let started: Option<Started> = folders::read_json(&folders.started())?;
    let reason = "its shim was killed, or the machine went down, while it ran; what was left was killed";
    let exit = lost(reason.to_owned(), started.map_or(0, |started| started.started_at_ms));
    folders::write_json(&folders.exit(), &exit, true)?;
    Ok(exit)
}

fn lost(reason: String, started_at_ms: u64) -> Exit {
    let (code, signal) = (137, Some(9));
    Exit { code, signal, oom: false, error: Some(reason), started_at_ms, finished_at_ms: now_ms() }
}

/// Everything a shim would have removed. Its mounts went with its namespace.
pub(super) fn clean_up(folders: &Folders, cgroup: &Cgroup) -> Result<()> {
    let emptied = cgroup.freeze(false).and_then(|()| cgroup.kill()).and_then(|()| cgroup.remove());
    emptied.map_err(Error::system("cannot remove the cgroup of a container"))?;
    for name in ["state", "rootfs", "init", "parts", "images", "joined"] {
        folders::remove_dir(&folders.run.join(name))?;
    }
    for file in [folders.control(), folders.bundle(), folders.shim(), folders.run.join("config.json")] {
        folders::remove_file(&file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_child_of_the_shim_is_its_containers_first_process() {
        let here = tempfile::tempdir().unwrap();
        let folders = Folders { durable: here.path().to_owned(), run: here.path().to_owned() };
        let (me, parent) = (std::process::id(), std::os::unix::process::parent_id());
        assert!(first_process(&folders, me).unwrap().is_none(), "its shim is done");
        for (shim, pid, lives) in [(parent, me, true), (me, me, false), (parent, u32::MAX, false)] {
            folders::write_json(&folders.shim(), &ProcessId { pid: shim, began: 0 }, false).unwrap();
            let first = first_process(&folders, pid).unwrap();
            assert_eq!(first.is_some(), lives, "shim {shim}, first process {pid}");
        }
        let mut child = std::process::Command::new("/proc/self/exe").arg("--list").spawn().unwrap();
        folders::write_json(&folders.shim(), &ProcessId { pid: me, began: 0 }, false).unwrap();
        child.wait().unwrap();
        assert!(first_process(&folders, child.id()).unwrap().is_none(), "it was collected");
    }

    #[test]
    fn a_name_does_not_hide_the_parent() {
        assert_eq!(parent("Name:\tPPid:\\nPPid: 3\nUmask:\t0022\nPid:\t7\nPPid:\t42\n"), Some(42));
        assert_eq!(parent(""), None);
    }
}
