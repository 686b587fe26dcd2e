//! The mounts of a container: bind mounts, volumes, memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cluster::compose_spec::{BindOptions, Mount as ComposeMount, MountKind};
use cluster::{Task, VolumeName};
use runtime::image::ImageConfig;
use runtime::volume::VolumeDevice;
use runtime::{Mount, MountSource, Propagation, Recursive};

use super::super::record::Origin;
use super::Parts;
use super::limits::parse_size;

/// Where volumes are on this machine, by their names; a container's own ones included.
pub(crate) type Volumes = BTreeMap<String, PathBuf>;

/// What is mounted where named volumes are, by their names.
pub(crate) type Devices = BTreeMap<String, VolumeDevice>;

/// The images that a task mounts, by their references.
pub(crate) fn mounted_images(task: &Task) -> impl Iterator<Item = &str> {
    let mounts = task.spec.compose.volumes.iter().filter(|mount| mount.kind == MountKind::Image);
    mounts.map(|mount| mount.source.as_deref().unwrap_or_default())
}

/// The named volumes that a task mounts.
pub(super) fn named(task: &Task) -> Vec<VolumeName> {
    let mounts = task.spec.compose.volumes.iter();
    let keys: BTreeSet<&str> = mounts.filter_map(|mount| volume_key(mount)).collect();
    keys.into_iter().filter_map(|key| task.spec.volumes.get(key).cloned()).collect()
}

/// The volumes of a container's own, by their path in it: those of the service that have no source, and those
/// that the image asks for where nothing else is mounted. They belong to the slot, whose next task finds them.
pub(super) fn anonymous(task: &Task, image: &ImageConfig) -> BTreeMap<String, String> {
    let compose = &task.spec.compose;
    let taken: BTreeSet<&str> = compose
        .volumes
        .iter()
        .filter(|mount| mount.kind != MountKind::Volume || mount.source.is_some())
        .map(|mount| trimmed(&mount.target))
        .chain(compose.tmpfs.iter().map(|entry| trimmed(entry.split(':').next().unwrap_or(entry))))
        .collect();
    let sourceless = compose
        .volumes
        .iter()
        .filter(|mount| mount.kind == MountKind::Volume && mount.source.is_none())
        .map(|mount| trimmed(&mount.target));
    let of_image = image.volumes.iter().map(|path| trimmed(path));
    sourceless
        .chain(of_image)
        .filter(|target| !taken.contains(target))
        .map(|target| (target.to_owned(), own_name(task, target)))
        .collect()
}

/// The labels of a container's own volume at a path.
pub(crate) fn volume_labels(task: &Task, target: &str) -> BTreeMap<String, String> {
    let mut mounts = task.spec.compose.volumes.iter();
    let own = mounts.find(|mount| trimmed(&mount.target) == target);
    own.and_then(|mount| mount.volume.as_ref()).map(|options| options.labels.clone()).unwrap_or_default()
}

/// `shop.web.1.1f0c...`: the same for every task of the slot, until the user asks for new ones.
fn own_name(task: &Task, target: &str) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = target.bytes().fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    let name = format!("{}.{}.{}.{hash:016x}", task.service.stack, task.service.service, task.slot);
    match task.volumes_renewed {
        0 => name,
        renewed => format!("{name}.{renewed}"),
    }
}

fn trimmed(target: &str) -> &str {
    match target.trim_end_matches('/') {
        "" => "/",
        path => path,
    }
}

/// The mounts in the order of their paths, so that a mount below another one comes after it.
pub(super) fn mounts(task: &Task, origin: &Origin, parts: &Parts<'_>) -> Result<Vec<Mount>, String> {
    let compose = &task.spec.compose;
    let mut list = Vec::new();
    for mount in &compose.volumes {
        if mount.kind == MountKind::Volume && mount.source.is_none() {
            continue; // It is among the container's own, below.
        }
        let source = source(task, mount, parts)?;
        list.push(Mount { source, target: mount.target.clone(), read_only: mount.read_only });
    }
    for (target, name) in &origin.anonymous {
        let own = compose.volumes.iter().find(|mount| trimmed(&mount.target) == target);
        let copy_up = !own.is_some_and(|mount| mount.volume.as_ref().is_some_and(|volume| volume.nocopy));
        let path = path_of(parts.volumes, name)?;
        let source = MountSource::Volume { path, copy_up, subpath: None, device: None };
        let read_only = own.is_some_and(|mount| mount.read_only);
        list.push(Mount { source, target: target.clone(), read_only });
    }
    for entry in &compose.tmpfs {
        list.push(tmpfs(entry)?);
    }
    list.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(list)
}

fn source(task: &Task, mount: &ComposeMount, parts: &Parts<'_>) -> Result<MountSource, String> {
    match mount.kind {
        MountKind::Bind => {
            let path = mount.source.as_ref().ok_or_else(|| format!("`{}` has no source", mount.target))?;
            Ok(MountSource::Bind {
                path: PathBuf::from(path),
                create: mount.bind.as_ref().is_some_and(|bind| bind.create_host_path.unwrap_or(true)),
                propagation: propagation(mount.bind.as_ref())?,
                recursive: recursive(mount.bind.as_ref())?,
            })
        }
        MountKind::Volume => {
            let options = mount.volume.as_ref();
            let key = volume_key(mount).unwrap_or_default();
            let name = task.spec.volumes.get(key).ok_or_else(|| format!("volume `{key}` is not defined"))?;
            let copy_up = !options.is_some_and(|options| options.nocopy);
            let subpath = options.and_then(|options| options.subpath.clone());
            let device = parts.devices.get(&name.0).cloned();
            Ok(MountSource::Volume { path: path_of(parts.volumes, &name.0)?, copy_up, subpath, device })
        }
        MountKind::Tmpfs => {
            let options = mount.tmpfs.as_ref();
            let size = options.and_then(|options| options.size).and_then(|size| u64::try_from(size.0).ok());
            Ok(MountSource::Tmpfs {
                size_bytes: size.filter(|size| *size > 0),
                mode: options.and_then(|options| options.mode),
                uid: None,
                gid: None,
            })
        }
        MountKind::Image => {
            let reference = mount.source.as_deref().unwrap_or_default();
            let image = parts.images.get(reference).cloned();
            let image = image.ok_or_else(|| format!("image `{reference}` is not there"))?;
            let subpath = mount.image.as_ref().and_then(|options| options.subpath.clone());
            Ok(MountSource::Image { image, subpath })
        }
        MountKind::Cluster | MountKind::Npipe => {
            Err(format!("the kind of mount of `{}` is not supported", mount.target))
        }
    }
}

/// The key in the file of a named volume.
fn volume_key(mount: &ComposeMount) -> Option<&str> {
    if mount.kind == MountKind::Volume { mount.source.as_deref() } else { None }
}

fn path_of(volumes: &Volumes, name: &str) -> Result<PathBuf, String> {
    volumes.get(name).cloned().ok_or_else(|| format!("volume `{name}` is not there"))
}

fn propagation(options: Option<&BindOptions>) -> Result<Propagation, String> {
    match options.and_then(|options| options.propagation.as_deref()) {
        None | Some("" | "rprivate") => Ok(Propagation::RPrivate),
        Some("private") => Ok(Propagation::Private),
        Some("slave") => Ok(Propagation::Slave),
        Some("rslave") => Ok(Propagation::RSlave),
        Some("shared") => Ok(Propagation::Shared),
        Some("rshared") => Ok(Propagation::RShared),
        Some(other) => Err(format!("`bind.propagation: {other}` is not known")),
    }
}

/// Docker's names. A mount that can be written to is not read-only below either, whatever is said.
fn recursive(options: Option<&BindOptions>) -> Result<Recursive, String> {
    match options.and_then(|options| options.recursive.as_deref()) {
        None | Some("" | "enabled" | "readonly") => Ok(Recursive::All),
        Some("writable") => Ok(Recursive::Writable),
        Some("disabled") => Ok(Recursive::No),
        Some(other) => Err(format!("`bind.recursive: {other}` is not known")),
    }
}

/// `path` or `path:size=64m,mode=1777,uid=1000,gid=1000,ro`; options that are on anyway are accepted.
fn tmpfs(entry: &str) -> Result<Mount, String> {
    let (target, options) = entry.split_once(':').unwrap_or((entry, ""));
    let (mut size_bytes, mut mode, mut uid, mut gid, mut read_only) = (None, None, None, None, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let bad = || format!("`tmpfs: {entry}`: option `{option}` is not supported");
        match name {
            "size" => size_bytes = Some(parse_size(value).ok_or_else(bad)?),
            "mode" => mode = Some(u32::from_str_radix(value, 8).map_err(|_| bad())?),
            "uid" => uid = Some(value.parse().map_err(|_| bad())?),
            "gid" => gid = Some(value.parse().map_err(|_| bad())?),
            "ro" => read_only = true,
            "rw" => read_only = false,
            "nosuid" | "nodev" => {}
            _ => return Err(bad()),
        }
    }
    let source = MountSource::Tmpfs { size_bytes, mode, uid, gid };
    Ok(Mount { source, target: target.to_owned(), read_only })
}
