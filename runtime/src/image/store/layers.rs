//! Unpacked layers: `layers/<chain>/fs` is mounted, `layers/<chain>/layer.json` says what it holds.
//!
//! A chain id stands for a layer and all that lie below it
//! (<https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid>): a layer that forgets to list
//! a folder takes over how that folder looks below.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::unpack;
use crate::image::{Digest, Error, Refusal, Result};

#[derive(Debug)]
pub(in crate::image) struct Layers {
    dir: PathBuf,
    tmp: PathBuf,
}

/// `layer.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    bytes: u64,
    diff_id: Digest,
    /// Entries without effect and why, for people who miss them.
    skipped: Vec<(String, String)>,
}

const FACTS: &str = "layer.json";
const TREE: &str = "fs";

impl Layers {
    pub(super) fn open(dir: &Path, tmp: &Path) -> Result<Layers> {
        fs::create_dir_all(dir).map_err(Error::file("cannot create", dir))?;
        Ok(Layers { dir: dir.to_owned(), tmp: tmp.to_owned() })
    }

    /// The folder that is mounted.
    pub(in crate::image) fn tree(&self, chain: &Digest) -> PathBuf {
        self.dir.join(chain.hex()).join(TREE)
    }

    /// Bytes of an unpacked layer, if it is here.
    pub(in crate::image) fn bytes(&self, chain: &Digest) -> Option<u64> {
        let text = fs::read(self.dir.join(chain.hex()).join(FACTS)).ok()?;
        serde_json::from_slice::<Facts>(&text).ok().map(|facts| facts.bytes)
    }

    /// Unpacks a layer onto those below it (from the bottom to the top). The caller sees to it that no two
    /// callers do the same one.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the content is not what the image's configuration promises.
    pub(in crate::image) fn unpack(
        &self,
        blob: (impl std::io::BufRead, u64),
        name: &Digest,
        diff_id: &Digest,
        chain: &Digest,
        below: &[Digest],
    ) -> Result<u64> {
        let (content, size) = blob;
        let lower: Vec<PathBuf> = below.iter().rev().map(|chain| self.tree(chain)).collect();
        self.make(chain, |tree| {
            let unpacked = unpack::unpack(name, content, size, &lower, tree)?;
            if unpacked.diff_id != *diff_id {
                let what = "digest of an unpacked layer";
                return Err(Error::Mismatch { what, expected: diff_id.clone(), actual: unpacked.diff_id });
            }
            let skipped = |r: Refusal| (r.path, r.reason);
            let skipped = unpacked.skipped.into_iter().map(skipped).collect();
            Ok(Facts { bytes: unpacked.bytes, diff_id: unpacked.diff_id, skipped })
        })
    }

    /// Makes a layer that does not come from an archive; `fill` gives the bytes of its files.
    pub(in crate::image) fn build(
        &self,
        diff_id: &Digest,
        chain: &Digest,
        fill: impl FnOnce(&Path) -> Result<u64>,
    ) -> Result<u64> {
        self.make(chain, |tree| {
            Ok(Facts { bytes: fill(tree)?, diff_id: diff_id.clone(), skipped: Vec::new() })
        })
    }

    fn make(&self, chain: &Digest, fill: impl FnOnce(&Path) -> Result<Facts>) -> Result<u64> {
        let folder = tempfile::Builder::new()
            .prefix("layer-")
            .tempdir_in(&self.tmp)
            .map_err(Error::file("cannot create a folder in", &self.tmp))?;
        let tree = folder.path().join(TREE);
        fs::create_dir(&tree).map_err(Error::file("cannot create", &tree))?;
        let facts = fill(&tree)?;
        let bytes = facts.bytes;
        let text = serde_json::to_vec(&facts).map_err(|e| Error::malformed(FACTS, e))?;
        let file = folder.path().join(FACTS);
        fs::write(&file, text).map_err(Error::file("cannot write", &file))?;
        let place = self.dir.join(chain.hex());
        fs::rename(folder.path(), &place).map_err(Error::file("cannot move a layer to", &place))?;
        // It is not temporary any more.
        let _moved = folder.keep();
        Ok(bytes)
    }

    /// Takes every layer that `keep` does not name out of the store. They are in `tmp` afterwards, and gone when
    /// that is emptied.
    pub(super) fn sweep(&self, keep: impl Fn(&Digest) -> bool) -> Result<()> {
        for entry in fs::read_dir(&self.dir).map_err(Error::file("cannot list", &self.dir))? {
            let path = entry.map_err(Error::file("cannot list", &self.dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if format!("sha256:{name}").parse().is_ok_and(|chain| keep(&chain)) {
                continue;
            }
            let away = tempfile::Builder::new()
                .prefix("gone-")
                .tempdir_in(&self.tmp)
                .map_err(Error::file("cannot create a folder in", &self.tmp))?
                .keep();
            fs::rename(&path, away.join("layer")).map_err(Error::file("cannot move away", &path))?;
        }
        Ok(())
    }

    /// Makes all unpacked layers durable: after a crash of the machine the index must not promise too much.
    pub(in crate::image) fn sync(&self) -> Result<()> {
        let folder = fs::File::open(&self.dir).map_err(Error::file("cannot open", &self.dir))?;
        rustix::fs::syncfs(&folder).map_err(Error::file("cannot sync", &self.dir))
    }
}

/// The chain ids of layers, from the bottom to the top.
pub(in crate::image) fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::new();
    for diff_id in diff_ids {
        chains.push(match chains.last() {
            None => diff_id.clone(),
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
        });
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_layer_twice_has_two_chain_ids() {
        let empty = Digest::of(b"");
        let chains = chain_ids(&[empty.clone(), empty.clone(), empty.clone()]);
        assert_eq!(chains[0], empty);
        assert_ne!(chains[1], chains[0]);
        assert_ne!(chains[2], chains[1]);
    }
}
