//! The store's table of contents: which images there are, what they are called, and what they consist of.
//!
//! One file, replaced as a whole: an image is here once everything it consists of is on the disk, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::image::{Digest, Error, Result, limits};

const VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::image) struct Index {
    version: u32,
    /// By id: the digest of the configuration.
    pub(in crate::image) images: BTreeMap<Digest, Record>,
    /// By normalised reference.
    pub(in crate::image) names: BTreeMap<String, Name>,
}

/// What an image consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::image) struct Record {
    /// From the bottom to the top.
    pub(in crate::image) layers: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::image) struct Layer {
    /// Digest of the uncompressed archive.
    pub(in crate::image) diff_id: Digest,
    /// Names the folder of the unpacked layer; it depends on the layers below as well.
    pub(in crate::image) chain: Digest,
    /// Bytes of all files.
    pub(in crate::image) bytes: u64,
    /// The layer as it came; `None` for a layer that was made here.
    pub(in crate::image) blob: Option<Blob>,
}

/// Something that is found by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::image) struct Blob {
    pub(in crate::image) digest: Digest,
    pub(in crate::image) size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::image) struct Name {
    pub(in crate::image) id: Digest,
    /// What the registry called it: the digest of the manifest or index.
    pub(in crate::image) digest: Option<Digest>,
    /// When the image was last found to be what is meant, in milliseconds since 1970; 0 is unknown.
    #[serde(default)]
    pub(in crate::image) at_ms: u64,
}

impl Default for Index {
    fn default() -> Index {
        Index { version: VERSION, images: BTreeMap::new(), names: BTreeMap::new() }
    }
}

impl Index {
    /// A missing file is an empty index.
    pub(super) fn read(path: &Path) -> Result<Index> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::default()),
            Err(error) => return Err(Error::file("cannot open", path)(error)),
        };
        let mut text = Vec::new();
        let limit = limits::INDEX_FILE_BYTES;
        file.take(limit).read_to_end(&mut text).map_err(Error::file("cannot read", path))?;
        let damaged = |reason: String| Error::malformed(format!("`{}`", path.display()), reason);
        let index: Index = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if index.version != VERSION {
            return Err(damaged(format!("format {} is not known to this version", index.version)));
        }
        Ok(index)
    }

    /// Replaces the file so that after a crash either the old or the new one is there.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|e| Error::malformed("image index", e))?;
        replace(path, &text)
    }

    /// Ids that begin with these hexadecimal digits.
    pub(super) fn ids_with_prefix<'a>(&'a self, hex: &'a str) -> impl Iterator<Item = &'a Digest> {
        self.images.keys().filter(move |id| id.hex().starts_with(hex))
    }

    pub(super) fn names_of(&self, id: &Digest) -> Vec<String> {
        self.names.iter().filter(|(_, name)| name.id == *id).map(|(text, _)| text.clone()).collect()
    }

    /// Everything that images or names refer to in `blobs/`.
    pub(super) fn blobs(&self) -> BTreeSet<Digest> {
        let layers = self.images.values().flat_map(|record| &record.layers);
        let blobs = layers.filter_map(|layer| layer.blob.as_ref()).map(|blob| blob.digest.clone());
        blobs.chain(self.images.keys().cloned()).collect()
    }

    pub(super) fn chains(&self) -> BTreeSet<Digest> {
        self.images.values().flat_map(|record| &record.layers).map(|layer| layer.chain.clone()).collect()
    }
}

/// Writes a file under a temporary name of its own, makes it durable, and moves it to its place: two that
/// write the same file at once both succeed, and readers see one or the other.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Error::file("cannot write in", folder))?;
    let written = file.write_all(content).and_then(|()| file.as_file().sync_all());
    written.map_err(Error::file("cannot write", file.path()))?;
    file.persist(path).map_err(|error| Error::file("cannot replace", path)(error.error))?;
    sync_parent(path)
}

/// Makes a rename durable.
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("cannot sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_written_by_several_at_once_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| replace(&path, b"content"))).collect();
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
