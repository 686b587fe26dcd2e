//! Where everything about one container is, and how small files are written so that a crash leaves the old
//! or the new one, never half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::RuntimeConfig;
use crate::error::{Error, Result};

/// The folders of one container. `durable` outlives a reboot, `run` does not.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) durable: PathBuf,
    pub(crate) run: PathBuf,
}

impl Folders {
    pub(crate) fn of(config: &RuntimeConfig, id: &str) -> Folders {
        Folders { durable: all_durable(config).join(id), run: all_run(config).join(id) }
    }

    /// The configuration; a container exists if and only if this file does.
    pub(crate) fn config(&self) -> PathBuf {
        self.durable.join("config.json")
    }

    /// Written when the program runs, removed at the next start.
    pub(crate) fn started(&self) -> PathBuf {
        self.durable.join("started.json")
    }

    /// Written once when the container has ended.
    pub(crate) fn exit(&self) -> PathBuf {
        self.durable.join("exit.json")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.durable.join("log")
    }

    /// What the shim is told; see [`crate::bundle::Bundle`].
    pub(crate) fn bundle(&self) -> PathBuf {
        self.run.join("bundle.json")
    }

    /// Which process the shim is; see [`crate::process::ProcessId`].
    pub(crate) fn shim(&self) -> PathBuf {
        self.run.join("shim.json")
    }

    /// What the shim says when something is wrong, for people.
    pub(crate) fn shim_log(&self) -> PathBuf {
        self.run.join("shim.log")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.run.join("ctl.sock")
    }

    /// Where the root filesystem is mounted, seen only in the shim's own mount namespace.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.run.join("rootfs")
    }

    /// Where a part of the volume of the `index`th mount is mounted, seen only in the shim's own mount namespace.
    pub(crate) fn part(&self, index: usize) -> PathBuf {
        self.parts().join(index.to_string())
    }

    pub(crate) fn parts(&self) -> PathBuf {
        self.run.join("parts")
    }

    /// Where the image of the `index`th mount is mounted, likewise.
    pub(crate) fn image(&self, index: usize) -> PathBuf {
        self.run.join("images").join(index.to_string())
    }

    /// What a container writes to the image of the `index`th mount.
    pub(crate) fn image_layers(&self, index: usize) -> PathBuf {
        self.durable.join("images").join(index.to_string())
    }

    /// Where the namespaces of other containers, and the memory that one of them shares, are mounted, seen only in
    /// the shim's own mount namespace.
    pub(crate) fn joined(&self) -> PathBuf {
        self.run.join("joined")
    }

    /// The content of the `index`th injected file.
    pub(crate) fn injected(&self, index: usize) -> PathBuf {
        self.run.join("files").join(index.to_string())
    }
}

/// The parent of all durable folders.
pub(crate) fn all_durable(config: &RuntimeConfig) -> PathBuf {
    config.data_dir.join("containers")
}

/// The parent of all folders in memory. Its name is short because socket paths are.
pub(crate) fn all_run(config: &RuntimeConfig) -> PathBuf {
    config.run_dir.join("c")
}

pub(crate) fn cgroup_parent(engine_id: &str) -> String {
    format!("/orc/{engine_id}")
}

/// The group above a container's own. A dot keeps those that are asked for apart from the containers beside them.
pub(crate) fn cgroup_parent_of(engine_id: &str, asked: Option<&str>) -> String {
    match asked {
        None => cgroup_parent(engine_id),
        Some(path) if path.starts_with('/') => path.trim_end_matches('/').to_owned(),
        Some(name) => format!("{}/.{}", cgroup_parent(engine_id), name.trim_end_matches('/')),
    }
}

/// Replaces `path` by `value` in one step. `durable` waits until it is safe from a power failure.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T, durable: bool) -> Result<()> {
    let bytes =
        serde_json::to_vec(value).map_err(Error::system(format!("cannot encode {}", path.display())))?;
    write_file(path, &bytes, durable)
}

pub(crate) fn write_file(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_data()?;
        }
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(parent) if durable => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    };
    write().map_err(Error::file("cannot write", path))
}

/// `None` if there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| Error::Damaged { path: path.to_owned(), reason: e.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("cannot read", path)(error)),
    }
}

/// Removing what is not there is not an error.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("cannot remove", path)(error))
        }
        _ => Ok(()),
    }
}

pub(crate) fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("cannot remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a folder that only its owner may look into; one that exists is fine.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(Error::file("cannot create", path))
}

/// Names of the entries of a folder; none if there is no such folder.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("cannot list", path)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file("cannot list", path))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}
