//! Volumes on a real disk, with links that try to lead elsewhere.

use std::os::unix::fs::{MetadataExt, chown, symlink};

use tempfile::TempDir;

use super::*;

fn world() -> (TempDir, Volumes, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let volumes = Volumes::open(&dir.path().join("data")).unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("var/lib/db/inner")).unwrap();
    (dir, volumes, root)
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn volumes_are_made_found_and_removed() {
    let (_dir, volumes, _) = world();
    let made = volumes.create("shop_data", &labels(&[("a", "1")])).unwrap();
    assert!(made.path.is_dir());
    fs::write(made.path.join("file"), "").unwrap();
    let again = volumes.create("shop_data", &labels(&[("a", "2")])).unwrap();
    assert_eq!(again, made, "labels stay as they were");
    volumes.create("another", &labels(&[])).unwrap();
    let names: Vec<String> = volumes.list().unwrap().into_iter().map(|volume| volume.name).collect();
    assert_eq!(names, ["another", "shop_data"]);
    assert!(volumes.remove("shop_data").unwrap());
    assert!(!volumes.remove("shop_data").unwrap());
    assert_eq!(volumes.get("shop_data").unwrap(), None);
    assert!(!made.path.exists());
    assert!(volumes.create("shop_data", &labels(&[])).unwrap().path.is_dir());
}

#[test]
fn an_interrupted_removal_is_finished() {
    let (dir, volumes, _) = world();
    let data = dir.path().join("data");
    fs::create_dir_all(data.join("volumes/.gone-x/_data/_data")).unwrap();
    assert!(volumes.list().unwrap().is_empty());
    Volumes::open(&data).unwrap();
    assert_eq!(fs::read_dir(data.join("volumes")).unwrap().count(), 0);
}

#[test]
fn names_cannot_lead_elsewhere() {
    let (_dir, volumes, _) = world();
    for bad in ["", ".", "..", "../x", "a/b", ".x", "a\nb", &"x".repeat(256)] {
        assert!(volumes.create(bad, &labels(&[])).is_err(), "{bad}");
        assert!(volumes.remove(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_empty_volume_takes_over_the_images_folder() {
    let (_dir, volumes, root) = world();
    let db = root.join("var/lib/db");
    fs::write(db.join("inner/file"), "content").unwrap();
    symlink("/etc/passwd", db.join("link")).unwrap();
    rustix::fs::setxattr(db.join("inner/file"), "user.note", b"x", XattrFlags::empty()).unwrap();
    chown(&db, Some(999), Some(998)).unwrap();
    set_mode(&db, 0o1777).unwrap();
    set_mode(&db.join("inner/file"), 0o4711).unwrap();
    let volume = volumes.create("v", &labels(&[])).unwrap().path;
    copy_up(&root, "/var/lib/db", &volume).unwrap();
    let looks = fs::metadata(&volume).unwrap();
    assert_eq!((looks.uid(), looks.gid(), looks.mode() & 0o7777), (999, 998, 0o1777));
    assert_eq!(fs::read_to_string(volume.join("inner/file")).unwrap(), "content");
    let file = fs::metadata(volume.join("inner/file")).unwrap();
    let original = fs::metadata(db.join("inner/file")).unwrap();
    assert_eq!((file.mode(), file.mtime()), (original.mode(), original.mtime()));
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(volume.join("inner/file"), "user.note", &mut value[..]), Ok(1));
    assert_eq!(fs::read_link(volume.join("link")).unwrap(), Path::new("/etc/passwd"));
}

#[test]
fn a_volume_with_content_is_left_alone() {
    let (_dir, volumes, root) = world();
    let volume = volumes.create("v", &labels(&[])).unwrap().path;
    fs::write(volume.join("mine"), "").unwrap();
    copy_up(&root, "/var/lib/db", &volume).unwrap();
    assert!(!volume.join("inner").exists());
    let other = volumes.create("w", &labels(&[])).unwrap().path;
    copy_up(&root, "/not/there", &other).unwrap();
    assert!(is_untouched(&other).unwrap());
}

#[test]
fn a_volume_that_was_given_to_somebody_stays_theirs() {
    let (_dir, volumes, root) = world();
    let volume = volumes.create("v", &labels(&[])).unwrap().path;
    chown(&volume, Some(1000), Some(1000)).unwrap();
    copy_up(&root, "/var/lib/db", &volume).unwrap();
    assert_eq!(fs::metadata(&volume).unwrap().uid(), 1000);
}

#[test]
fn an_interrupted_copy_is_begun_again() {
    let (_dir, volumes, root) = world();
    let volume = volumes.create("v", &labels(&[])).unwrap().path;
    fs::write(volume.parent().unwrap().join(FILLING), "").unwrap();
    fs::create_dir(volume.join("half")).unwrap();
    copy_up(&root, "var/lib/db", &volume).unwrap();
    assert!(volume.join("inner").is_dir() && !volume.join("half").exists());
    assert!(!volume.parent().unwrap().join(FILLING).exists());
}

#[test]
fn links_of_the_image_do_not_lead_out_of_it() {
    let (dir, volumes, root) = world();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/secret"), "").unwrap();
    for (name, target) in [("abs", dir.path().join("outside")), ("rel", PathBuf::from("../outside"))] {
        symlink(target, root.join(name)).unwrap();
        let volume = volumes.create(name, &labels(&[])).unwrap().path;
        copy_up(&root, name, &volume).unwrap();
        assert!(is_untouched(&volume).unwrap(), "{name}");
    }
}
