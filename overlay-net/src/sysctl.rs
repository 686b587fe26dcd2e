//! Kernel settings below `/proc/sys`. Those below `net/` are of the calling thread's network namespace.
//!
//! What is changed on the host is written down first, so that the last network to go can set it back, also after
//! the engine that changed it was killed.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Sets a value, unless the kernel does not know it (no IPv6, no bridge filter).
pub(crate) fn write(name: &str, value: &str) -> Result<()> {
    std::fs::write(path(name), value).map_err(|error| Error::system(format!("set {name} to {value}"), error))
}

/// The same, unless the kernel does not know the name.
pub(crate) fn write_if_known(name: &str, value: &str) -> Result<()> {
    match std::fs::write(path(name), value) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system(format!("set {name} to {value}"), error))
        }
        _ => Ok(()),
    }
}

/// The current value; `None` when the kernel does not know the name.
pub(crate) fn read(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(path(name)).ok()?.trim().to_owned())
}

/// What is below a folder of settings, e.g. one entry per interface.
pub(crate) fn entries(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path(folder)).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Whether this machine speaks IPv6 at all.
pub(crate) fn has_ipv6() -> bool {
    read("net/ipv6/conf/all/disable_ipv6").as_deref() == Some("0")
}

fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

/// The host's settings that this engine changed, with their former values: lines of `name=value`.
#[derive(Debug)]
pub(crate) struct Journal {
    file: PathBuf,
}

impl Journal {
    pub(crate) fn new(run_dir: &Path) -> Journal {
        Journal { file: run_dir.join("sysctls") }
    }

    /// Sets a value of the host and remembers the former one, if it differs.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<()> {
        let Some(former) = read(name).filter(|former| former != value) else { return Ok(()) };
        let mut text = std::fs::read_to_string(&self.file).unwrap_or_default();
        if !text.lines().any(|line| line.split_once('=').is_some_and(|(known, _)| known == name)) {
            text.push_str(&format!("{name}={former}\n"));
            std::fs::write(&self.file, text)
                .map_err(|source| Error::system(format!("write {}", self.file.display()), source))?;
        }
        write_if_known(name, value)
    }

    /// Sets back what this engine changed, latest first.
    pub(crate) fn restore(&self) -> Result<()> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        for (name, value) in text.lines().rev().filter_map(|line| line.split_once('=')) {
            write_if_known(name, value)?;
        }
        self.forget()
    }

    /// Leaves the settings as they are for others who need them by now.
    pub(crate) fn forget(&self) -> Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::system(format!("remove {}", self.file.display()), error))
            }
            _ => Ok(()),
        }
    }
}
