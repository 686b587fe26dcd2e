//! The namespaces of other containers, mounted where the runtime finds them: a mount keeps a namespace, while the
//! number of a process may be another's a moment later.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, mount_bind, open_tree};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::bundle::{Bundle, Failure, JoinedNamespace, Kind};
use crate::process::ProcessId;
use crate::sealed;

/// Mounts them all; in the shim's own mount namespace.
pub(super) fn all(bundle: &Bundle) -> Result<(), Failure> {
    for joined in &bundle.joined {
        one(bundle, *joined).map_err(|error| {
            let kind = joined.kind.file();
            Failure::new(format!("cannot join the {kind} namespace of another container: {error}"))
        })?;
    }
    Ok(())
}

fn one(bundle: &Bundle, JoinedNamespace { kind, first }: JoinedNamespace) -> io::Result<()> {
    let Some(place) = bundle.joined(kind) else { return Ok(()) };
    fs::create_dir_all(bundle.folders().joined())?;
    fs::write(&place, "")?;
    mount_bind(format!("/proc/{}/ns/{}", first.pid, kind.file()), &place)?;
    if kind == Kind::Ipc {
        let memory = memory_of(first.pid)?;
        let place = bundle.shared_memory();
        fs::create_dir_all(&place)?;
        sealed::attach(&memory, &place)?;
    }
    // Looked at after mounting: if it still is the process we mean, all of it is that process's.
    match ProcessId::of(first.pid) {
        Ok(found) if found == first => Ok(()),
        _ => Err(io::Error::other("that container has ended")),
    }
}

/// A copy, attached nowhere, of the mount at `/dev/shm` as a process sees it. Only in that mount namespace can it be
/// copied; whatever its container has put there in its place is at most something else of its own.
fn memory_of(pid: u32) -> io::Result<OwnedFd> {
    let own = File::open("/proc/self/ns/mnt")?;
    let theirs = File::open(format!("/proc/{pid}/ns/mnt"))?;
    let enter = |namespace: &File| {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount)).map_err(io::Error::from)
    };
    enter(&theirs)?;
    let copied =
        open_tree(CWD, "/dev/shm", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC);
    enter(&own)?;
    Ok(copied?)
}
