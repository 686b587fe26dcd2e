//! Where an engine keeps its things. Two engines never meet because everything follows from the data folder.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::failure::{Doing, Failure, Outcome};
use crate::{limits, project};

/// What the engine and the shims put below the run folder, at its longest: `c/<16 digits>/ctl.sock`.
const LONGEST_BELOW: usize = "/c/0123456789abcdef/ctl.sock".len();

/// The folders of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dirs {
    /// What lasts: the state, images, containers' files, volumes, logs.
    pub(crate) data: PathBuf,
    /// What lasts until the next boot: sockets, and what belongs to running containers.
    pub(crate) run: PathBuf,
}

/// What the folders depend on.
struct Surroundings {
    root: bool,
    home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
}

impl Dirs {
    /// The folders for this user, or those of `--data-dir`.
    pub(crate) fn new(data_dir: Option<&Path>) -> Outcome<Self> {
        let surroundings = Surroundings {
            root: rustix::process::geteuid().is_root(),
            home: project::variable("HOME").map(PathBuf::from),
            data_home: project::variable("XDG_DATA_HOME").map(PathBuf::from),
            runtime_dir: project::variable("XDG_RUNTIME_DIR").map(PathBuf::from),
        };
        let data_dir = data_dir.map(std::path::absolute).transpose();
        let data_dir = data_dir.doing(|| "cannot find the current folder".to_owned())?;
        Self::choose(data_dir, &surroundings)
    }

    fn choose(data_dir: Option<PathBuf>, around: &Surroundings) -> Outcome<Self> {
        let Some(data) = data_dir else { return Self::usual(around) };
        // Naming the usual folder means the usual engine.
        if let Ok(usual) = Self::usual(around)
            && usual.data == data
        {
            return Ok(usual);
        }
        let mut run = data.join("run");
        if run.as_os_str().len() + LONGEST_BELOW > limits::SOCKET_PATH_BYTES {
            let runtime_dir =
                around.runtime_dir.as_deref().filter(|_| !around.root).unwrap_or(Path::new("/run"));
            run = runtime_dir.join(format!("orc-{:016x}", fnv64(data.as_os_str().as_bytes())));
        }
        Ok(Self { data, run })
    }

    fn usual(around: &Surroundings) -> Outcome<Self> {
        if around.root {
            return Ok(Self { data: "/var/lib/orc".into(), run: "/run/orc".into() });
        }
        let data_home = around.data_home.clone().or_else(|| Some(around.home.as_ref()?.join(".local/share")));
        let data_home = data_home.ok_or_else(|| {
            Failure::new("cannot tell where the engine's data should be: `HOME` is not set")
                .hint("name a folder with `--data-dir` or `ORC_DATA_DIR`")
        })?;
        let data = data_home.join("orc");
        let run = around.runtime_dir.as_ref().map_or_else(|| data.join("run"), |dir| dir.join("orc"));
        Ok(Self { data, run })
    }

    /// Where the engine answers.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run.join("engine.sock")
    }

    /// Locked by the engine for as long as it lives.
    pub(crate) fn engine_lock(&self) -> PathBuf {
        self.data.join("engine.lock")
    }

    /// Locked by a program that starts the engine.
    pub(crate) fn start_lock(&self) -> PathBuf {
        self.data.join("start.lock")
    }

    /// The manager's folder: what is wished, and what is known.
    pub(crate) fn manager(&self) -> PathBuf {
        self.data.join("manager")
    }

    /// What the engine says of its own doings.
    pub(crate) fn log(&self) -> PathBuf {
        self.data.join("engine.log")
    }
}

/// FNV-1a: the same name for the same folder on every call.
fn fnv64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(root: bool, home: Option<&str>, runtime_dir: Option<&str>) -> Surroundings {
        Surroundings {
            root,
            home: home.map(Into::into),
            data_home: None,
            runtime_dir: runtime_dir.map(Into::into),
        }
    }

    #[test]
    fn folders_follow_from_user_and_data_folder() {
        let check = |data_dir: Option<&str>, around: &Surroundings, data: &str, run: &str| {
            let dirs = Dirs::choose(data_dir.map(Into::into), around).unwrap();
            assert_eq!(dirs, Dirs { data: data.into(), run: run.into() });
        };
        let root = around(true, Some("/root"), Some("/run/user/0"));
        check(None, &root, "/var/lib/orc", "/run/orc");
        check(Some("/x"), &root, "/x", "/x/run");
        check(Some("/var/lib/orc"), &root, "/var/lib/orc", "/run/orc");
        let user = around(false, Some("/home/u"), Some("/run/user/9"));
        check(None, &user, "/home/u/.local/share/orc", "/run/user/9/orc");
        check(Some("/x"), &user, "/x", "/x/run");
        let bare = around(false, Some("/home/u"), None);
        check(None, &bare, "/home/u/.local/share/orc", "/home/u/.local/share/orc/run");
        assert!(Dirs::choose(None, &around(false, None, None)).is_err());
    }

    #[test]
    fn sockets_fit_into_their_addresses() {
        for length in [10, 60, 74, 75, 76, 80, 200] {
            let data = PathBuf::from(format!("/{}", "x".repeat(length)));
            let dirs = Dirs::choose(Some(data), &around(true, None, None)).unwrap();
            let longest = dirs.run.as_os_str().len() + LONGEST_BELOW;
            assert!(longest <= limits::SOCKET_PATH_BYTES, "{length}: {longest}");
        }
    }
}
