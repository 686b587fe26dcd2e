//! Groups above containers that somebody asked for by name. Some are there already, with limits that their owner gave
//! them; those that are not are made, and marked, so that only they are taken away again.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::Cgroup;

/// The engine that made a group.
const MARK: &str = "trusted.orc.engine";

impl Cgroup {
    /// Makes what is missing of this group and those above it, in the name of an engine.
    pub(crate) fn ensure_as(&self, engine: &str) -> io::Result<()> {
        self.limiting().try_for_each(|folder| make(folder, engine))
    }

    /// Removes this group and those above it as far as they are empty and the engine made them.
    pub(crate) fn remove_if_made_by(&self, engine: &str) {
        for folder in self.limiting() {
            for group in folder.ancestors() {
                if !is_marked(group, engine) || fs::remove_dir(group).is_err() {
                    break;
                }
            }
        }
    }
}

fn make(folder: &Path, engine: &str) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = folder.parent().ok_or(error)?;
            make(above, engine)?;
            return make(folder, engine);
        }
        made => made?,
    }
    Ok(setxattr(folder, MARK, engine.as_bytes(), XattrFlags::empty())?)
}

fn is_marked(folder: &Path, engine: &str) -> bool {
    // An engine's id has eight characters.
    let mut mark = [0; 16];
    getxattr(folder, MARK, &mut mark[..]).is_ok_and(|length| &mark[..length] == engine.as_bytes())
}
