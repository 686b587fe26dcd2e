//! What the engine tells a shim when it starts it, as one file in the container's folder in memory.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::ContainerConfig;
use crate::folders::Folders;
use crate::process::ProcessId;
use crate::snapshot::OverlayMount;
use crate::status::JoinedRuns;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bundle {
    /// With what it has of other containers, but for what is in `joined`.
    pub(crate) config: ContainerConfig,
    pub(crate) joined: Vec<JoinedNamespace>,
    pub(crate) root: OverlayMount,
    /// The images that are mounted, by the number of their mount.
    pub(crate) images: Vec<(usize, OverlayMount)>,
    pub(crate) durable: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) run: PathBuf,
    /// Below every cgroup hierarchy: `/orc/<engine>/<container>`.
    pub(crate) cgroup: String,
    /// The executable that becomes the container's init if it wants one.
    pub(crate) program: PathBuf,
    pub(crate) oci_runtime: Option<PathBuf>,
}

/// A namespace of another container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JoinedNamespace {
    pub(crate) kind: Kind,
    /// That container's first process.
    pub(crate) first: ProcessId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Network,
    Ipc,
    Pid,
}

impl Kind {
    /// As the kernel calls its file below `/proc/<pid>/ns`.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Kind::Network => "net",
            Kind::Ipc => "ipc",
            Kind::Pid => "pid",
        }
    }
}

impl Bundle {
    /// Where a namespace of another container is mounted, if this one is in it.
    pub(crate) fn joined(&self, kind: Kind) -> Option<PathBuf> {
        let found = self.joined.iter().find(|joined| joined.kind == kind)?;
        Some(self.folders().joined().join(found.kind.file()))
    }

    /// Where the memory is mounted that comes with another container's IPC namespace.
    pub(crate) fn shared_memory(&self) -> PathBuf {
        self.folders().joined().join("shm")
    }

    pub(crate) fn runs(&self) -> JoinedRuns {
        let first =
            |kind| self.joined.iter().find(|joined| joined.kind == kind).map(|joined| joined.first.pid);
        JoinedRuns { network: first(Kind::Network), ipc: first(Kind::Ipc), pid: first(Kind::Pid) }
    }

    pub(crate) fn folders(&self) -> Folders {
        Folders { durable: self.durable.clone(), run: self.run.clone() }
    }

    /// Where the folder of the executable is mounted for the container's init.
    pub(crate) fn init_folder(&self) -> PathBuf {
        self.run.join("init")
    }

    pub(crate) fn init_program(&self) -> PathBuf {
        self.init_folder().join(self.program.file_name().unwrap_or_default())
    }
}

/// The shim's only word to the engine that started it, on its standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Launched {
    Running(crate::status::Started),
    Failed(Failure),
}

/// Why a program does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// 127: no such command. 126: it cannot be executed. `None`: the container could not be made.
    pub(crate) code: Option<i32>,
    pub(crate) reason: String,
}

impl Failure {
    pub(crate) fn new(reason: impl Into<String>) -> Failure {
        Failure { code: None, reason: reason.into() }
    }

    pub(crate) fn command(code: i32, reason: impl Into<String>) -> Failure {
        Failure { code: Some(code), reason: reason.into() }
    }
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Failure {
        Failure { code: error.exit_code(), reason: crate::error::chain(&error) }
    }
}
