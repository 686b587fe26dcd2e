//! The process between the engine and one container: starts it, keeps its output, and says how it ended.
//!
//! It has one thread, because libcontainer clones without exec and a lock held by another thread would never
//! be released in the child. It reads everything from its bundle, so an engine that dies or is replaced does
//! not disturb it. Once the program runs it only waits in one poll(2).

mod attach;
mod backend;
mod connection;
mod errors;
mod exec;
mod join;
mod plan;
mod prepare;
mod serve;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::bundle::{Bundle, Failure, Launched};
use crate::cgroup::{self, Cgroup};
use crate::device::Devices;
use crate::error::Error;
use crate::folders::{self, Folders};
use crate::process::{ProcessId, now_ms};
use crate::protocol::Request;
use crate::status::{Exit, Started};

/// The whole life of a shim. `args` are those after `shim`: the container's folder in memory. The caller's
/// `main` must do nothing before it: no thread may run. Returns the process's exit code.
pub fn shim_main(args: Vec<OsString>) -> i32 {
    let Some(run) = args.into_iter().next().map(PathBuf::from) else { return 2 };
    close_inherited();
    detach();
    let launched = launch(&run);
    let report = match &launched {
        Ok(running) => Launched::Running(running.started()),
        Err(failure) => Launched::Failed(failure.clone()),
    };
    // Nobody listens if the engine has died meanwhile; the container then runs for the next one.
    let _ = tell(&report);
    match launched {
        Ok(running) => running.serve(),
        Err(_) => 1,
    }
}

/// What an engine, or whoever started it, forgot to close must not be kept open by containers
/// (CVE-2024-21626).
#[allow(unsafe_code)]
fn close_inherited() {
    // SAFETY: this is the beginning of the program: nothing here owns a descriptor above the standard three.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// A session of its own, so that no terminal and no signal to the engine's group reaches it; not to be looked
/// into by containers; the last to be killed when memory runs out.
fn detach() {
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"orc-shim");
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let _ = std::fs::write("/proc/self/oom_score_adj", "-900");
}

/// Writes the one report and closes standard output, which is the pipe to the engine.
fn tell(report: &Launched) -> io::Result<()> {
    let text = serde_json::to_vec(report)?;
    let mut stdout = io::stdout();
    stdout.write_all(&text)?;
    stdout.flush()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(null)?;
    Ok(())
}

fn launch(run: &std::path::Path) -> Result<serve::Running, Failure> {
    let bundle: Bundle = folders::read_json(&run.join("bundle.json"))?
        .ok_or_else(|| Failure::new(format!("there is no bundle in {}", run.display())))?;
    let folders = bundle.folders();
    let me = ProcessId::of(std::process::id()).map_err(Error::system("cannot read /proc"))?;
    folders::write_json(&folders.shim(), &me, false)?;
    let cgroup = Cgroup::at(&bundle.cgroup).map_err(Error::system("cannot find the cgroup hierarchies"))?;
    match start(&bundle, &folders, &cgroup) {
        Ok(running) => Ok(running),
        Err(failure) => {
            unwind(&bundle, &folders, &cgroup, &failure);
            Err(failure)
        }
    }
}

/// Leaves nothing of a container that did not start, except for what tells why.
fn unwind(bundle: &Bundle, folders: &Folders, cgroup: &Cgroup, failure: &Failure) {
    if let Err(error) = cgroup.kill().and_then(|()| cgroup.remove()) {
        tracing::error!("the cgroup {} stays behind: {error}", bundle.cgroup);
    }
    if let Some(code) = failure.code {
        let now = now_ms();
        let error = Some(failure.reason.clone());
        let exit = Exit { code, signal: None, oom: false, error, started_at_ms: 0, finished_at_ms: now };
        let _ = folders::write_json(&folders.exit(), &exit, true);
    }
    remove_run_files(folders);
}

/// The injected files stay: the container may be started again. The folders stay too, since something may still
/// be mounted there: the kernel unmounts it all at once with the namespace, when this process ends, which is
/// much quicker than one by one; the next start and the removal clear them.
fn remove_run_files(folders: &Folders) {
    for file in [folders.control(), folders.bundle(), folders.run.join("config.json"), folders.shim()] {
        let _ = folders::remove_file(&file);
    }
}

fn start(bundle: &Bundle, folders: &Folders, cgroup: &Cgroup) -> Result<serve::Running, Failure> {
    errors::to_stderr().map_err(Error::system("cannot keep a copy of standard error"))?;
    let given = connection::given().map_err(Error::system("cannot read standard input"))?;
    let root = prepare::root(bundle)?;
    join::all(bundle)?;
    let devices = Devices::of(&bundle.config)?;
    let process = plan::first_process(bundle, &devices, &root)?;
    prepare::working_folder(&root, &process.cwd);
    drop(root);
    let streams = Streams::new(&bundle.config, &process.user)?;
    plan::check_resources(&bundle.config, cgroup)?;
    let mut container = backend::create(bundle, &process, &devices, streams.container)?;
    if let Some(folder) = cgroup.unified().filter(|_| !bundle.config.privileged) {
        cgroup::device::restrict(folder, &devices.rules).map_err(Error::system("cannot restrict devices"))?;
    }
    if bundle.config.resources.oom_kill_disable {
        // libcontainer leaves it out.
        cgroup
            .disable_oom_killer()
            .map_err(Error::system("cannot disable the kernel's out-of-memory killer"))?;
    }
    let terminal = container.terminal.take();
    if let (Some(terminal), Some(Request::Attach { size: Some(size), .. })) =
        (&terminal, given.as_ref().map(|given| &given.request))
    {
        // The program must not see another size first.
        crate::session::set_size(terminal, *size).map_err(Error::system("cannot size its terminal"))?;
    }
    container.start()?;
    let started = Started { pid: container.pid, started_at_ms: now_ms(), joined: bundle.runs() };
    folders::write_json(&folders.started(), &started, false)?;
    let shim = streams.shim.with_terminal(terminal);
    let mut running = serve::Running::new(bundle, process, started, shim, cgroup.clone())?;
    if let Some(given) = given {
        running.take_given(given);
    }
    Ok(running)
}

/// Both ends of a container's input and output.
struct Streams {
    container: Stdio,
    shim: ShimEnds,
}

/// What the first process gets as descriptors 0 to 2; with a terminal it makes its own.
pub(crate) struct Stdio {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// What the shim reads from and writes to.
pub(crate) struct ShimEnds {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    pub(crate) terminal: bool,
}

impl Streams {
    /// Pipes, never files: a program that opens /dev/stdout would cut a file short. They belong to the
    /// container's user, or that program would not be allowed to open them.
    fn new(config: &crate::ContainerConfig, user: &crate::user::Ids) -> Result<Streams, Failure> {
        let failed =
            |error: io::Error| Failure::new(format!("cannot make the pipes for its output: {error}"));
        let pipe = || io::pipe().map(|(read, write)| (OwnedFd::from(read), OwnedFd::from(write)));
        let (stdin, input) = if config.stdin_open && !config.tty {
            let (read, write) = pipe().map_err(failed)?;
            (read, Some(write))
        } else {
            (OwnedFd::from(File::open("/dev/null").map_err(failed)?), None)
        };
        let (output, stdout) = pipe().map_err(failed)?;
        let (errors, stderr) = pipe().map_err(failed)?;
        for end in [&stdin, &stdout, &stderr] {
            own(end.as_fd(), user, input.is_none() && std::ptr::eq(end, &raw const stdin)).map_err(failed)?;
        }
        let shim = ShimEnds { stdin: input, stdout: Some(output), stderr: Some(errors), terminal: false };
        Ok(Streams { container: Stdio { stdin, stdout, stderr }, shim })
    }
}

fn own(end: impl AsFd, user: &crate::user::Ids, is_null_device: bool) -> io::Result<()> {
    if is_null_device {
        return Ok(());
    }
    let (uid, gid) = (rustix::fs::Uid::from_raw(user.uid), rustix::fs::Gid::from_raw(user.gid));
    Ok(rustix::fs::fchown(end, Some(uid), Some(gid))?)
}

impl ShimEnds {
    fn with_terminal(mut self, terminal: Option<OwnedFd>) -> ShimEnds {
        if let Some(terminal) = terminal {
            self = ShimEnds { stdin: None, stdout: Some(terminal), stderr: None, terminal: true };
        }
        self
    }
}

/// Reads what a child reports before it becomes a program: nothing if it did.
fn read_report(pipe: OwnedFd) -> Option<Failure> {
    let mut text = Vec::new();
    let mut pipe = File::from(pipe).take(crate::limits::MESSAGE_BYTES as u64);
    pipe.read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
