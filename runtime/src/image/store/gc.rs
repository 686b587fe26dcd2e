//! Removing images, and everything that no image needs any more.

use std::collections::BTreeSet;
use std::fs;

use super::keyed::locked;
use super::{ImageStore, Record, find};
use crate::image::{Digest, Error, Reference, Result};
use crate::snapshot;

/// What [`ImageStore::remove`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Normalised names that are gone.
    pub untagged: Vec<String>,
    /// The image's id if the image itself is gone as well.
    pub deleted: Option<String>,
}

/// Pulls and loads have parts in the store that no image names yet: nothing is swept while one runs.
#[derive(Debug, Default)]
pub(super) struct Activity {
    running: usize,
    sweep_wanted: bool,
}

/// Held by whatever puts parts of an image into the store.
#[derive(Debug)]
pub(in crate::image) struct Arriving {
    store: ImageStore,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let sweep = {
            let mut activity = locked(&self.store.inner.activity);
            activity.running -= 1;
            activity.running == 0 && std::mem::take(&mut activity.sweep_wanted)
        };
        if sweep && let Err(error) = self.store.sweep() {
            tracing::warn!(%error, "cannot remove what no image needs");
        }
    }
}

impl ImageStore {
    /// Removes a name, and the image with its layers when it was the last one. By id all its names go.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] when a container needs the image and `force` is not set. With `force`
    /// the layers stay until the container is gone and something is removed again.
    pub fn remove(&self, reference_or_id: &str, force: bool) -> Result<Removed> {
        let used = snapshot::layers_in_use(&self.inner.data_dir)?;
        let removed = self.change_index(|index| {
            let (id, name) = find(index, reference_or_id)?
                .ok_or_else(|| Error::NotFound { reference: reference_or_id.to_owned() })?;
            let names = index.names_of(&id);
            let untagged = match name {
                Some(name) if names.len() > 1 => vec![name],
                _ => names.clone(),
            };
            let last = untagged.len() == names.len();
            if last && !force {
                let top = index.images.get(&id).and_then(|record| record.layers.last());
                let user = top.and_then(|top| used.iter().find(|(chain, _)| chain == top.chain.hex()));
                if let Some((_, container)) = user {
                    let reference = name_for_people(reference_or_id);
                    return Err(Error::InUse { reference, container: container.clone() });
                }
            }
            for name in &untagged {
                index.names.remove(name);
            }
            if last {
                index.images.remove(&id);
            }
            Ok(Removed { untagged, deleted: last.then(|| id.to_string()) })
        })?;
        if removed.deleted.is_some() {
            self.sweep()?;
        }
        Ok(removed)
    }

    /// Forgets images without a name other than `keep`: earlier states of the built-in image. Their layers go with
    /// the next sweep.
    pub(in crate::image) fn forget_earlier(
        &self,
        keep: &Digest,
        is_earlier: impl Fn(&Record) -> bool,
    ) -> Result<()> {
        self.change_index(|index| {
            let named: BTreeSet<Digest> = index.names.values().map(|name| name.id.clone()).collect();
            index.images.retain(|id, record| id == keep || named.contains(id) || !is_earlier(record));
            Ok(())
        })
    }

    /// Announces parts of an image that are not in the index yet.
    pub(in crate::image) fn arriving(&self) -> Arriving {
        locked(&self.inner.activity).running += 1;
        Arriving { store: self.clone() }
    }

    /// Removes blobs and layers that neither an image nor a container needs.
    fn sweep(&self) -> Result<()> {
        {
            let mut activity = locked(&self.inner.activity);
            if activity.running > 0 {
                activity.sweep_wanted = true;
                return Ok(());
            }
            // Nothing can begin to arrive while this is held; moving and unlinking is quick.
            let blobs = locked(&self.inner.index).blobs();
            self.inner.blobs.sweep(|digest| blobs.contains(digest))?;
            self.take_out_layers()?;
        }
        self.empty_tmp()
    }

    /// The part of a sweep that is due at each start.
    pub(super) fn sweep_layers(&self) -> Result<()> {
        self.take_out_layers()?;
        self.empty_tmp()
    }

    fn take_out_layers(&self) -> Result<()> {
        let used: BTreeSet<Digest> = snapshot::layers_in_use(&self.inner.data_dir)?
            .into_iter()
            .filter_map(|(layer, _)| format!("sha256:{layer}").parse().ok())
            .collect();
        let chains = locked(&self.inner.index).chains();
        self.inner.layers.sweep(|chain| chains.contains(chain) || used.contains(chain))
    }

    /// Deletes what sweeps have moved away, which may take a while. Only those folders: a pull may be at work.
    fn empty_tmp(&self) -> Result<()> {
        let tmp = &self.inner.tmp;
        for entry in fs::read_dir(tmp).map_err(Error::file("cannot list", tmp))? {
            let entry = entry.map_err(Error::file("cannot list", tmp))?;
            if entry.file_name().to_string_lossy().starts_with("gone-") {
                match fs::remove_dir_all(entry.path()) {
                    // Another sweep deletes it at the same time.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    other => other.map_err(Error::file("cannot remove", &entry.path()))?,
                }
            }
        }
        Ok(())
    }
}

fn name_for_people(text: &str) -> String {
    text.parse::<Reference>().map_or_else(|_| text.to_owned(), |reference| reference.familiar())
}
