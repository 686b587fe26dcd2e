//! What an entry of a layer means. The rules are those of
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md>.

use tar::EntryType;

use super::path::LayerPath;
use super::tarball::Entry;

/// What is to be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Folder(LayerPath),
    File(LayerPath),
    /// The target is for the container to resolve; it is kept as it is.
    Symlink(LayerPath, Vec<u8>),
    Hardlink {
        new: LayerPath,
        existing: LayerPath,
    },
    Fifo(LayerPath),
    /// The lower layers' file or folder of this name is gone.
    Whiteout(LayerPath),
    /// Everything that lower layers have in this folder is gone.
    Opaque(LayerPath),
    /// Nothing, and why.
    Skip(&'static str),
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Bookkeeping of a filesystem that Docker once used; it ignores these as well.
const AUFS: &[u8] = b".wh..wh.";

/// # Errors
/// Why no honest builder writes such an entry.
pub(super) fn understand(entry: &Entry) -> Result<Item, String> {
    let path = LayerPath::parse(&entry.path)?;
    if let Some(problem) = bad_attribute(entry) {
        return Err(problem);
    }
    if let Some(marker) = marker(&path)? {
        return Ok(marker);
    }
    plain(entry, path)
}

/// What an entry means in an archive that is no layer: names that begin with `.wh.` are names like any other.
///
/// # Errors
/// Why it cannot be made.
pub(super) fn understand_plain(entry: &Entry) -> Result<Item, String> {
    plain(entry, LayerPath::parse(&entry.path)?)
}

fn plain(entry: &Entry, path: LayerPath) -> Result<Item, String> {
    let named = |path: LayerPath| {
        if path.is_root() { Err("it replaces the root folder".to_owned()) } else { Ok(path) }
    };
    match entry.kind {
        EntryType::Directory => Ok(Item::Folder(path)),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Ok(Item::File(named(path)?)),
        EntryType::Symlink => {
            if entry.link.is_empty()
                || entry.link.contains(&0)
                || entry.link.len() >= crate::image::limits::PATH_BYTES
            {
                return Err("the symbolic link's target is empty, too long, or holds a zero byte".to_owned());
            }
            Ok(Item::Symlink(named(path)?, entry.link.clone()))
        }
        EntryType::Link => {
            let existing =
                LayerPath::parse(&entry.link).map_err(|reason| format!("hard link's target: {reason}"))?;
            Ok(Item::Hardlink { new: named(path)?, existing: named(existing)? })
        }
        EntryType::Fifo => Ok(Item::Fifo(named(path)?)),
        EntryType::Char | EntryType::Block => Ok(Item::Skip("devices are not made from images")),
        _ => Ok(Item::Skip("unknown kind of entry")),
    }
}

/// Deletions are files whose names begin with `.wh.`.
fn marker(path: &LayerPath) -> Result<Option<Item>, String> {
    let Some((folder, name)) = path.split() else { return Ok(None) };
    let name = name.as_encoded_bytes();
    if name == OPAQUE {
        return Ok(Some(Item::Opaque(folder)));
    }
    if name.starts_with(AUFS) {
        return Ok(Some(Item::Skip("bookkeeping of aufs")));
    }
    match name.strip_prefix(WHITEOUT) {
        None => Ok(None),
        Some(b"" | b"." | b"..") => Err("it deletes a folder that cannot be deleted".to_owned()),
        Some(deleted) => Ok(Some(Item::Whiteout(path.sibling(deleted)))),
    }
}

/// `trusted.*` steers overlayfs itself: only this program may write it.
fn bad_attribute(entry: &Entry) -> Option<String> {
    let bad = |name: &[u8]| name.starts_with(b"trusted.") || name.starts_with(b"user.overlay.");
    let (name, _) = entry.xattrs.iter().find(|(name, _)| bad(name))?;
    Some(format!("it sets the attribute `{}`", name.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> LayerPath {
        LayerPath::parse(raw.as_bytes()).unwrap()
    }

    fn entry(kind: EntryType, path: &str, link: &str) -> Entry {
        Entry { kind, path: path.into(), link: link.into(), ..Entry::default() }
    }

    #[test]
    fn entries_mean_what_the_specification_says() {
        let check = |kind, name: &str, link: &str, expect: Item| {
            assert_eq!(understand(&entry(kind, name, link)), Ok(expect), "{name}");
        };
        check(EntryType::Directory, "./", "", Item::Folder(path("")));
        check(EntryType::Regular, "/a/b", "", Item::File(path("a/b")));
        check(EntryType::Symlink, "a", "../../../etc", Item::Symlink(path("a"), b"../../../etc".to_vec()));
        check(EntryType::Link, "a", "/b", Item::Hardlink { new: path("a"), existing: path("b") });
        check(EntryType::Regular, "d/.wh.x", "", Item::Whiteout(path("d/x")));
        check(EntryType::Regular, ".wh..wh..opq", "", Item::Opaque(path("")));
        check(EntryType::Regular, "d/.wh..wh.plnk", "", Item::Skip("bookkeeping of aufs"));
        check(EntryType::Regular, "d/.wh....", "", Item::Whiteout(path("d/...")));
        check(EntryType::Char, "dev/mem", "", Item::Skip("devices are not made from images"));
    }

    #[test]
    fn what_no_builder_writes_is_refused() {
        let check = |kind, name: &str, link: &str, expect: &str| {
            let reason = understand(&entry(kind, name, link)).unwrap_err();
            assert!(reason.contains(expect), "{name}: {reason}");
        };
        check(EntryType::Regular, "../x", "", "upwards");
        check(EntryType::Link, "x", "../../etc/passwd", "upwards");
        check(EntryType::Regular, "/", "", "root folder");
        check(EntryType::Symlink, ".", "/etc", "root folder");
        check(EntryType::Link, "x", "/", "root folder");
        check(EntryType::Regular, "d/.wh.", "", "cannot be deleted");
        check(EntryType::Regular, "d/.wh..", "", "cannot be deleted");
        check(EntryType::Regular, "d/.wh...", "", "cannot be deleted");
        check(EntryType::Symlink, "x", "", "empty");
    }

    #[test]
    fn attributes_of_overlayfs_are_refused() {
        let mut redirect = entry(EntryType::Directory, "d", "");
        redirect.xattrs = vec![(b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec())];
        assert!(understand(&redirect).unwrap_err().contains("trusted.overlay.redirect"));
    }
}
