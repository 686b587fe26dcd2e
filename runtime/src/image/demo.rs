//! The built-in image `orc/demo`: the program's own executable under the name `demo`, and next to nothing else.
//!
//! It exists so that the first stack runs without a network. It is made when it is first asked for, and again when
//! the executable has changed. The executable is hard-linked where that is possible: nothing is copied, and nothing
//! is read to find out that the image is still current. A container cannot write to it, because layers are only ever
//! the lower side of an overlay.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD};

use super::store::{Layer, chain_ids};
use super::{DEMO_REFERENCE, Digest, Error, Image, ImageStore, Reference, Result};

/// To be raised when anything below changes, so that existing images are made again.
const LAYOUT: u32 = 1;

const PASSWD: &str = "root:x:0:0:root:/:/bin/demo\nnobody:x:65534:65534:nobody:/:/bin/demo\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
/// Folders and their modes, parents first. `/data` is where volumes go.
const FOLDERS: [(&str, u32); 4] = [("bin", 0o755), ("etc", 0o755), ("data", 0o755), ("tmp", 0o1777)];

/// The image for the executable as it is now. Blocking.
///
/// # Errors
/// [`Error::NotFound`] when the store was not told of an executable, or a failure of the disk.
pub(super) fn ensure(store: &ImageStore) -> Result<Image> {
    let missing = || Error::NotFound { reference: DEMO_REFERENCE.to_owned() };
    let path = store.demo_executable().ok_or_else(missing)?;
    let metadata = fs::metadata(&path).map_err(Error::file("cannot read", &path))?;
    // The layer is named after the file's identity, not its content: hashing it at each start would cost more
    // than starting a container.
    let identity = format!(
        "orc demo {LAYOUT} {} {} {} {}.{}",
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    );
    let diff_id = Digest::of(identity.as_bytes());
    let config = config(&diff_id).to_string();
    let id = Digest::of(config.as_bytes()).to_string();
    let reference: Reference = DEMO_REFERENCE.parse()?;
    if let Some(image) = store.get(&reference.to_string())?.filter(|image| image.id == id) {
        return Ok(image);
    }
    make(store, &path, &metadata, &diff_id, config.as_bytes(), &reference)?;
    store.get(&reference.to_string())?.ok_or_else(missing)
}

fn make(
    store: &ImageStore,
    executable: &Path,
    metadata: &Metadata,
    diff_id: &Digest,
    config: &[u8],
    reference: &Reference,
) -> Result<()> {
    let _arriving = store.arriving();
    let chain = chain_ids(std::slice::from_ref(diff_id)).remove(0);
    let bytes = match store.layers().bytes(&chain) {
        Some(bytes) => bytes,
        None => store.layers().build(diff_id, &chain, |tree| fill(tree, executable, metadata))?,
    };
    let id = store.blobs().write(config)?;
    let layer = Layer { diff_id: diff_id.clone(), chain, bytes, blob: None };
    store.add(&id, vec![layer], &[(reference.clone(), None)])?;
    // Only images made here have layers that never were blobs.
    store.forget_earlier(&id, |record| record.layers.iter().all(|layer| layer.blob.is_none()))
}

fn config(diff_id: &Digest) -> serde_json::Value {
    serde_json::json!({
        "architecture": super::registry::platform::ARCHITECTURE,
        "os": "linux",
        "config": {
            "Cmd": ["demo"],
            "Env": ["PATH=/bin"],
            "WorkingDir": "/",
            "Labels": {"org.opencontainers.image.title": "orc demo"},
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    })
}

fn fill(tree: &Path, executable: &Path, metadata: &Metadata) -> Result<u64> {
    for (name, mode) in FOLDERS {
        let folder = tree.join(name);
        fs::create_dir(&folder).map_err(Error::file("cannot create", &folder))?;
        set_mode(&folder, mode)?;
    }
    set_mode(tree, 0o755)?;
    let demo = tree.join("bin/demo");
    if !link(executable, metadata, &demo) {
        copy(executable, &demo).map_err(Error::file("cannot copy the program to", &demo))?;
    }
    for (name, text) in [("etc/passwd", PASSWD), ("etc/group", GROUP)] {
        let path = tree.join(name);
        let mut file = File::create(&path).map_err(Error::file("cannot create", &path))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(Error::file("cannot write", &path))?;
        set_mode(&path, 0o644)?;
    }
    Ok(metadata.len() + (PASSWD.len() + GROUP.len()) as u64)
}

/// A second name for the same file, if everybody in a container may run it as it is.
fn link(executable: &Path, metadata: &Metadata, to: &Path) -> bool {
    let mode = metadata.mode() & 0o7777;
    let plain = metadata.is_file() && metadata.uid() == 0 && mode & 0o6022 == 0 && mode & 0o555 == 0o555;
    plain && rustix::fs::linkat(CWD, executable, CWD, to, AtFlags::SYMLINK_FOLLOW).is_ok()
}

/// What the index says is there must be whole after a crash of the machine, so it is written to the disk first.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    std::os::unix::fs::chown(to, Some(0), Some(0))
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::file("cannot set the mode of", path))
}
