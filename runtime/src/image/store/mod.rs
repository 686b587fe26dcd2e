//! The images of this machine: what is complete is in the index, everything else may be thrown away.
//!
//! ```text
//! <data_dir>/images/
//!   index.json          names and images; replaced as a whole, last
//!   blobs/sha256/<hex>  configurations and layers as they came, checked
//!   blobs/partial/<hex> layers that are arriving; continued by the next pull
//!   layers/<chain>/fs   unpacked layers in the form that overlayfs mounts
//!   tmp/                emptied at each start
//!   lock                held by the one process that has the store open
//! ```

mod blobs;
mod gc;
mod index;
mod keyed;
mod layers;
#[cfg(test)]
mod tests;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::config::{self, Parsed};
use super::{DEMO_REFERENCE, Digest, Error, Image, ImageSummary, Reference, Result, limits};

use crate::process::now_ms;

use blobs::Blobs;
pub(super) use blobs::Receiving;
use gc::Activity;
pub use gc::Removed;
use index::Index;
pub(super) use index::{Blob, Layer, Name, Record};
pub(super) use keyed::Keyed;
use keyed::locked;
use layers::Layers;
pub(super) use layers::chain_ids;

/// All images of one engine, in `<data_dir>/images`. Cheap to clone; opened once per data folder.
#[derive(Clone, Debug)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    data_dir: PathBuf,
    index_file: PathBuf,
    tmp: PathBuf,
    blobs: Blobs,
    layers: Layers,
    index: Mutex<Index>,
    activity: Mutex<Activity>,
    /// One pull per reference, one download per blob.
    downloads: Keyed<tokio::sync::Mutex<()>>,
    /// One unpacking per layer.
    unpacking: Keyed<Mutex<()>>,
    demo: Mutex<Option<PathBuf>>,
    /// Released by the kernel when the process ends, however it ends.
    _lock: File,
}

impl ImageStore {
    /// Opens or makes the store, and removes what an interrupted pull left unusable.
    ///
    /// # Errors
    /// [`Error::Busy`] when it is open already, here or in another process; otherwise a failure of the disk.
    pub fn open(data_dir: &Path) -> Result<ImageStore> {
        let dir = data_dir.join("images");
        let tmp = dir.join("tmp");
        fs::create_dir_all(&dir).map_err(Error::file("cannot create", &dir))?;
        // Layers hold setuid programs, which nobody but a container may reach.
        fs::set_permissions(&dir, Permissions::from_mode(0o700))
            .map_err(Error::file("cannot protect", &dir))?;
        let lock = lock(&dir)?;
        if tmp.exists() {
            fs::remove_dir_all(&tmp).map_err(Error::file("cannot empty", &tmp))?;
        }
        fs::create_dir(&tmp).map_err(Error::file("cannot create", &tmp))?;
        let index_file = dir.join("index.json");
        let store = ImageStore {
            inner: Arc::new(Inner {
                data_dir: data_dir.to_owned(),
                blobs: Blobs::open(&dir.join("blobs"))?,
                layers: Layers::open(&dir.join("layers"), &tmp)?,
                index: Mutex::new(Index::read(&index_file)?),
                activity: Mutex::default(),
                downloads: Keyed::default(),
                unpacking: Keyed::default(),
                demo: Mutex::default(),
                index_file,
                tmp,
                _lock: lock,
            }),
        };
        // A layer that no image names may be torn if the machine crashed before it was synced.
        store.sweep_layers()?;
        Ok(store)
    }

    /// Says which executable [`DEMO_REFERENCE`] is made from, usually `/proc/self/exe`.
    pub fn with_demo(self, executable: &Path) -> ImageStore {
        *locked(&self.inner.demo) = Some(executable.to_owned());
        self
    }

    /// The image with this name, id, or unambiguous start of an id; only if all of it is here.
    ///
    /// # Errors
    /// [`Error::Ambiguous`], or a failure of the disk. Text that can be neither name nor id is just not found.
    pub fn get(&self, reference_or_id: &str) -> Result<Option<Image>> {
        let index = locked(&self.inner.index).clone();
        match find(&index, reference_or_id)? {
            Some((id, reference)) => self.image(&index, &id, reference),
            None => Ok(None),
        }
    }

    /// Every image once, sorted by its first name.
    ///
    /// # Errors
    /// When a configuration cannot be read.
    pub fn list(&self) -> Result<Vec<ImageSummary>> {
        let index = locked(&self.inner.index).clone();
        let mut list = Vec::new();
        for (id, record) in &index.images {
            list.push(ImageSummary {
                id: id.to_string(),
                references: index.names_of(id),
                size: record.layers.iter().map(|layer| layer.bytes).sum(),
                created: self.config(id)?.created,
            });
        }
        list.sort_by(|a, b| {
            (a.references.is_empty(), &a.references).cmp(&(b.references.is_empty(), &b.references))
        });
        Ok(list)
    }

    /// Gives an image another name, which is taken from the image that had it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Reference`] when the name is not one, or has a digest.
    pub fn tag(&self, reference_or_id: &str, name: &str) -> Result<Reference> {
        let reference: Reference = name.parse()?;
        if reference.digest().is_some() {
            return Err(Error::Reference {
                reference: name.to_owned(),
                reason: "a digest cannot be given away",
            });
        }
        self.change_index(|index| {
            let (id, _) = find(index, reference_or_id)?
                .ok_or_else(|| Error::NotFound { reference: reference_or_id.to_owned() })?;
            index.names.insert(reference.to_string(), Name { id, digest: None, at_ms: now_ms() });
            Ok(())
        })?;
        Ok(reference)
    }

    /// Reads one image out of a copy of the index; `None` if a part of it is missing on the disk.
    fn image(&self, index: &Index, id: &Digest, reference: Option<String>) -> Result<Option<Image>> {
        let Some(record) = index.images.get(id) else { return Ok(None) };
        let layers: Vec<PathBuf> =
            record.layers.iter().map(|layer| self.inner.layers.tree(&layer.chain)).collect();
        if !self.inner.blobs.has(id) || !layers.iter().all(|layer| layer.is_dir()) {
            return Ok(None);
        }
        let parsed = self.config(id)?;
        let reference = reference.or_else(|| index.names_of(id).into_iter().next()).unwrap_or_default();
        let digest = index.names.get(&reference).and_then(|name| name.digest.as_ref());
        Ok(Some(Image {
            id: id.to_string(),
            digest: digest.map(Digest::to_string),
            reference,
            config: parsed.config,
            layers,
            size: record.layers.iter().map(|layer| layer.bytes).sum(),
            created: parsed.created,
        }))
    }

    fn config(&self, id: &Digest) -> Result<Parsed> {
        config::parse(&self.inner.blobs.read(id, limits::CONFIG_BYTES)?)
    }

    /// Changes the index on the disk, then in memory.
    fn change_index<T>(&self, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let mut current = locked(&self.inner.index);
        let mut next = current.clone();
        let result = change(&mut next)?;
        if next != *current {
            next.write(&self.inner.index_file)?;
            *current = next;
        }
        Ok(result)
    }
}

/// What pulling, loading and the built-in image use.
impl ImageStore {
    pub(super) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub(super) fn layers(&self) -> &Layers {
        &self.inner.layers
    }

    pub(super) fn downloads(&self) -> &Keyed<tokio::sync::Mutex<()>> {
        &self.inner.downloads
    }

    pub(super) fn tmp(&self) -> &Path {
        &self.inner.tmp
    }

    pub(super) fn demo_executable(&self) -> Option<PathBuf> {
        locked(&self.inner.demo).clone()
    }

    /// The image with this name; never one whose id looks like it.
    pub(super) fn named(&self, reference: &Reference) -> Result<Option<Image>> {
        let index = locked(&self.inner.index).clone();
        match find_named(&index, reference) {
            Some((id, name)) => self.image(&index, &id, Some(name)),
            None => Ok(None),
        }
    }

    /// How long ago a name was given to the image that has it, in milliseconds; `None` when that is not known.
    pub(super) fn age_ms(&self, reference: &Reference) -> Option<u64> {
        let index = locked(&self.inner.index);
        let (_, text) = find_named(&index, reference)?;
        let at = index.names.get(&text)?.at_ms;
        now_ms().checked_sub(at).filter(|_| at > 0)
    }

    /// What an image consists of, for saving it.
    pub(super) fn record(&self, reference_or_id: &str) -> Result<(Digest, Record)> {
        let index = locked(&self.inner.index);
        let found = find(&index, reference_or_id)?
            .and_then(|(id, _)| Some((id.clone(), index.images.get(&id)?.clone())));
        found.ok_or_else(|| Error::NotFound { reference: reference_or_id.to_owned() })
    }

    /// Unpacks a layer whose blob is in the store, unless that is done already. Blocking.
    pub(super) fn unpack(&self, blob: &Blob, diff_id: &Digest, chains: &[Digest]) -> Result<Layer> {
        let Some((chain, below)) = chains.split_last() else {
            return Err(Error::malformed("image", "a layer without a chain id"));
        };
        let lock = self.inner.unpacking.of(chain.hex());
        let _guard = locked(&lock);
        let bytes = match self.inner.layers.bytes(chain) {
            Some(bytes) => bytes,
            None => {
                let content = self.inner.blobs.open_blob(&blob.digest)?;
                let unpacked = self.inner.layers.unpack(content, &blob.digest, diff_id, chain, below);
                unpacked.map_err(|error| match error {
                    hostile @ Error::Hostile { .. } => hostile,
                    other => Error::Layer { layer: blob.digest.clone(), source: Box::new(other) },
                })?
            }
        };
        Ok(Layer { diff_id: diff_id.clone(), chain: chain.clone(), bytes, blob: Some(blob.clone()) })
    }

    /// Writes an image and its names into the index: from now on it is here. Blocking.
    pub(super) fn commit(
        &self,
        id: &Digest,
        layers: Vec<Layer>,
        names: &[(Reference, Option<Digest>)],
    ) -> Result<()> {
        self.inner.layers.sync()?;
        self.add(id, layers, names)
    }

    /// Like [`ImageStore::commit`] for layers that are durable already.
    pub(super) fn add(
        &self,
        id: &Digest,
        layers: Vec<Layer>,
        names: &[(Reference, Option<Digest>)],
    ) -> Result<()> {
        self.change_index(|index| {
            index.images.insert(id.clone(), Record { layers });
            for (name, digest) in names {
                let name_now = Name { id: id.clone(), digest: digest.clone(), at_ms: now_ms() };
                index.names.insert(name.to_string(), name_now);
            }
            Ok(())
        })
    }
}

/// A name goes before an id: people may call an image `cafe`.
fn find(index: &Index, text: &str) -> Result<Option<(Digest, Option<String>)>> {
    let named = text.parse().ok().and_then(|reference| find_named(index, &reference));
    if let Some((id, name)) = named {
        return Ok(Some((id, Some(name))));
    }
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if hex.len() < 4 || hex.len() > 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut ids = index.ids_with_prefix(hex);
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(Some((id.clone(), None))),
        (Some(_), Some(_)) => Err(Error::Ambiguous { reference: text.to_owned() }),
        (None, _) => Ok(None),
    }
}

/// `name:tag@digest` and `name@digest` mean what was pulled from there with that digest, under any tag.
fn find_named(index: &Index, reference: &Reference) -> Option<(Digest, String)> {
    let exact = reference.to_string();
    if let Some(name) = index.names.get(&exact) {
        return Some((name.id.clone(), exact));
    }
    let digest = reference.digest()?;
    let same = |text: &str| text.parse::<Reference>().is_ok_and(|known| known.is_same_repository(reference));
    let mut names = index.names.iter();
    let (text, name) = names.find(|(text, name)| name.digest.as_ref() == Some(digest) && same(text))?;
    Some((name.id.clone(), text.clone()))
}

/// The name under which the built-in image is known.
pub(super) fn is_demo(reference: &Reference) -> bool {
    reference.to_string() == format!("docker.io/{DEMO_REFERENCE}:latest")
}

fn lock(dir: &Path) -> Result<File> {
    use rustix::fs::{FlockOperation, flock};
    let path = dir.join("lock");
    let file = File::create(&path).map_err(Error::file("cannot create", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Busy { path: dir.to_owned() }),
        Err(error) => Err(Error::file("cannot lock", &path)(error)),
    }
}
