//! Images and containers on this machine. Has never heard of services or clusters.
//!
//! [`Runtime`] is the engine's handle: it creates, starts, watches, executes in and removes containers,
//! each described by one [`ContainerConfig`]. The work is done by one small process per container, the
//! *shim* (`orc shim`, [`shim_main`]), which is this program executed again: it has a single thread, which
//! libcontainer needs, it outlives the engine, and it is the only parent a container ever has. Engine and
//! shim talk through files in the container's folders and through one socket (`ctl.sock`).
//!
//! ```text
//! engine (tokio, threads) ── spawns ──► orc shim (one thread) ── libcontainer ──► first process
//!    │  run_dir/c/<id>/ctl.sock  ───────►  exec, signal, resize, attach             │ confine(): rlimits,
//!    │  data_dir/containers/<id>/exit.json ◄── written once, atomically             │ seccomp, caps, user
//! ```

pub mod copy;
pub mod image;
pub mod snapshot;
pub mod volume;

mod asyncfd;
mod block;
mod bundle;
mod cdi;
mod cgroup;
mod config;
mod confine;
mod control;
mod device;
mod error;
mod external;
mod folders;
mod init;
pub mod limits;
mod log;
mod process;
mod protocol;
mod runtime;
mod sealed;
mod session;
mod shim;
mod spec;
mod status;
#[cfg(test)]
mod testing;
mod user;
mod xattr;

pub use cdi::is_device_name;
pub use config::{
    Before, BlockIo, BlockRate, BlockRateKind, ContainerConfig, Device, ExecConfig, Forward, HostNamespaces,
    InjectedFile, Joined, LogConfig, Mount, MountSource, MountsOf, Propagation, Recursive, Resources,
    RuntimeConfig, Seccomp, SyslogAddress, SyslogFormat, TtySize, Ulimit,
};
pub use error::{Error, Result};
pub use init::init_main;
pub use runtime::{Files, Runtime};
pub use session::{Attached, ExecSession, FdStream};
pub use shim::shim_main;
pub use status::{
    Exit, Found, FoundState, JoinedRuns, LogLine, LogQuery, ProcessStatus, Started, Stats, Stream,
};
