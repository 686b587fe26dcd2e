//! Two witnesses beside the log's file, for what the file cannot say of itself: how far it was
//! acknowledged, and that nobody touched it while it was closed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::disk::{DiskError, SUM, checksum, io_error, sealed};

/// How far the log was acknowledged: term and index of its last entry. Written without fsync, so it may
/// lag behind after a power cut, but it is never ahead; a log that ends before it has lost something,
/// whatever its own checksums say.
pub(crate) struct Mark {
    file: File,
}

impl Mark {
    const BYTES: usize = 16;

    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        Ok(Self { file: options? })
    }

    pub(crate) fn write(&self, (term, index): (u64, u64)) -> io::Result<()> {
        let content = [term.to_le_bytes(), index.to_le_bytes()].concat();
        self.file.write_all_at(&sealed("mark", 0, &content), 0)
    }

    /// `None` when there is none or it is not whole: a power cut may leave it so.
    pub(crate) fn read(&self) -> Option<(u64, u64)> {
        let mut bytes = Vec::new();
        (&self.file).take((SUM + Self::BYTES) as u64).read_to_end(&mut bytes).ok()?;
        (&self.file).rewind().ok()?;
        let (sum, content) = bytes.split_at_checked(SUM)?;
        let (term, index) = content.split_at_checked(8)?;
        let whole = sum == checksum("mark", 0, content);
        whole.then_some((
            u64::from_le_bytes(term.try_into().ok()?),
            u64::from_le_bytes(index.try_into().ok()?),
        ))
    }
}

/// The digest of a file that was closed in order. redb trusts such a file and reads it without looking at
/// its own checksums, where damage would make it panic.
pub(crate) struct Seal;

impl Seal {
    fn path(file: &Path) -> PathBuf {
        file.with_extension("seal")
    }

    /// Seals a closed file.
    pub(crate) fn set(file: &Path) -> io::Result<()> {
        // Durable first: a seal that outlived what it seals would call it damaged.
        File::open(file)?.sync_all()?;
        fs::write(Self::path(file), sealed("seal", 0, &digest(file)?))
    }

    /// Breaks the seal of a file that is to be opened; without one it was not closed in order.
    ///
    /// # Errors
    /// The file is not what was sealed.
    pub(crate) fn check(folder: &Path, file: &Path) -> Result<(), DiskError> {
        let path = Self::path(file);
        let seal = match fs::read(&path) {
            Ok(seal) => seal,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error("read", &path, e)),
        };
        let found = digest(file).map_err(|e| io_error("read", file, e))?;
        // A power cut may leave a seal that is not whole. Such a one says nothing.
        let whole = seal.split_at_checked(SUM).is_some_and(|(sum, of)| sum == checksum("seal", 0, of));
        if whole && seal[SUM..] != found {
            let what = "its content changed while no manager had it open".to_owned();
            return Err(DiskError::Damaged { path: file.into(), what });
        }
        // Durably, or else it would come back after a power cut and contradict what is written now.
        let removed = fs::remove_file(&path).and_then(|()| File::open(folder)?.sync_all());
        removed.map_err(|e| io_error("remove", &path, e))
    }
}

fn digest(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = match File::open(file) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Sha256::digest(b"").to_vec()),
        Err(e) => return Err(e),
    };
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum.finalize().to_vec()),
            length => sum.update(&buffer[..length]),
        }
    }
}
