//! Commands that run to their end before a container is started, each in a container of its own that is like the
//! other one: in its network, with its mounts, files and limits, and with its log.

use super::{Inner, Runtime, blocking, create};
use crate::config::{Before, ContainerConfig, LogConfig, Mount, MountSource, Propagation, Recursive};
use crate::error::{Error, Result};
use crate::folders::Folders;
use crate::status::Exit;

/// Part of the id of such a container: one that a dead engine left is found by it.
const SUFFIX: &str = ".before";

/// The id of the container that runs before another one.
pub(super) fn id_of(id: &str) -> String {
    format!("{id}{SUFFIX}")
}

impl Runtime {
    /// Runs a command before container `id`, which exists and does not run. What an earlier call left is ended first.
    ///
    /// # Errors
    /// As for [`Runtime::create`] and [`Runtime::start`]; [`Error::NotFound`] also if it was removed meanwhile.
    pub async fn run_before(&self, id: &str, before: Before) -> Result<Exit> {
        let own = id_of(id);
        self.end_before(id).await?;
        let (inner, name) = (self.inner.clone(), id.to_owned());
        self.create(blocking(move || derived(&inner, &name, before)).await?).await?;
        let ended = match self.start(&own).await {
            Ok(_) => self.wait(&own).await,
            Err(error) => Err(error),
        };
        self.end_before(id).await?;
        ended
    }

    /// Ends what runs before container `id`, if anything does.
    ///
    /// # Errors
    /// What is left of it cannot be removed.
    pub async fn end_before(&self, id: &str) -> Result<()> {
        self.remove_one(&id_of(id)).await
    }
}

fn derived(inner: &Inner, id: &str, before: Before) -> Result<ContainerConfig> {
    let folders = inner.folders(id);
    let stored = create::stored(&folders)?.ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
    let config = stored.config;
    let mut mounts = config.mounts;
    for mount in &mut mounts {
        // What a volume begins with is its own image's content, not that of another one.
        if let MountSource::Volume { copy_up, .. } = &mut mount.source {
            *copy_up &= before.image == config.image;
        }
    }
    let files = config.files.iter().enumerate();
    mounts.extend(files.map(|(index, file)| injected(&folders, index, &file.target, !file.writable)));
    Ok(ContainerConfig {
        id: id_of(id),
        image: before.image,
        args: before.args,
        env: before.env,
        user: before.user,
        working_dir: before.working_dir,
        privileged: config.privileged || before.privileged,
        mounts,
        files: Vec::new(),
        tty: false,
        stdin_open: false,
        log: LogConfig { of: Some(id.to_owned()), ..config.log },
        ..config
    })
}

fn injected(folders: &Folders, index: usize, target: &str, read_only: bool) -> Mount {
    let source = MountSource::Bind {
        path: folders.injected(index),
        create: false,
        propagation: Propagation::RPrivate,
        recursive: Recursive::All,
    };
    Mount { source, target: target.to_owned(), read_only }
}
