//! The engine itself, and the composition root: the only place that puts a manager and an agent together.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::AgentConfig;
use cluster::NodeId;
use manager::ManagerConfig;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::dirs::Dirs;
use super::lock::{Lock, holder, private_dir};
use super::{identity, log, privileges};
use crate::failure::{Doing, Failure, Outcome};
use crate::{limits, project};

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
    log::begin();
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
    let mut terminate = signal(SignalKind::terminate()).doing(|| "cannot listen for SIGTERM".to_owned())?;
    let mut interrupt = signal(SignalKind::interrupt()).doing(|| "cannot listen for Ctrl-C".to_owned())?;
    let engine_id = identity::engine_id(&dirs.data)?;
    // The id has eight hexadecimal digits; a node is never 0.
    let node = NodeId(u64::from_str_radix(&engine_id, 16).unwrap_or_default().max(1));
    let config = ManagerConfig {
        data_dir: dirs.data.join("manager"),
        engine_id: engine_id.clone(),
        node,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        build_id: identity::build_id(),
    };
    let manager = manager::start(config).await.doing(|| "cannot start the manager".to_owned())?;
    // The agent speaks with the manager as it would with one on another machine. The kernel keeps its
    // connection, and those of clients that come early, until the services behind it are there.
    let socket = dirs.socket();
    let listener = listen(&socket)?;
    let channel =
        api::unix::connect(&socket).await.doing(|| "cannot reach the engine's own socket".to_owned())?;
    let agent = agent::start(agent_config(dirs, engine_id.clone(), node), channel).await;
    let agent = agent.doing(|| "cannot start the agent".to_owned())?;
    let router = api::Router::new()
        .with(manager.control_service())
        .with(manager.dispatch_service())
        .with(api::node_server(agent.node_service()));
    ready();
    tracing::info!("engine {engine_id} answers on {}", dirs.socket().display());

    let (stop, stopped) = watch::channel(false);
    let mut asked = stopped.clone();
    let serving = tokio::spawn(api::unix::serve(listener, router, async move {
        // An engine that has ended sends nothing any more, which is as good.
        let _ = asked.wait_for(|stop| *stop).await;
    }));
    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = idle_for_long(manager.idle()) => Ok(()),
        ended = manager.ended() => ended.doing(|| "the manager failed".to_owned()),
    };
    tracing::info!("engine {engine_id} ends; containers go on");
    let _ = stop.send(true);
    // In this order every stream that only waits for news has ended before the last answers are waited for.
    agent.shutdown().await;
    manager.shutdown().await;
    let _ = tokio::time::timeout(LAST_ANSWERS, serving).await;
    // The lock is still held: the socket is this engine's own. The next one replaces it if it stays.
    let _ = fs::remove_file(&socket);
    result
}

fn agent_config(dirs: &Dirs, engine_id: String, node: NodeId) -> AgentConfig {
    AgentConfig {
        data_dir: dirs.data.clone(),
        run_dir: dirs.run.clone(),
        engine_id,
        node,
        oci_runtime: project::variable("ORC_RUNTIME").map(PathBuf::from),
        docker_config: project::docker_config(),
        program: None,
    }
}

/// Done once there has been nothing to look after for long.
async fn idle_for_long(mut idle: manager::Idle) {
    loop {
        idle.becomes(true).await;
        tokio::select! {
            () = tokio::time::sleep(limits::ENGINE_IDLE) => return,
            () = idle.becomes(false) => {}
        }
    }
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
