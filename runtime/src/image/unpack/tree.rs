//! Making files below one folder, and nowhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::Stop;
use super::item::Item;
use super::path::LayerPath;
use super::tarball::Entry;
use crate::image::{Error, Result, inside, limits, lower};

/// Holes are kept in units of this many bytes, the usual block of a filesystem.
const HOLE: usize = 4096;

/// The folder that becomes a layer.
pub(super) struct Tree {
    root: Arc<OwnedFd>,
    shown: PathBuf,
    lower: Vec<PathBuf>,
    /// The folder of the last entry: archives list a folder's files one after the other.
    last: Option<(LayerPath, Arc<OwnedFd>)>,
    /// Times of folders are set last, because every file made in one changes its time.
    folder_times: Vec<(LayerPath, (i64, u32))>,
    bytes: u64,
}

type Outcome<T = ()> = Result<T, Stop>;

impl Tree {
    pub(super) fn open(path: &Path, lower: &[PathBuf]) -> Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(Error::file("cannot open", path))?;
        // Until the archive says something else, the root folder is passable for every user of the image.
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755))
            .map_err(Error::file("cannot set the mode of", path))?;
        Ok(Tree { lower: lower.to_vec(), ..Tree::over(root, path) })
    }

    /// Over what a folder holds already; `shown` is its name in messages.
    pub(super) fn over(root: OwnedFd, shown: &Path) -> Tree {
        Tree {
            root: Arc::new(root),
            shown: shown.to_owned(),
            lower: Vec::new(),
            last: None,
            folder_times: Vec::new(),
            bytes: 0,
        }
    }

    /// Bytes of all files so far, holes included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes one entry; `data` is read for files only.
    pub(super) fn make(&mut self, item: &Item, entry: &Entry, data: &mut dyn Read) -> Outcome {
        match item {
            Item::Folder(path) => self.folder(path, entry),
            Item::File(path) => self.file(path, entry, data),
            Item::Symlink(path, target) => self.symlink(path, target, entry),
            Item::Hardlink { new, existing } => self.hardlink(new, existing),
            Item::Fifo(path) => self.fifo(path, entry),
            Item::Whiteout(path) => self.whiteout(path),
            Item::Opaque(path) => self.opaque(path),
            Item::Skip(_) => Ok(()),
        }
    }

    /// To be called once, after the last entry.
    pub(super) fn finish(&mut self) -> Result<()> {
        // Folders that were replaced by something else later have no time of their own any more.
        for (path, time) in std::mem::take(&mut self.folder_times) {
            if let Ok(folder) =
                self.open_in_root(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
            {
                rustix::fs::futimens(&folder, &times(time))
                    .map_err(Error::file("cannot set times in", &self.shown))?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, path: &LayerPath, entry: &Entry) -> Outcome {
        let folder = match path.split() {
            None => self.root.clone(),
            Some((parent, name)) => {
                let parent = self.parent(&parent)?;
                self.real_folder(&parent, name, path)?
            }
        };
        self.describe(folder.as_fd(), entry, path)?;
        self.folder_times.push((path.clone(), entry.mtime));
        Ok(())
    }

    /// Opens the folder `name`, making it in the place of anything that is not a folder.
    fn real_folder(&mut self, parent: &OwnedFd, name: &OsStr, path: &LayerPath) -> Outcome<Arc<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(folder) => return Ok(Arc::new(folder)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(self.stop(path, error)),
        }
        let replaces_whiteout = self.clear(parent, name, path)?;
        rustix::fs::mkdirat(parent, name, Mode::RWXU).map_err(|e| self.stop(path, e))?;
        let folder =
            rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(|e| self.stop(path, e))?;
        if replaces_whiteout {
            // Deleted and made again in one layer: the old content must stay hidden.
            self.set_opaque(&folder, path)?;
        }
        Ok(Arc::new(folder))
    }

    fn file(&mut self, path: &LayerPath, entry: &Entry, data: &mut dyn Read) -> Outcome {
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.bytes > limits::LAYER_BYTES {
            let what = "size of the layer's files".to_owned();
            return Err(Stop::Failed(Error::Limit { what, limit: limits::LAYER_BYTES }));
        }
        let Some((parent, name)) = path.split() else { return Ok(()) };
        let parent = self.parent(&parent)?;
        self.clear(&parent, name, path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| self.stop(path, e))?;
        let file = File::from(file);
        let whole = [(0, entry.size)];
        let pieces = entry.sparse.as_deref().unwrap_or(&whole);
        pieces
            .iter()
            .try_for_each(|(offset, length)| copy_with_holes(data, &file, *offset, *length))
            .and_then(|()| file.set_len(entry.size))
            .map_err(|source| self.failed(path, source))?;
        self.describe(file.as_fd(), entry, path)?;
        rustix::fs::futimens(&file, &times(entry.mtime)).map_err(|e| self.stop(path, e))
    }

    fn symlink(&mut self, path: &LayerPath, target: &[u8], entry: &Entry) -> Outcome {
        let Some((parent, name)) = path.split() else { return Ok(()) };
        let parent = self.parent(&parent)?;
        self.clear(&parent, name, path)?;
        rustix::fs::symlinkat(target, &parent, name).map_err(|e| self.stop(path, e))?;
        self.describe_by_name(&parent, name, entry, path)
    }

    fn fifo(&mut self, path: &LayerPath, entry: &Entry) -> Outcome {
        let Some((parent, name)) = path.split() else { return Ok(()) };
        let parent = self.parent(&parent)?;
        self.clear(&parent, name, path)?;
        rustix::fs::mknodat(&parent, name, FileType::Fifo, Mode::RUSR, 0).map_err(|e| self.stop(path, e))?;
        self.describe_by_name(&parent, name, entry, path)?;
        rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())
            .map_err(|e| self.stop(path, e))
    }

    /// The target is looked up inside the layer, never in the machine.
    fn hardlink(&mut self, new: &LayerPath, existing: &LayerPath) -> Outcome {
        let (Some((parent, name)), Some((from_parent, from_name))) = (new.split(), existing.split()) else {
            return Ok(());
        };
        if new == existing {
            return Err(Stop::Refused("it is a hard link to itself".to_owned()));
        }
        let missing =
            || Stop::Refused(format!("hard link to `{}`, which is not in the layer", show(existing)));
        let from =
            self.open_in_root(&from_parent, OFlags::PATH | OFlags::DIRECTORY).map_err(|_| missing())?;
        match rustix::fs::statat(&from, from_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if can_be_linked(FileType::from_raw_mode(stat.st_mode)) => {}
            _ => return Err(missing()),
        }
        let parent = self.parent(&parent)?;
        self.clear(&parent, name, new)?;
        // The target may have been what was just cleared, under another spelling.
        rustix::fs::linkat(&from, from_name, &parent, name, AtFlags::empty()).map_err(|_| missing())
    }

    /// Deletes what lower layers have. What this layer has itself stays; the order of its entries must not matter.
    fn whiteout(&mut self, path: &LayerPath) -> Outcome {
        let Some((parent, name)) = path.split() else { return Ok(()) };
        let parent = self.parent(&parent)?;
        match rustix::fs::mknodat(&parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
                    Ok(folder) => self.set_opaque(&folder, path),
                    Err(_) => Ok(()),
                }
            }
            Err(error) => Err(self.stop(path, error)),
        }
    }

    fn opaque(&mut self, path: &LayerPath) -> Outcome {
        let folder = match path.split() {
            None => self.root.clone(),
            Some(_) => self.parent(path)?,
        };
        self.set_opaque(&folder, path)
    }

    fn set_opaque(&self, folder: &OwnedFd, path: &LayerPath) -> Outcome {
        rustix::fs::fsetxattr(folder, lower::OPAQUE, b"y", XattrFlags::empty())
            .map_err(|e| self.stop(path, e))
    }

    /// Owner first: changing it takes away setuid bits and capabilities.
    fn describe(&self, fd: BorrowedFd<'_>, entry: &Entry, path: &LayerPath) -> Outcome {
        let fail = |e| self.stop(path, e);
        rustix::fs::fchown(fd, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
            .map_err(fail)?;
        rustix::fs::fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(fail)?;
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_kept(name)) {
            match rustix::fs::fsetxattr(fd, name.as_slice(), value, XattrFlags::empty()) {
                // Not every filesystem has ACLs; only capabilities change what a program can do.
                Err(_) if name != CAPABILITY => {}
                other => other.map_err(fail)?,
            }
        }
        Ok(())
    }

    fn describe_by_name(&self, parent: &OwnedFd, name: &OsStr, entry: &Entry, path: &LayerPath) -> Outcome {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), nofollow).map_err(|e| self.stop(path, e))?;
        rustix::fs::utimensat(parent, name, &times(entry.mtime), nofollow).map_err(|e| self.stop(path, e))
    }

    /// Removes whatever is called `name`; true if it was a whiteout.
    fn clear(&mut self, parent: &OwnedFd, name: &OsStr, path: &LayerPath) -> Outcome<bool> {
        let stat = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(self.stop(path, error)),
        };
        // A folder that was opened before may be the one that goes.
        self.last = None;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            // The standard library removes by descriptor and follows no links below this name.
            let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name);
            std::fs::remove_dir_all(by_descriptor).map_err(|source| self.failed(path, source))?;
            return Ok(false);
        }
        rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(|e| self.stop(path, e))?;
        Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice)
    }

    /// The folder for an entry, made if the archive forgot to list it.
    fn parent(&mut self, path: &LayerPath) -> Outcome<Arc<OwnedFd>> {
        if path.is_root() {
            return Ok(self.root.clone());
        }
        if let Some((last, folder)) = &self.last
            && last == path
        {
            return Ok(folder.clone());
        }
        let folder = match self.open_in_root(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(folder) => Arc::new(folder),
            Err(Errno::NOENT | Errno::NOTDIR) => self.implied_folder(path)?,
            Err(error) => return Err(self.stop(path, error)),
        };
        self.last = Some((path.clone(), folder.clone()));
        Ok(folder)
    }

    fn implied_folder(&mut self, path: &LayerPath) -> Outcome<Arc<OwnedFd>> {
        let Some((parent, name)) = path.split() else { return Ok(self.root.clone()) };
        let parent = self.parent(&parent)?;
        match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice => {
                return Err(Stop::Refused(format!("`{}` is not a folder of the layer", show(path))));
            }
            _ => {}
        }
        let folder = self.real_folder(&parent, name, path)?;
        let looks = lower::find(&self.lower, path.as_path()).filter(std::fs::Metadata::is_dir);
        let (uid, gid, mode) =
            looks.as_ref().map_or((0, 0, 0o755), |m| (m.uid(), m.gid(), m.mode() & 0o7777));
        let implied = Entry { uid, gid, mode, ..Entry::default() };
        self.describe(folder.as_fd(), &implied, path)?;
        if let Some(looks) = looks {
            self.folder_times.push((path.clone(), (looks.mtime(), 0)));
        }
        Ok(folder)
    }

    /// Symbolic links are followed as a process would whose root is this folder.
    fn open_in_root(&self, path: &LayerPath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        inside::open(&*self.root, path.as_path(), flags)
    }

    /// What the archive is to blame for is refused; everything else is this machine's failure.
    fn stop(&self, path: &LayerPath, error: Errno) -> Stop {
        match error {
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::NAMETOOLONG | Errno::ISDIR | Errno::EXIST => {
                Stop::Refused(io::Error::from(error).to_string())
            }
            error => self.failed(path, error.into()),
        }
    }

    fn failed(&self, path: &LayerPath, source: io::Error) -> Stop {
        Stop::Failed(Error::File { doing: "cannot unpack", path: self.shown.join(path.as_path()), source })
    }
}

const CAPABILITY: &[u8] = b"security.capability";

/// Labels of SELinux, IMA and the like belong to the machine that made the image, not to this one.
fn is_kept(name: &[u8]) -> bool {
    name == CAPABILITY || name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_")
}

/// Character devices are whiteouts here, and not for an archive to copy.
fn can_be_linked(kind: FileType) -> bool {
    matches!(kind, FileType::RegularFile | FileType::Symlink | FileType::Fifo)
}

fn show(path: &LayerPath) -> impl std::fmt::Display + '_ {
    path.as_path().display()
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Copies `length` bytes to `offset`, leaving out blocks of zeros.
fn copy_with_holes(data: &mut dyn Read, file: &File, mut offset: u64, length: u64) -> io::Result<()> {
    let mut buffer = [0; 16 * HOLE];
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        data.read_exact(&mut buffer[..most])?;
        for chunk in buffer[..most].chunks(HOLE) {
            if chunk.iter().any(|b| *b != 0) {
                file.write_all_at(chunk, offset)?;
            }
            offset += chunk.len() as u64;
        }
        left -= most as u64;
    }
    Ok(())
}
