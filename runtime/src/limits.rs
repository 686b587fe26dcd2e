//! Every limit of this crate's container half, in one place.

use std::time::Duration;

/// Longest container id, in bytes: it is part of socket paths, which end at 108 bytes.
pub const ID_BYTES: usize = 64;
/// Processes and threads of a container that names no limit.
pub const DEFAULT_PIDS: i64 = 4096;
/// Containers are killed before the machine's own programs when memory runs out.
pub const DEFAULT_OOM_SCORE_ADJ: i32 = 100;
/// `/dev/shm` of a container that names no size, in bytes; the same as Docker's.
pub const DEFAULT_SHM_BYTES: u64 = 64 << 20;
/// The time over which `cpus` are counted, in microseconds; the same as Docker's.
pub const DEFAULT_CPU_PERIOD_US: u64 = 100_000;
/// Device nodes beyond those that every container has: a machine with many disks has some hundreds.
pub const DEVICES: usize = 4096;
/// One file that describes devices, in bytes, and how many of a folder are read.
pub const CDI_BYTES: u64 = 1 << 20;
pub const CDI_FILES: usize = 256;
/// One log file, in bytes, and how many of them are kept.
pub const LOG_FILE_BYTES: u64 = 10 << 20;
pub const LOG_FILES: u32 = 3;
/// A longer line is cut into records of this size, in bytes.
pub const LOG_LINE_BYTES: usize = 16 << 10;
/// How long a shim may take from its start until the container's program runs, or fails to.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long removing a cgroup waits for killed processes to be gone.
pub const CGROUP_EMPTY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long output is still read after the first process ended while a stray process holds the pipe.
pub const DRAIN_GRACE: Duration = Duration::from_millis(200);
/// One message on the control socket, in bytes.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// One injected file, in bytes: Docker's 500 KB for secrets, more for configs.
pub const INJECTED_FILE_BYTES: usize = 8 << 20;
/// Processes started by `exec` and connections to the control socket that one container may have at once.
pub const EXECS: usize = 64;
pub const CONNECTIONS: usize = 128;
/// Arguments and environment of one process together, in bytes: an eighth of the kernel's usual limit.
pub const ARGS_BYTES: usize = 256 << 10;
/// `/etc/passwd` or `/etc/group` of an image, in bytes: more is not read.
pub const PASSWD_BYTES: u64 = 4 << 20;
/// Output that an attached reader has not taken yet, in bytes; more cuts it off.
pub const ATTACH_BUFFER_BYTES: usize = 1 << 20;
/// Folders inside of folders that are copied: each needs a descriptor.
pub const TREE_DEPTH: usize = 200;
/// How many containers may share a network or mounts one through another.
pub const SHARING_DEPTH: usize = 16;
/// Pause between two looks at a v1 cgroup that is being emptied.
pub const CGROUP_RETRY: Duration = Duration::from_millis(2);
/// Path of a cgroup that is asked for, in bytes.
pub const CGROUP_PARENT_BYTES: usize = 512;
/// How often making a cgroup is tried while somebody else removes its parent.
pub const CGROUP_CREATE_TRIES: u32 = 10;
