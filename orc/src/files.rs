//! The disk as compose-spec sees it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Files of this machine; `-` is standard input, which can be read once.
pub(crate) struct DiskFiles;

impl compose_spec::Files for DiskFiles {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if path == Path::new("-") {
            return read_at_most(io::stdin().lock(), limit);
        }
        read_at_most(File::open(path)?, limit)
    }

    fn is_file(&self, path: &Path) -> bool {
        // Named pipes and devices are what `<(...)` and /dev/stdin give.
        path.metadata().is_ok_and(|found| !found.is_dir())
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// All bytes of a source, or an error of kind `FileTooLarge` when there are more than `limit`.
pub(crate) fn read_at_most(source: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than allowed tells a full file from a too large one.
    source.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_up_to_its_limit() {
        assert_eq!(read_at_most(&b"abc"[..], 3).unwrap(), b"abc");
        assert_eq!(read_at_most(&b"abcd"[..], 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_at_most(io::repeat(b'x'), 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
