//! What goes through a container's control socket: signals, commands, terminals, attaching.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use tokio::net::UnixStream;

use super::{Runtime, blocking, create};
use crate::config::{ExecConfig, TtySize};
use crate::control;
use crate::error::{Error, Result};
use crate::protocol::{self, Reply, Request};
use crate::session::{Attached, Control, ExecSession, FdStream, set_size};
use crate::status::FoundState;

impl Runtime {
    /// Sends a signal to the container's first process.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if there is none.
    pub async fn signal(&self, id: &str, signal: i32) -> Result<()> {
        self.request(id, &Request::Signal { signal }, &[]).await?.done().await
    }

    /// Changes the size of the container's terminal.
    pub async fn resize(&self, id: &str, size: TtySize) -> Result<()> {
        self.request(id, &Request::Resize(size), &[]).await?.done().await
    }

    /// Starts another process in a running container: in its namespaces, cgroup and confinement.
    ///
    /// # Errors
    /// [`Error::Command`] if there is no such command, [`Error::NotRunning`].
    pub async fn exec(&self, id: &str, config: ExecConfig) -> Result<ExecSession> {
        let init = self.running(id)?.pid;
        let failed = |error: io::Error| Error::system("cannot make the streams of a command")(error);
        let streams = match config.tty {
            _ if config.detached => Streams::nowhere(),
            Some(size) => Streams::terminal(init, size),
            None => Streams::pipes(config.stdin),
        };
        let Streams { process, stdin, stdout, stderr, terminal } = streams.map_err(failed)?;
        let fds = [process[0].as_fd(), process[1].as_fd(), process[2].as_fd()];
        let mut control = self.request(id, &Request::Exec(config), &fds).await?;
        // The process must be the only one to hold its ends, or their end would never be seen.
        drop(process);
        let pid = match control.reply().await? {
            Reply::Started { pid } => pid,
            other => return Err(control.surprise(&other)),
        };
        Ok(ExecSession {
            stdin: stdin.map(FdStream::new).transpose().map_err(failed)?,
            stdout: FdStream::new(stdout).map_err(failed)?,
            stderr: stderr.map(FdStream::new).transpose().map_err(failed)?,
            pid,
            terminal,
            control,
        })
    }

    /// Connects to the streams of the container's first process; `size` is that of its terminal from now on.
    ///
    /// # Errors
    /// [`Error::NotRunning`]; or with `stdin` when the container does not keep its input open.
    pub async fn attach(&self, id: &str, stdin: bool, size: Option<TtySize>) -> Result<Attached> {
        let ends = AttachEnds::new(stdin)?;
        let request = Request::Attach { stdin, whole: false, size };
        let mut control = self.request(id, &request, &ends.fds()).await?;
        control.done().await?;
        ends.attached(control)
    }

    /// Connects to the streams of a container that was never started, before its program runs: nothing that it
    /// says is missed, and it waits for a reader that is slow. Who attaches later takes the place of who did
    /// before. Output ends when the container does, or cannot be started.
    ///
    /// # Errors
    /// [`Error::AlreadyRunning`] if it was started.
    pub fn attach_to_next(&self, id: &str, stdin: bool, size: Option<TtySize>) -> Result<Attached> {
        let entry = self.inner.known(id)?;
        if *entry.state.borrow() != FoundState::Created {
            return Err(Error::AlreadyRunning { id: id.to_owned() });
        }
        let failed = |error: io::Error| Error::system("cannot make the streams to attach to")(error);
        let ends = AttachEnds::new(stdin)?;
        let (ours, shims) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        let bytes = protocol::encode(&Request::Attach { stdin, whole: true, size }).map_err(failed)?;
        control::send(&ours, &bytes, &ends.fds()).map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let stream = UnixStream::from_std(ours).map_err(failed)?;
        let attached = ends.attached(Control { id: id.to_owned(), stream, pending: Vec::new() })?;
        drop(entry.swap_given(Some(shims)));
        Ok(attached)
    }

    /// Changes the content of an injected file, also while the container runs.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the container has no injected file at `target`.
    pub async fn update_file(&self, id: &str, target: &str, content: Vec<u8>) -> Result<()> {
        let folders = self.inner.folders(id);
        self.inner.known(id)?;
        let (id, target) = (id.to_owned(), target.to_owned());
        blocking(move || {
            create::check_content(&id, &target, &content)?;
            let stored = create::stored(&folders)?.ok_or_else(|| Error::NotFound { id: id.clone() })?;
            let index = stored.config.files.iter().position(|file| file.target == target);
            let reason = format!("it has no injected file at `{target}`");
            let index = index.ok_or(Error::Invalid { id, reason })?;
            create::rewrite(&folders, index, &content)
        })
        .await
    }

    async fn request(&self, id: &str, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<Control> {
        self.running(id)?;
        let failed = |error: io::Error| match error.kind() {
            // Its shim has just ended.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Error::NotRunning { id: id.to_owned() }
            }
            _ => {
                Error::Protocol { id: id.to_owned(), reason: format!("its shim cannot be reached: {error}") }
            }
        };
        // Neither connecting nor sending little waits on a unix socket, unless a shim is stuck.
        let stream = control::connect(&self.inner.folders(id).control()).map_err(failed)?;
        let bytes = protocol::encode(request).map_err(failed)?;
        control::send(&stream, &bytes, fds).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let stream = UnixStream::from_std(stream).map_err(failed)?;
        Ok(Control { id: id.to_owned(), stream, pending: Vec::new() })
    }
}

/// Both ends of the streams of somebody who attaches.
struct AttachEnds {
    stdout: io::PipeReader,
    out: io::PipeWriter,
    stderr: io::PipeReader,
    err: io::PipeWriter,
    input: Option<(io::PipeReader, io::PipeWriter)>,
}

impl AttachEnds {
    fn new(stdin: bool) -> Result<AttachEnds> {
        let make = || -> io::Result<AttachEnds> {
            let ((stdout, out), (stderr, err)) = (io::pipe()?, io::pipe()?);
            Ok(AttachEnds { stdout, out, stderr, err, input: stdin.then(io::pipe).transpose()? })
        };
        make().map_err(Error::system("cannot make the streams to attach to"))
    }

    /// The container's ends, in the order of the request.
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let mut fds = vec![self.out.as_fd(), self.err.as_fd()];
        fds.extend(self.input.as_ref().map(|(from, _)| from.as_fd()));
        fds
    }

    fn attached(self, control: Control) -> Result<Attached> {
        let stream = |fd: OwnedFd| FdStream::new(fd).map_err(Error::system("cannot watch a pipe"));
        Ok(Attached {
            stdin: self.input.map(|(_, to)| stream(to.into())).transpose()?,
            stdout: stream(self.stdout.into())?,
            stderr: stream(self.stderr.into())?,
            _control: control,
        })
    }
}

/// Both ends of the streams of a command.
struct Streams {
    /// The command's input, output and errors.
    process: [OwnedFd; 3],
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
}

impl Streams {
    fn pipes(stdin: bool) -> io::Result<Streams> {
        let (input, to) = if stdin {
            let (from, to) = io::pipe()?;
            (from.into(), Some(to.into()))
        } else {
            (std::fs::File::open("/dev/null")?.into(), None)
        };
        let (stdout, out) = io::pipe()?;
        let (stderr, err) = io::pipe()?;
        Ok(Streams {
            process: [input, out.into(), err.into()],
            stdin: to,
            stdout: stdout.into(),
            stderr: Some(stderr.into()),
            terminal: None,
        })
    }

    /// Empty input, and output that goes nowhere.
    fn nowhere() -> io::Result<Streams> {
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        let (silence, _) = io::pipe()?;
        Ok(Streams {
            process: [null.try_clone()?.into(), null.try_clone()?.into(), null.into()],
            stdin: None,
            stdout: silence.into(),
            stderr: None,
            terminal: None,
        })
    }

    /// A terminal of the container's own, so that `/dev/pts/N` exists there for programs that ask for its name.
    fn terminal(init: u32, size: TtySize) -> io::Result<Streams> {
        let master = terminal_in(init)?;
        rustix::pty::unlockpt(&master)?;
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags | rustix::pty::OpenptFlags::CLOEXEC)?;
        set_size(&master, size)?;
        Ok(Streams {
            process: [slave.try_clone()?, slave.try_clone()?, slave],
            stdin: Some(master.try_clone()?),
            stdout: master.try_clone()?,
            stderr: None,
            terminal: Some(master),
        })
    }
}

/// Opens `/dev/pts/ptmx` inside the container. A container may have put anything there, so the path is not
/// left, and what is found must be that device.
fn terminal_in(init: u32) -> io::Result<OwnedFd> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{init}/root"), folder, Mode::empty())?;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found =
        rustix::fs::openat2(&root, "dev/pts/ptmx", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside)?;
    let stat = rustix::fs::fstat(&found)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || stat.st_rdev != rustix::fs::makedev(5, 2) {
        return Err(io::Error::other("the container's /dev/pts/ptmx is not a terminal device"));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
