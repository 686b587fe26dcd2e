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

pub mod image;
pub mod snapshot;
pub mod volume;

mod config;
mod error;
pub mod limits;
mod protocol;
mod runtime;
mod session;
mod status;

pub use config::{
    ContainerConfig, ExecConfig, InjectedFile, LogConfig, Mount, MountSource, Propagation, Resources,
    RuntimeConfig, Seccomp, TtySize, Ulimit,
};
pub use error::{Error, Result};
pub use runtime::Runtime;
pub use session::{Attached, ExecSession, FdStream};
pub use status::{Exit, Found, FoundState, LogLine, LogQuery, Started, Stats, Stream};

/// The whole life of a shim. `orc`'s `main` calls it before it starts any thread. Returns the exit code.
pub fn shim_main(_args: Vec<std::ffi::OsString>) -> i32 {
    1
}

/// The whole life of the init inside a container; see [`shim_main`].
pub fn init_main(_args: Vec<std::ffi::OsString>) -> i32 {
    1
}
