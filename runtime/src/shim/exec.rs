//! Our own `exec`: another process in a running container, inside all its namespaces (user included), its
//! cgroup and its confinement. libcontainer's leaves out the user namespace, seccomp and limits.
#![allow(unsafe_code)] // fork and clone: the shim has one thread, so the child may do anything.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::bundle::Failure;
use crate::cgroup::Cgroup;
use crate::confine::{Process, become_program};

/// A child that is on its way into the container.
pub(super) struct Spawned {
    /// The helper that enters and clones; it ends by itself.
    pub(super) helper: u32,
    /// What [`told`] understands, and then the end.
    pub(super) report: OwnedFd,
}

/// Standard input, output and error of the new process.
pub(super) type Stdio = [OwnedFd; 3];

/// Starts `process` beside `init`. With `terminal` the first descriptor becomes its controlling terminal.
///
/// The helper joins the groups and namespaces and then clones a sibling of itself, so the new process is the
/// shim's own child: a pid namespace is entered only by children.
pub(super) fn spawn(
    init: u32,
    groups: &[&Cgroup],
    process: &Process,
    stdio: &Stdio,
    terminal: bool,
) -> io::Result<Spawned> {
    let (report, write) = io::pipe()?;
    let pid = i32::try_from(init).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    let namespaces = namespaces_to_enter(init)?;
    // SAFETY: this process has one thread, so the child finds every lock of the C library free.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let write = OwnedFd::from(write);
            if let Err(failure) = enter(&handle, namespaces, groups).and_then(|()| clone_sibling(&write)) {
                tell(&write, &failure);
                exit(1);
            }
            // Only the sibling comes here; the helper is gone.
            tell(&write, &finish(process, stdio, terminal));
            exit(1)
        }
        helper => Ok(Spawned { helper: helper.cast_unsigned(), report: report.into() }),
    }
}

/// Those that differ from our own: entering one's own user namespace is an error.
fn namespaces_to_enter(init: u32) -> io::Result<ThreadNameSpaceType> {
    let all = [
        ("user", LinkNameSpaceType::User),
        ("mnt", LinkNameSpaceType::Mount),
        ("pid", LinkNameSpaceType::ProcessID),
        ("net", LinkNameSpaceType::Network),
        ("ipc", LinkNameSpaceType::InterProcessCommunication),
        ("uts", LinkNameSpaceType::HostNameAndNISDomainName),
        ("cgroup", LinkNameSpaceType::ControlGroup),
        ("time", LinkNameSpaceType::Time),
    ];
    let mut enter = ThreadNameSpaceType::empty();
    for (name, kind) in all {
        let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/{name}"));
        match (of("self"), of(&init.to_string())) {
            (Ok(own), Ok(its)) if own != its => {
                enter |= ThreadNameSpaceType::from_bits_retain(kind as u32);
            }
            // This kernel does not have it.
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {}
            (Err(error), _) | (_, Err(error)) => return Err(error),
            _ => {}
        }
    }
    Ok(enter)
}

fn enter(init: &OwnedFd, namespaces: ThreadNameSpaceType, groups: &[&Cgroup]) -> Result<(), Failure> {
    // The cgroup first: its files are only seen from outside.
    for group in groups {
        group.join().map_err(|error| Failure::new(format!("cannot join the container's cgroup: {error}")))?;
    }
    move_into_thread_name_spaces(init.as_fd(), namespaces)
        .map_err(|error| Failure::new(format!("cannot enter the container's namespaces: {error}")))
}

/// Returns in the new process only.
fn clone_sibling(report: &OwnedFd) -> Result<(), Failure> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: like fork: no shared memory, no new stack, one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match pid {
        -1 => Err(Failure::new(format!("cannot make a process: {}", io::Error::last_os_error()))),
        0 => Ok(()),
        pid => {
            let _ = rustix::io::write(report, format!("{pid}\n").as_bytes());
            exit(0)
        }
    }
}

fn finish(process: &Process, stdio: &Stdio, terminal: bool) -> Failure {
    let prepared = || -> io::Result<()> {
        rustix::process::setsid()?;
        rustix::stdio::dup2_stdin(&stdio[0])?;
        rustix::stdio::dup2_stdout(&stdio[1])?;
        rustix::stdio::dup2_stderr(&stdio[2])?;
        if terminal {
            rustix::process::ioctl_tiocsctty(&stdio[0])?;
        }
        // Everything of ours is closed by exec already; this is for what a library may have opened.
        // SAFETY: only marks descriptors; nothing is closed while it is in use.
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    };
    match prepared() {
        Ok(()) => become_program(process),
        Err(error) => Failure::new(format!("cannot set up the streams of the command: {error}")),
    }
}

fn tell(report: &OwnedFd, failure: &Failure) {
    let mut line = serde_json::to_vec(failure).unwrap_or_default();
    line.push(b'\n');
    let _ = rustix::io::write(report, &line);
}

/// What a report says so far: the new process's number, of the helper, and why the command does not run. Each is a line
/// written at once; the failure comes first when the new process is quicker than the helper.
pub(super) fn told(report: &[u8]) -> (Option<u32>, Option<Failure>) {
    let (mut pid, mut failure) = (None, None);
    for line in report.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        match serde_json::from_slice(line) {
            Ok(number) => pid = Some(number),
            Err(_) => {
                let nonsense = |_| Failure::new("the command's process reported what makes no sense");
                failure = Some(serde_json::from_slice(line).unwrap_or_else(nonsense));
            }
        }
    }
    (pid, failure)
}

/// Without running what the parent registered for its own end.
fn exit(code: i32) -> ! {
    // SAFETY: ends the process; nothing can be broken afterwards.
    unsafe { libc::_exit(code) }
}

/// The container's root folder as its first process sees it, to read `/etc/passwd` from.
pub(super) fn root_of(init: u32) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let path = format!("/proc/{init}/root");
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Gives streams that this machine made for the command to its user; terminals belong to the container's own
/// device filesystem and are given away by the last step.
pub(super) fn give_away(stdio: &Stdio, process: &Process) {
    use rustix::fs::{FileType, Gid, Uid, fchown, fstat};
    for stream in stdio {
        let is_pipe = fstat(stream).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        if is_pipe {
            let user = &process.user;
            let _ = fchown(stream, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_understood_whoever_writes_first() {
        let (read, write) = io::pipe().unwrap();
        let (write, failure) = (OwnedFd::from(write), Failure::command(127, "no\nsuch"));
        tell(&write, &failure);
        drop(write);
        let line = io::read_to_string(read).unwrap();
        let check = |report: &str, pid: Option<u32>, failure: Option<&Failure>| {
            assert_eq!(told(report.as_bytes()), (pid, failure.cloned()), "{report}");
        };
        check("", None, None);
        check("41", None, None);
        check("41\n", Some(41), None);
        check(&line, None, Some(&failure));
        check(&format!("{line}41\n"), Some(41), Some(&failure));
        check(&format!("41\n{line}"), Some(41), Some(&failure));
        let nonsense = Failure::new("the command's process reported what makes no sense");
        check("41\nwhat\n", Some(41), Some(&nonsense));
    }
}
