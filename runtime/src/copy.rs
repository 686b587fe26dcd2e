//! Files in and out of a tree as archives: of a container's own tree, and of this machine's for whoever copies
//! between the two. Every path is looked up inside the tree, whose links may say what they like.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use crate::error::{Error, Result};
use crate::image::{inside, lower, unpack_over};
use crate::{limits, xattr};

/// Names of markers in a layer: <https://github.com/opencontainers/image-spec/blob/main/layer.md>.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A tree of files.
#[derive(Debug)]
pub struct Tree {
    top: OwnedFd,
}

/// How an archive is made of a part of a tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packing {
    /// A link that is named itself is followed.
    pub follow: bool,
    /// What is mounted inside the tree appears empty.
    pub one_mount: bool,
    /// The tree is the writable layer of an overlay: what it hides of those below becomes a marker, as in an
    /// image's layer.
    pub layer: bool,
}

impl Tree {
    /// The tree below a folder of this machine.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn open(path: &Path) -> Result<Tree> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(path, flags, Mode::empty()).map_err(Error::file("cannot open", path))?;
        Ok(Tree { top })
    }

    pub(crate) fn of(top: OwnedFd) -> Tree {
        Tree { top }
    }

    /// Writes an archive of what is at `path`, named as it is there. Of a path that ends with `/.` only what
    /// the folder holds.
    ///
    /// # Errors
    /// There is nothing at `path`, it cannot be read, or the archive cannot be written.
    pub fn pack(&self, path: &Path, packing: Packing, to: impl Write) -> Result<()> {
        let failed = |error: io::Error| Error::file("cannot read", path)(error);
        let content = only_content(path);
        let mut flags = OFlags::PATH;
        if !packing.follow && !content && !path.as_os_str().as_bytes().ends_with(b"/") {
            flags |= OFlags::NOFOLLOW;
        }
        let found = inside::open(&self.top, path, flags).map_err(|e| failed(e.into()))?;
        let look = look(&found, "").map_err(|e| failed(e.into()))?;
        let mount = packing.one_mount.then_some(look.stx_mnt_id);
        let mut packer = Packer { tar: Builder::new(to), mount, layer: packing.layer };
        let name = match path.file_name().filter(|_| !content) {
            Some(name) => PathBuf::from(name),
            None => PathBuf::new(),
        };
        packer.entry(found, &name, &look, 0).and_then(|()| packer.tar.finish()).map_err(failed)
    }

    /// Unpacks an archive: into `path` if that is a folder, otherwise as it. `content`: the archive has what a
    /// folder holds, and not the folder. `owner`: who shall own everything, whatever the archive says.
    ///
    /// # Errors
    /// There is no folder for it, the archive is none, or a file cannot be made.
    pub fn unpack(
        &self,
        path: &Path,
        content: bool,
        owner: Option<(u32, u32)>,
        archive: impl Read,
    ) -> Result<()> {
        let failed = |error: Errno| Error::file("cannot write", path)(error);
        let folder = OFlags::RDONLY | OFlags::DIRECTORY;
        let (into, name) = match inside::open(&self.top, path, folder) {
            Ok(into) => (into, None),
            Err(Errno::NOENT) if content => (self.make_folder(path).map_err(failed)?, None),
            Err(error @ (Errno::NOENT | Errno::NOTDIR)) => {
                let name = path.file_name().filter(|_| !path.as_os_str().as_bytes().ends_with(b"/"));
                let name = name.filter(|_| !content).ok_or_else(|| failed(error))?;
                let parent = path.parent().unwrap_or(Path::new("."));
                (inside::open(&self.top, parent, folder).map_err(failed)?, Some(name))
            }
            Err(error) => return Err(failed(error)),
        };
        unpack_over(archive, into, path, name, owner).map_err(|error| Error::System {
            doing: format!("cannot write `{}`", path.display()),
            source: io::Error::other(crate::error::chain(&error)),
        })
    }

    fn make_folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
        let parent = inside::open(&self.top, parent, OFlags::PATH | OFlags::DIRECTORY)?;
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
        inside::open(parent, Path::new(name), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
    }
}

/// Whether a path asks for what a folder holds, not for the folder itself.
#[must_use]
pub fn only_content(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/.") || matches!(bytes, b"." | b"/" | b"")
}

struct Packer<W: Write> {
    tar: Builder<W>,
    /// Only what is on this mount is packed.
    mount: Option<u64>,
    layer: bool,
}

impl<W: Write> Packer<W> {
    /// Packs what `found` (opened as a path only) is.
    fn entry(&mut self, found: OwnedFd, name: &Path, look: &Statx, depth: usize) -> io::Result<()> {
        let elsewhere = self.mount.is_some_and(|mount| mount != look.stx_mnt_id);
        let mut header = header(look);
        match FileType::from_raw_mode(look.stx_mode.into()) {
            FileType::Directory => {
                if !name.as_os_str().is_empty() {
                    header.set_entry_type(EntryType::Directory);
                    if !elsewhere {
                        self.attributes(&open(&found)?)?;
                    }
                    self.tar.append_data(&mut header, name, io::empty())?;
                }
                if elsewhere { Ok(()) } else { self.folder(&found, name, depth) }
            }
            FileType::RegularFile if elsewhere => self.tar.append_data(&mut header, name, io::empty()),
            FileType::RegularFile => {
                let size = look.stx_size;
                header.set_size(size);
                // A file that shrinks while it is read must not spoil what follows it.
                let file = open(&found)?;
                self.attributes(&file)?;
                self.tar.append_data(&mut header, name, file.chain(io::repeat(0)).take(size))
            }
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                let target = rustix::fs::readlinkat(&found, "", Vec::new())?;
                self.tar.append_link(&mut header, name, Path::new(OsStr::from_bytes(target.as_bytes())))
            }
            FileType::Fifo => {
                header.set_entry_type(EntryType::Fifo);
                self.tar.append_data(&mut header, name, io::empty())
            }
            FileType::CharacterDevice
                if self.layer && look.stx_rdev_major == 0 && look.stx_rdev_minor == 0 =>
            {
                let hidden = name.file_name().unwrap_or_default().as_bytes();
                self.marker(&name.with_file_name(OsStr::from_bytes(&[WHITEOUT, hidden].concat())))
            }
            // Sockets belong to their processes, devices to their machine.
            _ => Ok(()),
        }
    }

    /// What the next entry has beside its mode and owner, in the form of pax that Docker and GNU tar know.
    fn attributes(&mut self, found: &File) -> io::Result<()> {
        let all = xattr::portable(found)?;
        let named = all.iter().filter_map(|(name, value)| {
            Some((format!("SCHILY.xattr.{}", str::from_utf8(name).ok()?), value.as_slice()))
        });
        let named: Vec<(String, &[u8])> = named.collect();
        self.tar.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), *value)))
    }

    fn folder(&mut self, found: &OwnedFd, name: &Path, depth: usize) -> io::Result<()> {
        if depth > limits::TREE_DEPTH {
            return Err(io::Error::other(format!("its folders are more than {depth} deep")));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(found, ".", flags, Mode::empty())?;
        let mut opaque = [0; 1];
        if self.layer
            && rustix::fs::fgetxattr(&folder, lower::OPAQUE, &mut opaque) == Ok(1)
            && opaque == *b"y"
        {
            self.marker(&name.join(OsStr::from_bytes(OPAQUE)))?;
        }
        let mut names: Vec<_> = Dir::read_from(&folder)?
            .filter_map(|entry| entry.ok().map(|entry| entry.file_name().to_owned()))
            .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
            .collect();
        names.sort();
        for entry in names {
            let path = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = match rustix::fs::openat(&folder, &entry, path, Mode::empty()) {
                // Removed meanwhile.
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            let look = look(&found, "")?;
            self.entry(found, &name.join(OsStr::from_bytes(entry.to_bytes())), &look, depth + 1)?;
        }
        Ok(())
    }
}

impl<W: Write> Packer<W> {
    fn marker(&mut self, name: &Path) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(0);
        self.tar.append_data(&mut header, name, io::empty())
    }
}

/// What was only found is opened to be read.
fn open(found: &OwnedFd) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))
}

fn look(at: &OwnedFd, name: &str) -> rustix::io::Result<Statx> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::statx(at, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)
}

fn header(look: &Statx) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(u32::from(look.stx_mode) & 0o7777);
    header.set_uid(look.stx_uid.into());
    header.set_gid(look.stx_gid.into());
    header.set_mtime(u64::try_from(look.stx_mtime.tv_sec).unwrap_or(0));
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn tree(path: &Path) -> Tree {
        Tree::open(path).unwrap()
    }

    fn packed(from: &Path, path: &str, follow: bool) -> Vec<u8> {
        let mut archive = Vec::new();
        let packing = Packing { follow, ..Packing::default() };
        tree(from).pack(Path::new(path), packing, &mut archive).unwrap();
        archive
    }

    #[test]
    fn what_is_copied_arrives_where_a_person_expects_it() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("d/e")).unwrap();
        fs::write(from.path().join("d/e/f"), "text").unwrap();
        fs::set_permissions(from.path().join("d/e/f"), PermissionsExt::from_mode(0o640)).unwrap();
        symlink("f", from.path().join("d/e/l")).unwrap();
        fs::create_dir(to.path().join("there")).unwrap();
        let check = |source: &str, follow: bool, target: &str, arrives: &str| {
            let archive = packed(from.path(), source, follow);
            let content = only_content(Path::new(source));
            tree(to.path()).unpack(Path::new(target), content, None, archive.as_slice()).unwrap();
            let arrived = to.path().join(arrives);
            assert_eq!(fs::read_to_string(&arrived).unwrap(), "text", "{source} to {target}");
            assert_eq!(fs::metadata(&arrived).unwrap().permissions().mode() & 0o777, 0o640);
        };
        check("d/e/f", false, "there", "there/f");
        check("d/e/f", false, "/new", "new");
        check("d/e/f", false, "new", "new");
        check("d", false, "there", "there/d/e/f");
        check("d/.", false, "there", "there/e/f");
        check("d/.", false, "fresh", "fresh/e/f");
        check("d/e", false, "renamed", "renamed/f");
        check("d/e/l", true, "link", "link");
        assert!(fs::symlink_metadata(to.path().join("there/e/l")).unwrap().is_symlink());
        let nowhere = tree(to.path()).unpack(
            Path::new("a/b"),
            false,
            None,
            packed(from.path(), "d/e/f", false).as_slice(),
        );
        assert!(nowhere.is_err());
    }

    #[test]
    fn capabilities_and_notes_come_along() {
        if !rustix::process::geteuid().is_root() {
            return crate::testing::skip("needs root");
        }
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Version 2, effective; permitted 0x0a, whose byte is also a line end.
        let capability = [1, 0, 0, 2, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let note = |path: &Path, name: &str, value: &[u8]| {
            rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
        };
        let long = "n".repeat(150);
        fs::create_dir(from.path().join("d")).unwrap();
        fs::write(from.path().join("d").join(&long), "program").unwrap();
        note(&from.path().join("d").join(&long), "security.capability", &capability);
        note(&from.path().join("d"), "trusted.mine", b"of this machine");
        tree(to.path())
            .unpack(Path::new("."), false, None, packed(from.path(), "d", false).as_slice())
            .unwrap();
        let mut value = [0; 64];
        let length = rustix::fs::getxattr(to.path().join("d").join(&long), "security.capability", &mut value);
        assert_eq!(&value[..length.unwrap()], capability);
        assert_eq!(rustix::fs::getxattr(to.path().join("d"), "trusted.mine", &mut value), Err(Errno::NODATA));
    }

    #[test]
    fn what_a_layer_hides_becomes_a_marker() {
        if !rustix::process::geteuid().is_root() {
            return crate::testing::skip("needs root");
        }
        let from = tempfile::tempdir().unwrap();
        fs::create_dir(from.path().join("d")).unwrap();
        let kind = FileType::CharacterDevice;
        rustix::fs::mknodat(rustix::fs::CWD, from.path().join("d/gone"), kind, Mode::empty(), 0).unwrap();
        let folder = fs::File::open(from.path().join("d")).unwrap();
        rustix::fs::fsetxattr(&folder, lower::OPAQUE, b"y", rustix::fs::XattrFlags::empty()).unwrap();
        let mut archive = Vec::new();
        let packing = Packing { layer: true, ..Packing::default() };
        tree(from.path()).pack(Path::new("."), packing, &mut archive).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let names: Vec<PathBuf> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, [Path::new("d"), Path::new("d/.wh..wh..opq"), Path::new("d/.wh.gone")]);
    }

    #[test]
    fn links_lead_nowhere_but_into_the_tree() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        fs::write(from.path().join("f"), "mine").unwrap();
        symlink(outside.path(), to.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), from.path().join("s")).unwrap();
        let mut archive = Vec::new();
        let packing = Packing { follow: true, ..Packing::default() };
        assert!(tree(from.path()).pack(Path::new("s"), packing, &mut archive).is_err(), "not in the tree");
        let archive = packed(from.path(), "f", false);
        for target in ["out", "out/f", "../../out/secret"] {
            let unpacked = tree(to.path()).unpack(Path::new(target), false, None, archive.as_slice());
            assert!(unpacked.is_err() || !outside.path().join("f").exists(), "{target}");
        }
        assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
