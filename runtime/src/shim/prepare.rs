//! Everything that must stand before the container is made: the root filesystem and the sources of its mounts,
//! all in a mount namespace of the shim's own, so that nothing stays mounted when it is gone.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::bundle::{Bundle, Failure};
use crate::config::{MountSource, Recursive};
use crate::error::{Error, chain};
use crate::sealed;
use crate::snapshot::{self, OverlayMount};
use crate::spec::mounts::is_apart;
use crate::volume;

/// Mounts the root filesystem and returns its top folder.
pub(super) fn root(bundle: &Bundle) -> Result<OwnedFd, Failure> {
    let shared = shared_sources(bundle)?;
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
            MountSource::Bind { path, create, propagation, recursive } => {
                bind_source(path, *create, &mount.target)?;
                if !propagation.is_shared() && is_apart(&bundle.config, *propagation) {
                    apart(path, *recursive, &folders.part(index))
                        .map_err(Error::file("cannot take hold of", path))?;
                }
            }
            MountSource::Image { .. } => {}
            MountSource::Volume { path, copy_up, subpath, .. } => {
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
    for (index, source) in shared {
        place(&source, &folders.part(index)).map_err(Error::system("cannot place a shared mount"))?;
    }
    for (index, image) in &bundle.images {
        mount_image(bundle, *index, image)?;
    }
    if bundle.config.init {
        init_program(bundle)?;
    }
    Ok(root)
}

/// Takes hold of the sources of shared bind mounts, by mount number, while this process still sees the machine's own
/// mounts: in a namespace that only follows the machine, nothing would come back to it.
fn shared_sources(bundle: &Bundle) -> Result<Vec<(usize, OwnedFd)>, Failure> {
    let mut found = Vec::new();
    for (index, mount) in bundle.config.mounts.iter().enumerate() {
        let MountSource::Bind { path, create, propagation, recursive } = &mount.source else { continue };
        if !propagation.is_shared() {
            continue;
        }
        bind_source(path, *create, &mount.target)?;
        let tree = clone(path, *recursive).map_err(Error::file("cannot take hold of", path))?;
        if !is_shared(path).map_err(Error::file("cannot look at the mount of", path))? {
            return Err(Failure::new(format!(
                "bind mount on `{}`: `{}` is not on a shared mount of this machine, which its propagation needs \
                 (`mount --make-shared` makes one)",
                mount.target,
                path.display()
            )));
        }
        found.push((index, tree));
    }
    Ok(found)
}

/// Whether what is mounted below a path spreads to other namespaces: the mount that the path is on has a peer group,
/// which is an optional field in proc_pid_mountinfo(5).
fn is_shared(path: &Path) -> io::Result<bool> {
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let id = about.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap_or_default().trim();
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let own = mounts.lines().find(|line| line.split(' ').next() == Some(id)).unwrap_or_default();
    let optional = own.split(" - ").next().unwrap_or_default().split(' ').skip(6);
    Ok(optional.into_iter().any(|field| field.starts_with("shared:")))
}

/// Another mount of what is at a path, which is nowhere yet.
fn clone(path: &Path, recursive: Recursive) -> io::Result<OwnedFd> {
    let part = if recursive == Recursive::No { OpenTreeFlags::empty() } else { OpenTreeFlags::AT_RECURSIVE };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | part;
    Ok(open_tree(CWD, path, flags)?)
}

/// Mounts what is at `path` at `place`, where nothing that happens to the machine's mounts is seen any more.
fn apart(path: &Path, recursive: Recursive, place: &Path) -> io::Result<()> {
    self::place(&clone(path, recursive)?, place)?;
    Ok(mount_change(place, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// Puts a mount that is nowhere yet at a path.
fn place(tree: &OwnedFd, place: &Path) -> io::Result<()> {
    make_point(fs::metadata(format!("/proc/self/fd/{}", tree.as_raw_fd()))?.is_dir(), place)?;
    Ok(move_mount(tree, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Mounts an image beside the root, and of it the part that is asked for.
fn mount_image(bundle: &Bundle, index: usize, image: &OverlayMount) -> Result<(), Failure> {
    let folder = bundle.folders().image(index);
    fs::create_dir_all(&folder).map_err(Error::file("cannot create", &folder))?;
    snapshot::mount(image, &folder).map_err(|e| Failure::new(chain(&e)))?;
    let mount = &bundle.config.mounts[index];
    let MountSource::Image { subpath: Some(subpath), .. } = &mount.source else { return Ok(()) };
    part_of_volume(&folder, subpath, &bundle.folders().part(index))
        .map_err(|error| Failure::new(format!("image on `{}`: subpath `{subpath}`: {error}", mount.target)))
}

/// A folder or an empty file for something to be mounted at.
fn make_point(folder: bool, place: &Path) -> io::Result<()> {
    if folder {
        return fs::create_dir_all(place);
    }
    fs::create_dir_all(place.parent().unwrap_or(place))?;
    fs::write(place, "")
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
    make_point(fs::metadata(&source)?.is_dir(), place)?;
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
