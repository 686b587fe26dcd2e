//! Network namespaces: making, keeping, entering and removing them.
//!
//! A namespace is a property of a thread. Whatever happens inside one is therefore done by a thread of its own
//! that ends at once; no thread of the engine ever changes its namespace.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::link::{Links, Requests};
use crate::{Error, Result, sysctl};

/// The index of `lo` in every namespace.
const LOOPBACK: u32 = 1;

/// What a new namespace is set to, before it has any interface. Names below `/proc/sys`.
const SYSCTLS: [(&str, &str); 6] = [
    // haproxy as uid 99 binds port 80 without any capability: Docker's default.
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    // `ping` without any capability.
    ("net/ipv4/ping_group_range", "0 2147483647"),
    // An address is usable at once; the addresses are given out, so there can be no duplicate.
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/dad_transmits", "0"),
    // No link-local address (the host would drop its packets) and no router but the gateway we set.
    ("net/ipv6/conf/default/addr_gen_mode", "1"),
    ("net/ipv6/conf/default/accept_ra", "0"),
];

/// The namespaces of one engine, in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Namespaces {
    folder: PathBuf,
}

impl Namespaces {
    pub(crate) fn new(run_dir: &Path) -> Namespaces {
        Namespaces { folder: run_dir.join("netns") }
    }

    /// Where the namespace is mounted.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// Makes the namespace unless it exists.
    pub(crate) fn create(&self, id: &str) -> Result<PathBuf> {
        let path = self.path(id);
        let failed = |source| Error::system(format!("make the network namespace {}", path.display()), source);
        if is_namespace(&path) {
            return Ok(path);
        }
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        File::create(&path).map_err(failed)?;
        if let Err(error) = in_thread(|| make(&path)) {
            // What could not be made must not look like a namespace later.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(path)
    }

    /// Removes the namespace, if it exists; the kernel removes its interfaces when the last process has left.
    pub(crate) fn remove(&self, id: &str) -> Result<()> {
        let path = self.path(id);
        let failed =
            |source| Error::system(format!("remove the network namespace {}", path.display()), source);
        match unmount(&path, UnmountFlags::DETACH) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(failed(error.into())),
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Removes the empty files that an interrupted [`Namespaces::create`] or [`Namespaces::remove`] left.
    pub(crate) fn sweep(&self) -> Result<()> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| !is_namespace(path)) {
            std::fs::remove_file(&path)
                .map_err(|source| Error::system(format!("remove the rest {}", path.display()), source))?;
        }
        Ok(())
    }

    /// The ids of all namespaces that are kept here.
    pub(crate) fn list(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut ids: Vec<_> = entries
            .filter(|entry| is_namespace(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        ids
    }

    /// Opens the namespace, e.g. to put an interface into it.
    pub(crate) fn open(&self, id: &str) -> Result<File> {
        let path = self.path(id);
        File::open(&path)
            .map_err(|source| Error::system(format!("open the network namespace {}", path.display()), source))
    }

    /// Runs `work` inside the namespace, on a thread of its own.
    pub(crate) fn within<T: Send>(&self, id: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = self.open(id)?;
        in_thread(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|source| Error::system(format!("enter the network namespace of {id}"), source))?;
            work()
        })
    }
}

/// Runs on the new thread: leaves the engine's namespace for a new one and pins that to `path`.
fn make(path: &Path) -> Result<()> {
    let failed = |action: &str, source: io::Error| {
        Error::system(format!("{action} for the network namespace {}", path.display()), source)
    };
    // SAFETY: NEWNET changes only this thread's network namespace. The flag that makes `unshare` unsafe
    // (FILES, which parts the threads' tables of descriptors) is not among the flags.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(|source| failed("unshare", source.into()))?;
    for (name, value) in SYSCTLS {
        sysctl::write_if_known(name, value)?;
    }
    let mut requests = Requests::default();
    requests.up(LOOPBACK);
    Links::open().map_err(|source| failed("open netlink", source))?.apply(requests)?;
    mount_bind("/proc/thread-self/ns/net", path).map_err(|source| failed("mount", source.into()))
}

/// Whether a namespace is mounted here, rather than the empty file that an interrupted `create` leaves.
fn is_namespace(path: &Path) -> bool {
    /// `NSFS_MAGIC`.
    const NSFS: u64 = 0x6e73_6673;
    rustix::fs::statfs(path).is_ok_and(|statfs| statfs.f_type as u64 == NSFS)
}

/// Runs `work` on a thread of its own and waits for it.
fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("orc-netns".into())
            .spawn_scoped(scope, work)
            .map_err(|source| Error::system("start a thread", source))?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Gives the calling thread, and the threads it starts, a network and mounts of its own, for a test.
#[cfg(test)]
pub(crate) fn isolate_this_thread() -> io::Result<()> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    // SAFETY: as above; NEWNS concerns mounts, and only this thread's.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    Ok(())
}
