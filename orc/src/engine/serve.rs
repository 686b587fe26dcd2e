//! The engine itself, and the composition root: the only place that puts a manager and an agent together.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use super::dirs::Dirs;
use super::lock::{Lock, holder, private_dir};
use super::{identity, privileges};
use crate::failure::{Doing, Failure, Outcome};

/// Threads that share the engine's work. Two keep one slow disk from stopping everything; more would only
/// cost memory.
const WORKERS: usize = 2;
/// How long open requests may take once the engine was asked to end: most of them only wait for news.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Runs the engine until it is asked to end or has had nothing to look after for long. `ready` is called
/// once it answers.
pub(crate) fn run(dirs: &Dirs, ready: impl FnOnce()) -> Outcome {
    privileges::check()?;
    private_dir(&dirs.data)?;
    private_dir(&dirs.run)?;
    let _lock = only_engine(dirs)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.doing(|| "cannot start the engine's threads".to_owned())?;
    let result = runtime.block_on(serve(dirs, ready));
    runtime.shutdown_timeout(LAST_ANSWERS);
    result
}

/// Two engines on one data folder would undo each other's work.
fn only_engine(dirs: &Dirs) -> Outcome<Lock> {
    let path = dirs.engine_lock();
    let Some(mut lock) = Lock::try_take(&path)? else {
        let message = format!("another engine ({}) already runs on `{}`", holder(&path), dirs.data.display());
        return Err(Failure::new(message).hint("`orc engine status` shows it, `orc engine stop` ends it"));
    };
    let pid = rustix::process::getpid().as_raw_nonzero();
    lock.sign(&format!("pid {pid}")).doing(|| format!("cannot write `{}`", path.display()))?;
    Ok(lock)
}

async fn serve(dirs: &Dirs, ready: impl FnOnce()) -> Outcome {
    let engine_id = identity::engine_id(&dirs.data)?;
    let mut terminate = signal(SignalKind::terminate()).doing(|| "cannot listen for SIGTERM".to_owned())?;
    let mut interrupt = signal(SignalKind::interrupt()).doing(|| "cannot listen for Ctrl-C".to_owned())?;
    let _ = engine_id;
    let router = api::Router::new();
    let socket = dirs.socket();
    let listener = listen(&socket)?;
    ready();
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = api::unix::serve(listener, router, ended).await;
    served.doing(|| "the engine cannot answer any more".to_owned())
}

/// Listens where clients look. What is left of a dead engine's socket is replaced: the lock says it is dead.
fn listen(socket: &Path) -> Outcome<UnixListener> {
    let failed = || format!("cannot listen on `{}`", socket.display());
    match fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::new(failed()).because(&error));
        }
        _ => {}
    }
    // The folder is this user's alone, so that nobody gets in between the two steps.
    let listener = UnixListener::bind(socket).doing(failed)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600)).doing(failed)?;
    Ok(listener)
}
