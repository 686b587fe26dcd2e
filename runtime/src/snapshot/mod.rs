//! Root filesystems: an image's layers, one small layer of orc's own, and a writable layer, by overlayfs.
//!
//! The engine only makes folders ([`Snapshots::prepare`]). Mounting ([`mount`]) is done by a container's shim
//! in its own mount namespace, so that neither an engine that dies nor one that restarts leaves mounts behind.

mod overlay;
mod quota;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::image::{Error, Image, Result, lower};

pub(crate) use overlay::mount_detached;
pub use overlay::{OverlayMount, mount, unmount};

/// The writable layers of all containers of one engine, in `<data_dir>/snapshots/<container>/`:
/// `upper` and `work` for the kernel, `base` for orc's own mountpoints, `layers` to say what is in use.
#[derive(Clone, Debug)]
pub struct Snapshots {
    dir: PathBuf,
}

/// What engines put into every container, and which must therefore exist even in a read-only root.
/// Docker does the same.
const BASE_FOLDERS: [&str; 4] = ["dev", "etc", "proc", "sys"];
const BASE_FILES: [&str; 3] = ["etc/hosts", "etc/hostname", "etc/resolv.conf"];
const MTAB: (&str, &str) = ("etc/mtab", "/proc/mounts");

impl Snapshots {
    /// # Errors
    /// When `<data_dir>/snapshots` cannot be made.
    pub fn open(data_dir: &Path) -> Result<Snapshots> {
        let dir = data_dir.join("snapshots");
        fs::create_dir_all(&dir).map_err(Error::file("cannot create", &dir))?;
        fs::set_permissions(&dir, Permissions::from_mode(0o700))
            .map_err(Error::file("cannot protect", &dir))?;
        Ok(Snapshots { dir })
    }

    /// Makes the folders for a container, or finds those it already has: a restarted container keeps what it
    /// wrote, and the `limit` of bytes that it may write. The layers of the image, and of `others` that it mounts, stay
    /// in the store as long as the snapshot exists.
    ///
    /// # Errors
    /// When a folder cannot be made, or the file system keeps no limits; what was made is found by the next call or by
    /// [`Snapshots::remove`].
    pub fn prepare(
        &self,
        image: &Image,
        others: &[&Image],
        container: &str,
        limit: Option<u64>,
    ) -> Result<OverlayMount> {
        let dir = self.of(container)?;
        let (upper, work, base) = (dir.join("upper"), dir.join("work"), dir.join("base"));
        let marker = dir.join(LAYERS_FILE);
        let below: Vec<PathBuf> = image.layers.iter().rev().cloned().collect();
        if !marker.exists() {
            for folder in [&dir, &upper, &work, &base] {
                make_dir(folder)?;
            }
            if let Some(bytes) = limit {
                quota::limit(&self.dir, &[&dir, &upper, &work], bytes)?;
            }
            // What is highest decides how the root folder looks, and that is the image's business.
            let root = below.first().and_then(|top| fs::metadata(top).ok());
            for top in [&base, &upper] {
                copy_owner_and_mode(root.as_ref(), top)?;
            }
            make_base(&base, &below)?;
            let layers = image.layers.iter().chain(others.iter().flat_map(|other| &other.layers));
            let text = layers.filter_map(|path| layer_name(path)).collect::<Vec<_>>().join("\n");
            // Written last: a snapshot without it is started over.
            write_new(&marker, &text)?;
        }
        let mut lower = vec![base];
        lower.extend(below);
        Ok(OverlayMount { lower, upper, work })
    }

    /// Removes what a container wrote. A snapshot that does not exist is fine.
    ///
    /// # Errors
    /// When a file cannot be removed, for example because it is still mounted.
    pub fn remove(&self, container: &str) -> Result<()> {
        let dir = self.of(container)?;
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::File { doing: "cannot remove", path: dir, source: error })
            }
            _ => Ok(()),
        }
    }

    /// The containers that have a snapshot, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<String>> {
        list_names(&self.dir)
    }

    fn of(&self, container: &str) -> Result<PathBuf> {
        let good = !container.is_empty()
            && !container.starts_with('.')
            && container.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !good {
            return Err(Error::malformed(format!("container id `{container}`"), "not usable as a file name"));
        }
        Ok(self.dir.join(container))
    }
}

/// Which layers a snapshot rests on, one folder name per line.
const LAYERS_FILE: &str = "layers";

/// Names of the layer folders that some snapshot below `data_dir` needs, and by which container.
pub(crate) fn layers_in_use(data_dir: &Path) -> Result<Vec<(String, String)>> {
    let dir = data_dir.join("snapshots");
    let mut used = Vec::new();
    for container in list_names(&dir)? {
        let file = dir.join(&container).join(LAYERS_FILE);
        match fs::read_to_string(&file) {
            Ok(text) => used.extend(text.lines().map(|layer| (layer.to_owned(), container.clone()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("cannot read", &file)(error)),
        }
    }
    Ok(used)
}

fn list_names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("cannot list", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::file("cannot list", dir))?.file_name();
        names.extend(name.to_str().map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// `layers/<name>/fs` is what is mounted.
fn layer_name(path: &Path) -> Option<&str> {
    path.parent().and_then(Path::file_name).and_then(OsStr::to_str)
}

/// The small layer of orc's own: what the image lacks of the places that engines mount over.
///
/// A place that is a symbolic link in the image (`resolv.conf` to somewhere in `/run`) becomes a plain file, so
/// that what is mounted there is seen there.
fn make_base(base: &Path, lower: &[PathBuf]) -> Result<()> {
    for folder in BASE_FOLDERS {
        let made = base.join(folder);
        match lower::find(lower, Path::new(folder)) {
            // Only /etc is needed in any case: it holds the files below. It must look like the image's own.
            Some(_) if folder != "etc" => continue,
            found => {
                make_dir(&made)?;
                copy_owner_and_mode(found.as_ref().filter(|m| m.is_dir()), &made)?;
            }
        }
    }
    for file in BASE_FILES {
        if lower::find(lower, Path::new(file)).is_none_or(|found| !found.is_file()) {
            write_new(&base.join(file), "")?;
            set_mode(&base.join(file), 0o644)?;
        }
    }
    if lower::find(lower, Path::new(MTAB.0)).is_none() {
        let path = base.join(MTAB.0);
        match symlink(MTAB.1, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::file("cannot create", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn copy_owner_and_mode(from: Option<&fs::Metadata>, to: &Path) -> Result<()> {
    let (uid, gid, mode) = from.map_or((0, 0, 0o755), |m| (m.uid(), m.gid(), m.mode() & 0o7777));
    chown(to, Some(uid), Some(gid)).map_err(Error::file("cannot change the owner of", to))?;
    set_mode(to, mode)
}

fn make_dir(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::file("cannot create", path)(error))
        }
        _ => Ok(()),
    }
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::file("cannot write", path))
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::file("cannot set the mode of", path))
}
