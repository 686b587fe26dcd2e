//! Snapshots, mounted for real in mount namespaces of the tests' own.

use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use super::overlay::{Folders, make_old, mount_old};
use super::*;
use crate::image::{Digest, ImageConfig};

/// An image of folders that `layers` fill, bottom first, as the store would lay them out.
fn image(dir: &Path, layers: &[&dyn Fn(&Path)]) -> Image {
    let make = |(number, fill): (usize, &&dyn Fn(&Path))| {
        let tree = dir.join("images/layers").join(Digest::of(&[number as u8]).hex()).join("fs");
        fs::create_dir_all(&tree).unwrap();
        fill(&tree);
        tree
    };
    Image {
        id: Digest::of(b"image").to_string(),
        reference: String::new(),
        digest: None,
        config: ImageConfig::default(),
        layers: layers.iter().enumerate().map(make).collect(),
        size: 0,
        created: None,
    }
}

/// Runs in a mount namespace of its own, which is gone with the thread.
fn in_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let isolated = || {
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
        let private =
            rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(isolated).join().unwrap())
}

fn world() -> (TempDir, Snapshots) {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(dir.path()).unwrap();
    (dir, snapshots)
}

#[test]
fn layers_are_seen_through_and_writes_stay_apart() {
    let (dir, snapshots) = world();
    let bottom = |tree: &Path| {
        fs::write(tree.join("both"), "bottom").unwrap();
        fs::write(tree.join("only"), "bottom").unwrap();
    };
    let top = |tree: &Path| fs::write(tree.join("both"), "top").unwrap();
    let image = image(dir.path(), &[&bottom, &top]);
    let overlay = snapshots.prepare(&image, &[], "c1", None).unwrap();
    let target = dir.path().join("root");
    fs::create_dir(&target).unwrap();
    for old in [false, true] {
        in_namespace(|| {
            if old {
                mount_old(&Folders::open(&overlay).unwrap(), &target).unwrap();
            } else {
                mount(&overlay, &target).unwrap();
            }
            let read = |name: &str| fs::read_to_string(target.join(name)).unwrap();
            assert_eq!(
                (read("both"), read("only")),
                ("top".into(), "bottom".into()),
                "old mount call: {old}"
            );
            assert_eq!(read("etc/hosts"), "");
            fs::write(target.join("both"), "changed").unwrap();
            unmount(&target).unwrap();
        });
        fs::remove_file(overlay.upper.join("both")).unwrap();
    }
    assert_eq!(fs::read_to_string(image.layers[1].join("both")).unwrap(), "top");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "nothing is left mounted");
}

#[test]
fn files_can_be_looked_at_while_nothing_is_mounted() {
    let (dir, snapshots) = world();
    let bottom = |tree: &Path| fs::write(tree.join("both"), "bottom").unwrap();
    let overlay = snapshots.prepare(&image(dir.path(), &[&bottom]), &[], "c1", None).unwrap();
    fs::write(overlay.upper.join("own"), "written").unwrap();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for (detached, kernel) in [(mount_detached as fn(&_) -> _, "this"), (make_old, "an old")] {
        let tree = detached(&overlay).unwrap();
        let root = PathBuf::from(format!("/proc/self/fd/{}", tree.as_raw_fd()));
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
        assert_eq!((read("both"), read("own")), ("bottom".into(), "written".into()), "{kernel} kernel");
        fs::write(root.join("both"), "changed").unwrap();
        fs::remove_file(overlay.upper.join("both")).unwrap();
    }
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
}

#[test]
fn many_layers_under_a_long_path_can_be_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("x".repeat(200)).join("y".repeat(200));
    fs::create_dir_all(&long).unwrap();
    let snapshots = Snapshots::open(&long).unwrap();
    let fill = |tree: &Path| fs::write(tree.join(layer_name(tree).unwrap()), "").unwrap();
    let image = image(&long, &[&fill as &dyn Fn(&Path); 120]);
    let overlay = snapshots.prepare(&image, &[], "c1", None).unwrap();
    let target = long.join("root");
    fs::create_dir(&target).unwrap();
    in_namespace(|| {
        mount(&overlay, &target).unwrap();
        assert_eq!(fs::read_dir(&target).unwrap().count(), 120 + BASE_FOLDERS.len());
        unmount(&target).unwrap();
        mount_old(&Folders::open(&overlay).unwrap(), &target).unwrap();
        assert!(image.layers.iter().all(|layer| target.join(layer_name(layer).unwrap()).exists()));
    });
}

#[test]
fn mountpoints_exist_in_every_image() {
    let (dir, snapshots) = world();
    let fill = |tree: &Path| {
        fs::create_dir_all(tree.join("etc")).unwrap();
        fs::create_dir_all(tree.join("proc")).unwrap();
        set_mode(&tree.join("etc"), 0o751).unwrap();
        fs::write(tree.join("etc/hosts"), "image's own").unwrap();
        symlink("../run/resolv.conf", tree.join("etc/resolv.conf")).unwrap();
    };
    let overlay = snapshots.prepare(&image(dir.path(), &[&fill]), &[], "c1", None).unwrap();
    let base = &overlay.lower[0];
    assert_eq!(fs::metadata(base.join("etc")).unwrap().mode() & 0o7777, 0o751);
    assert!(!base.join("etc/hosts").exists(), "the image's own is seen");
    assert!(fs::symlink_metadata(base.join("etc/resolv.conf")).unwrap().is_file(), "a link is replaced");
    assert!(base.join("etc/hostname").is_file() && base.join("dev").is_dir() && !base.join("proc").exists());
    assert_eq!(fs::read_link(base.join("etc/mtab")).unwrap(), Path::new("/proc/mounts"));
    // An image without any layer.
    let empty = snapshots.prepare(&image(dir.path(), &[]), &[], "c2", None).unwrap();
    assert!(empty.lower[0].join("etc/hosts").is_file() && empty.lower[0].join("proc").is_dir());
}

#[test]
fn a_restarted_container_keeps_what_it_wrote() {
    let (dir, snapshots) = world();
    let image = image(dir.path(), &[&|_| {}]);
    let first = snapshots.prepare(&image, &[], "c1", None).unwrap();
    fs::write(first.upper.join("data"), "kept").unwrap();
    let second = snapshots.prepare(&image, &[], "c1", None).unwrap();
    assert_eq!((&second, fs::read_to_string(second.upper.join("data")).unwrap()), (&first, "kept".into()));
    assert_eq!(snapshots.list().unwrap(), ["c1"]);
    let layer = layer_name(&image.layers[0]).unwrap().to_owned();
    assert_eq!(layers_in_use(dir.path()).unwrap(), [(layer, "c1".to_owned())]);
    snapshots.remove("c1").unwrap();
    snapshots.remove("c1").unwrap();
    assert!(snapshots.list().unwrap().is_empty());
}

#[test]
fn ids_cannot_lead_elsewhere() {
    let (_dir, snapshots) = world();
    for bad in ["", ".", "..", "../x", "a/b", ".hidden"] {
        assert!(snapshots.remove(bad).is_err(), "{bad}");
    }
}
