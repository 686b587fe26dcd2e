//! The program itself, where no container can overwrite it (CVE-2019-5736).
//!
//! A container can make the runtime execute itself (`#!/proc/self/exe`) and then write through
//! `/proc/<pid>/exe`. So the shim, and the init inside containers, are executed from an overlay mount without
//! a writable layer: not even root can write there or remount it, and its pages are those of the real file, so
//! all shims and the engine share their text. Where the kernel cannot do that, a sealed copy in memory serves.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, move_mount,
};

/// An executable that cannot be changed through it.
#[derive(Debug)]
pub(crate) struct Sealed(OwnedFd);

impl Sealed {
    /// `scratch` is any folder of ours on a filesystem of this machine.
    pub(crate) fn of(program: &Path, scratch: &Path) -> io::Result<Sealed> {
        overlay(program, scratch).or_else(|_| copy(program)).map(Sealed)
    }

    /// Valid in this process as long as `self` lives.
    pub(crate) fn path(&self) -> PathBuf {
        by_descriptor(&self.0).into()
    }
}

fn overlay(program: &Path, scratch: &Path) -> io::Result<OwnedFd> {
    let mounted = mount_folder(program, scratch)?;
    let name = program.file_name().ok_or_else(|| io::Error::other("the program has no name"))?;
    Ok(rustix::fs::openat(&mounted, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// A mount, attached nowhere, of the folder that holds `program`.
pub(crate) fn mount_folder(program: &Path, scratch: &Path) -> io::Result<OwnedFd> {
    let folder = program.parent().ok_or_else(|| io::Error::other("the program has no folder"))?;
    // Without a writable layer overlayfs wants two others; the second one is empty.
    let empty = scratch.join("empty");
    std::fs::create_dir_all(&empty)?;
    let open = |path: &Path| {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    let (folder, empty) = (open(folder)?, open(&empty)?);
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "orc")?;
    // By descriptor: a path could be long, or contain a colon.
    fsconfig_set_string(
        &context,
        "lowerdir",
        format!("{}:{}", by_descriptor(&folder), by_descriptor(&empty)),
    )?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Shows a mount of [`mount_folder`] at `target`.
pub(crate) fn attach(mounted: impl AsFd, target: &Path) -> io::Result<()> {
    Ok(move_mount(mounted, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn copy(program: &Path) -> io::Result<OwnedFd> {
    let mut from = File::open(program)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC;
    let memory = memfd_create(c"orc", flags)
        // Before Linux 6.3 every such file was executable and the flag is unknown.
        .or_else(|_| memfd_create(c"orc", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING))?;
    let mut to = File::from(memory);
    io::copy(&mut from, &mut to)?;
    fcntl_add_seals(&to, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    // A description opened for reading: executing one that is open for writing is refused (ETXTBSY).
    let read = rustix::fs::open(by_descriptor(&to), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(read)
}

fn by_descriptor(fd: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write_through(sealed: &OwnedFd) -> io::Error {
        let path = by_descriptor(sealed);
        File::options()
            .write(true)
            .open(path)
            .and_then(|mut f| io::Write::write_all(&mut f, b"x"))
            .unwrap_err()
    }

    #[test]
    fn neither_form_can_be_written_even_by_root() {
        if !rustix::process::geteuid().is_root() {
            return crate::testing::skip("needs root");
        }
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("prog");
        std::fs::write(&program, "text").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        // Not below the program's folder: overlayfs refuses layers of which one is inside the other.
        let scratch = tempfile::tempdir().unwrap();
        let overlay = overlay(&program, scratch.path()).unwrap();
        assert_eq!(write_through(&overlay).kind(), io::ErrorKind::ReadOnlyFilesystem);
        let copy = copy(&program).unwrap();
        assert_eq!(write_through(&copy).kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(std::fs::read(by_descriptor(&copy)).unwrap(), b"text");
        assert_eq!(std::fs::read(by_descriptor(&overlay)).unwrap(), b"text");
    }
}
