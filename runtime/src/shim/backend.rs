//! Making the container itself: with libcontainer in this process, or with `crun`, `runc` or `youki`.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use libcontainer::container::Container as Lib;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};

use super::{Stdio, read_report};
use crate::bundle::{Bundle, Failure};
use crate::confine::{Process, become_program};
use crate::device::Devices;
use crate::error::{Error, chain};
use crate::{folders, spec};

/// A container whose program waits to be started.
pub(super) struct Created {
    pub(super) pid: u32,
    /// The shim's side of the container's terminal.
    pub(super) terminal: Option<OwnedFd>,
    starter: Starter,
}

enum Starter {
    Library { container: Box<Lib>, report: OwnedFd },
    Program(Program),
}

struct Program {
    path: PathBuf,
    state: PathBuf,
    id: String,
    log: PathBuf,
}

pub(super) fn create(
    bundle: &Bundle,
    process: &Process,
    devices: &Devices,
    stdio: Stdio,
) -> Result<Created, Failure> {
    let external = bundle.oci_runtime.is_some();
    let config = spec::oci(bundle, process, devices, external);
    folders::write_json(&bundle.run.join("config.json"), &config, false)?;
    let state = bundle.run.join("state");
    folders::remove_dir(&state)?;
    fs::create_dir_all(&state).map_err(Error::file("cannot create", &state))?;
    let console = bundle.config.tty.then(|| Console::listen(&state)).transpose()?;
    let mut created = match &bundle.oci_runtime {
        None => with_library(bundle, process, stdio, &state, console.as_ref())?,
        Some(path) => {
            let log = bundle.run.join("runtime.log");
            let id = bundle.config.id.clone();
            let program = Program { path: path.clone(), state, id, log };
            program.create(bundle, stdio, console.as_ref())?
        }
    };
    if let Some(console) = console {
        created.terminal = Some(console.receive()?);
    }
    Ok(created)
}

impl Created {
    /// Lets the program run, and waits until it does or it is known why not.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        match &mut self.starter {
            Starter::Library { container, report } => {
                container.start().map_err(|e| Failure::new(format!("cannot start it: {}", chain(&e))))?;
                let report =
                    report.as_fd().try_clone_to_owned().map_err(Error::system("cannot copy a pipe"))?;
                read_report(report).map_or(Ok(()), Err)
            }
            Starter::Program(program) => program.run(&["start", &program.id]).map(drop),
        }
    }
}

/// Our last step of confinement, in libcontainer's place for one.
#[derive(Clone)]
struct LastStep {
    process: Rc<Process>,
    report: Rc<OwnedFd>,
}

impl Executor for LastStep {
    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        let failure = become_program(&self.process);
        let text = serde_json::to_vec(&failure).unwrap_or_default();
        // The pipe closes by itself when a program is executed; so what is in it is always a failure.
        let _ = rustix::io::write(&self.report, &text);
        Err(ExecutorError::Other(failure.reason))
    }

    /// Whether the command exists is decided as the container's user, in the last step.
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        Ok(())
    }

    /// The environment is given to execve(2) directly.
    fn setup_envs(&self, _: std::collections::HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}

fn with_library(
    bundle: &Bundle,
    process: &Process,
    stdio: Stdio,
    state: &Path,
    console: Option<&Console>,
) -> Result<Created, Failure> {
    let (report, write) = io::pipe().map_err(Error::system("cannot make a pipe"))?;
    let last = LastStep { process: Rc::new(process.clone()), report: Rc::new(write.into()) };
    let failed = |error: libcontainer::error::LibcontainerError| Failure::new(chain(&error));
    let mut builder = ContainerBuilder::new(bundle.config.id.clone(), SyscallType::default())
        .with_root_path(state)
        .map_err(failed)?
        .with_executor(last)
        .with_console_socket(console.map(|console| console.path.clone()));
    if console.is_none() {
        // Not descriptors 0 to 2 here: libcontainer closes what it has duplicated.
        builder = builder.with_stdin(stdio.stdin).with_stdout(stdio.stdout).with_stderr(stdio.stderr);
    }
    let container = builder.as_init(&bundle.run).with_systemd(false).build().map_err(failed)?;
    let pid = container.pid().and_then(|pid| u32::try_from(pid.as_raw()).ok());
    let pid = pid.ok_or_else(|| Failure::new("libcontainer named no first process"))?;
    let starter = Starter::Library { container: Box::new(container), report: report.into() };
    Ok(Created { pid, terminal: None, starter })
}

impl Program {
    fn create(self, bundle: &Bundle, stdio: Stdio, console: Option<&Console>) -> Result<Created, Failure> {
        let pid_file = self.state.join("pid");
        let folder = bundle.run.display().to_string();
        let pid_path = pid_file.display().to_string();
        let mut args = vec!["create", "--bundle", &folder, "--pid-file", &pid_path];
        let socket = console.map(|console| console.path.display().to_string());
        if let Some(socket) = &socket {
            args.extend(["--console-socket", socket]);
        }
        args.push(&self.id);
        let mut command = self.command(&args);
        command.stdin(stdio.stdin).stdout(stdio.stdout).stderr(stdio.stderr);
        self.finish(command)?;
        let text = fs::read_to_string(&pid_file).map_err(Error::file("cannot read", &pid_file))?;
        let pid = text.trim().parse().map_err(|_| Failure::new("the OCI runtime wrote no process id"))?;
        Ok(Created { pid, terminal: None, starter: Starter::Program(self) })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--root").arg(&self.state).arg("--log").arg(&self.log).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Result<(), Failure> {
        self.finish(self.command(args))
    }

    /// Waits for the runtime, whose words are in its log file: its standard error is the container's.
    fn finish(&self, mut command: Command) -> Result<(), Failure> {
        let status = command.status().map_err(Error::file("cannot run", &self.path))?;
        if status.success() {
            return Ok(());
        }
        let words = fs::read_to_string(&self.log).unwrap_or_default();
        let last = words.lines().last().unwrap_or("it gave no reason").to_owned();
        let missing = ["not found", "no such file", "No such file"].iter().any(|text| last.contains(text));
        let forbidden = last.contains("ermission denied");
        let code = if missing { Some(127) } else { forbidden.then_some(126) };
        Err(Failure { code, reason: format!("{}: {last}", self.path.display()) })
    }
}

/// The socket over which a runtime sends the terminal it has made inside the container.
struct Console {
    listener: UnixListener,
    path: PathBuf,
}

impl Console {
    fn listen(state: &Path) -> Result<Console, Failure> {
        // Short whatever the folder is: socket paths end at 108 bytes.
        let folder = File::open(state).map_err(Error::file("cannot open", state))?;
        let short = crate::control::beside(&folder, "console.sock");
        let listener = UnixListener::bind(short).map_err(Error::file("cannot listen in", state))?;
        Ok(Console { listener, path: state.join("console.sock") })
    }

    fn receive(self) -> Result<OwnedFd, Failure> {
        let (stream, _) = self.listener.accept().map_err(Error::system("no terminal came"))?;
        let (_, mut fds) = crate::control::receive(&stream).map_err(Error::system("no terminal came"))?;
        fds.pop().ok_or_else(|| Failure::new("the runtime sent no terminal"))
    }
}
