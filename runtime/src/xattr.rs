//! The extended attributes of files that belong to them wherever they are: capabilities, and what users note.
//! Labels of SELinux, IMA and the like belong to the machine, and those of overlays to the overlay.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::image::limits;

/// The capabilities that a file gives to whoever executes it, see capabilities(7).
const CAPABILITY: &[u8] = b"security.capability";

/// An attribute: name and value.
pub(crate) type Attribute = (Vec<u8>, Vec<u8>);

/// The attributes of an open file; none on a filesystem without any.
///
/// # Errors
/// They cannot be read.
pub(crate) fn portable(of: impl AsFd) -> io::Result<Vec<Attribute>> {
    let mut names = vec![0; limits::XATTR_BYTES];
    let length = match rustix::fs::flistxattr(&of, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|b| *b == 0).filter(|name| is_portable(name)) {
        let mut value = vec![0; limits::XATTR_BYTES];
        let length = match rustix::fs::fgetxattr(&of, name, &mut value[..]) {
            Ok(length) => length,
            // Removed meanwhile.
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(error.into()),
        };
        value.truncate(length);
        found.push((name.to_vec(), value));
    }
    Ok(found)
}

fn is_portable(name: &[u8]) -> bool {
    name == CAPABILITY || name.starts_with(b"user.") && !name.starts_with(b"user.overlay.")
}
