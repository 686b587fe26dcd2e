//! Named volumes: folders of this engine that outlive containers.
//!
//! ```text
//! <data_dir>/volumes/<name>/
//!   volume.json  labels; written last, so that a volume is whole or does not exist
//!   _data        what containers see
//!   filling      exists while the image's content is being copied in
//! ```

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Stat, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::image::{Error, Result, inside, limits};
use crate::xattr;

pub(crate) mod device;

pub use device::VolumeDevice;

/// All named volumes of one engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Volumes {
    dir: PathBuf,
}

/// A volume as it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: String,
    /// Given when it was made; never changed afterwards.
    pub labels: BTreeMap<String, String>,
    /// The folder to be mounted.
    #[serde(skip)]
    pub path: PathBuf,
}

const FACTS: &str = "volume.json";
const DATA: &str = "_data";
const FILLING: &str = "filling";
/// The mode of a volume that nobody has used yet; it is root's.
const NEW: u32 = 0o755;
/// Begins the names of volumes that are being removed; no volume can be called so.
const GONE: &str = ".gone-";

impl Volumes {
    /// # Errors
    /// When `<data_dir>/volumes` cannot be made.
    pub fn open(data_dir: &Path) -> Result<Volumes> {
        let dir = data_dir.join("volumes");
        fs::create_dir_all(&dir).map_err(Error::file("cannot create", &dir))?;
        set_mode(&dir, 0o700)?;
        let volumes = Volumes { dir };
        // What a removal that was interrupted has left.
        for name in volumes.names()?.iter().filter(|name| name.starts_with(GONE)) {
            delete(&volumes.dir.join(name))?;
        }
        Ok(volumes)
    }

    /// Makes a volume, or gives the one that exists, whose labels then stay as they are.
    ///
    /// # Errors
    /// When the name cannot be that of a folder, or the disk fails.
    pub fn create(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<Volume> {
        if let Some(volume) = self.get(name)? {
            return Ok(volume);
        }
        let dir = self.of(name)?;
        let data = dir.join(DATA);
        fs::create_dir_all(&data).map_err(Error::file("cannot create", &data))?;
        set_mode(&data, NEW)?;
        let volume = Volume { name: name.to_owned(), labels: labels.clone(), path: data };
        let text = serde_json::to_vec(&volume).map_err(|e| Error::malformed(FACTS, e))?;
        let mut file =
            tempfile::NamedTempFile::new_in(&dir).map_err(Error::file("cannot create a file in", &dir))?;
        file.write_all(&text)
            .and_then(|()| file.as_file().sync_all())
            .map_err(Error::file("cannot write in", &dir))?;
        match file.persist_noclobber(dir.join(FACTS)) {
            Ok(_) => Ok(volume),
            // Somebody else made it in the meantime.
            Err(failure) if failure.error.kind() == io::ErrorKind::AlreadyExists => {
                self.get(name)?.ok_or_else(|| Error::malformed(format!("volume `{name}`"), "it vanished"))
            }
            Err(failure) => Err(Error::file("cannot write", &dir.join(FACTS))(failure.error)),
        }
    }

    /// # Errors
    /// When the volume's description cannot be read.
    pub fn get(&self, name: &str) -> Result<Option<Volume>> {
        let dir = self.of(name)?;
        let file = dir.join(FACTS);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("cannot read", &file)(error)),
        };
        let volume: Volume = serde_json::from_slice(&text)
            .map_err(|e| Error::malformed(format!("`{}`", file.display()), e))?;
        Ok(Some(Volume { path: dir.join(DATA), ..volume }))
    }

    /// Sorted by name.
    ///
    /// # Errors
    /// When a volume's description cannot be read.
    pub fn list(&self) -> Result<Vec<Volume>> {
        let mut volumes = Vec::new();
        for name in self.names()?.iter().filter(|name| !name.starts_with('.')) {
            volumes.extend(self.get(name)?);
        }
        Ok(volumes)
    }

    /// Removes a volume and its content; `false` if there is none. Whether a container still needs it is for the
    /// caller to know.
    ///
    /// # Errors
    /// When a file cannot be removed; the volume is gone nevertheless, and the rest is removed at the next start.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let dir = self.of(name)?;
        let data = dir.join(DATA);
        // What is mounted there is not the volume's to be deleted.
        device::detach(&data).map_err(Error::file("cannot unmount", &data))?;
        let away = tempfile::Builder::new()
            .prefix(GONE)
            .tempdir_in(&self.dir)
            .map_err(Error::file("cannot create a folder in", &self.dir))?
            .keep();
        let existed = match fs::rename(&dir, away.join(DATA)) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::file("cannot remove", &dir)(error)),
        };
        delete(&away)?;
        Ok(existed)
    }

    /// Of everything in the folder, sorted.
    fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(Error::file("cannot list", &self.dir))? {
            let name = entry.map_err(Error::file("cannot list", &self.dir))?.file_name();
            names.extend(name.to_str().map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn of(&self, name: &str) -> Result<PathBuf> {
        let good = (1..=limits::VOLUME_NAME_BYTES).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !good {
            let reason = "a name is letters, digits, `_`, `.` and `-`, and does not begin with `.`";
            return Err(Error::malformed(format!("volume `{}`", name.escape_debug()), reason));
        }
        Ok(self.dir.join(name))
    }
}

/// Fills an empty volume with what a container's image has at `target`: content, owner, mode, times and extended
/// attributes. A volume with content is left alone, and one without that was given to somebody (stacks have jobs that
/// do just that); so is one when the image has no folder there. Callers in several processes take turns, and a copy
/// that was interrupted is begun again by the next.
///
/// `root` is the mounted root filesystem, `target` a path inside it, `volume` the folder [`Volume::path`].
///
/// # Errors
/// When something cannot be copied; the volume is then not to be used.
pub fn copy_up(root: &Path, target: &str, volume: &Path) -> Result<()> {
    let fail = Error::file("cannot open", root);
    let root = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
    let image = match inside::open(&root, Path::new(target), OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(folder) => folder,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(error) => return Err(Error::file("cannot open", Path::new(target))(error)),
    };
    let dir = volume.parent().unwrap_or(volume);
    let lock = File::open(dir).map_err(Error::file("cannot open", dir))?;
    // Released when `lock` is closed, also by the kernel when this process dies.
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(Error::file("cannot lock", dir))?;
    let filling = dir.join(FILLING);
    if filling.exists() {
        empty(volume)?;
    } else if !is_untouched(volume)? {
        return Ok(());
    }
    File::create(&filling).map_err(Error::file("cannot create", &filling))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let data = rustix::fs::open(volume, flags, Mode::empty()).map_err(Error::file("cannot open", volume))?;
    copy_folder(&image, &data, 0).map_err(Error::file("cannot copy the image's content to", volume))?;
    fs::remove_file(&filling).map_err(Error::file("cannot remove", &filling))
}

fn delete(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("cannot remove", folder)(error))
        }
        _ => Ok(()),
    }
}

fn is_untouched(folder: &Path) -> Result<bool> {
    let looks = fs::metadata(folder).map_err(Error::file("cannot look at", folder))?;
    if (looks.uid(), looks.gid(), looks.mode() & 0o7777) != (0, 0, NEW) {
        return Ok(false);
    }
    let mut entries = fs::read_dir(folder).map_err(Error::file("cannot list", folder))?;
    Ok(entries.next().is_none())
}

fn empty(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::file("cannot list", folder))? {
        let entry = entry.map_err(Error::file("cannot list", folder))?;
        let path = entry.path();
        let is_dir = entry.file_type().map_err(Error::file("cannot read", &path))?.is_dir();
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(Error::file("cannot remove", &path))?;
    }
    Ok(())
}

/// Copies the content of one folder, then its looks. Only descriptors are used: nothing a program renames in the
/// meantime leads elsewhere.
fn copy_folder(from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
    if depth > limits::PATH_DEPTH {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "folders lie too deep in each other"));
    }
    for entry in rustix::fs::Dir::read_from(from)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            copy_entry(from, to, name, depth)?;
        }
    }
    copy_looks(from, to, &rustix::fs::fstat(from)?)
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &OsStr, depth: usize) -> io::Result<()> {
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::RWXU)?;
            let inner = rustix::fs::openat(from, name, read | OFlags::DIRECTORY, Mode::empty())?;
            let made = rustix::fs::openat(to, name, read | OFlags::DIRECTORY, Mode::empty())?;
            copy_folder(&inner, &made, depth + 1)
        }
        FileType::RegularFile => {
            let source = rustix::fs::openat(from, name, read, Mode::empty())?;
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(to, name, create, Mode::RUSR | Mode::WUSR)?;
            let (mut reader, mut writer) = (File::from(source), File::from(made));
            io::copy(&mut reader, &mut writer)?;
            copy_looks(&reader, &writer, &stat)
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target, to, name)?;
            own_by_name(to, name, &stat)
        }
        FileType::Fifo => {
            rustix::fs::mknodat(to, name, FileType::Fifo, Mode::RUSR, 0)?;
            own_by_name(to, name, &stat)?;
            Ok(rustix::fs::chmodat(to, name, mode(&stat), AtFlags::empty())?)
        }
        // Images have no devices, and a socket without its server is of no use.
        _ => Ok(()),
    }
}

/// Owner first: changing it takes away setuid bits and capabilities.
fn copy_looks(from: impl AsFd, to: impl AsFd, stat: &Stat) -> io::Result<()> {
    rustix::fs::fchown(&to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(&to, mode(stat))?;
    copy_xattrs(from, &to)?;
    Ok(rustix::fs::futimens(&to, &times(stat))?)
}

fn copy_xattrs(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    for (name, value) in xattr::portable(from)? {
        rustix::fs::fsetxattr(&to, name.as_slice(), &value, XattrFlags::empty())?;
    }
    Ok(())
}

fn own_by_name(folder: &OwnedFd, name: &OsStr, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(rustix::fs::utimensat(folder, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o7777)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanos| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos };
    Timestamps {
        last_access: time(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as _),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::file("cannot set the mode of", path))
}

#[cfg(test)]
mod tests;
