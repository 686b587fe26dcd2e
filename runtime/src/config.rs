//! What a container shall be: plain data, handed in by the engine, kept on disk beside the container.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::volume::VolumeDevice;

/// Where one engine keeps its things. Two engines with different folders and ids never meet.
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// Durable: images, snapshots, volumes, `containers/<id>/` (config, logs, exit.json).
    pub data_dir: PathBuf,
    /// A tmpfs, gone after a reboot: sockets, pids, injected files.
    pub run_dir: PathBuf,
    /// Part of every cgroup path: `/orc/<engine_id>/<container id>`.
    pub engine_id: String,
    /// `crun`, `runc` or `youki` to be used instead of the built-in runtime.
    pub oci_runtime: Option<PathBuf>,
    /// The executable that is run as `<program> shim` and `<program> init`. `None`: this process's own,
    /// whose `main` then calls [`crate::shim_main`] and [`crate::init_main`].
    pub program: Option<PathBuf>,
}

/// Everything a container is made from. Names are resolved inside the image when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Letters, digits, `_`, `-` and `.`, at most [`crate::limits::ID_BYTES`]; unique in one engine.
    pub id: String,
    /// For people; the runtime only keeps it.
    pub name: String,
    /// The image's id as the image store resolved it.
    pub image: String,
    /// `orc` (the built-in one), `crun`, `runc` or `youki`. `None`: what [`RuntimeConfig::oci_runtime`] says.
    pub runtime: Option<String>,
    /// Entrypoint and command, already joined. The first is searched for in the container's `PATH`.
    pub args: Vec<String>,
    /// Complete environment; `HOME`, `PATH` and `HOSTNAME` (with a terminal `TERM`) are added if missing.
    pub env: Vec<(String, String)>,
    /// `None` means `/`. Created if the image lacks it.
    pub working_dir: Option<String>,
    /// `name`, `uid`, `uid:gid`, `name:group`, any mixture. `None` means root.
    pub user: Option<String>,
    /// Supplementary groups by name or number, beyond those of the image's `/etc/group`.
    pub groups: Vec<String>,
    pub hostname: String,
    pub domainname: Option<String>,
    /// A network namespace made by someone else. `None`: a fresh one with only loopback.
    pub netns: Option<PathBuf>,
    /// Shares the network namespace of the machine; `netns` must then be `None`.
    pub host_network: bool,
    /// Further namespaces that are the machine's own.
    pub host: HostNamespaces,
    /// Namespaces that are another container's.
    pub joined: Joined,
    pub mounts: Vec<Mount>,
    /// Containers whose mounts this one has as well, at its start, where it mounts nothing of its own.
    pub mounts_of: Vec<MountsOf>,
    /// Small files that orc puts into the container. Their content is never written to `data_dir`.
    pub files: Vec<InjectedFile>,
    pub resources: Resources,
    /// The group above its own: below the engine's, or, when it begins with a slash, from the top of each hierarchy.
    pub cgroup_parent: Option<String>,
    /// Devices of the machine beyond those that every container has.
    pub devices: Vec<Device>,
    /// Devices that files in `/etc/cdi` and `/var/run/cdi` describe, by their full names: `nvidia.com/gpu=all`.
    pub device_names: Vec<String>,
    /// Rules of the devices cgroup, as `c 1:3 rwm`, for nodes that the container makes itself.
    pub device_rules: Vec<String>,
    /// For other runtimes and tools; nothing here reads them.
    pub annotations: BTreeMap<String, String>,
    /// Capabilities with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp: Seccomp,
    /// The root filesystem is read-only; mounts are as they say.
    pub read_only: bool,
    pub ulimits: Vec<Ulimit>,
    pub sysctls: BTreeMap<String, String>,
    /// Runs a small init as process 1 that forwards signals, reaps, and passes the exit code on.
    pub init: bool,
    pub tty: bool,
    /// Keeps standard input open for [`crate::Runtime::attach`]. Otherwise it is empty.
    pub stdin_open: bool,
    /// Only kept: the engine decides what to send. `SIGTERM` when `None`.
    pub stop_signal: Option<String>,
    pub log: LogConfig,
    /// Opaque to the runtime; given back by [`crate::Runtime::list`].
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub source: MountSource,
    /// Absolute path inside the container. Symbolic links of the image are followed inside the image.
    pub target: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A path of this machine. With `create`, a missing one becomes a folder of root.
    Bind {
        path: PathBuf,
        create: bool,
        propagation: Propagation,
        #[serde(default)]
        recursive: Recursive,
    },
    /// A folder of this engine. With `copy_up`, an empty one first gets the image's content of `target`. With
    /// `subpath` only that file or folder in it is mounted, which must exist then; no symbolic link leads out.
    /// `device` is what is mounted at `path` for as long as a container that uses it runs.
    Volume {
        path: PathBuf,
        copy_up: bool,
        subpath: Option<String>,
        #[serde(default)]
        device: Option<VolumeDevice>,
    },
    /// The files of another image, by its id. What is written goes to a layer of the container's own. `subpath` as
    /// with volumes.
    Image { image: String, subpath: Option<String> },
    /// Memory. `mode` as in chmod, for example `0o1777`.
    Tmpfs { size_bytes: Option<u64>, mode: Option<u32>, uid: Option<u32>, gid: Option<u32> },
}

/// How mounts made below a bind mount travel between the machine and the container; see mount_namespaces(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    #[default]
    Private,
    RPrivate,
    Slave,
    RSlave,
    Shared,
    RShared,
}

impl Propagation {
    /// What is mounted below it inside the container is seen on the machine.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Propagation::Shared | Propagation::RShared)
    }
}

/// What becomes of that which is mounted below the source of a bind mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recursive {
    /// It is mounted as well, read-only where the mount is.
    #[default]
    All,
    /// It is mounted as well, and can be written to even where the mount is read-only.
    Writable,
    /// It is not there.
    No,
}

/// A device of this machine, or all devices of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on this machine.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Any of `r`, `w` and `m`.
    pub access: String,
}

/// Which namespaces a container shares with the machine instead of having its own; see namespaces(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostNamespaces {
    pub cgroup: bool,
    pub ipc: bool,
    pub pid: bool,
    pub uts: bool,
}

/// The containers of this engine, by their ids, whose namespaces a container is in instead of its own. Each of
/// them must run when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Joined {
    /// With the network come its names: `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` are the same files.
    pub network: Option<String>,
    /// With it comes `/dev/shm`.
    pub ipc: Option<String>,
    pub pid: Option<String>,
}

/// Another container of this engine whose bind mounts and volumes are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountsOf {
    /// Its id.
    pub container: String,
    /// Nothing can be written through them.
    pub read_only: bool,
}

/// A file of orc's own inside the container: hosts, resolv.conf, hostname, secrets, configs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFile {
    /// Absolute path inside the container; parents are created.
    pub target: String,
    /// A file of the machine whose lines come first, as they are when the container is created; none if it is missing.
    #[serde(default)]
    pub begins_with: Option<PathBuf>,
    /// Skipped when the configuration is stored: secrets stay in memory (`run_dir` is a tmpfs).
    #[serde(skip)]
    pub content: Vec<u8>,
    /// As in chmod, for example `0o444`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// The container can write to it (`/etc/hosts` in Docker); mounted read-only otherwise.
    pub writable: bool,
}

/// `None` is no limit, except for `pids`, whose default is [`crate::limits::DEFAULT_PIDS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    pub memory_bytes: Option<u64>,
    /// Memory and swap together, as in Compose; `-1` is unlimited swap.
    pub memory_swap_bytes: Option<i64>,
    pub memory_reservation_bytes: Option<u64>,
    /// Processor time per second of real time: `500_000_000` is half a processor.
    pub cpu_nanos: Option<u64>,
    /// In microseconds: after so long the processor time is counted anew; a tenth of a second when `None`.
    pub cpu_period_us: Option<u64>,
    /// Relative weight, 2 to 262144; 1024 is the kernel's default.
    pub cpu_shares: Option<u64>,
    /// For example `0-2,4`.
    pub cpuset: Option<String>,
    /// Processes and threads; `-1` is unlimited.
    pub pids: Option<i64>,
    /// -1000 to 1000; the default is [`crate::limits::DEFAULT_OOM_SCORE_ADJ`].
    pub oom_score_adj: Option<i32>,
    /// 0 to 100; cgroup v1 only.
    pub memory_swappiness: Option<u64>,
    /// What would take more than `memory_bytes` waits instead of being killed; cgroup v1 only.
    pub oom_kill_disable: bool,
    /// Size of `/dev/shm`; the default is 64 MiB, and with 0 there is none.
    pub shm_bytes: Option<u64>,
    /// What may be written into the root filesystem, where that lies on a file system with project quotas.
    pub written_bytes: Option<u64>,
    /// Time in each period that real-time processes may use, in microseconds; cgroup v1 only.
    pub realtime_us: Option<i64>,
    /// That period, in microseconds; the kernel's is a second.
    pub realtime_period_us: Option<u64>,
    pub block_io: BlockIo,
}

/// How much a container may do with block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockIo {
    /// Share beside others, 10 to 1000.
    pub weight: Option<u16>,
    /// The same for single devices, by their paths on this machine.
    pub weights: Vec<(String, u16)>,
    pub rates: Vec<BlockRate>,
}

/// The most that may be done with one block device in a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRate {
    /// Path on this machine.
    pub device: String,
    pub kind: BlockRateKind,
    /// Bytes or operations.
    pub rate: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockRateKind {
    BytesRead,
    BytesWritten,
    Reads,
    Writes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    #[default]
    Default,
    Unconfined,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// As in Compose, without `RLIMIT_`: `nofile`, `nproc`, `core`, ...
    pub name: String,
    /// `u64::MAX` is unlimited.
    pub soft: u64,
    pub hard: u64,
}

/// The newest `files` files of at most `max_bytes` each are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Output is read and thrown away.
    #[serde(default)]
    pub off: bool,
    pub max_bytes: u64,
    pub files: u32,
    /// Where each line is told as well.
    #[serde(default)]
    pub forward: Option<Forward>,
    /// The files are those of this container of the engine, which does not write to them meanwhile.
    #[serde(default)]
    pub of: Option<String>,
}

/// A log of the machine. What it cannot take at once is lost to it, and kept in the files all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forward {
    /// `facility` as in RFC 5424; `tag` is the program's name there.
    Syslog { to: SyslogAddress, format: SyslogFormat, facility: u8, tag: String },
    /// systemd's journal, with these fields beside those of every line.
    Journal { fields: Vec<(String, String)> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyslogAddress {
    /// A socket for datagrams on this machine.
    Unix(PathBuf),
    /// `host:port`.
    Udp(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyslogFormat {
    /// RFC 3164 without the host's name, as programs on the machine itself write.
    Local,
    Rfc3164,
    Rfc5424,
    /// With microseconds.
    Rfc5424Micro,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            off: false,
            max_bytes: crate::limits::LOG_FILE_BYTES,
            files: crate::limits::LOG_FILES,
            forward: None,
            of: None,
        }
    }
}

/// A command that runs in a container of its own before another one is started; see
/// [`crate::Runtime::run_before`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The image's id.
    pub image: String,
    pub args: Vec<String>,
    /// Complete, as in [`ContainerConfig::env`].
    pub env: Vec<(String, String)>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    /// Also where the other container is not.
    pub privileged: bool,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TtySize {
    pub rows: u16,
    pub cols: u16,
}

/// Another process in a running container. What is not said is the container's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecConfig {
    pub args: Vec<String>,
    /// Added to, or replacing, the container's environment.
    pub env: Vec<(String, String)>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub tty: Option<TtySize>,
    /// Connects standard input; otherwise it is empty.
    pub stdin: bool,
    pub privileged: bool,
    /// After this time everything the command started is killed and the exit code is 137.
    pub timeout_ms: Option<u64>,
    /// It goes on when nobody waits for it any more; its input is empty and its output goes nowhere.
    pub detached: bool,
}
