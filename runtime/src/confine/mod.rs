//! The last step before a container's program runs, the same for its first process and for every `exec`:
//! limits, folder, system call filter, capabilities, user, and then the program itself.
//!
//! [`become_program`] is that step. It runs in a process of its own that is already in the container's
//! namespaces and cgroups, root filesystem included, with one thread and with its descriptors in place.
#![allow(unsafe_code)] // execve, signal dispositions and seccomp(2) have no safe wrapper here.

pub(crate) mod caps;
mod file_caps;
mod search;
pub(crate) mod seccomp;
mod syscalls;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{CapabilitySets, set_capabilities};

use crate::bundle::Failure;
use crate::config::Ulimit;
use crate::user::Ids;
use caps::Caps;
use seccomp::Filter;

/// A program and everything about the process it will run in that is decided last.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) args: Vec<String>,
    /// Complete.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) user: Ids,
    /// The bounding set; root also gets them as its own.
    pub(crate) caps: Caps,
    /// `None`: any call.
    pub(crate) filter: Option<Filter>,
    pub(crate) no_new_privileges: bool,
    pub(crate) ulimits: Vec<Ulimit>,
    pub(crate) oom_score_adj: i32,
    /// Replaces `args[0]`, after the real command in `args` from this position on was found to exist.
    pub(crate) init: Option<usize>,
}

/// Confines this process and turns it into the program. Returns only if that fails.
pub(crate) fn become_program(process: &Process) -> Failure {
    match confine(process) {
        Ok(()) => run(process),
        Err(failure) => failure,
    }
}

/// The order matters: limits and score need capabilities; without `no_new_privileges` the filter may only be
/// installed while CAP_SYS_ADMIN is held, so it comes before the capabilities go and allows what follows.
fn confine(process: &Process) -> Result<(), Failure> {
    reset_signals();
    set_oom_score(process.oom_score_adj)?;
    for ulimit in with_default_nofile(&process.ulimits) {
        set_ulimit(&ulimit)?;
    }
    enter_folder(&process.cwd)?;
    give_terminal(&process.user);
    if !process.no_new_privileges {
        install(process.filter.as_ref())?;
    }
    drop_privileges(process)?;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(because("cannot set no_new_privileges"))?;
        install(process.filter.as_ref())?;
    }
    Ok(())
}

/// An ignored signal (Rust's runtime ignores SIGPIPE) and a blocked one would be inherited by the program.
fn reset_signals() {
    // The kernel's struct sigaction with SIG_DFL, no flags and an empty mask. The C library's function keeps
    // signals 32 and 33 for itself, but they are inherited like all others.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: reads 32 bytes that are there, and runs no code of ours; the kernel refuses what cannot change.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null::<u64>(),
                size_of::<u64>(),
            );
        }
    }
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}

fn set_oom_score(score: i32) -> Result<(), Failure> {
    let current = fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    if current.trim() == score.to_string() {
        return Ok(());
    }
    match fs::write("/proc/self/oom_score_adj", score.to_string()) {
        // Lowering needs CAP_SYS_RESOURCE, which nested engines may lack; only a wish worth failing for is one
        // that protects from the OOM killer.
        Err(error) if score < 0 => Err(because("cannot set oom_score_adj")(error)),
        _ => Ok(()),
    }
}

/// Programs that close every descriptor up to the limit are slow with a high soft limit; programs that need
/// many raise it themselves. systemd and recent Docker give 1024 as well.
fn with_default_nofile(ulimits: &[Ulimit]) -> Vec<Ulimit> {
    let mut all = ulimits.to_vec();
    if !all.iter().any(|ulimit| ulimit.name == "nofile") {
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        all.push(Ulimit { name: "nofile".to_owned(), soft: hard.min(1024), hard });
    }
    all
}

fn set_ulimit(ulimit: &Ulimit) -> Result<(), Failure> {
    let Ulimit { name, soft, hard } = ulimit;
    let resource = resource(name).ok_or_else(|| Failure::new(format!("`{name}` is not a ulimit")))?;
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    let wanted = Rlimit { current: finite(*soft), maximum: finite(*hard) };
    setrlimit(resource, wanted).map_err(|error| {
        let text = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |l| l.to_string());
        let ceiling = text(getrlimit(resource).maximum);
        Failure::new(format!(
            "ulimit `{name}` cannot be set to {} (soft) and {} (hard): {error}; the ceiling here is {ceiling}, \
             and the engine may not raise it",
            text(finite(*soft)),
            text(finite(*hard)),
        ))
    })
}

/// Compose's names are those of setrlimit(2) without `RLIMIT_`.
pub(crate) fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

/// Done as root, as runc does: a folder that only root may pass is still a valid working folder. A missing one
/// is made, unless the filesystem forbids it.
fn enter_folder(cwd: &str) -> Result<(), Failure> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let entered = match std::env::set_current_dir(cwd) {
        Err(error) if missing(&error) => {
            fs::create_dir_all(cwd).and_then(|()| std::env::set_current_dir(cwd))
        }
        other => other,
    };
    entered.map_err(|error| Failure::command(126, format!("working folder `{cwd}`: {error}")))?;
    // A folder outside of the root filesystem (CVE-2024-21626) has a path that does not begin with a slash.
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(()),
        _ => Err(Failure::command(126, format!("working folder `{cwd}` is outside of the container"))),
    }
}

/// The program must be able to open /dev/stdout; pipes were given away when they were made.
fn give_terminal(user: &Ids) {
    // SAFETY: descriptors 0 to 2 are open in every process that gets here.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    if rustix::termios::isatty(stdin) {
        let _ = rustix::fs::fchown(stdin, Some(Uid::from_raw(user.uid)), None);
    }
}

fn install(filter: Option<&Filter>) -> Result<(), Failure> {
    for program in filter.iter().flat_map(|filter| &filter.0) {
        let length =
            u16::try_from(program.len()).map_err(|_| Failure::new("the seccomp filter is too long"))?;
        let fprog = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
        // SAFETY: `fprog` points to `length` instructions that live until the call returns; the kernel copies
        // and checks them. seccompiler's sock_filter is libc's, field by field. Its own function cannot be
        // used: it always sets no_new_privileges.
        let done =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const fprog) };
        if done != 0 {
            return Err(because("cannot install the seccomp filter")(io::Error::last_os_error()));
        }
    }
    Ok(())
}

/// Root keeps `caps`; everyone else keeps none but may get them back through files, as far as the bounding
/// set goes. Nothing is inheritable (CVE-2022-24769).
fn drop_privileges(process: &Process) -> Result<(), Failure> {
    let Ids { uid, gid, groups, .. } = &process.user;
    for number in 0..u64::BITS {
        let cap = Caps(1 << number);
        if !process.caps.contains(cap) && rustix::thread::capability_is_in_bounding_set(cap.set()).is_ok() {
            rustix::thread::remove_capability_from_bounding_set(cap.set())
                .map_err(because("cannot drop capabilities"))?;
        }
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&groups).map_err(because("cannot set supplementary groups"))?;
    let gid = Gid::from_raw(*gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(because("cannot set the group"))?;
    let own = Uid::from_raw(*uid);
    rustix::thread::set_thread_res_uid(own, own, own).map_err(because("cannot set the user"))?;
    let held = rustix::thread::capabilities(None).map_err(because("cannot read capabilities"))?;
    let kept = if *uid == 0 { process.caps.and(Caps(held.permitted.bits())) } else { Caps(0) };
    let none = Caps(0).set();
    let sets = CapabilitySets { effective: kept.set(), permitted: kept.set(), inheritable: none };
    set_capabilities(None, sets).map_err(because("cannot set capabilities"))
}

fn run(process: &Process) -> Failure {
    let path = process.env.iter().rev().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
    let found = match process.init {
        None => search::find(&process.args, 0, path),
        Some(command) => search::find(&process.args, command, path).map(|_| process.args[0].clone()),
    };
    let program = match found {
        Ok(program) => program,
        Err(failure) => return failure,
    };
    let (Some(file), Some(args), Some(env)) = (
        CString::new(program.as_str()).ok(),
        c_strings(process.args.iter().cloned()),
        c_strings(process.env.iter().map(|(name, value)| format!("{name}={value}"))),
    ) else {
        return Failure::command(126, format!("`{program}`: an argument or variable contains a zero byte"));
    };
    match nix::unistd::execve(&file, &args, &env) {
        Ok(never) => match never {},
        Err(error) => exec_failure(&program, error.into(), process.caps),
    }
}

fn c_strings(strings: impl Iterator<Item = String>) -> Option<Vec<CString>> {
    strings.map(|string| CString::new(string).ok()).collect()
}

fn exec_failure(program: &str, error: io::Error, caps: Caps) -> Failure {
    match error.raw_os_error() {
        // The file exists, so it is its interpreter that does not.
        Some(libc::ENOENT) => Failure::command(
            127,
            format!("`{program}` needs an interpreter or loader that is not in the image"),
        ),
        Some(libc::ENOEXEC) => Failure::command(
            126,
            format!("`{program}` is not a program for this machine, nor a script that begins with `#!`"),
        ),
        Some(libc::EPERM) => {
            let missing = file_caps::required(Path::new(program)).minus(caps).names();
            match missing.is_empty() {
                true => Failure::command(126, format!("`{program}` cannot be executed: {error}")),
                false => Failure::command(
                    126,
                    format!(
                        "`{program}` carries capabilities that this container lacks: {0}; hint: add `cap_add: [{0}]`",
                        missing.join(", ")
                    ),
                ),
            }
        }
        _ => Failure::command(126, format!("`{program}` cannot be executed: {error}")),
    }
}

fn because<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::new(format!("{doing}: {}", error.into()))
}
