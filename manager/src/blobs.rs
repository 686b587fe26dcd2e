//! The contents of secrets and configs: files named by what is in them, beside the log so that it stays
//! small.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use api::limits::MAX_BLOB_BYTES;
use cluster::State;
use sha2::{Digest, Sha256};

use crate::limits::{BLOB_GRACE_MS, MAX_BLOBS};

/// A folder of blobs.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// The blobs in a folder, which is made if it is not there.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// Stores a content durably; answers its digest. One that is there already counts as new again.
    pub(crate) fn put(&self, content: &[u8]) -> io::Result<String> {
        let digest = hex(&Sha256::digest(content));
        let path = self.folder.join(&digest);
        if let Ok(file) = File::open(&path) {
            file.set_modified(SystemTime::now())?;
            return Ok(digest);
        }
        if fs::read_dir(&self.folder)?.count() >= MAX_BLOBS {
            let what = format!("{MAX_BLOBS} contents of secrets and configs are stored already");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, what));
        }
        // Two writers of one content write the same, so that one file for both does no harm.
        let beside = self.folder.join(format!("{digest}.new"));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(digest)
    }

    /// A content by its digest; `None` when it is not stored.
    ///
    /// # Errors
    /// It cannot be read, or is not what its name says.
    pub(crate) fn get(&self, digest: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = self.path(digest) else { return Ok(None) };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut content = Vec::new();
        file.take(MAX_BLOB_BYTES as u64 + 1).read_to_end(&mut content)?;
        if hex(&Sha256::digest(&content)) != digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its content is not what its name says"));
        }
        Ok(Some(content))
    }

    /// Whether a content is stored.
    pub(crate) fn has(&self, digest: &str) -> bool {
        self.path(digest).is_some_and(|path| path.exists())
    }

    /// Removes what is neither named nor new.
    pub(crate) fn collect(&self, named: &BTreeSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let kept = entry.file_name().to_str().is_some_and(|name| named.contains(name));
            if !kept && is_old(&entry.path()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Where a content is; `None` when `digest` is no digest, and perhaps a path that leads elsewhere.
    fn path(&self, digest: &str) -> Option<PathBuf> {
        let fits = digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| self.folder.join(digest))
    }
}

/// The digests that some service or task names.
pub(crate) fn named(state: &State) -> BTreeSet<String> {
    let services = state.services().map(|(_, service)| service.spec.clone());
    let tasks = state.tasks.values().map(|task| task.spec.clone());
    services
        .chain(tasks)
        .flat_map(|spec| spec.files.iter().map(|file| file.digest.clone()).collect::<Vec<_>>())
        .collect()
}

fn is_old(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age > Duration::from_millis(BLOB_GRACE_MS))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_found_by_digest() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("blobs")).unwrap();
        let digest = blobs.put(b"secret").unwrap();
        assert_eq!(blobs.put(b"secret").unwrap(), digest);
        assert_eq!(blobs.get(&digest).unwrap().unwrap(), b"secret");
        assert!(blobs.has(&digest));
        for stranger in ["0".repeat(64).as_str(), "../log.redb", ""] {
            assert_eq!(blobs.get(stranger).unwrap(), None);
            assert!(!blobs.has(stranger));
        }
    }

    #[test]
    fn a_changed_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().to_owned()).unwrap();
        let digest = blobs.put(b"secret").unwrap();
        fs::write(folder.path().join(&digest), b"other").unwrap();
        assert_eq!(blobs.get(&digest).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_old_and_not_named_goes() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().to_owned()).unwrap();
        let digests = [b"a", b"b", b"c"].map(|content| blobs.put(content).unwrap());
        for old in [&digests[0], &digests[1]] {
            File::open(folder.path().join(old)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        blobs.collect(&BTreeSet::from([digests[0].clone()])).unwrap();
        assert_eq!(digests.map(|digest| blobs.has(&digest)), [true, false, true]);
    }
}
