//! Finds what an engine left behind: it looks at the kernel, not at the engine's own records.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::link;

/// The network interfaces that a machine of the suite has of itself.
const OWN_INTERFACES: [&str; 2] = ["lo", "eth0"];

/// What may stay in the data folder when no stack is left: what is worth keeping between engines.
const KEPT_FILES: [&str; 12] = [
    "agent.redb",
    "blobs",
    "containers",
    "engine.id",
    "engine.lock",
    "engine.log",
    "engine.log.1",
    "images",
    "manager",
    "run",
    "start.lock",
    "volumes",
];

/// Folders of the data folder that must be empty.
const EMPTY_FOLDERS: [&str; 4] = ["containers", "volumes", "snapshots", "blobs"];

/// A process of a machine.
pub(super) struct Process {
    /// Its number in the machine's own namespace.
    pub(super) pid: u64,
    /// Its arguments, separated by spaces.
    pub(super) command: String,
}

/// All that is left, each a line for a person.
pub(super) fn find(holder: u32, network: &File, data: &Path, engine: &str) -> Vec<String> {
    let mut left = Vec::new();
    for process in processes(holder) {
        if process.command != "sh -c cat; exit 0" && process.command != "cat" {
            left.push(format!("process {} {}", process.pid, process.command));
        }
    }
    left.extend(mounts(holder, data).into_iter().map(|mount| format!("mount {mount}")));
    left.extend(interfaces(network).into_iter().map(|name| format!("interface {name}")));
    left.extend(cgroups(engine).into_iter().map(|path| format!("cgroup {}", path.display())));
    left.extend(files(data).into_iter().map(|path| format!("file {}", path.display())));
    if has_rules(network) {
        left.push("nftables rules".to_owned());
    }
    left
}

/// The processes of the machine that this process is the first of.
pub(super) fn processes(holder: u32) -> Vec<Process> {
    let Ok(namespace) = fs::read_link(format!("/proc/{holder}/ns/pid")) else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter_map(|pid| process(pid, holder, &namespace)).collect()
}

fn process(pid: u32, holder: u32, namespace: &Path) -> Option<Process> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    // Containers have namespaces below the machine's: their processes count at the machine's level.
    let depth = fs::read_to_string(format!("/proc/{holder}/status")).ok()?;
    let depth = depth.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().count();
    let own = fs::read_link(folder.join("ns/pid")).ok();
    if own.as_deref() != Some(namespace) && !below(pid, holder) {
        return None;
    }
    let command = fs::read(folder.join("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
    Some(Process { pid: *numbers.get(depth - 1)?, command })
}

/// Whether one of the process's ancestors is the holder.
fn below(pid: u32, holder: u32) -> bool {
    let mut pid = pid;
    while pid > 1 {
        if pid == holder {
            return true;
        }
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        pid = parent.and_then(|parent| parent.parse().ok()).unwrap_or(0);
    }
    false
}

fn mounts(holder: u32, data: &Path) -> Vec<String> {
    let mounts = fs::read_to_string(format!("/proc/{holder}/mounts")).unwrap_or_default();
    let targets: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    // What the host had below its `/run` lies hidden below the machine's own one.
    let own_run = targets.iter().rposition(|target| *target == "/run").unwrap_or(0);
    let targets = targets.into_iter().skip(own_run);
    let data = data.to_string_lossy();
    let ours = targets.filter(|target| target.starts_with(&*data) || target.starts_with("/run/"));
    ours.map(str::to_owned).collect()
}

fn interfaces(network: &File) -> Vec<String> {
    let text = link::inside(network, || fs::read_to_string("/proc/thread-self/net/dev")).unwrap_or_default();
    let names = text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    // `ifb`, `sit` and the like are made by the kernel in every namespace when their module is built in.
    names.filter(|name| !OWN_INTERFACES.contains(&name.as_str()) && is_made(name)).collect()
}

fn is_made(name: &str) -> bool {
    !["ifb", "sit", "tunl", "gre", "erspan", "ip6", "ip_vti", "dummy", "teql"]
        .iter()
        .any(|kernel| name.starts_with(kernel))
}

/// The engine's folders in every cgroup hierarchy.
fn cgroups(engine: &str) -> Vec<PathBuf> {
    if engine.is_empty() {
        return Vec::new();
    }
    let hierarchies =
        fs::read_dir("/sys/fs/cgroup").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let roots = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]);
    roots.map(|root| root.join("orc").join(engine)).filter(|path| path.is_dir()).collect()
}

/// How the folders of a test process's machines begin.
pub(super) fn folder_prefix(pid: u32) -> String {
    format!("orc-e2e-{pid}-")
}

/// Takes away what killed runs of this suite could not: the folders and cgroups of their machines. Their
/// processes, mounts and interfaces went with their namespaces.
pub(super) fn sweep() {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix("orc-e2e-")?.split('-').next());
            let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
            if !Path::new(&format!("/proc/{owner}")).exists() {
                let engine = fs::read_to_string(entry.path().join("data/engine.id")).unwrap_or_default();
                remove_cgroups(engine.trim());
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
}

/// Takes away the cgroups of an engine that was killed with everything else.
pub(super) fn remove_cgroups(engine: &str) {
    for path in cgroups(engine) {
        let _ = remove_tree(&path);
        // The folder of all engines, unless another suite's engine is in there.
        let _ = path.parent().map(fs::remove_dir);
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

fn files(data: &Path) -> Vec<PathBuf> {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>()
    };
    let unknown = names(data).into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !KEPT_FILES.contains(&&*name) && !EMPTY_FOLDERS.contains(&&*name)
    });
    unknown.chain(EMPTY_FOLDERS.iter().flat_map(|folder| names(&data.join(folder)))).collect()
}

/// Whether the namespace holds any nftables table. The kernel says so without a program of its own: a
/// namespace without tables has no ruleset generation beyond the first.
fn has_rules(network: &File) -> bool {
    link::inside(network, count_tables).is_none_or(|tables| tables > 0)
}

/// Counts the tables of this thread's namespace over netlink; `None` when the kernel does not answer.
fn count_tables() -> Option<usize> {
    use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
    const GET_TABLE: u16 = 10 << 8 | 1;
    const REQUEST_DUMP: u16 = 0x301;
    const DONE: u16 = 3;
    let mut socket = Socket::new(NETLINK_NETFILTER).ok()?;
    socket.bind_auto().ok()?;
    let mut message = Vec::new();
    message.extend(20u32.to_ne_bytes());
    message.extend(GET_TABLE.to_ne_bytes());
    message.extend(REQUEST_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]);
    socket.send_to(&message, &SocketAddr::new(0, 0), 0).ok()?;
    let mut tables = 0;
    loop {
        let (bytes, _) = socket.recv_from_full().ok()?;
        let mut rest = bytes.as_slice();
        while rest.len() >= 16 {
            let length = u32::from_ne_bytes(rest[..4].try_into().ok()?) as usize;
            let kind = u16::from_ne_bytes(rest[4..6].try_into().ok()?);
            if kind == DONE {
                return Some(tables);
            }
            tables += 1;
            rest = rest.get(length.next_multiple_of(4).max(16)..).unwrap_or_default();
        }
    }
}
