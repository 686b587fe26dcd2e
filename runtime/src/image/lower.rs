//! Looking a path up in a stack of unpacked layers without mounting them.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::inside;

/// overlayfs hides what lower layers have in a folder with this attribute.
pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";

/// What the highest layer that knows `path` has there. `layers` go from the top to the bottom; `path` is relative
/// and is not followed if it is a symbolic link itself. `None` if no layer has it, or one has deleted it.
///
/// Links on the way are followed inside their own layer only, which is enough for the few paths asked for here.
pub(crate) fn find(layers: &[PathBuf], path: &Path) -> Option<Metadata> {
    for layer in layers {
        let Ok(root) = rustix::fs::open(layer, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
            continue;
        };
        if let Some(found) = stat(&root, path) {
            return (!is_whiteout(&found)).then_some(found);
        }
        if hides(&root, path) {
            return None;
        }
    }
    None
}

/// overlayfs marks a deleted name with a character device 0:0.
pub(crate) fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// A layer without `path` still decides about it if a folder on the way is deleted, replaced or opaque.
fn hides(root: &OwnedFd, path: &Path) -> bool {
    path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).any(|folder| {
        let Some(found) = stat(root, folder) else { return false };
        if !found.is_dir() {
            return !found.file_type().is_symlink();
        }
        let mut value = [0u8; 1];
        open(root, folder, OFlags::RDONLY | OFlags::DIRECTORY)
            .is_some_and(|fd| rustix::fs::fgetxattr(fd, OPAQUE, &mut value[..]).is_ok() && value == *b"y")
    })
}

fn stat(root: &OwnedFd, path: &Path) -> Option<Metadata> {
    open(root, path, OFlags::PATH).and_then(|fd| File::from(fd).metadata().ok())
}

fn open(root: &OwnedFd, path: &Path, flags: OFlags) -> Option<OwnedFd> {
    inside::open(root, path, flags | OFlags::NOFOLLOW).ok()
}
