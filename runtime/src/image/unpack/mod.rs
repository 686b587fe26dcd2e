//! Unpacking a layer: from an archive that nobody vouches for to a folder that overlayfs mounts as it is.
//!
//! Nothing an archive says leads outside of the folder: every entry is looked up below a directory handle with
//! `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`, so the kernel keeps links and `..` inside. Entries that no
//! honest builder writes make the layer as a whole [`Error::Hostile`]; all of them are named.
//!
//! ```text
//! blob ─► decode (gzip, zstd, plain; limits) ─► tarball (+ pax) ─► item (what it means) ─► tree (make it)
//! ```

mod decode;
mod item;
mod path;
mod pax;
pub(super) mod tarball;
#[cfg(test)]
mod tests;
mod tree;

use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::{Digest, Error, Refusal, Result, digest::HashingReader, limits};

use decode::Meter;
pub(super) use decode::decoder;
use item::Item;
use tarball::Reader;
use tree::Tree;

/// What became of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Digest of the uncompressed archive; to be compared with the image's configuration.
    pub(super) diff_id: Digest,
    /// Bytes of all files, holes included.
    pub(super) bytes: u64,
    /// Entries that are harmless but have no place in a layer, such as devices.
    pub(super) skipped: Vec<Refusal>,
}

/// Why an entry has no effect.
#[derive(Debug)]
enum Stop {
    /// No honest builder writes this.
    Refused(String),
    /// The machine failed, or a limit was met: the layer cannot be unpacked.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

/// Unpacks a layer into the empty folder `into`. `lower` are the layers below it, from the top to the bottom:
/// a folder that the archive uses without listing it looks as it does there.
///
/// # Errors
/// [`Error::Hostile`], [`Error::Limit`], or a failure of the machine; `into` then holds a part of the layer.
pub(super) fn unpack(
    layer: &Digest,
    blob: impl BufRead,
    blob_bytes: u64,
    lower: &[PathBuf],
    into: &Path,
) -> Result<Unpacked> {
    let meter = Meter::new(decoder(blob).map_err(Error::io("cannot read the layer"))?, blob_bytes);
    let mut reader = Reader::new(HashingReader::new(meter));
    let mut tree = Tree::open(into, lower)?;
    let mut refused = Refusals::default();
    let mut skipped = Refusals::default();
    let result = fill(&mut reader, &mut tree, &mut refused, &mut skipped);
    let (hashing, exceeded) = reader.into_parts();
    if let Some(error) = exceeded {
        return Err(error);
    }
    result?;
    if !refused.list.is_empty() {
        return Err(Error::Hostile { layer: layer.clone(), refused: refused.list, more: refused.more });
    }
    tree.finish()?;
    let (diff_id, _) = hashing.finish();
    Ok(Unpacked { diff_id, bytes: tree.bytes(), skipped: skipped.list })
}

/// Unpacks an archive that a person hands over into a folder, over what is there. `name`: what the first part of
/// every path is replaced by; `owner`: who shall own everything, whatever the archive says.
///
/// # Errors
/// [`Error::Malformed`] with what cannot be made, [`Error::Limit`], or a failure of the machine.
pub(crate) fn unpack_over(
    archive: impl Read,
    into: OwnedFd,
    shown: &Path,
    name: Option<&OsStr>,
    owner: Option<(u32, u32)>,
) -> Result<()> {
    let mut reader = Reader::new(archive);
    let mut tree = Tree::over(into, shown);
    while let Some(mut entry) = reader.next()? {
        if let Some((uid, gid)) = owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        if let Some(name) = name {
            rename(&mut entry.path, name);
            if entry.kind == tar::EntryType::Link {
                rename(&mut entry.link, name);
            }
        }
        let refused =
            |reason: String| Error::malformed(String::from_utf8_lossy(&entry.path).into_owned(), reason);
        let item = item::understand_plain(&entry).map_err(refused)?;
        match tree.make(&item, &entry, &mut reader.data()) {
            Ok(()) => {}
            Err(Stop::Refused(reason)) => return Err(refused(reason)),
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
    tree.finish()
}

/// Puts `name` in the place of a path's first part.
fn rename(path: &mut Vec<u8>, name: &OsStr) {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let end = path[start..].iter().position(|byte| *byte == b'/').map_or(path.len(), |at| start + at);
    path.splice(..end, name.as_encoded_bytes().iter().copied());
}

fn fill<R: Read>(
    reader: &mut Reader<HashingReader<Meter<R>>>,
    tree: &mut Tree,
    refused: &mut Refusals,
    skipped: &mut Refusals,
) -> Result<()> {
    let mut entries = 0;
    while let Some(entry) = reader.next()? {
        entries += 1;
        if entries > limits::LAYER_ENTRIES {
            return Err(Error::Limit {
                what: "number of files in the layer".into(),
                limit: limits::LAYER_ENTRIES,
            });
        }
        let outcome = match item::understand(&entry) {
            Ok(Item::Skip(reason)) => {
                skipped.add(&entry.path, reason.to_owned());
                continue;
            }
            Ok(item) => tree.make(&item, &entry, &mut reader.data()),
            Err(reason) => Err(Stop::Refused(reason)),
        };
        match outcome {
            Ok(()) => {}
            Err(Stop::Refused(reason)) => refused.add(&entry.path, reason),
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
    reader.drain()
}

/// A list that cannot grow without bound.
#[derive(Default)]
struct Refusals {
    list: Vec<Refusal>,
    more: u64,
}

impl Refusals {
    fn add(&mut self, path: &[u8], reason: String) {
        if self.list.len() < limits::REFUSALS_SHOWN {
            let shown = &path[..path.len().min(200)];
            self.list.push(Refusal { path: shown.escape_ascii().to_string(), reason });
        } else {
            self.more += 1;
        }
    }
}
