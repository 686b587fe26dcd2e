//! The control groups of one container, in whatever mixture of v1 and v2 hierarchies this machine has.
//!
//! Creating them and writing limits is the container runtime's work. This is the rest: who is in them, killing
//! everybody, freezing, counting, joining, removing.

mod counters;
pub(crate) mod device;
mod made;
mod realtime;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::limits;

/// One hierarchy: what it controls and where the group's folder in it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    /// v1: for example `cpu`, `cpuacct` or `name=systemd`. v2: empty.
    controllers: Vec<String>,
    folder: PathBuf,
}

/// The same path in all hierarchies. Folders need not exist.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    hierarchies: Vec<Hierarchy>,
}

impl Cgroup {
    /// `path` begins with a slash and counts from each hierarchy's mount point.
    pub(crate) fn at(path: &str) -> io::Result<Cgroup> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(Cgroup { hierarchies: parse(&mountinfo, path) })
    }

    /// The folder in the v2 hierarchy, if this machine keeps limits there.
    pub(crate) fn unified(&self) -> Option<&Path> {
        let only_v2 = self.hierarchies.iter().all(|hierarchy| hierarchy.controllers.is_empty());
        self.hierarchies.first().filter(|_| only_v2).map(|hierarchy| hierarchy.folder.as_path())
    }

    /// The folder in the v1 hierarchy that has a controller.
    pub(crate) fn controller(&self, name: &str) -> Option<&Path> {
        self.hierarchies
            .iter()
            .find(|hierarchy| hierarchy.controllers.iter().any(|c| c == name))
            .map(|hierarchy| hierarchy.folder.as_path())
    }

    fn existing(&self) -> impl Iterator<Item = &Path> {
        self.hierarchies.iter().map(|hierarchy| hierarchy.folder.as_path()).filter(|folder| folder.is_dir())
    }

    /// The folders in the hierarchies that keep limits: all of v1 where there are some, else that of v2.
    fn limiting(&self) -> impl Iterator<Item = &Path> {
        let v1 = self.hierarchies.iter().any(|hierarchy| !hierarchy.controllers.is_empty());
        let all = self.hierarchies.iter().filter(move |hierarchy| v1 != hierarchy.controllers.is_empty());
        all.map(|hierarchy| hierarchy.folder.as_path())
    }

    /// Moves the calling process in.
    pub(crate) fn join(&self) -> io::Result<()> {
        self.existing().try_for_each(|folder| fs::write(folder.join("cgroup.procs"), "0"))
    }

    /// Makes the folders where limits will be kept, parents included. A group of somebody else that is removed
    /// at the same time may take a common parent with it; then it is tried again.
    pub(crate) fn ensure(&self) -> io::Result<()> {
        for folder in self.limiting() {
            let mut result = Ok(());
            for _ in 0..limits::CGROUP_CREATE_TRIES {
                result = fs::create_dir_all(folder);
                if result.is_ok() {
                    break;
                }
            }
            result?;
        }
        Ok(())
    }

    /// A group below this one for a single `exec`, so that all it starts can be found again. v1 takes it in one
    /// hierarchy: limits hold for groups below, and one list of processes is enough.
    pub(crate) fn below(&self, name: &str) -> io::Result<Cgroup> {
        let tracked =
            self.hierarchies.iter().filter(|hierarchy| hierarchy.folder.is_dir()).min_by_key(|hierarchy| {
                match hierarchy.controllers.first().map(String::as_str) {
                    None => 0,
                    Some("pids") => 1,
                    Some("freezer") => 2,
                    Some(_) => 3,
                }
            });
        let tracked = tracked.ok_or_else(|| io::Error::other("the container has no cgroup"))?;
        let folder = tracked.folder.join(name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Ok(Cgroup { hierarchies: vec![Hierarchy { controllers: tracked.controllers.clone(), folder }] })
    }

    /// Sends SIGKILL to every process in it and below. Returns while they may still be dying.
    pub(crate) fn kill(&self) -> io::Result<()> {
        for folder in self.existing() {
            // Linux 5.14 and v2: one write, and nothing that forks can escape.
            match fs::write(folder.join("cgroup.kill"), "1") {
                Ok(()) => {}
                Err(_) => kill_tree(folder)?,
            }
        }
        Ok(())
    }

    /// Kills what is left and removes all folders. One that does not exist is fine.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let deadline = Instant::now() + limits::CGROUP_EMPTY_TIMEOUT;
        loop {
            let busy = self.hierarchies.iter().filter_map(|h| remove_tree(&h.folder).err()).next();
            let Some(error) = busy else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(error);
            }
            // A killed process leaves its group when the kernel has torn it down; v1 tells nobody when.
            self.freeze(false)?;
            self.kill()?;
            std::thread::sleep(limits::CGROUP_RETRY);
        }
    }

    /// Removes this group's folders as long as they are empty, without touching any process.
    pub(crate) fn remove_if_empty(&self) {
        for folder in self.existing() {
            let _ = fs::remove_dir(folder);
        }
    }

    pub(crate) fn freeze(&self, frozen: bool) -> io::Result<()> {
        if let Some(folder) = self.controller("freezer") {
            return write_if_there(&folder.join("freezer.state"), if frozen { "FROZEN" } else { "THAWED" });
        }
        match self.unified() {
            Some(folder) => write_if_there(&folder.join("cgroup.freeze"), if frozen { "1" } else { "0" }),
            None => Ok(()),
        }
    }

    /// Its processes are stopped by [`Cgroup::freeze`]. One that is still on the way there counts.
    pub(crate) fn is_frozen(&self) -> bool {
        if let Some(folder) = self.controller("freezer") {
            let state = fs::read_to_string(folder.join("freezer.state")).unwrap_or_default();
            return matches!(state.trim(), "FROZEN" | "FREEZING");
        }
        let file = self.unified().map(|folder| folder.join("cgroup.freeze"));
        file.is_some_and(|file| fs::read_to_string(file).is_ok_and(|text| text.trim() == "1"))
    }

    /// Every process in it and below, by number.
    pub(crate) fn processes(&self) -> io::Result<Vec<u32>> {
        // All hierarchies have the same; the first that has the group is as good as any.
        let folder = self.existing().next();
        let mut pids: Vec<u32> = folder
            .map_or_else(|| Ok(Vec::new()), processes)?
            .into_iter()
            .filter_map(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
            .collect();
        pids.sort_unstable();
        Ok(pids)
    }

    /// What would take more memory than the limit waits from now on until there is some (v1 only; see "OOM Control"
    /// in the kernel's cgroup-v1/memory.rst).
    pub(crate) fn disable_oom_killer(&self) -> io::Result<()> {
        match self.controller("memory") {
            Some(folder) => fs::write(folder.join("memory.oom_control"), "1"),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// How many processes the kernel killed here because the memory limit was reached.
    pub(crate) fn oom_kills(&self) -> u64 {
        let file = match (self.controller("memory"), self.unified()) {
            (Some(folder), _) => folder.join("memory.oom_control"),
            (None, Some(folder)) => folder.join("memory.events"),
            (None, None) => return 0,
        };
        counters::keyed(&fs::read_to_string(file).unwrap_or_default(), "oom_kill").unwrap_or(0)
    }
}

fn write_if_there(path: &Path, text: &str) -> io::Result<()> {
    match fs::write(path, text) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Hierarchies of proc_pid_mountinfo(5): `... mountpoint options - type source super-options`.
fn parse(mountinfo: &str, path: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (Some(point), mut right) = (left.split(' ').nth(4), right.split(' ')) else { continue };
        let kind = right.next().unwrap_or_default();
        let options = right.nth(1).unwrap_or_default();
        let controllers: Vec<String> = match kind {
            "cgroup2" => Vec::new(),
            // Mount flags stand among the controllers; they do no harm as names of controllers.
            "cgroup" => options.split(',').map(str::to_owned).collect(),
            _ => continue,
        };
        let folder = PathBuf::from(format!("{point}{path}"));
        if found.iter().all(|h| h.controllers != controllers) {
            found.push(Hierarchy { controllers, folder });
        }
    }
    found
}

/// Every process in `folder` and below.
fn processes(folder: &Path) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    let text = match fs::read_to_string(folder.join("cgroup.procs")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        // A group that is removed meanwhile.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(found),
        Err(error) => return Err(error),
    };
    found.extend(text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
    for below in folders_in(folder)? {
        found.extend(processes(&below)?);
    }
    Ok(found)
}

/// v1 has no single switch. Freezing first would stop forks, but a frozen process does not die; so it is
/// repeated until a pass finds nobody new. [`Cgroup::remove`] repeats it once more until the group is gone.
fn kill_tree(folder: &Path) -> io::Result<()> {
    let mut killed: Vec<Pid> = Vec::new();
    loop {
        let fresh: Vec<Pid> = processes(folder)?.into_iter().filter(|pid| !killed.contains(pid)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        for pid in &fresh {
            let _ = kill_process(*pid, Signal::KILL);
        }
        killed.extend(fresh);
    }
}

fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove_tree(folder: &Path) -> io::Result<()> {
    for below in folders_in(folder)? {
        remove_tree(&below)?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Groups directly below `path` in any hierarchy: what an engine finds of its dead predecessors.
pub(crate) fn children(path: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in Cgroup::at(path)?.existing() {
        names.extend(folders_in(folder)?.iter().filter_map(|f| f.file_name()?.to_str().map(str::to_owned)));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_every_kind_of_machine_are_found() {
        let check = |mountinfo: &str, expect: &[(&[&str], &str)]| {
            let got = parse(mountinfo, "/orc/e/c");
            let got: Vec<_> =
                got.iter().map(|h| (h.controllers.clone(), h.folder.to_str().unwrap())).collect();
            let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
            assert_eq!(got, expect.iter().map(|(c, f)| (own(c), *f)).collect::<Vec<_>>());
        };
        check("25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", &[(&[], "/sys/fs/cgroup/orc/e/c")]);
        check(
            "30 25 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
             31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
             33 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             34 25 0:28 / /elsewhere rw - cgroup2 cgroup2 rw\n\
             40 25 0:40 / /tmp rw - tmpfs tmpfs rw",
            &[
                (&["rw", "cpu", "cpuacct"], "/sys/fs/cgroup/cpu/orc/e/c"),
                (&["rw", "xattr", "name=systemd"], "/sys/fs/cgroup/systemd/orc/e/c"),
                (&[], "/sys/fs/cgroup/unified/orc/e/c"),
            ],
        );
    }
}
