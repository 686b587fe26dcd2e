//! A machine of one scenario: network, mount and process namespaces of its own, with its own data folder.
//!
//! The first process in it reads a pipe that this process holds: when the test ends, however it ends, the
//! pipe closes, that process ends, and the kernel takes everything in the namespaces with it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Outcome, Response, eventually, eventually_some, http, images, leftovers, link};

/// The machine's own address on the cable to the outside.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OUTSIDE_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// A machine with nothing on it, and a folder to work in.
pub(crate) struct Machine {
    name: String,
    holder: Holder,
    network: File,
    folder: tempfile::TempDir,
}

/// Another machine, joined to the first by a cable.
pub(crate) struct Outside {
    _holder: Holder,
    network: File,
}

/// The first process of a machine's namespaces.
struct Holder {
    unshare: Child,
    pid: u32,
}

impl Machine {
    /// A machine for the scenario of this name.
    pub(crate) fn new(name: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "end-to-end scenarios make real containers: run them as root"
        );
        leftovers::sweep();
        let folder = tempfile::Builder::new()
            .prefix(&leftovers::folder_prefix(std::process::id()))
            .tempdir()
            .expect("a folder in the temporary folder");
        let (holder, network) = boot();
        let machine = Self { name: name.to_owned(), holder, network, folder };
        fs::create_dir(machine.work()).expect("a folder for the stack");
        machine.shell("mount -t tmpfs none /run").ok();
        machine
    }

    /// A machine that pulls images of real programs from a registry on its loopback; `None` where they cannot be made.
    pub(crate) fn with_images(name: &str) -> Option<Self> {
        let folder = images::folder()?;
        let machine = Self::new(name);
        images::serve(machine.listen("127.0.0.1:5000"), folder);
        let mirror = r#"{"registry-mirrors": ["http://127.0.0.1:5000"]}"#;
        machine.own_etc(&format!("mkdir -p etc/docker && echo '{mirror}' > etc/docker/daemon.json"));
        Some(machine)
    }

    /// One with a stack of `examples/stacks` as people copy it.
    pub(crate) fn with_example(name: &str) -> Option<Self> {
        let machine = Self::with_images(name)?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/stacks").join(name);
        machine.shell(&format!("cp -a '{}/.' .", folder.display())).ok();
        Some(machine)
    }

    /// Ends everything on the machine at once, as a power cut does, and starts it anew: only what is on the disk
    /// is still there.
    pub(crate) fn reboot(&mut self) {
        self.holder.end();
        let engine = fs::read_to_string(self.data().join("engine.id")).unwrap_or_default();
        leftovers::remove_cgroups(engine.trim());
        // Here it lies in the data folder; usually it is a tmpfs.
        let _ = fs::remove_dir_all(self.data().join("run"));
        (self.holder, self.network) = boot();
        self.shell("mount -t tmpfs none /run").ok();
    }

    /// A file in the folder in which commands run.
    pub(crate) fn file(&self, name: &str, content: &str) -> &Self {
        let path = self.path("work").join(name);
        fs::create_dir_all(path.parent().expect("it has a parent")).expect("folders can be made");
        fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self
    }

    /// The Compose file.
    pub(crate) fn compose(&self, content: &str) -> &Self {
        self.file("compose.yaml", content)
    }

    /// Runs `orc` with these arguments to its end.
    pub(crate) fn orc(&self, args: &[&str]) -> Outcome {
        let output = self.orc_command(args).output().expect("nsenter is there");
        Outcome::new(format!("orc {}", args.join(" ")), &output)
    }

    /// Runs another program with these arguments to its end.
    pub(crate) fn program(&self, program: &Path, args: &[&str]) -> Outcome {
        let output = self.command(program).args(args).output().expect("nsenter is there");
        Outcome::new(format!("{} {}", program.display(), args.join(" ")), &output)
    }

    /// `orc` with these arguments, not yet started.
    pub(crate) fn orc_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_orc")));
        command.args(args);
        command
    }

    /// A shell command on the machine.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        let output = self.command(Path::new("sh")).args(["-c", script]).output().expect("nsenter is there");
        Outcome::new(script.to_owned(), &output)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        // Entering a mount namespace leads to its root, so that the folder is gone to from inside.
        command
            .args(["--target", &self.holder.pid.to_string(), "--net", "--mount", "--pid", "--"])
            .args(["sh", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(self.work())
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.folder.path())
            .env("ORC_DATA_DIR", self.data())
            .stdin(Stdio::null());
        command
    }

    /// What a request from the machine itself is answered. The body is that of a 200.
    pub(crate) fn get(&self, address: &str, path: &str) -> std::io::Result<Response> {
        let address = socket_address(address);
        link::inside(&self.network, || http::get(address, path))
    }

    /// What a form is answered that is sent from the machine itself.
    pub(crate) fn post(&self, address: &str, form: &str) -> std::io::Result<Response> {
        let address = socket_address(address);
        link::inside(&self.network, || http::post(address, "/", form))
    }

    /// The container of a service, as `orc ps -a` knows it; the first if there are several.
    pub(crate) fn container(&self, service: &str) -> serde_json::Value {
        let containers = self.ps();
        containers.into_iter().find(|container| container["Service"] == service).expect("its container")
    }

    /// Waits until an address of the machine answers with 200.
    pub(crate) fn answers(&self, address: &str) {
        eventually(&format!("{address} answers"), || {
            self.get(address, "/").is_ok_and(|response| response.status == 200)
        });
    }

    /// Gives the machine an `/etc` of its own, changed by a script that finds it as `etc` in the work folder.
    pub(crate) fn own_etc(&self, script: &str) {
        self.shell(&format!("cp -a /etc etc && rm -rf etc/systemd && {script} && mount --bind etc /etc"))
            .ok();
    }

    /// A socket of somebody else who listens on the machine.
    pub(crate) fn listen(&self, address: &str) -> TcpListener {
        let address = socket_address(address);
        link::inside(&self.network, || TcpListener::bind(address)).expect("nobody else listens there")
    }

    /// A datagram socket of somebody else on the machine.
    pub(crate) fn datagrams(&self, address: &str) -> UdpSocket {
        let address = socket_address(address);
        link::inside(&self.network, || UdpSocket::bind(address)).expect("the address is free")
    }

    /// Runs `work` on a thread in the network namespace of one of the machine's processes.
    pub(crate) fn inside<T: Send>(&self, pid: u64, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/proc/{}/root/proc/{pid}/ns/net", self.holder.pid);
        link::inside(&File::open(path).expect("the process lives"), work)
    }

    /// Does what `nft flush ruleset` does.
    pub(crate) fn flush_packet_filter(&self) {
        link::inside(&self.network, link::flush_packet_filter);
    }

    /// Takes every bridge on the machine down.
    pub(crate) fn lower_bridges(&self) {
        link::lower_bridges(&self.network);
    }

    /// Deletes every bridge on the machine.
    pub(crate) fn delete_bridges(&self) {
        link::delete_bridges(&self.network);
    }

    /// Kills a process of the machine, by its number there.
    pub(crate) fn kill(&self, pid: u64, signal: &str) {
        self.shell(&format!("kill -{signal} {pid}")).ok();
    }

    /// The containers of the stack in the work folder, as `orc ps -a` knows them.
    pub(crate) fn ps(&self) -> Vec<serde_json::Value> {
        let outcome = self.orc(&["ps", "-a", "--format", "json"]);
        outcome.ok();
        outcome.json()
    }

    /// The process numbers of the machine whose command line contains the text.
    pub(crate) fn pids_of(&self, text: &str) -> Vec<u64> {
        leftovers::processes(self.holder.pid)
            .into_iter()
            .filter(|process| process.command.contains(text))
            .map(|process| process.pid)
            .collect()
    }

    /// The engine's process number, when there is an engine.
    pub(crate) fn engine(&self) -> Option<u64> {
        self.pids_of("engine run").first().copied()
    }

    /// Kills the engine. A dying process closes its sockets last: until then it seems to listen.
    pub(crate) fn kill_engine(&self) {
        let engine = self.engine().expect("an engine runs");
        self.kill(engine, "KILL");
        eventually("the engine is gone", || self.shell(&format!("test -e /proc/{engine}")).code != 0);
    }

    /// Another machine, joined to this one by a cable: what the world outside sees.
    pub(crate) fn outside(&self) -> Outside {
        self.outside_at(ADDRESS, OUTSIDE_ADDRESS)
    }

    /// The same with other addresses of a /24, this machine's first.
    pub(crate) fn outside_at(&self, near: Ipv4Addr, far: Ipv4Addr) -> Outside {
        let (holder, network) = boot();
        link::cable(&self.network, near, &network, far);
        Outside { _holder: holder, network }
    }

    /// Where commands run.
    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// The engine's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes the stack down, ends the engine, and looks for anything that is left.
    pub(crate) fn leaves_nothing(self) {
        self.orc(&["down", "-v", "-t", "1"]).ok();
        // Volumes that only an earlier form of the file declared are not the present one's to delete.
        let config = self.orc(&["config", "--no-interpolate", "--format", "json"]);
        let config: serde_json::Value = serde_json::from_str(config.ok()).expect("it is JSON");
        self.orc(&["-p", config["name"].as_str().expect("a stack has a name"), "down", "-v"]).ok();
        self.orc(&["engine", "stop"]).ok();
        self.shows_nothing_left();
    }

    /// Nothing an engine made is there any more: no process, mount, interface, table, cgroup, file.
    pub(crate) fn shows_nothing_left(&self) {
        let engine = fs::read_to_string(self.data().join("engine.id")).unwrap_or_default();
        let look = || leftovers::find(self.holder.pid, &self.network, &self.data(), engine.trim());
        let start = std::time::Instant::now();
        loop {
            let left = look();
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed().as_secs() < 10, "left behind: {left:#?}");
            std::thread::yield_now();
        }
    }
}

impl Outside {
    /// Answers one request at the address, whoever asks.
    pub(crate) fn serve(&self, address: &str) {
        let address = socket_address(address);
        let listener = link::inside(&self.network, || std::net::TcpListener::bind(address));
        let listener = listener.expect("a free port outside");
        std::thread::spawn(move || {
            listener.accept().and_then(|(stream, _)| http::answer(stream, "from outside"))
        });
    }

    /// The address from which the next connection to this one comes. It is closed without an answer.
    pub(crate) fn peer_of_one(&self, address: &str) -> std::thread::JoinHandle<std::net::IpAddr> {
        let address = socket_address(address);
        let listener =
            link::inside(&self.network, || TcpListener::bind(address)).expect("a free port outside");
        std::thread::spawn(move || listener.accept().expect("a connection").1.ip())
    }

    /// What a request from the outside is answered.
    pub(crate) fn get(&self, address: &str, path: &str) -> std::io::Result<Response> {
        let address = socket_address(address);
        link::inside(&self.network, || http::get(address, path))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_artifacts();
        }
        let engine = fs::read_to_string(self.data().join("engine.id")).unwrap_or_default();
        self.holder.end();
        leftovers::remove_cgroups(engine.trim());
    }
}

impl Machine {
    /// What helps to understand a failure, kept beside the other build products.
    fn keep_artifacts(&self) {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join(&self.name);
        let _ = fs::remove_dir_all(&target);
        if fs::create_dir_all(&target).is_err() {
            return;
        }
        let report = format!("{}\n{}", self.orc(&["ps", "-a"]), self.orc(&["logs", "--tail", "100"]));
        let _ = fs::write(target.join("stack.txt"), report);
        let _ = fs::copy(self.data().join("engine.log"), target.join("engine.log"));
        let _ = fs::copy(self.work().join("compose.yaml"), target.join("compose.yaml"));
    }
}

impl Holder {
    /// `cat` on a pipe as the child of a shell that is process 1 there and reaps what others leave.
    fn start(namespaces: &[&str]) -> Self {
        let unshare = Command::new("unshare")
            .args(namespaces)
            .args(["--fork", "--kill-child", "--propagation", "private", "--", "sh", "-c", "cat; exit 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare (util-linux) is there");
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let pid = eventually_some("unshare starts the first process", || {
            let shell: u32 = fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()?;
            // The shell has been executed once its command line is its own; only then /proc is mounted.
            let command = fs::read(format!("/proc/{shell}/cmdline")).ok()?;
            command.starts_with(b"sh\0").then_some(shell)
        });
        Self { unshare, pid }
    }

    /// Closes the pipe and waits until the namespaces are empty.
    fn end(&mut self) {
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
    }
}

/// A machine that has just started: its first process, and its network with nothing but loopback.
fn boot() -> (Holder, File) {
    let holder = Holder::start(&["--net", "--mount", "--pid", "--mount-proc"]);
    let network = link::namespace(holder.pid);
    link::loopback_up(&network);
    (holder, network)
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.end();
    }
}

fn socket_address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|error| panic!("`{text}` is no address with a port: {error}"))
}
