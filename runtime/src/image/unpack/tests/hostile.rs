//! Layers that try to reach outside, to fill the machine, or to be read in two ways. [`World::unpack`] checks after
//! each of them that nothing outside of the layer's folder has changed.

use super::*;
use crate::image::limits;

/// The layer is refused, and the entry is named with a reason.
fn refused(archive: Archive, path: &str, reason: &str) {
    let world = World::new();
    match world.unpack(archive) {
        Err(Error::Hostile { refused, .. }) => {
            let found = refused.iter().find(|refusal| refusal.path == path);
            let found = found.unwrap_or_else(|| panic!("`{path}` is not among {refused:?}"));
            assert!(found.reason.contains(reason), "{found:?}");
        }
        other => panic!("{path}: {other:?}"),
    }
}

/// The archive as a whole is not understood.
fn malformed(blob: &[u8], reason: &str) {
    let world = World::new();
    let error = world.unpack_bytes(blob, &[]).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn paths_cannot_lead_upwards() {
    refused(Archive::default().file("../secret", "x"), "../secret", "upwards");
    refused(Archive::default().file("a/../../secret", "x"), "a/../../secret", "upwards");
    refused(Archive::default().folder("..", 0o777), "..", "upwards");
    refused(Archive::default().file("../.wh.secret", ""), "../.wh.secret", "upwards");
    refused(Archive::default().file("..", "x"), "..", "upwards");
    refused(Archive::default().file("d/.wh...", ""), "d/.wh...", "cannot be deleted");
    refused(Archive::default().pax(&[("path", b"../secret")]).file("x", "x"), "../secret", "upwards");
    refused(Archive::default().pax(&[("path", b"a\0b")]).file("x", "x"), "a\\x00b", "zero byte");
}

#[test]
fn absolute_paths_are_inside() {
    let world = World::new();
    let secret = world.dir.path().join("secret").display().to_string();
    world.unpack(Archive::default().file(&secret, "inside")).unwrap();
    assert_eq!(read(world.at(secret.trim_start_matches('/'))), "inside");
}

#[test]
fn links_cannot_be_written_through() {
    // To a file: the link itself is replaced.
    let world = World::new();
    world.unpack(Archive::default().symlink("l", "../secret").file("l", "inside")).unwrap();
    assert_eq!(read(world.at("l")), "inside");
    // To a folder, by each way out: the link is followed inside.
    for target in ["..", "../..", "/", "/proc/self/root", "/proc/self/cwd/.."] {
        let world = World::new();
        let result = world.unpack(Archive::default().symlink("up", target).file("up/secret", "inside"));
        if let Err(error) = result {
            assert!(matches!(error, Error::Hostile { .. }), "{target}: {error}");
        }
    }
    refused(Archive::default().symlink("up", "/nowhere").file("up/x", ""), "up/x", "`up` is not a folder");
    refused(Archive::default().symlink("a", "b").symlink("b", "a").file("a/x", ""), "a/x", "symbolic link");
    refused(Archive::default().file("f", "").file("f/x", ""), "f/x", "`f` is not a folder");
}

#[test]
fn modes_are_not_set_through_links() {
    let world = World::new();
    let secret = world.dir.path().join("secret");
    let before = fs::metadata(&secret).unwrap().permissions();
    let target = secret.display().to_string();
    let archive = Archive::default().symlink("l", &target).folder("l/", 0o7777).symlink("m", &target);
    world.unpack(archive).unwrap();
    assert_eq!(fs::metadata(&secret).unwrap().permissions(), before);
}

#[test]
fn hard_links_stay_inside() {
    refused(Archive::default().hardlink("l", "/etc/passwd"), "l", "not in the layer");
    refused(Archive::default().hardlink("l", "../secret"), "l", "upwards");
    refused(Archive::default().symlink("up", "..").hardlink("l", "up/secret"), "l", "not in the layer");
    refused(
        Archive::default().symlink("p", "/proc/self/root/etc").hardlink("l", "p/passwd"),
        "l",
        "not in the layer",
    );
    refused(Archive::default().folder("d", 0o755).hardlink("l", "d"), "l", "not in the layer");
    refused(Archive::default().hardlink("l", "l"), "l", "itself");
    refused(Archive::default().file(".wh.w", "").hardlink("l", "w"), "l", "not in the layer");
    // A link to a link is the link, not what it points to.
    let world = World::new();
    world.unpack(Archive::default().symlink("s", "/etc/passwd").hardlink("l", "s")).unwrap();
    assert!(fs::symlink_metadata(world.at("l")).unwrap().is_symlink());
}

#[test]
fn devices_are_not_made() {
    let world = World::new();
    let archive = Archive::default()
        .entry(EntryType::Char, "dev/mem", "", 0o666, b"")
        .entry(EntryType::Block, "sda", "", 0o666, b"")
        .file("ok", "");
    let unpacked = world.unpack(archive).unwrap();
    let skipped: Vec<&str> = unpacked.skipped.iter().map(|refusal| refusal.path.as_str()).collect();
    assert_eq!(skipped, ["dev/mem", "sda"]);
    assert!(!world.at("dev/mem").exists() && !world.at("sda").exists() && world.at("ok").exists());
}

#[test]
fn overlayfs_is_not_steered_by_layers() {
    let redirect: [(&str, &[u8]); 1] = [("SCHILY.xattr.trusted.overlay.redirect", b"/etc")];
    refused(Archive::default().pax(&redirect).folder("d", 0o755), "d", "trusted.overlay.redirect");
    let metacopy: [(&str, &[u8]); 1] = [("SCHILY.xattr.user.overlay.metacopy", b"")];
    refused(Archive::default().pax(&metacopy).file("f", ""), "f", "user.overlay.metacopy");
}

#[test]
fn every_refused_entry_is_listed_up_to_a_limit() {
    let mut archive = Archive::default();
    for number in 0..limits::REFUSALS_SHOWN + 5 {
        archive = archive.file(&format!("../{number}"), "");
    }
    let error = World::new().unpack(archive).unwrap_err().to_string();
    assert!(
        error.contains("`../0`: the path leads upwards; `../1`:") && error.ends_with("and 5 more"),
        "{error}"
    );
}

#[test]
fn bombs_are_stopped() {
    let zeros = vec![0; 1 << 20];
    let size = (limits::LAYER_RATIO_FROM as usize >> 20) + 2;
    let start = Archive::default().header(EntryType::Regular, "bomb", "", 0o644, (size as u64) << 20).0;
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&start).unwrap();
    (0..size).for_each(|_| encoder.write_all(&zeros).unwrap());
    malformed(&encoder.finish().unwrap(), "compression ratio");
    // Sizes that are only claimed cost nothing either.
    malformed(
        &Archive::default().header(EntryType::Regular, "f", "", 0o644, u64::MAX / 2).end(),
        "size of the layer",
    );
    malformed(
        &Archive::default().header(EntryType::GNULongName, "n", "", 0, 8 << 30).end(),
        "headers of one entry",
    );
    malformed(
        &Archive::default().header(EntryType::XHeader, "x", "", 0, 8 << 30).end(),
        "headers of one entry",
    );
    let value = vec![b'x'; limits::XATTR_BYTES + 1];
    malformed(&Archive::default().pax(&[("SCHILY.xattr.user.x", &value)]).file("f", "").end(), "attributes");
    let deep = "d/".repeat(2000);
    refused(Archive::default().pax(&[("path", deep.as_bytes())]).file("x", ""), &deep[..200], "too deep");
}

/// CVE-2025-62518: the pax header says where the next entry begins; a reader that believes the other size finds
/// entries hidden in the file's content.
#[test]
fn a_size_is_read_in_one_way() {
    let hidden = Archive::default().file("hidden", "evil").0;
    let world = World::new();
    let size = hidden.len().to_string();
    let archive =
        Archive::default().pax(&[("size", size.as_bytes())]).header(EntryType::Regular, "f", "", 0o644, 0);
    world.unpack(archive.data(&hidden)).unwrap();
    assert_eq!(fs::read(world.at("f")).unwrap(), hidden);
    assert!(!world.at("hidden").exists());

    let twice: [(&str, &[u8]); 2] = [("size", b"0"), ("size", b"512")];
    malformed(&Archive::default().pax(&twice).file("f", "").end(), "one thing twice");
    malformed(
        &Archive::default().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("f", "").end(),
        "two pax",
    );
    malformed(&Archive::default().entry(EntryType::Directory, "d", "", 0o755, b"data").end(), "with data");
    malformed(
        &Archive::default().entry(EntryType::XGlobalHeader, "g", "", 0, b"11 size=10\n").end(),
        "global",
    );
    let long =
        Archive::default().entry(EntryType::GNULongName, "n", "", 0, b"one\0").pax(&[("path", b"two")]);
    malformed(&long.file("f", "").end(), "two different names");
    let mut after_the_end = Archive::default().file("a", "").0;
    after_the_end.resize(after_the_end.len() + 512, 0);
    after_the_end.extend(Archive::default().file("b", "").end());
    malformed(&after_the_end, "after the archive's end");
}

#[test]
fn damaged_archives_are_errors() {
    let good = Archive::default().file("f", "content").end();
    malformed(&good[..700], "cut off");
    malformed(&good[..100], "cut off");
    let mut flipped = good.clone();
    flipped[0] ^= 1;
    malformed(&flipped, "checksum");
    malformed(&gzip(&good)[..40], "archive");
    malformed(&Archive::default().pax(&[("path", b"x")]).end(), "without an entry");
    malformed(&Archive::default().pax(&[("uid", b"4294967295")]).file("f", "").end(), "owner");
    malformed(&Archive::default().pax(&[("GNU.sparse.major", b"1")]).file("f", "").end(), "not supported");
    malformed(b"this is no archive, but it is long enough to be looked at", "cut off");
}
