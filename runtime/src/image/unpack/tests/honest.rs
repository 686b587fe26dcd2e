//! What honest builders write, including what few of them do.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::*;
use crate::image::lower;

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1000];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    xattr(path, lower::OPAQUE).as_deref() == Some(b"y")
}

#[test]
fn owners_modes_times_and_links_are_kept() {
    let world = World::new();
    let archive = Archive::default()
        .folder("bin/", 0o755)
        .entry(EntryType::Regular, "bin/su", "", 0o4755, b"setuid")
        .hardlink("bin/su2", "bin/su")
        .symlink("sh", "/bin/su")
        .folder("tmp/", 0o1777)
        .entry(EntryType::Fifo, "pipe", "", 0o622, b"");
    let unpacked = world.unpack(archive).unwrap();
    assert_eq!((unpacked.bytes, unpacked.skipped.len()), (6, 0));
    let su = fs::metadata(world.at("bin/su")).unwrap();
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.mtime()), (0o4755, 7, 8, 1000));
    assert_eq!(fs::metadata(world.at("bin/su2")).unwrap().ino(), su.ino());
    assert_eq!(
        fs::metadata(world.at("bin")).unwrap().mtime(),
        1000,
        "a folder's time is set after its content"
    );
    assert_eq!(fs::metadata(world.at("tmp")).unwrap().mode() & 0o7777, 0o1777);
    let link = fs::symlink_metadata(world.at("sh")).unwrap();
    assert_eq!((link.uid(), link.mtime()), (7, 1000));
    assert_eq!(fs::read_link(world.at("sh")).unwrap(), Path::new("/bin/su"));
    let pipe = fs::metadata(world.at("pipe")).unwrap();
    assert_eq!((pipe.file_type().is_fifo(), pipe.mode() & 0o7777), (true, 0o622));
}

#[test]
fn compression_is_seen_from_the_bytes() {
    let plain = Archive::default().file("f", "content").end();
    for blob in [plain.clone(), gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
        let world = World::new();
        let unpacked = world.unpack_bytes(&blob, &[]).unwrap();
        assert_eq!(read(world.at("f")), "content");
        assert_eq!(unpacked.diff_id, Digest::of(&plain), "the digest is that of the plain archive");
    }
}

#[test]
fn deletions_become_what_overlayfs_understands() {
    let world = World::new();
    let archive = Archive::default()
        .file("etc/.wh.gone", "")
        .folder("var/", 0o755)
        .file("var/.wh..wh..opq", "")
        .file("var/new", "n")
        .file(".wh..wh.plnk", "");
    let unpacked = world.unpack(archive).unwrap();
    assert!(is_whiteout(&world.at("etc/gone")));
    assert!(is_opaque(&world.at("var")));
    assert_eq!(read(world.at("var/new")), "n");
    assert_eq!(unpacked.skipped[0].path, ".wh..wh.plnk");
    assert!(!world.at("etc/.wh.gone").exists() && !world.at(".wh..wh.plnk").exists());
}

#[test]
fn deleted_and_made_again_works_in_either_order() {
    let world = World::new();
    let archive = Archive::default()
        .file(".wh.a", "")
        .folder("a/", 0o755)
        .file("a/new", "")
        .folder("b/", 0o755)
        .file("b/new", "")
        .file(".wh.b", "")
        .file("c", "kept")
        .file(".wh.c", "")
        .file(".wh.d", "")
        .file("d/e", "implied");
    world.unpack(archive).unwrap();
    assert!(is_opaque(&world.at("a")) && world.at("a/new").exists());
    assert!(is_opaque(&world.at("b")) && world.at("b/new").exists());
    assert_eq!(read(world.at("c")), "kept");
    assert!(is_opaque(&world.at("d")) && world.at("d/e").exists());
}

#[test]
fn later_entries_replace_earlier_ones() {
    let world = World::new();
    let archive = Archive::default()
        .file("twice", "first")
        .hardlink("other", "twice")
        .file("twice", "second")
        .folder("dir/", 0o700)
        .file("dir/kept", "k")
        .folder("dir/", 0o750)
        .file("tree/deep/file", "")
        .file("tree", "now a file")
        .symlink("link", "/nowhere")
        .folder("link/", 0o755);
    world.unpack(archive).unwrap();
    assert_eq!((read(world.at("twice")), read(world.at("other"))), ("second".into(), "first".into()));
    assert_eq!(fs::metadata(world.at("dir")).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(read(world.at("dir/kept")), "k");
    assert_eq!(read(world.at("tree")), "now a file");
    assert!(fs::symlink_metadata(world.at("link")).unwrap().is_dir());
}

#[test]
fn a_forgotten_folder_looks_as_it_does_below() {
    let below = World::new();
    below.unpack(Archive::default().folder("tmp/", 0o1777).folder("a/", 0o711)).unwrap();
    let hiding = World::new();
    hiding.unpack(Archive::default().file(".wh.a", "")).unwrap();
    let world = World::new();
    let blob = Archive::default().file("tmp/x", "").file("a/x", "").file("b/c/x", "").end();
    world.unpack_bytes(&blob, &[hiding.root(), below.root()]).unwrap();
    let looks = |path: &str| fs::metadata(world.at(path)).map(|m| (m.mode() & 0o7777, m.uid())).unwrap();
    assert_eq!(looks("tmp"), (0o1777, 7));
    assert_eq!(looks("a"), (0o755, 0), "deleted in between, so made afresh");
    assert_eq!(looks("b/c"), (0o755, 0));
}

#[test]
fn capabilities_survive_with_any_byte_in_them() {
    // Version 2, effective; permitted 0x0a, whose byte is also a line end.
    let capability = [1, 0, 0, 2, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let world = World::new();
    let records: [(&str, &[u8]); 4] = [
        ("SCHILY.xattr.security.capability", &capability),
        ("SCHILY.xattr.user.note", b"x\n12 size=999\n"),
        ("SCHILY.xattr.security.selinux", b"label"),
        ("mtime", b"5.5"),
    ];
    let archive = Archive::default().pax(&records).file("caddy", "program");
    world.unpack(archive).unwrap();
    let path = world.at("caddy");
    assert_eq!(xattr(&path, "security.capability").unwrap(), capability);
    assert_eq!(xattr(&path, "user.note").unwrap(), b"x\n12 size=999\n");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.mtime(), metadata.mtime_nsec(), metadata.len()), (5, 500_000_000, 7));
}

#[test]
fn long_names_come_in_two_forms() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let world = World::new();
    let archive = Archive::default()
        .entry(EntryType::GNULongName, "././@LongLink", "", 0, format!("{long}\0").as_bytes())
        .file("cut", "gnu")
        .pax(&[("path", format!("{long}2").as_bytes())])
        .file("cut", "pax")
        .entry(EntryType::GNULongLink, "././@LongLink", "", 0, format!("{long}\0").as_bytes())
        .hardlink("linked", "cut");
    world.unpack(archive).unwrap();
    assert_eq!(read(world.at(&long)), "gnu");
    assert_eq!(read(world.at(&format!("{long}2"))), "pax");
    assert_eq!(read(world.at("linked")), "gnu");
}

#[test]
fn holes_stay_holes() {
    let world = World::new();
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..6].copy_from_slice(b"sparse");
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(512);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.sparse[0].offset = *b"00010000000\0";
    gnu.sparse[0].numbytes = *b"00000001000\0";
    gnu.realsize = *b"00040000000\0";
    header.set_cksum();
    let mut archive = Archive::default();
    archive.0.extend_from_slice(header.as_bytes());
    let archive = archive.data(&[7; 512]).entry(EntryType::Regular, "zeros", "", 0o644, &vec![0; 1 << 20]);
    world.unpack(archive).unwrap();
    let sparse = fs::metadata(world.at("sparse")).unwrap();
    assert_eq!((sparse.len(), sparse.blocks() * 512 <= 64 << 10), (0o40_000_000, true));
    let content = fs::read(world.at("sparse")).unwrap();
    assert_eq!((content[0o10_000_000 - 1], content[0o10_000_000], content[0o10_000_000 + 512]), (0, 7, 0));
    let zeros = fs::metadata(world.at("zeros")).unwrap();
    assert_eq!((zeros.len(), zeros.blocks()), (1 << 20, 0));
}
