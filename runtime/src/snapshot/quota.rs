//! How much a container may write, by a project quota of the file system below the engine's folder: files of one
//! project share one limit (quotactl(2), ioctl_xfs_fsgetxattr(2); ext4 and XFS have them when mounted with `prjquota`).
#![allow(unsafe_code)] // quotactl_fd(2) and the ioctls of inodes' projects have no safe wrapper.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::ioctl::{Getter, Setter, ioctl, opcode};

use crate::image::{Error, Result};

/// Projects of containers. Those that people number by hand, in `/etc/projid`, begin at 1.
const PROJECTS: Range<u32> = 0x6f72_0000..0x6f73_0000;

const PROJECT_QUOTA: u32 = 2;
/// Commands of quotactl(2) that XFS and every file system with the kernel's own quotas answers.
const Q_XSETQLIM: u32 = 0x5804;
const Q_XGETQSTAT: u32 = 0x5805;
/// The kernel refuses writes beyond the limits of projects, rather than only counting.
const PROJECT_LIMITS_HOLD: u16 = 1 << 5;
/// Files made in a folder belong to the folder's project.
const INHERIT: u32 = 0x200;
/// What limits are counted in, in bytes.
const BLOCK: u64 = 512;

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
struct Attributes {
    flags: u32,
    extent: u32,
    extents: u32,
    project: u32,
    cow_extent: u32,
    padding: [u8; 8],
}

/// `struct fs_disk_quota` of linux/dqblk_xfs.h.
#[repr(C)]
#[derive(Default)]
struct Limits {
    version: i8,
    kind: i8,
    fields: u16,
    project: u32,
    blocks_most: u64,
    other: [u64; 12],
}

/// `struct fs_quota_stat` of linux/dqblk_xfs.h.
#[repr(C)]
#[derive(Default)]
struct State {
    version: i8,
    flags: u16,
    other: [u64; 9],
}

/// Lets no more than `bytes` be written below `folders`, which are empty and share the limit. It ends with them: what the
/// file system still knows of a project without files binds nobody, and its next container sets its own.
///
/// # Errors
/// The file system does not keep such limits, or no project is free.
pub(super) fn limit(snapshots: &Path, folders: &[&Path], bytes: u64) -> Result<()> {
    let lacking = |source| Error::NoQuota { path: snapshots.to_owned(), source };
    let all = File::open(snapshots).map_err(Error::file("cannot open", snapshots))?;
    if !limits_hold(&all).map_err(lacking)? {
        return Err(lacking(io::ErrorKind::Unsupported.into()));
    }
    // Until a folder says that a project is its own, nobody else may choose one.
    flock(&all, FlockOperation::LockExclusive).map_err(Error::file("cannot lock", snapshots))?;
    let project = free(snapshots)?;
    set_limit(&all, project, bytes.div_ceil(BLOCK)).map_err(lacking)?;
    for folder in folders {
        set_project(folder, project).map_err(Error::file("cannot set the quota's project of", folder))?;
    }
    Ok(())
}

fn free(snapshots: &Path) -> Result<u32> {
    let mut taken = Vec::new();
    for name in super::list_names(snapshots)? {
        let folder = snapshots.join(name);
        match project(&folder) {
            Ok(found) => taken.extend(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("cannot read the quota's project of", &folder)(error)),
        }
    }
    let free = PROJECTS.into_iter().find(|project| !taken.contains(project));
    free.ok_or(Error::Limit {
        what: "the number of containers with a quota".into(),
        limit: PROJECTS.len() as u64,
    })
}

/// The project of a container to which a folder belongs; `None` if there is none, or it is somebody else's.
fn project(folder: &Path) -> io::Result<Option<u32>> {
    match attributes(&File::open(folder)?) {
        Ok(attributes) => Ok(Some(attributes.project).filter(|project| PROJECTS.contains(project))),
        Err(rustix::io::Errno::NOTTY | rustix::io::Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn set_project(folder: &Path, project: u32) -> io::Result<()> {
    let folder = File::open(folder)?;
    let wished = attributes(&folder)?;
    let wished = Attributes { project, flags: wished.flags | INHERIT, ..wished };
    // SAFETY: FS_IOC_FSSETXATTR reads one `struct fsxattr`.
    unsafe { ioctl(&folder, Setter::<{ opcode::write::<Attributes>(b'X', 32) }, _>::new(wished)) }?;
    Ok(())
}

fn attributes(of: &File) -> rustix::io::Result<Attributes> {
    // SAFETY: FS_IOC_FSGETXATTR writes one `struct fsxattr`.
    unsafe { ioctl(of, Getter::<{ opcode::read::<Attributes>(b'X', 31) }, Attributes>::new()) }
}

fn limits_hold(on: &File) -> io::Result<bool> {
    let mut state = State::default();
    match quotactl(on, Q_XGETQSTAT, 0, &mut state) {
        Ok(()) => Ok(state.flags & PROJECT_LIMITS_HOLD != 0),
        // No quotas at all, or a kernel or file system that knows none.
        Err(error) if [libc::ESRCH, libc::ENOSYS].contains(&error.raw_os_error().unwrap_or(0)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `blocks` is the most that `project` may use.
fn set_limit(on: &File, project: u32, blocks: u64) -> io::Result<()> {
    const BLOCKS_MOST: u16 = 1 << 3;
    const VERSION: i8 = 1;
    const KIND_PROJECT: i8 = 2;
    let mut limits = Limits {
        version: VERSION,
        kind: KIND_PROJECT,
        fields: BLOCKS_MOST,
        project,
        blocks_most: blocks,
        ..Limits::default()
    };
    quotactl(on, Q_XSETQLIM, project, &mut limits)
}

/// quotactl_fd(2), of Linux 5.14: the file system is that of an open file, so that nobody needs to know its device.
fn quotactl<T>(on: &File, command: u32, project: u32, data: &mut T) -> io::Result<()> {
    let command = libc::c_long::from(command << 8 | PROJECT_QUOTA);
    let data: *mut T = data;
    // SAFETY: the kernel reads or writes one `T`, which belongs to the command.
    match unsafe { libc::syscall(libc::SYS_quotactl_fd, on.as_raw_fd(), command, project, data) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const _: () =
    assert!(size_of::<Attributes>() == 28 && size_of::<Limits>() == 112 && size_of::<State>() == 80);
