//! What a container has of others, looked up when it starts: by then they may have been made anew.

use super::{Inner, create, watch};
use crate::bundle::{JoinedNamespace, Kind};
use crate::config::{ContainerConfig, Joined, Mount, MountSource, MountsOf, Propagation, Recursive};
use crate::error::{Error, Result};
use crate::folders::Folders;
use crate::limits;
use crate::process::ProcessId;
use crate::status::FoundState;

/// The files that belong to a network more than to a container.
const NAMES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Completes a configuration by what is other containers', and names the namespaces that are to be joined.
pub(super) fn resolve(inner: &Inner, config: &mut ContainerConfig) -> Result<Vec<JoinedNamespace>> {
    let mut joined = Vec::new();
    joined.extend(network(inner, config)?);
    let Joined { ipc, pid, .. } = config.joined.clone();
    for (kind, owner) in [(Kind::Ipc, ipc), (Kind::Pid, pid)] {
        if let Some(owner) = owner {
            joined.push(JoinedNamespace { kind, first: first_process(inner, &config.id, &owner)? });
        }
    }
    for source in config.mounts_of.clone() {
        let mounts = mounts_of(inner, &config.id, &source, limits::SHARING_DEPTH)?;
        add_mounts(config, mounts);
    }
    Ok(joined)
}

/// The network of another container, who may have it from a third.
fn network(inner: &Inner, config: &mut ContainerConfig) -> Result<Option<JoinedNamespace>> {
    let Some(mut owner) = config.joined.network.clone() else { return Ok(None) };
    for _ in 0..limits::SHARING_DEPTH {
        let (folders, found) = configuration(inner, &config.id, &owner)?;
        if let Some(next) = found.joined.network {
            owner = next;
            continue;
        }
        let names = NAMES.iter().filter_map(|target| name_file(&folders, &found, target)).collect();
        add_mounts(config, names);
        config.host_network = found.host_network;
        config.netns = found.netns;
        if config.host_network || config.netns.is_some() {
            return Ok(None);
        }
        let first = first_process(inner, &config.id, &owner)?;
        return Ok(Some(JoinedNamespace { kind: Kind::Network, first }));
    }
    Err(circle(&config.id))
}

/// One of the files of [`NAMES`] as a container has it.
fn name_file(folders: &Folders, config: &ContainerConfig, target: &str) -> Option<Mount> {
    if let Some(mount) = config.mounts.iter().find(|mount| mount.target == target) {
        return Some(mount.clone());
    }
    let index = config.files.iter().position(|file| file.target == target)?;
    let source = MountSource::Bind {
        path: folders.injected(index),
        create: false,
        propagation: Propagation::RPrivate,
        recursive: Recursive::All,
    };
    Some(Mount { source, target: target.to_owned(), read_only: false })
}

/// The bind mounts and volumes of a container, those that it has of others included. Nothing is copied into them:
/// that is their first user's to do.
fn mounts_of(inner: &Inner, id: &str, source: &MountsOf, depth: usize) -> Result<Vec<Mount>> {
    let depth = depth.checked_sub(1).ok_or_else(|| circle(id))?;
    let (_, mut found) = configuration(inner, id, &source.container)?;
    for further in std::mem::take(&mut found.mounts_of) {
        let mounts = mounts_of(inner, id, &further, depth)?;
        add_mounts(&mut found, mounts);
    }
    let lasting =
        |source: &MountSource| matches!(source, MountSource::Bind { .. } | MountSource::Volume { .. });
    let lasting = found.mounts.into_iter().filter(|mount| lasting(&mount.source));
    let shared = lasting.map(|mut mount| {
        mount.read_only |= source.read_only;
        if let MountSource::Volume { copy_up, .. } = &mut mount.source {
            *copy_up = false;
        }
        mount
    });
    Ok(shared.collect())
}

/// Adds mounts where nothing is mounted yet.
fn add_mounts(config: &mut ContainerConfig, mounts: Vec<Mount>) {
    let bare = |target: &str| target.trim_end_matches('/').to_owned();
    for mount in mounts {
        let targets = config.mounts.iter().map(|m| &m.target).chain(config.files.iter().map(|f| &f.target));
        if !targets.map(|target| bare(target)).any(|target| target == bare(&mount.target)) {
            config.mounts.push(mount);
        }
    }
}

fn configuration(inner: &Inner, id: &str, other: &str) -> Result<(Folders, ContainerConfig)> {
    let folders = inner.folders(other);
    match create::stored(&folders)? {
        Some(stored) => Ok((folders, stored.config)),
        None => {
            Err(refused(id, format!("container `{other}`, which it shares something with, does not exist")))
        }
    }
}

/// The first process of a container that runs.
fn first_process(inner: &Inner, id: &str, other: &str) -> Result<ProcessId> {
    let dead = || refused(id, format!("container `{other}`, whose namespace it shares, does not run"));
    let state = inner.known(other)?.state.borrow().clone();
    let FoundState::Running(started) = state else { return Err(dead()) };
    let process = ProcessId::of(started.pid).map_err(|_| dead())?;
    // Looked at after the number: it is its own as long as nobody has collected it.
    watch::first_process(&inner.folders(other), started.pid)?.ok_or_else(dead)?;
    Ok(process)
}

fn circle(id: &str) -> Error {
    refused(id, format!("it shares something with more than {} containers in a row", limits::SHARING_DEPTH))
}

fn refused(id: &str, reason: String) -> Error {
    Error::Start { id: id.to_owned(), reason }
}
