//! Everything that must stand before the container is made: the root filesystem and the sources of its mounts,
//! all in a mount namespace of the shim's own, so that nothing stays mounted when it is gone.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::bundle::{Bundle, Failure};
use crate::config::{MountSource, Propagation};
use crate::error::{Error, chain};
use crate::sealed;
use crate::snapshot;
use crate::volume;

/// Mounts the root filesystem and returns its top folder.
pub(super) fn root(bundle: &Bundle) -> Result<OwnedFd, Failure> {
    own_mount_namespace().map_err(Error::system("cannot make a mount namespace"))?;
    let folders = bundle.folders();
    let rootfs = folders.rootfs();
    fs::create_dir_all(&rootfs).map_err(Error::file("cannot create", &rootfs))?;
    snapshot::mount(&bundle.root, &rootfs).map_err(|e| Failure::new(chain(&e)))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(&rootfs, flags, Mode::empty()).map_err(Error::file("cannot open", &rootfs))?;
    for (index, mount) in bundle.config.mounts.iter().enumerate() {
        match &mount.source {
            MountSource::Bind { path, create, propagation, .. } => {
                if matches!(propagation, Propagation::Shared | Propagation::RShared) {
                    return Err(Failure::new(format!(
                        "bind mount on `{}`: propagation `shared` is not supported",
                        mount.target
                    )));
                }
                bind_source(path, *create, &mount.target)?;
            }
            MountSource::Volume { path, copy_up, subpath } => {
                fs::create_dir_all(path).map_err(Error::file("cannot create volume", path))?;
                if *copy_up {
                    volume::copy_up(&rootfs, &mount.target, path).map_err(|e| Failure::new(chain(&e)))?;
                }
                if let Some(subpath) = subpath {
                    part_of_volume(path, subpath, &folders.part(index)).map_err(|error| {
                        let target = &mount.target;
                        Failure::new(format!("volume on `{target}`: subpath `{subpath}`: {error}"))
                    })?;
                }
            }
            MountSource::Tmpfs { .. } => {}
        }
    }
    if bundle.config.init {
        init_program(bundle)?;
    }
    Ok(root)
}

#[allow(unsafe_code)]
fn own_mount_namespace() -> io::Result<()> {
    // SAFETY: with one thread nobody else relies on the shared namespace.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    // What others mount on the machine later is still seen here; what is mounted here is not seen there.
    Ok(mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?)
}

fn bind_source(path: &Path, create: bool, target: &str) -> Result<(), Failure> {
    match fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
            Ok(fs::create_dir_all(path).map_err(Error::file("cannot create", path))?)
        }
        Err(error) => {
            let path = path.display();
            Err(Failure::new(format!(
                "bind mount on `{target}`: cannot use `{path}` of this machine: {error}"
            )))
        }
    }
}

/// Mounts a file or folder of a volume where the container's mount finds it. It is opened before, so that no
/// symbolic link that another container puts in its way can lead out of the volume (CVE-2021-30465).
fn part_of_volume(volume: &Path, subpath: &str, place: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let volume = rustix::fs::open(volume, flags | OFlags::DIRECTORY, Mode::empty())?;
    let part = rustix::fs::openat2(&volume, subpath.trim_start_matches('/'), flags, Mode::empty(), inside())?;
    let source = format!("/proc/self/fd/{}", part.as_raw_fd());
    if fs::metadata(&source)?.is_dir() {
        fs::create_dir_all(place)?;
    } else {
        fs::create_dir_all(place.parent().unwrap_or(place))?;
        fs::write(place, "")?;
    }
    Ok(rustix::mount::mount_bind(source, place)?)
}

/// Makes the program visible at the path the spec names, through a mount that nobody can write to.
fn init_program(bundle: &Bundle) -> Result<(), Failure> {
    let target = bundle.init_folder();
    fs::create_dir_all(&target).map_err(Error::file("cannot create", &target))?;
    let made = sealed::mount_folder(&bundle.program, &bundle.run)
        .and_then(|mounted| sealed::attach(&mounted, &target));
    if made.is_ok() {
        return Ok(());
    }
    // No overlay on overlay here: a copy in memory, for this container alone.
    let copy = bundle.init_program();
    fs::copy(&bundle.program, &copy)
        .and_then(|_| fs::set_permissions(&copy, fs::Permissions::from_mode(0o555)))
        .map_err(Error::file("cannot copy the init to", &copy))?;
    Ok(())
}

/// Makes the working folder if the image lacks it: it must be there before the root becomes read-only.
/// Failing is no error yet: the folder may be in a mount, and entering it tells more.
pub(super) fn working_folder(root: &OwnedFd, path: &str) {
    let _ = make_folders(root, path);
}

/// `mkdir -p` inside `root`, whatever symbolic links the image has.
fn make_folders(root: &OwnedFd, path: &str) -> rustix::io::Result<()> {
    let mut done = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = if done.is_empty() { "." } else { done.as_str() };
        let parent = rustix::fs::openat2(root, parent, flags, Mode::empty(), inside())?;
        let next = format!("{done}/{part}");
        match rustix::fs::openat2(root, next.trim_start_matches('/'), flags, Mode::empty(), inside()) {
            Err(Errno::NOENT) if part != ".." => {
                rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755))?
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        done = next.trim_start_matches('/').to_owned();
    }
    Ok(())
}

fn inside() -> ResolveFlags {
    ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS
}
