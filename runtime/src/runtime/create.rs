//! Making and removing what a container is on disk. All of it blocks.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Inner;
use super::watch::{Entry, clean_up};
use crate::config::{ContainerConfig, InjectedFile, MountSource};
use crate::confine;
use crate::error::{Error, Result};
use crate::external;
use crate::folders::{self, Folders};
use crate::image::Image;
use crate::limits;
use crate::snapshot::OverlayMount;
use crate::status::FoundState;

/// The content of a container's `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) config: ContainerConfig,
    pub(super) root: OverlayMount,
    /// The images that are mounted, by the number of their mount.
    #[serde(default)]
    pub(super) images: Vec<(usize, OverlayMount)>,
}

/// `None` if there is no container, or only the torn beginning of one.
pub(super) fn stored(folders: &Folders) -> Result<Option<Stored>> {
    match folders::read_json(&folders.config()) {
        Err(Error::Damaged { .. }) => Ok(None),
        other => other,
    }
}

pub(super) fn create(inner: &Inner, entry: &Entry, mut config: ContainerConfig) -> Result<()> {
    check(&config)?;
    let invalid = |reason| Error::Invalid { id: config.id.clone(), reason };
    external::program(&config, inner.config.oci_runtime.as_deref()).map_err(invalid)?;
    if config.hostname.is_empty() {
        config.hostname = config.id.chars().take(12).collect();
    }
    let folders = inner.folders(&config.id);
    let before = stored(&folders)?;
    if matches!(*entry.state.borrow(), FoundState::Running(_)) {
        let mut kept = config.clone();
        kept.files.iter_mut().for_each(|file| file.content.clear());
        return match before.is_some_and(|before| before.config == kept) {
            true => config
                .files
                .iter()
                .enumerate()
                .try_for_each(|(index, file)| rewrite(&folders, index, &content(file)?)),
            false => Err(Error::AlreadyRunning { id: config.id }),
        };
    }
    let made = make(inner, &folders, &config);
    if made.is_err() && before.is_none() {
        // What was made before the failure goes; the failure itself is what the caller must see.
        let _ = remove(inner, &config.id);
    }
    made
}

fn make(inner: &Inner, folders: &Folders, config: &ContainerConfig) -> Result<()> {
    let failed = |source| Error::Image { id: config.id.clone(), source: Box::new(source) };
    let find = |id: &str| {
        let missing = || crate::image::Error::NotFound { reference: id.to_owned() };
        inner.images.get(id).and_then(|image| image.ok_or_else(missing)).map_err(failed)
    };
    let image = find(&config.image)?;
    let mut mounted = Vec::new();
    for (index, mount) in config.mounts.iter().enumerate() {
        if let MountSource::Image { image, .. } = &mount.source {
            mounted.push((index, find(image)?));
        }
    }
    let others: Vec<&Image> = mounted.iter().map(|(_, image)| image).collect();
    let root = inner
        .snapshots
        .prepare(&image, &others, &config.id, config.resources.written_bytes)
        .map_err(failed)?;
    for folder in [&folders.durable, &folders.run] {
        folders::private_dir(folder)?;
    }
    write_files(folders, &config.files)?;
    let mut images = Vec::new();
    for (index, image) in &mounted {
        images.push((*index, writable(image, &folders.image_layers(*index))?));
    }
    // Last: from here on the container exists.
    folders::write_json(&folders.config(), &Stored { config: config.clone(), root, images }, false)
}

/// An image that is mounted beside the root, with a layer in `folder` for what the container writes.
fn writable(image: &Image, folder: &Path) -> Result<OverlayMount> {
    let (upper, work, bottom) = (folder.join("upper"), folder.join("work"), folder.join("bottom"));
    for made in [&upper, &work, &bottom] {
        fs::create_dir_all(made).map_err(Error::file("cannot create", made))?;
    }
    // There is a lower layer also when the image has none.
    let lower = image.layers.iter().rev().cloned().chain([bottom]).collect();
    Ok(OverlayMount { lower, upper, work })
}

/// Removes a container that does not run. What does not exist is fine. Gives the cgroup above its own that it asked
/// for.
pub(super) fn remove(inner: &Inner, id: &str) -> Result<Option<String>> {
    let folders = inner.folders(id);
    let (asked, cgroup) =
        (stored(&folders)?.and_then(|stored| stored.config.cgroup_parent), inner.cgroup(id)?);
    // First: what follows may take long, and a crash in between must not leave half a container.
    folders::remove_file(&folders.config())?;
    clean_up(&folders, &cgroup)?;
    let failed = |source| Error::Image { id: id.to_owned(), source: Box::new(source) };
    inner.snapshots.remove(id).map_err(failed)?;
    folders::remove_dir(&folders.run)?;
    folders::remove_dir(&folders.durable)?;
    Ok(asked)
}

fn write_files(folders: &Folders, files: &[InjectedFile]) -> Result<()> {
    let folder = folders.run.join("files");
    folders::private_dir(&folder)?;
    for (index, file) in files.iter().enumerate() {
        let path = folders.injected(index);
        folders::remove_file(&path)?;
        write_private(&path, &content(file)?)
            .and_then(|()| chown(&path, Some(file.uid), Some(file.gid)))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(file.mode & 0o7777)))
            .map_err(Error::file("cannot write", &path))?;
    }
    Ok(())
}

/// All that is in an injected file.
fn content(file: &InjectedFile) -> Result<Cow<'_, [u8]>> {
    let Some(path) = &file.begins_with else { return Ok(Cow::Borrowed(&file.content)) };
    let mut all = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(Error::file("cannot read", path))?,
    };
    if all.last().is_some_and(|last| *last != b'\n') {
        all.push(b'\n');
    }
    all.extend(&file.content);
    Ok(Cow::Owned(all))
}

/// For nobody to read until owner and mode are what they shall be.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}

/// Changes an injected file in place: a container sees the file it has, not one that takes its name.
pub(super) fn rewrite(folders: &Folders, index: usize, content: &[u8]) -> Result<()> {
    let path = folders.injected(index);
    if fs::read(&path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let written = fs::File::options().write(true).truncate(true).open(&path);
    written.and_then(|mut file| file.write_all(content)).map_err(Error::file("cannot rewrite", &path))
}

pub(super) fn check_id(id: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > limits::ID_BYTES || id.starts_with('.') || !id.bytes().all(good) {
        return Err(Error::Invalid {
            id: id.to_owned(),
            reason: format!("an id has 1 to {} letters, digits, `-`, `_` and `.`", limits::ID_BYTES),
        });
    }
    Ok(())
}

/// Everything that can be refused without looking into the image.
fn check(config: &ContainerConfig) -> Result<()> {
    check_id(&config.id)?;
    let invalid = |reason: String| Error::Invalid { id: config.id.clone(), reason };
    confine::caps::resolve(config.privileged, &config.cap_add, &config.cap_drop).map_err(invalid)?;
    if let Some(ulimit) = config.ulimits.iter().find(|ulimit| confine::resource(&ulimit.name).is_none()) {
        return Err(invalid(format!("`{}` is not a ulimit", ulimit.name)));
    }
    if config.host_network && config.netns.is_some() {
        return Err(invalid("it cannot have a network namespace and share the machine's".to_owned()));
    }
    if config.joined.network.is_some() && (config.host_network || config.netns.is_some()) {
        return Err(invalid(
            "it cannot be in two networks, another container's and one of its own".to_owned(),
        ));
    }
    if let Some(parent) = config.cgroup_parent.as_deref().filter(|parent| !is_group(parent)) {
        return Err(invalid(format!(
            "`{parent}` is not the path of a cgroup: letters, digits, `-_.:@` and `/`"
        )));
    }
    let targets = config.mounts.iter().map(|m| &m.target).chain(config.files.iter().map(|f| &f.target));
    for target in targets {
        if !target.starts_with('/') || target.split('/').any(|part| part == "..") {
            return Err(invalid(format!("mount target `{target}` must be absolute and without `..`")));
        }
    }
    if let Some(cwd) = config.working_dir.as_deref().filter(|cwd| !cwd.starts_with('/')) {
        return Err(invalid(format!("working folder `{cwd}` must be absolute")));
    }
    for file in &config.files {
        check_content(&config.id, &file.target, &file.content)?;
    }
    match config.env.iter().find(|(name, _)| name.is_empty() || name.contains(['=', '\0'])) {
        Some((name, _)) => Err(invalid(format!("`{name}` cannot be the name of a variable"))),
        None => Ok(()),
    }
}

/// A name, or a path of names; no name begins with a dot.
fn is_group(path: &str) -> bool {
    let plain = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b)) && !name.starts_with('.')
    };
    let names = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
    path.len() <= limits::CGROUP_PARENT_BYTES && names.split('/').all(|name| !name.is_empty() && plain(name))
}

pub(super) fn check_content(id: &str, target: &str, content: &[u8]) -> Result<()> {
    if content.len() <= limits::INJECTED_FILE_BYTES {
        return Ok(());
    }
    let (size, limit) = (content.len(), limits::INJECTED_FILE_BYTES);
    Err(Error::Invalid {
        id: id.to_owned(),
        reason: format!("the file for `{target}` has {size} bytes; the limit is {limit}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_made() {
        let check = |change: fn(&mut ContainerConfig), expect: &str| {
            let mut config = ContainerConfig { id: "web.1".into(), ..ContainerConfig::default() };
            change(&mut config);
            let got = check(&config).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(got.contains(expect) && got.is_empty() == expect.is_empty(), "{got}, not {expect}");
        };
        check(|_| {}, "");
        check(|c| c.id = "../x".into(), "an id has");
        check(|c| c.id = String::new(), "an id has");
        check(|c| c.id = "x".repeat(65), "an id has");
        check(|c| c.cgroup_parent = Some("/system.slice/shop".into()), "");
        check(|c| c.cgroup_parent = Some("../x".into()), "is not the path of a cgroup");
        check(|c| c.cgroup_parent = Some("/".into()), "is not the path of a cgroup");
        check(|c| c.cap_add = vec!["FLY".into()], "`FLY` is not a capability");
        check(|c| c.env = vec![("A=B".into(), String::new())], "`A=B` cannot be the name");
        check(|c| c.working_dir = Some("srv".into()), "`srv` must be absolute");
        check(
            |c| c.ulimits = vec![crate::Ulimit { name: "files".into(), soft: 1, hard: 1 }],
            "`files` is not a ulimit",
        );
        check(
            |c| {
                c.host_network = true;
                c.netns = Some("/x".into());
            },
            "cannot have a network namespace",
        );
        check(
            |c| {
                let source = crate::MountSource::Bind {
                    path: "/x".into(),
                    create: false,
                    propagation: crate::Propagation::Private,
                    recursive: crate::Recursive::All,
                };
                c.mounts = vec![crate::Mount { source, target: "/a/../..".into(), read_only: false }];
            },
            "without `..`",
        );
    }
}
