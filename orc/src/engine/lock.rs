//! Locks between processes: held by an open file, given back by the kernel whatever becomes of the holder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Doing, Failure, Outcome};

/// A lock that is held until it is dropped.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Waits for the lock.
    pub(crate) fn wait(path: &Path) -> Outcome<Self> {
        let file = open(path)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                result => {
                    result.doing(|| format!("cannot lock `{}`", path.display()))?;
                    return Ok(Self { file });
                }
            }
        }
    }

    /// Takes the lock if nobody has it.
    pub(crate) fn try_take(path: &Path) -> Outcome<Option<Self>> {
        let file = open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Failure::new(format!("cannot lock `{}`", path.display())).because(&error)),
        }
    }

    /// Says in the file who holds the lock.
    pub(crate) fn sign(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

/// What the holder of a lock says of itself.
pub(crate) fn holder(path: &Path) -> String {
    let mut text = String::new();
    // Whoever cannot read it learns less; that is all.
    let _ = File::open(path).and_then(|file| file.take(256).read_to_string(&mut text));
    text.trim().to_owned()
}

fn open(path: &Path) -> Outcome<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    file.doing(|| format!("cannot open the lock `{}`", path.display()))
}

/// Makes a folder that is this user's alone, and refuses one that is somebody else's.
pub(crate) fn private_dir(path: &Path) -> Outcome {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.doing(|| format!("cannot make the folder `{}`", path.display()))?;
    let found = fs::metadata(path).doing(|| format!("cannot look at the folder `{}`", path.display()))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        let message = format!("the folder `{}` belongs to user {}", path.display(), found.uid());
        return Err(Failure::new(message).hint("each user has an engine of their own; see `--data-dir`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_the_lock_and_says_who_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut first = Lock::try_take(&path).unwrap().expect("nobody has it");
        first.sign("a longer text").unwrap();
        first.sign("pid 7").unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        assert_eq!(holder(&path), "pid 7");
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
