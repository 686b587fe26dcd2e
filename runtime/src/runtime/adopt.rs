//! What a new engine finds: containers that run on, containers that ended meanwhile, and halves of things.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustix::process::{Signal, pidfd_send_signal};

use super::watch::{Entry, clean_up, outcome, watch};
use super::{Inner, Runtime, blocking, create};
use crate::bundle::Bundle;
use crate::cgroup;
use crate::error::{Error, Result, chain};
use crate::folders;
use crate::process::ProcessId;
use crate::status::{FoundState, Started};

/// What is known of one container after looking at its files and its shim.
enum Adopted {
    /// Nothing but remains.
    Nothing,
    Ended(FoundState),
    Running(Started, std::os::fd::OwnedFd),
}

impl Runtime {
    pub(super) async fn adopt(&self) -> Result<()> {
        let inner = self.inner.clone();
        let ids = blocking(move || everything(&inner)).await?;
        let mut ended = Vec::new();
        for id in ids {
            let (inner, name) = (self.inner.clone(), id.clone());
            let adopted = blocking(move || look(&inner, &name)).await;
            let state = match adopted {
                Ok(Adopted::Running(started, shim)) => {
                    let entry = self.inner.entry(&id);
                    entry.state.send_replace(FoundState::Running(started));
                    watch(self.inner.clone(), entry, shim, None)?;
                    continue;
                }
                Ok(Adopted::Ended(state)) => state,
                Ok(Adopted::Nothing) => {
                    self.discard(id).await;
                    continue;
                }
                // One damaged container must not keep the engine from looking after the others.
                Err(error) => {
                    tracing::warn!("container `{id}` cannot be adopted: {}", chain(&error));
                    continue;
                }
            };
            let entry = Arc::new(Entry::new(&id));
            entry.state.send_replace(state);
            ended.push(id.clone());
            self.inner.containers().insert(id, entry);
        }
        let inner = self.inner.clone();
        blocking(move || sweep_mounts(&inner, &ended)).await?;
        if self.inner.containers().is_empty() {
            self.remove_own_cgroup().await;
        }
        Ok(())
    }

    async fn discard(&self, id: String) {
        let inner = self.inner.clone();
        let removed = blocking(move || {
            kill_shim(&inner, &id)?;
            create::remove(&inner, &id).map(drop)
        })
        .await;
        if let Err(error) = removed {
            tracing::warn!("remains of a container cannot be removed: {}", chain(&error));
        }
    }
}

/// Unmounts the volumes of containers that have ended, unless others use them.
fn sweep_mounts(inner: &Inner, ended: &[String]) -> Result<()> {
    for id in ended {
        if let Some(stored) = create::stored(&inner.folders(id))? {
            inner.mounted.sweep(&stored.config);
        }
    }
    Ok(())
}

/// Every id that anything at all is left of.
fn everything(inner: &Inner) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    ids.extend(folders::names(&folders::all_durable(&inner.config))?);
    ids.extend(folders::names(&folders::all_run(&inner.config))?);
    ids.extend(inner.snapshots.list().map_err(|e| Error::Image { id: String::new(), source: Box::new(e) })?);
    let parent = folders::cgroup_parent(&inner.config.engine_id);
    ids.extend(cgroup::children(&parent).map_err(Error::system("cannot list cgroups"))?);
    ids.retain(|id| create::check_id(id).is_ok());
    Ok(ids)
}

fn look(inner: &Inner, id: &str) -> Result<Adopted> {
    let folders = inner.folders(id);
    let Some(stored) = create::stored(&folders)? else { return Ok(Adopted::Nothing) };
    let shim: Option<ProcessId> = folders::read_json(&folders.shim()).unwrap_or_default();
    let started: Option<Started> = folders::read_json(&folders.started())?;
    // The shim first: if it ends after this look, its handle tells; if before, its record is there already.
    match (shim.and_then(ProcessId::open), started) {
        (Some(handle), Some(started)) => {
            // With the mounts that it has of others.
            let bundle: Option<Bundle> = folders::read_json(&folders.bundle()).unwrap_or_default();
            inner.mounted.found(bundle.as_ref().map_or(&stored.config, |bundle| &bundle.config));
            return Ok(Adopted::Running(started, handle));
        }
        // Its engine died while it was starting the container, so nobody knows of it: it is as if it never began.
        (Some(_), None) => kill_shim(inner, id)?,
        (None, _) => {}
    }
    if let Some(exit) = folders::read_json(&folders.exit())? {
        return Ok(Adopted::Ended(FoundState::Exited(exit)));
    }
    if started.is_some() {
        return outcome(inner, id).map(|exit| Adopted::Ended(FoundState::Exited(exit)));
    }
    clean_up(&folders, &inner.cgroup(id)?)?;
    Ok(Adopted::Ended(FoundState::Created))
}

/// Ends the shim named in the container's folder, if it still is that process, and waits until it has.
fn kill_shim(inner: &Inner, id: &str) -> Result<()> {
    let shim: Option<ProcessId> = folders::read_json(&inner.folders(id).shim()).unwrap_or_default();
    let Some(handle) = shim.and_then(ProcessId::open) else { return Ok(()) };
    let _ = pidfd_send_signal(&handle, Signal::KILL);
    // It holds a mount namespace whose mounts must be gone before their folders can be removed.
    let mut wait = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
    let _ = rustix::event::poll(&mut wait, Some(&rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 }));
    Ok(())
}
