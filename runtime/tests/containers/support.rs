//! An engine of a test's own, and the few things all tests do with containers.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use runtime::image::{Credentials, PullPolicy};
use runtime::{ContainerConfig, ExecConfig, Exit, LogQuery, Runtime, RuntimeConfig};
use tokio::io::AsyncReadExt;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Folders and an engine id that no other test has. When it is dropped, nothing of it may be left.
pub(crate) struct Machine {
    pub(crate) config: RuntimeConfig,
    folder: tempfile::TempDir,
}

impl Machine {
    /// `None`, with a word about it, where containers cannot be run.
    #[allow(clippy::print_stderr)] // A test has no other way to say that it did not look.
    pub(crate) fn new() -> Option<Machine> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        sweep();
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let config = RuntimeConfig {
            data_dir: folder.path().join("data"),
            run_dir: folder.path().join("run"),
            engine_id: format!("test-{}-{number}", std::process::id()),
            oci_runtime: None,
            program: Some(env!("CARGO_BIN_EXE_runtime-kit").into()),
        };
        Some(Machine { config, folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn runtime(&self) -> Runtime {
        Runtime::open(self.config.clone()).await.unwrap()
    }

    /// The folders of this engine's groups that exist, in every hierarchy.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let groups = groups_of_engines().into_iter().map(|group| group.join(&self.config.engine_id));
        groups.filter(|group| group.exists()).collect()
    }

    /// Nothing of this engine is left but images: no process, cgroup or file of a container.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new());
        for folder in ["data/containers", "data/snapshots", "run/c"] {
            let left: Vec<_> = std::fs::read_dir(self.path().join(folder)).unwrap().flatten().collect();
            assert!(left.is_empty(), "{folder}: {left:?}");
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.path().to_str().unwrap()), "a mount is left");
        assert_eq!(shims(self.path()), Vec::<u32>::new(), "a shim is left");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A test that passed has seen that nothing is left; one that failed may have left anything.
        if std::thread::panicking() {
            shims(self.path()).into_iter().for_each(kill);
            self.cgroups().iter().for_each(|group| clear(group));
        }
    }
}

/// The folders that engines of this machine have their groups in, one in every hierarchy.
fn groups_of_engines() -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let cgroup = |line: &&str| line.contains(" - cgroup");
    let points = mounts.lines().filter(cgroup).filter_map(|line| line.split(' ').nth(4));
    points.map(|point| Path::new(point).join("orc")).collect()
}

/// Ends and takes away what killed runs of these tests left: groups `test-PID-N` of processes that are gone.
fn sweep() {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        for group in groups_of_engines().iter().flat_map(std::fs::read_dir).flatten().flatten() {
            let name = group.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix("test-")?.split('-').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                clear(&group.path());
            }
        }
    });
}

/// Kills all processes of a group and the groups in it, and removes them.
fn clear(group: &Path) {
    let procs = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    procs.lines().filter_map(|pid| pid.parse().ok()).for_each(kill);
    for inner in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
            clear(&inner.path());
        }
    }
    // The killed need a moment to leave it.
    let mut attempts = 0..500;
    while std::fs::remove_dir(group).is_err() && attempts.next().is_some() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Shims whose folder is below `folder`.
pub(crate) fn shims(folder: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if line.contains("shim") && line.contains(folder.to_str().unwrap()) {
            found.push(pid);
        }
    }
    found
}

/// A container called `id` that runs a command of the test program.
pub(crate) async fn config(runtime: &Runtime, id: &str, command: &[&str]) -> ContainerConfig {
    let nobody = Credentials::default();
    let ensured = runtime.images().ensure("orc/demo", PullPolicy::Missing, &nobody, |_| {});
    let mut args = vec!["demo".to_owned()];
    args.extend(command.iter().map(|arg| (*arg).to_owned()));
    ContainerConfig {
        id: id.to_owned(),
        name: id.to_owned(),
        image: ensured.await.unwrap().id,
        args,
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        ..ContainerConfig::default()
    }
}

pub(crate) async fn start(runtime: &Runtime, config: ContainerConfig) -> u32 {
    let id = config.id.clone();
    runtime.create(config).await.unwrap();
    runtime.start(&id).await.unwrap().pid
}

/// Creates, starts, waits, removes; gives the end and the output.
pub(crate) async fn run(runtime: &Runtime, config: ContainerConfig) -> (Exit, String) {
    let id = config.id.clone();
    start(runtime, config).await;
    let exit = runtime.wait(&id).await.unwrap();
    let text = output(runtime, &id).await;
    runtime.remove(&id).await.unwrap();
    (exit, text)
}

/// Everything a container has written so far.
pub(crate) async fn output(runtime: &Runtime, id: &str) -> String {
    let mut text = String::new();
    let mut lines = runtime.logs(id, LogQuery::default());
    while let Some(line) = lines.next().await {
        text.push_str(&String::from_utf8_lossy(&line.unwrap().bytes));
        text.push('\n');
    }
    text
}

/// Waits until a container has written a line that contains `words`.
pub(crate) async fn wait_for_line(runtime: &Runtime, id: &str, words: &str) {
    let mut lines = runtime.logs(id, LogQuery { follow: true, ..LogQuery::default() });
    while let Some(line) = lines.next().await {
        if String::from_utf8_lossy(&line.unwrap().bytes).contains(words) {
            return;
        }
    }
    panic!("`{id}` never wrote `{words}`");
}

/// A command of the test program in a running container: its code and what it wrote.
pub(crate) async fn exec(
    runtime: &Runtime,
    id: &str,
    command: &[&str],
    change: impl Fn(&mut ExecConfig),
) -> (i32, String) {
    let mut args = vec!["demo".to_owned()];
    args.extend(command.iter().map(|arg| (*arg).to_owned()));
    let mut config = ExecConfig { args, ..ExecConfig::default() };
    change(&mut config);
    let mut session = runtime.exec(id, config).await.unwrap();
    let mut text = String::new();
    session.stdout.read_to_string(&mut text).await.unwrap();
    (session.wait().await.unwrap(), text)
}
