//! Which containers use volumes whose data are elsewhere: the first that starts has them mounted, the last that ends
//! has them unmounted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{ContainerConfig, MountSource};
use crate::error::{Error, Result};
use crate::volume::device::{self, VolumeDevice};

/// The users of each folder that something is mounted at.
#[derive(Debug, Default)]
pub(super) struct Mounted {
    folders: Mutex<BTreeMap<PathBuf, Users>>,
}

#[derive(Clone, Debug, Default)]
struct Users {
    ids: BTreeSet<String>,
    /// Held while something is mounted or unmounted there, which takes as long as a server of files takes.
    gate: Arc<Mutex<()>>,
}

impl Mounted {
    /// A container was found running: what it needs is mounted.
    pub(super) fn found(&self, config: &ContainerConfig) {
        devices(config).for_each(|(folder, _)| drop(self.note(folder, &config.id)));
    }

    /// A container starts: what it needs is mounted. Blocking.
    pub(super) fn take(&self, config: &ContainerConfig) -> Result<()> {
        for (folder, device) in devices(config) {
            let gate = self.note(folder, &config.id);
            let _alone = locked(&gate);
            device::attach(folder, device).map_err(|error| Error::Start {
                id: config.id.clone(),
                reason: format!(
                    "cannot mount `{}` (type `{}`, options `{}`) as a volume: {error}",
                    device.source, device.kind, device.options
                ),
            })?;
        }
        Ok(())
    }

    fn note(&self, folder: &Path, id: &str) -> Arc<Mutex<()>> {
        let mut folders = locked(&self.folders);
        let users = folders.entry(folder.to_owned()).or_default();
        users.ids.insert(id.to_owned());
        users.gate.clone()
    }

    /// A container has ended: what nobody uses any more is unmounted.
    pub(super) fn leave(&self, id: &str) {
        let mut idle = Vec::new();
        for (folder, users) in locked(&self.folders).iter_mut() {
            if users.ids.remove(id) && users.ids.is_empty() {
                idle.push(folder.clone());
            }
        }
        idle.iter().for_each(|folder| self.unmount_if_idle(folder));
    }

    /// What a container that ended while no engine was there may have left.
    pub(super) fn sweep(&self, config: &ContainerConfig) {
        devices(config).for_each(|(folder, _)| self.unmount_if_idle(folder));
    }

    fn unmount_if_idle(&self, folder: &Path) {
        let gate = locked(&self.folders).entry(folder.to_owned()).or_default().gate.clone();
        let _alone = locked(&gate);
        let mut folders = locked(&self.folders);
        if folders.get(folder).is_some_and(|users| users.ids.is_empty()) {
            if let Err(error) = device::detach(folder) {
                tracing::warn!("cannot unmount `{}`: {error}", folder.display());
            }
            folders.remove(folder);
        }
    }
}

fn devices(config: &ContainerConfig) -> impl Iterator<Item = (&Path, &VolumeDevice)> {
    config.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume { path, device: Some(device), .. } => Some((path.as_path(), device)),
        _ => None,
    })
}

/// Sets and maps are whole after every single operation on them, so a panic elsewhere does no harm.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
