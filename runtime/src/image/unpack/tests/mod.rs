//! Layers, honest and hostile, unpacked for real below a temporary folder.

mod honest;
mod hostile;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};
use tempfile::TempDir;

use super::{Unpacked, unpack};
use crate::image::{Digest, Error};

/// A layer's archive, written block by block so that it can be as wrong as need be.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn entry(self, kind: EntryType, path: &str, link: &str, mode: u32, content: &[u8]) -> Archive {
        self.header(kind, path, link, mode, content.len() as u64).data(content)
    }

    fn file(self, path: &str, content: &str) -> Archive {
        self.entry(EntryType::Regular, path, "", 0o644, content.as_bytes())
    }

    fn folder(self, path: &str, mode: u32) -> Archive {
        self.entry(EntryType::Directory, path, "", mode, b"")
    }

    fn symlink(self, path: &str, target: &str) -> Archive {
        self.entry(EntryType::Symlink, path, target, 0o777, b"")
    }

    fn hardlink(self, path: &str, target: &str) -> Archive {
        self.entry(EntryType::Link, path, target, 0o644, b"")
    }

    /// A header alone; owner 7:8, time 1000.
    fn header(mut self, kind: EntryType, path: &str, link: &str, mode: u32, size: u64) -> Archive {
        let mut header = Header::new_gnu();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..path.len()].copy_from_slice(path.as_bytes());
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1000);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    fn data(mut self, content: &[u8]) -> Archive {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// An extended header with these records for the next entry.
    fn pax(self, records: &[(&str, &[u8])]) -> Archive {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..).find(|length: &usize| length.to_string().len() + rest == *length).unwrap();
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.entry(EntryType::XHeader, "pax", "", 0o644, &text)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A folder for a layer inside a folder that must not change.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(world.root()).unwrap();
        fs::write(world.dir.path().join("secret"), "outside").unwrap();
        world
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("layer")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn unpack(&self, archive: Archive) -> Result<Unpacked, Error> {
        self.unpack_bytes(&archive.end(), &[])
    }

    fn unpack_bytes(&self, blob: &[u8], lower: &[PathBuf]) -> Result<Unpacked, Error> {
        let result = unpack(&Digest::of(blob), blob, blob.len() as u64, lower, &self.root());
        assert_eq!(fs::read_to_string(self.dir.path().join("secret")).unwrap(), "outside");
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2, "something was made outside");
        result
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}
