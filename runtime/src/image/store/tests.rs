//! The store as its users see it: the built-in image, names, removal, and what a crash leaves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tempfile::TempDir;

use crate::image::{Credentials, Error, Image, ImageStore, PullPolicy};
use crate::snapshot::Snapshots;

struct World {
    dir: TempDir,
}

impl World {
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        fs::write(world.program(), b"\x7fELF not really").unwrap();
        fs::set_permissions(world.program(), fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    fn program(&self) -> std::path::PathBuf {
        self.dir.path().join("program")
    }

    fn data(&self) -> &Path {
        self.dir.path()
    }

    fn store(&self) -> ImageStore {
        ImageStore::open(self.data()).unwrap().with_demo(&self.program())
    }
}

fn ensure(store: &ImageStore, reference: &str, policy: PullPolicy) -> Result<Image, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.ensure(reference, policy, &Credentials::default(), |_| {}))
}

fn demo(store: &ImageStore) -> Image {
    ensure(store, "orc/demo", PullPolicy::Missing).unwrap()
}

#[test]
fn the_demo_image_is_made_without_a_network() {
    let world = World::new();
    let store = world.store();
    let image = demo(&store);
    assert_eq!(image.reference, "docker.io/orc/demo:latest");
    assert_eq!((image.config.entrypoint.len(), image.config.cmd.join(" ")), (0, "demo".to_owned()));
    assert_eq!(image.config.env, [("PATH".to_owned(), "/bin".to_owned())]);
    let layer = &image.layers[0];
    assert_eq!(fs::read(layer.join("bin/demo")).unwrap(), fs::read(world.program()).unwrap());
    assert_eq!(fs::metadata(layer.join("bin/demo")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(layer.join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    assert!(fs::read_to_string(layer.join("etc/passwd")).unwrap().starts_with("root:x:0:0:"));
}

#[test]
fn the_demo_image_is_kept_until_the_program_changes() {
    let world = World::new();
    let first = demo(&world.store());
    let store = world.store();
    let inode = |image: &Image| fs::metadata(&image.layers[0]).unwrap().ino();
    let made = inode(&first);
    assert_eq!((demo(&store), inode(&demo(&store))), (first.clone(), made));
    fs::remove_file(world.program()).unwrap();
    fs::write(world.program(), b"\x7fELF a new one").unwrap();
    let second = demo(&store);
    assert_ne!(second.id, first.id);
    assert_eq!(store.list().unwrap().len(), 1, "the old one is forgotten");
    assert_eq!(fs::read(second.layers[0].join("bin/demo")).unwrap(), b"\x7fELF a new one");
    drop(store);
    assert!(!{ world.store() }.get(&first.id).unwrap().is_some_and(|_| true));
    assert!(!first.layers[0].exists(), "its layer goes at the next start");
}

#[test]
fn a_program_that_others_may_not_run_is_copied_readable() {
    let world = World::new();
    fs::set_permissions(world.program(), fs::Permissions::from_mode(0o700)).unwrap();
    let image = demo(&world.store());
    let made = fs::metadata(image.layers[0].join("bin/demo")).unwrap();
    assert_eq!(made.mode() & 0o7777, 0o755);
    assert_ne!(made.ino(), fs::metadata(world.program()).unwrap().ino());
}

#[test]
fn images_have_several_names_and_go_with_the_last() {
    let world = World::new();
    let store = world.store();
    let image = demo(&store);
    assert_eq!(store.tag("orc/demo", "other").unwrap().to_string(), "docker.io/library/other:latest");
    assert_eq!(store.get("other").unwrap().unwrap().id, image.id);
    assert_eq!(store.get(&image.id).unwrap().unwrap().id, image.id);
    assert_eq!(store.get(&image.id["sha256:".len()..][..12]).unwrap().unwrap().id, image.id);
    let list = store.list().unwrap();
    assert_eq!(list[0].references, ["docker.io/library/other:latest", "docker.io/orc/demo:latest"]);
    assert_eq!(store.remove("orc/demo", false).unwrap().deleted, None);
    assert!(image.layers[0].exists());
    let removed = store.remove("other", false).unwrap();
    assert_eq!(removed.untagged, ["docker.io/library/other:latest"]);
    assert_eq!(removed.deleted, Some(image.id));
    assert!(!image.layers[0].exists());
    assert!(store.list().unwrap().is_empty());
    assert!(matches!(store.remove("other", false), Err(Error::NotFound { .. })));
}

#[test]
fn what_a_container_needs_stays() {
    let world = World::new();
    let store = world.store();
    let image = demo(&store);
    let snapshots = Snapshots::open(world.data()).unwrap();
    snapshots.prepare(&image, &[], "c1", None).unwrap();
    let error = store.remove("orc/demo", false).unwrap_err().to_string();
    assert_eq!(error, "image `orc/demo:latest` is used by container `c1`");
    store.remove("orc/demo", true).unwrap();
    assert!(image.layers[0].exists(), "the container still has it");
    drop(store);
    let store = world.store();
    assert!(image.layers[0].exists(), "also after a restart");
    snapshots.remove("c1").unwrap();
    drop(store);
    drop(world.store());
    assert!(!image.layers[0].exists());
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let world = World::new();
    drop(world.store());
    let images = world.data().join("images");
    let torn = images.join("layers").join("a".repeat(64));
    fs::create_dir_all(torn.join("fs/deep")).unwrap();
    fs::create_dir_all(images.join("tmp/layer-x/fs")).unwrap();
    fs::write(images.join("index.new"), "half").unwrap();
    let store = world.store();
    assert!(!torn.exists());
    assert_eq!(fs::read_dir(images.join("tmp")).unwrap().count(), 0);
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn an_image_with_a_missing_part_is_not_here() {
    let world = World::new();
    let store = world.store();
    let image = demo(&store);
    fs::remove_dir_all(image.layers[0].parent().unwrap()).unwrap();
    assert_eq!(store.get("orc/demo").unwrap(), None);
    assert_eq!(demo(&store).id, image.id);
    assert!(image.layers[0].join("bin/demo").exists());
}

#[test]
fn only_one_process_has_the_store() {
    let world = World::new();
    let store = world.store();
    assert!(matches!(ImageStore::open(world.data()), Err(Error::Busy { .. })));
    drop(store);
    ImageStore::open(world.data()).unwrap();
}

#[test]
fn a_damaged_index_is_an_error_with_its_path() {
    let world = World::new();
    drop(world.store());
    fs::write(world.data().join("images/index.json"), "{").unwrap();
    let error = ImageStore::open(world.data()).unwrap_err().to_string();
    assert!(error.contains("images/index.json"), "{error}");
}

#[test]
fn policies_and_unknown_names() {
    let world = World::new();
    let store = world.store();
    let error = ensure(&store, "nginx", PullPolicy::Never).unwrap_err().to_string();
    assert_eq!(error, "image `nginx:latest` is not on this machine, and pulling is switched off for it");
    let error = ensure(&store, "Nginx", PullPolicy::Missing).unwrap_err().to_string();
    assert!(error.contains("lower case"), "{error}");
    assert_eq!(store.get("cafe").unwrap(), None);
    let image = demo(&store);
    assert_eq!(ensure(&store, &image.id, PullPolicy::Never).unwrap().id, image.id);
}
