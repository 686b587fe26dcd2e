//! One container in memory: its state, and the task that waits for its shim to end.

use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Inner, blocking};
use crate::asyncfd;
use crate::cgroup::Cgroup;
use crate::error::{Error, Result, chain};
use crate::folders::{self, Folders};
use crate::process::now_ms;
use crate::status::{Exit, FoundState, Started};

pub(super) struct Entry {
    pub(super) id: String,
    /// Held by whoever creates, starts or removes the container.
    pub(super) lock: Arc<tokio::sync::Mutex<()>>,
    pub(super) state: watch::Sender<FoundState>,
}

impl Entry {
    pub(super) fn new(id: &str) -> Entry {
        Entry { id: id.to_owned(), lock: Arc::default(), state: watch::Sender::new(FoundState::Created) }
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
            outcome(&inner, &id)
        })
        .await;
        let exit = ended.unwrap_or_else(|error| lost(chain(&error), 0));
        entry.state.send_replace(FoundState::Exited(exit));
    });
    Ok(())
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
    for name in ["state", "rootfs", "init"] {
        folders::remove_dir(&folders.run.join(name))?;
    }
    for file in [folders.control(), folders.bundle(), folders.shim(), folders.run.join("config.json")] {
        folders::remove_file(&file)?;
    }
    Ok(())
}
