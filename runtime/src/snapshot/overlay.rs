//! Mounting an overlay, with as many layers as the kernel allows.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change,
    move_mount, open_tree,
};
use serde::{Deserialize, Serialize};

use crate::image::{Error, Result};

/// Everything [`mount`] needs to know; plain data, so that it can be handed to another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayMount {
    /// From the top to the bottom, as overlayfs counts.
    pub lower: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// The kernel's own scratch folder, on the same filesystem as `upper`.
    pub work: PathBuf,
}

/// Mounts a root filesystem at `target`. Meant for a process with a mount namespace of its own; needs
/// `CAP_SYS_ADMIN` and a mounted `/proc`.
///
/// Layers are named by descriptor (`/proc/self/fd/N`), so that neither long data folders nor many layers meet
/// the limits of mount options: 256 bytes per value of fsconfig(2), one page for all of them in mount(2).
///
/// # Errors
/// When a folder is missing or the kernel refuses the mount.
pub fn mount(overlay: &OverlayMount, target: &Path) -> Result<()> {
    let folders = Folders::open(overlay)?;
    match mount_new(&folders, target) {
        Err(Errno::NOSYS) => mount_old(&folders, target),
        other => other,
    }
    .map_err(Error::file("cannot mount the root filesystem at", target))
}

/// Unmounts what [`mount`] mounted, at once for new users and later for those who still hold files open.
///
/// # Errors
/// When nothing is mounted at `target`.
pub fn unmount(target: &Path) -> Result<()> {
    rustix::mount::unmount(target, UnmountFlags::DETACH).map_err(Error::file("cannot unmount", target))
}

pub(super) struct Folders {
    lower: Vec<OwnedFd>,
    upper: OwnedFd,
    work: OwnedFd,
}

impl Folders {
    pub(super) fn open(overlay: &OverlayMount) -> Result<Folders> {
        let open = |path: &PathBuf| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty()).map_err(Error::file("cannot open", path))
        };
        Ok(Folders {
            lower: overlay.lower.iter().map(open).collect::<Result<_>>()?,
            upper: open(&overlay.upper)?,
            work: open(&overlay.work)?,
        })
    }
}

fn by_descriptor(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// As [`mount`], attached nowhere: it is gone when the last descriptor of it is.
///
/// # Errors
/// When a folder is missing or the kernel refuses the mount.
pub(crate) fn mount_detached(overlay: &OverlayMount) -> Result<OwnedFd> {
    match make(&Folders::open(overlay)?) {
        Err(Errno::NOSYS) => make_old(overlay),
        other => other.map_err(Error::file("cannot mount the root filesystem of", &overlay.upper)),
    }
}

fn mount_new(folders: &Folders, target: &Path) -> rustix::io::Result<()> {
    move_mount(&make(folders)?, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Overlays of layers that are named one by one are there since Linux 6.5. Earlier kernels would refuse them too, but
/// leave a line of it in their logs at each start of a container.
fn names_layers_one_by_one() -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(5))
}

fn make(folders: &Folders) -> rustix::io::Result<OwnedFd> {
    if !names_layers_one_by_one() {
        return Err(Errno::NOSYS);
    }
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "orc")?;
    for lower in &folders.lower {
        fsconfig_set_string(&context, "lowerdir+", by_descriptor(lower))?;
    }
    fsconfig_set_string(&context, "upperdir", by_descriptor(&folders.upper))?;
    fsconfig_set_string(&context, "workdir", by_descriptor(&folders.work))?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// Mounts in a namespace that ends with its thread, and takes the mount from there. The folders are opened there too:
/// an overlay is made of mounts of its own namespace only.
pub(super) fn make_old(overlay: &OverlayMount) -> Result<OwnedFd> {
    let place = &overlay.upper;
    let mount_apart = || {
        private_namespace().map_err(Error::file("cannot leave the machine's mounts to mount", place))?;
        let folders = Folders::open(overlay)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mounted = mount_old(&folders, place).and_then(|()| open_tree(CWD, place, flags));
        mounted.map_err(Error::file("cannot mount the root filesystem of", place))
    };
    std::thread::scope(|scope| scope.spawn(mount_apart).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

fn private_namespace() -> std::io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

pub(super) fn mount_old(folders: &Folders, target: &Path) -> rustix::io::Result<()> {
    let lower: Vec<String> = folders.lower.iter().map(by_descriptor).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        by_descriptor(&folders.upper),
        by_descriptor(&folders.work)
    );
    let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
    rustix::mount::mount(
        "orc",
        target.as_os_str().as_bytes(),
        "overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )
}
