//! The mounts of a container: the kernel's own, then those of its configuration.

use std::path::Path;

use serde_json::{Value, json};

use super::INIT_PATH;
use crate::bundle::{Bundle, Kind};
use crate::config::{ContainerConfig, Mount, MountSource, Propagation, Recursive};
use crate::device::Devices;
use crate::limits;

/// All mounts in the order in which they are to be made.
pub(super) fn all(bundle: &Bundle, devices: &Devices) -> Value {
    let config = &bundle.config;
    let shm = config.resources.shm_bytes.unwrap_or(limits::DEFAULT_SHM_BYTES);
    let kernel = if config.privileged { "rw" } else { "ro" };
    let mut all = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", kernel]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", kernel]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    // Shared memory belongs to the IPC namespace, wherever that is from.
    all.extend(match (config.host.ipc, bundle.joined(Kind::Ipc)) {
        (true, _) => Some(bind("/dev/shm", Path::new("/dev/shm"), false, "rprivate")),
        (false, Some(_)) => Some(bind("/dev/shm", &bundle.shared_memory(), false, "rprivate")),
        (false, None) if shm == 0 => None,
        (false, None) => {
            let size = format!("size={shm}");
            Some(mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &size]))
        }
    });
    if config.init {
        all.push(bind(INIT_PATH, &bundle.init_program(), true, "rprivate"));
    }
    let mut own: Vec<(usize, Value)> = config
        .mounts
        .iter()
        .enumerate()
        .map(|(at, m)| (depth(&m.target), one_mount(bundle, at, m)))
        .collect();
    let injected = config.files.iter().enumerate().map(|(index, file)| {
        let from = bundle.folders().injected(index);
        (depth(&file.target), bind(&file.target, &from, !file.writable, "rprivate"))
    });
    own.extend(injected);
    let of_device = |mount: &Value| depth(mount["destination"].as_str().unwrap_or_default());
    own.extend(devices.mounts.iter().map(|mount| (of_device(mount), mount.clone())));
    // A mount must come after those above it, whatever order they were written in.
    own.sort_by_key(|(depth, _)| *depth);
    all.extend(own.into_iter().map(|(_, mount)| mount));
    all.into()
}

/// What becomes of the machine's mounts in the container's namespace before its own are made: with `private`, nothing
/// that is mounted later gets through in either direction.
pub(super) fn propagation(config: &ContainerConfig) -> &'static str {
    let sources = config.mounts.iter().map(|mount| &mount.source);
    let ways = sources.filter_map(|source| match source {
        MountSource::Bind { propagation: Propagation::Shared | Propagation::RShared, .. } => Some("shared"),
        MountSource::Bind { propagation: Propagation::Slave | Propagation::RSlave, .. } => Some("slave"),
        _ => None,
    });
    // `shared` comes before `slave`, and lets through what that does.
    ways.min().unwrap_or("private")
}

/// Whether the source of a bind mount is a mount that the shim has made for it, because in the container's namespace it
/// could not become what it is to be: libcontainer does not make a bind mount private.
pub(crate) fn is_apart(config: &ContainerConfig, of: Propagation) -> bool {
    match of {
        Propagation::Shared | Propagation::RShared => true,
        Propagation::Private | Propagation::RPrivate => propagation(config) != "private",
        Propagation::Slave | Propagation::RSlave => false,
    }
}

fn depth(target: &str) -> usize {
    target.split('/').filter(|part| !part.is_empty() && *part != ".").count()
}

fn one_mount(bundle: &Bundle, index: usize, mount_: &Mount) -> Value {
    let access = if mount_.read_only { "ro" } else { "rw" };
    match &mount_.source {
        MountSource::Bind { path, propagation, recursive, .. } => {
            let how = propagation_name(*propagation);
            let part = bundle.folders().part(index);
            let path = if is_apart(&bundle.config, *propagation) { &part } else { path };
            let (kind, access) = match (recursive, mount_.read_only) {
                (Recursive::All, read_only) => return bind(&mount_.target, path, read_only, how),
                (Recursive::Writable, true) => ("rbind", "ro"),
                (Recursive::Writable, false) => ("rbind", "rw"),
                (Recursive::No, true) => ("bind", "ro"),
                (Recursive::No, false) => ("bind", "rw"),
            };
            let path = path.to_string_lossy();
            mount(&mount_.target, "bind", &path, &[kind, how, access])
        }
        MountSource::Volume { path, subpath, .. } => {
            let part = bundle.folders().part(index);
            let source = if subpath.is_some() { part.as_path() } else { path };
            bind(&mount_.target, source, mount_.read_only, "rprivate")
        }
        MountSource::Image { subpath, .. } => {
            let folders = bundle.folders();
            let source = if subpath.is_some() { folders.part(index) } else { folders.image(index) };
            bind(&mount_.target, &source, mount_.read_only, "rprivate")
        }
        MountSource::Tmpfs { size_bytes, mode, uid, gid } => {
            let mut options = vec!["nosuid".to_owned(), "nodev".to_owned(), access.to_owned()];
            options.push(format!("mode={:o}", mode.unwrap_or(0o1777)));
            options.extend(size_bytes.map(|size| format!("size={size}")));
            options.extend(uid.map(|uid| format!("uid={uid}")));
            options.extend(gid.map(|gid| format!("gid={gid}")));
            json!({ "destination": mount_.target, "type": "tmpfs", "source": "tmpfs", "options": options })
        }
    }
}

fn propagation_name(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Private => "private",
        Propagation::RPrivate => "rprivate",
        Propagation::Slave => "slave",
        Propagation::RSlave => "rslave",
        Propagation::Shared => "shared",
        Propagation::RShared => "rshared",
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

fn bind(destination: &str, source: &Path, read_only: bool, propagation: &str) -> Value {
    // What is mounted below the source is read-only as well, as in Docker since 25.
    let access: &[&str] = if read_only { &["ro", "rro"] } else { &["rw"] };
    let options = [&["rbind", propagation], access].concat();
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}
