//! Opening a path as a process would whose root is a given folder.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// The kernel asks to try again when something was renamed or mounted anywhere while it followed a `..`.
const ATTEMPTS: u32 = 1000;

/// Opens `path` (relative or absolute, it makes no difference) below `root`. Symbolic links and `..` stay inside;
/// links of `/proc` that lead elsewhere are refused.
pub(crate) fn open(root: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 1..ATTEMPTS {
        match rustix::fs::openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), inside) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}
