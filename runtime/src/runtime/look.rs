//! Looking into containers: their files, their processes, what they use.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use serde_json::{Map, Value, json};

use super::{Runtime, blocking, create};
use crate::copy::Tree;
use crate::error::{Error, Result};
use crate::image::Changes;
use crate::snapshot;
use crate::status::{FoundState, ProcessStatus, Stats};

impl Runtime {
    /// The container's files: as its processes see them, or, when it does not run, what it was made from and
    /// wrote. While that is held a container that does not run cannot be started.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the container's files cannot be mounted.
    pub async fn files(&self, id: &str) -> Result<Files> {
        let entry = self.inner.known(id)?;
        let running = || match *entry.state.borrow() {
            FoundState::Running(started) => Some(started.pid),
            _ => None,
        };
        if let Some(pid) = running() {
            let top = blocking(move || root_of(pid)).await?;
            return Ok(Files { tree: Tree::of(top), _still: None });
        }
        let still = entry.lock.clone().lock_owned().await;
        if let Some(pid) = running() {
            let top = blocking(move || root_of(pid)).await?;
            return Ok(Files { tree: Tree::of(top), _still: None });
        }
        let (folders, id) = (self.inner.folders(id), id.to_owned());
        let top = blocking(move || {
            let stored = create::stored(&folders)?.ok_or_else(|| Error::NotFound { id: id.clone() })?;
            let failed = |source| Error::Image { id, source: Box::new(source) };
            snapshot::mount_detached(&stored.root).map_err(failed)
        })
        .await?;
        Ok(Files { tree: Tree::of(top), _still: Some(still) })
    }

    /// Makes an image of a container: of the image that it was made from and what it wrote since. Command,
    /// environment, user and folder are the container's own. With `pause` its clock stands still meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Image`] if the image cannot be made.
    pub async fn commit(&self, id: &str, mut changes: Changes, pause: bool) -> Result<String> {
        let folders = self.inner.folders(id);
        let name = id.to_owned();
        let stored = blocking(move || create::stored(&folders)?.ok_or(Error::NotFound { id: name })).await?;
        let config = stored.config;
        changes.parent.clone_from(&config.image);
        let env: Vec<String> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut own = Map::new();
        own.insert("Env".to_owned(), json!(env));
        own.insert("Entrypoint".to_owned(), Value::Null);
        own.insert("Cmd".to_owned(), json!(config.args));
        own.insert("User".to_owned(), json!(config.user.unwrap_or_default()));
        own.insert("WorkingDir".to_owned(), json!(config.working_dir.unwrap_or_else(|| "/".to_owned())));
        own.append(&mut changes.config);
        changes.config = own;
        let paused = pause && self.pause(id).await.is_ok();
        let (images, image) = (self.inner.images.clone(), config.image);
        let made = blocking(move || {
            let failed = |source| Error::Image { id: image, source: Box::new(source) };
            images.commit_changes(&stored.root.upper, &changes).map_err(failed)
        })
        .await;
        if paused {
            self.unpause(id).await?;
        }
        made
    }

    /// Every process of a running container, by number.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub async fn processes(&self, id: &str) -> Result<Vec<ProcessStatus>> {
        self.running(id)?;
        let cgroup = self.inner.cgroup(id)?;
        blocking(move || {
            let pids =
                cgroup.processes().map_err(Error::system("cannot list the processes of a container"))?;
            // One that is not there any more has ended meanwhile.
            Ok(pids.into_iter().filter_map(ProcessStatus::of).collect())
        })
        .await
    }

    /// What the container uses right now.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub async fn stats(&self, id: &str) -> Result<Stats> {
        let pid = self.running(id)?.pid;
        let cgroup = self.inner.cgroup(id)?;
        blocking(move || {
            let (received_bytes, sent_bytes) =
                traffic(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default());
            Ok(Stats { received_bytes, sent_bytes, ..cgroup.stats() })
        })
        .await
    }
}

/// The files of a container, for as long as this is held.
#[derive(Debug)]
pub struct Files {
    /// They.
    pub tree: Tree,
    _still: Option<tokio::sync::OwnedMutexGuard<()>>,
}

fn root_of(pid: u32) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty())
        .map_err(Error::system("cannot look into the container"))
}

/// Bytes received and sent by all interfaces but `lo`, from proc_pid_net(5).
fn traffic(table: &str) -> (u64, u64) {
    let mut sums = (0, 0);
    for line in table.lines().skip(2) {
        let Some((name, numbers)) = line.split_once(':') else { continue };
        let numbers: Vec<u64> =
            numbers.split_ascii_whitespace().map(|number| number.parse().unwrap_or(0)).collect();
        if name.trim() != "lo" {
            sums.0 += numbers.first().copied().unwrap_or(0);
            sums.1 += numbers.get(8).copied().unwrap_or(0);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::traffic;

    #[test]
    fn traffic_is_that_of_all_interfaces_but_loopback() {
        let table = "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 9 1 0 0 0 0 0 0 9 1 0\n  \
                     eth0: 100 2 0 0 0 0 0 0 50 1 0\n  eth1: 1 2 0 0 0 0 0 0 5 1 0\n";
        assert_eq!(traffic(table), (101, 55));
        assert_eq!(traffic(""), (0, 0));
    }
}
