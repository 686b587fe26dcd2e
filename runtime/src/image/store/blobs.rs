//! Content-addressed files: what was checked once is found again by its digest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::index::{replace, sync_parent};
use crate::image::digest::Hasher;
use crate::image::{Digest, Error, Result};

/// `blobs/sha256/<hex>` for what is complete, `blobs/partial/<hex>` for what is still arriving.
#[derive(Debug)]
pub(in crate::image) struct Blobs {
    complete: PathBuf,
    partial: PathBuf,
}

impl Blobs {
    pub(super) fn open(dir: &Path) -> Result<Blobs> {
        let blobs = Blobs { complete: dir.join("sha256"), partial: dir.join("partial") };
        for folder in [&blobs.complete, &blobs.partial] {
            fs::create_dir_all(folder).map_err(Error::file("cannot create", folder))?;
        }
        Ok(blobs)
    }

    pub(in crate::image) fn path(&self, digest: &Digest) -> PathBuf {
        self.complete.join(digest.hex())
    }

    pub(in crate::image) fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    pub(in crate::image) fn open_blob(&self, digest: &Digest) -> Result<(BufReader<File>, u64)> {
        let path = self.path(digest);
        let file = File::open(&path).map_err(Error::file("cannot open", &path))?;
        let size = file.metadata().map_err(Error::file("cannot read", &path))?.len();
        Ok((BufReader::with_capacity(64 << 10, file), size))
    }

    /// The whole of a small blob.
    pub(in crate::image) fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let (file, size) = self.open_blob(digest)?;
        if size > limit {
            return Err(Error::Limit { what: format!("size of {digest}"), limit });
        }
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content).map_err(Error::file("cannot read", &self.path(digest)))?;
        Ok(content)
    }

    /// Stores a small blob durably.
    pub(in crate::image) fn write(&self, content: &[u8]) -> Result<Digest> {
        let digest = Digest::of(content);
        if !self.has(&digest) {
            replace(&self.path(&digest), content)?;
        }
        Ok(digest)
    }

    /// Takes over a file of the same filesystem whose digest is known.
    pub(in crate::image) fn adopt(&self, file: &Path, digest: &Digest) -> Result<()> {
        if self.has(digest) {
            return Ok(());
        }
        File::open(file).and_then(|file| file.sync_all()).map_err(Error::file("cannot sync", file))?;
        let place = self.path(digest);
        // A link, not a move: the archive may use the same file again.
        fs::hard_link(file, &place).map_err(Error::file("cannot keep", file))?;
        sync_parent(&place)
    }

    /// Continues, or begins, a blob that is expected to have this digest.
    pub(in crate::image) fn receive(&self, digest: &Digest) -> Result<Receiving> {
        let path = self.partial.join(digest.hex());
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::file("cannot open", &path))?;
        let (mut hasher, mut buffer, mut bytes) = (Hasher::default(), vec![0; 256 << 10], 0);
        loop {
            match file.read(&mut buffer).map_err(Error::file("cannot read", &path))? {
                0 => break,
                count => {
                    hasher.update(&buffer[..count]);
                    bytes += count as u64;
                }
            }
        }
        Ok(Receiving { file, path, hasher, bytes, expected: digest.clone(), place: self.path(digest) })
    }

    /// Removes everything `keep` does not name, arriving blobs included.
    pub(super) fn sweep(&self, keep: impl Fn(&Digest) -> bool) -> Result<()> {
        for (folder, all) in [(&self.complete, false), (&self.partial, true)] {
            for entry in fs::read_dir(folder).map_err(Error::file("cannot list", folder))? {
                let path = entry.map_err(Error::file("cannot list", folder))?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let kept = format!("sha256:{name}").parse().is_ok_and(|digest| keep(&digest));
                if all || !kept {
                    fs::remove_file(&path).map_err(Error::file("cannot remove", &path))?;
                }
            }
        }
        Ok(())
    }
}

/// A blob on its way in. Dropped before [`Receiving::finish`], it is found again by the next attempt.
#[derive(Debug)]
pub(in crate::image) struct Receiving {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    bytes: u64,
    expected: Digest,
    place: PathBuf,
}

impl Receiving {
    /// How much is here already.
    pub(in crate::image) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(in crate::image) fn append(&mut self, content: &[u8]) -> Result<()> {
        self.file.write_all(content).map_err(Error::file("cannot write", &self.path))?;
        self.hasher.update(content);
        self.bytes += content.len() as u64;
        Ok(())
    }

    /// Begins again at the first byte.
    pub(in crate::image) fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(Error::file("cannot empty", &self.path))?;
        (self.hasher, self.bytes) = (Hasher::default(), 0);
        Ok(())
    }

    /// Checks the digest and puts the blob in its place. A wrong one is thrown away.
    pub(in crate::image) fn finish(self) -> Result<()> {
        let actual = self.hasher.clone().finish();
        if actual != self.expected {
            self.discard_file();
            return Err(Error::Mismatch { what: "digest of a blob", expected: self.expected, actual });
        }
        self.file.sync_all().map_err(Error::file("cannot write", &self.path))?;
        fs::rename(&self.path, &self.place).map_err(Error::file("cannot move", &self.path))?;
        sync_parent(&self.place)
    }

    fn discard_file(&self) {
        // What cannot be removed now is overwritten or swept later.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a partial download");
        }
    }
}
