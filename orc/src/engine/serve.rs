//! The engine itself, and the composition root: the only place that puts a manager and an agent together.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::AgentConfig;
use api::clients::Clients;
use cluster::NodeId;
use manager::ManagerConfig;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::dirs::Dirs;
use super::lock::{Lock, holder, private_dir};
use super::namesake::Name;
use super::{identity, log, privileges};
use crate::failure::{Doing, Failure, Outcome};
use crate::project;

/// Threads that share the engine's work. Two keep one slow disk from stopping everything; more would only
/// cost memory.
const WORKERS: usize = 2;
/// How long open requests may take once the engine was asked to end: most of them only wait for news.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Runs the engine until it is asked to end or has had nothing to look after for long. `ready` is called
/// once it answers.
///
/// `idle` is how long it stays with nothing to look after; `None` means for ever.
pub(crate) fn run(dirs: &Dirs, idle: Option<Duration>, ready: impl FnOnce()) -> Outcome {
    privileges::check()?;
    private_dir(&dirs.data)?;
    private_dir(&dirs.run)?;
    let _lock = only_engine(dirs)?;
    log::begin();
    privileges::raise_open_files();
    privileges::be_spared();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.doing(|| "cannot start the engine's threads".to_owned())?;
    let result = runtime.block_on(serve(dirs, idle, ready));
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

async fn serve(dirs: &Dirs, idle_limit: Option<Duration>, ready: impl FnOnce()) -> Outcome {
    let failed = || "the manager failed".to_owned();
    let mut terminate = signal(SignalKind::terminate()).doing(|| "cannot listen for SIGTERM".to_owned())?;
    let mut interrupt = signal(SignalKind::interrupt()).doing(|| "cannot listen for Ctrl-C".to_owned())?;
    let engine_id = identity::engine_id(&dirs.data)?;
    let _name = Name::take(&engine_id, &dirs.data)?;
    refuse_lost_state(dirs)?;
    // The id has eight hexadecimal digits; a node is never 0.
    let node = NodeId(u64::from_str_radix(&engine_id, 16).unwrap_or_default().max(1));
    let config = ManagerConfig {
        data_dir: dirs.manager(),
        engine_id: engine_id.clone(),
        node,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        build_id: identity::build_id(),
    };
    let manager = manager::start(config).await.doing(|| "cannot start the manager".to_owned())?;
    // The agent speaks with the manager as it would with one on another machine.
    let (channel, inside) = api::inside::pair();
    let dispatch = tokio::spawn(inside.serve(api::Router::new().with(manager.dispatch_service())));
    // Clients that come early wait in the kernel's queue until this engine answers.
    let socket = dirs.socket();
    let listener = listen(&socket)?;
    let agent = agent::start(agent_config(dirs, engine_id.clone(), node)?, channel).await;
    let agent = agent.doing(|| "cannot start the agent".to_owned())?;
    // Whoever asks shall hear what is, not what was when an earlier engine ended.
    tokio::select! {
        () = agent.known() => {}
        ended = manager.ended() => return ended.doing(failed),
    }
    let router =
        api::Router::new().with(manager.control_service()).with(api::node_server(agent.node_service()));
    let clients = Clients::default();
    let (stop, stopped) = watch::channel(false);
    let mut asked = stopped.clone();
    let serving = tokio::spawn(api::unix::serve(listener, router, clients.clone(), async move {
        // An engine that has ended sends nothing any more, which is as good.
        let _ = asked.wait_for(|stop| *stop).await;
    }));
    ready();
    tracing::info!("engine {engine_id} answers on {}", dirs.socket().display());
    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = idle_for_long(manager.idle(), clients.count(), idle_limit) => Ok(()),
        ended = manager.ended() => ended.doing(failed),
    };
    tracing::info!("engine {engine_id} ends; containers go on");
    let _ = stop.send(true);
    // In this order every stream that only waits for news has ended before the last answers are waited for.
    agent.shutdown().await;
    manager.shutdown().await;
    dispatch.abort();
    let _ = tokio::time::timeout(LAST_ANSWERS, serving).await;
    // The lock is still held: the socket is this engine's own. The next one replaces it if it stays.
    let _ = fs::remove_file(&socket);
    result
}

/// Containers without the state that wished for them would be removed as nobody's: somebody has deleted too much.
fn refuse_lost_state(dirs: &Dirs) -> Outcome {
    let containers = dirs.data.join("containers");
    let any = fs::read_dir(&containers).is_ok_and(|mut entries| entries.next().is_some());
    if !any || dirs.manager().exists() {
        return Ok(());
    }
    let message =
        format!("`{}` is gone, and containers of this engine are still there", dirs.manager().display());
    Err(Failure::new(message).hint(format!(
        "restore it from a backup; or remove `{}` to begin anew, which ends these containers",
        containers.display()
    )))
}

fn agent_config(dirs: &Dirs, engine_id: String, node: NodeId) -> Outcome<AgentConfig> {
    Ok(AgentConfig {
        data_dir: dirs.data.clone(),
        run_dir: dirs.run.clone(),
        engine_id,
        node,
        labels: node_labels(&project::variable("ORC_NODE_LABELS").unwrap_or_default())?,
        oci_runtime: project::variable("ORC_RUNTIME").map(PathBuf::from),
        docker_config: project::docker_config(),
        docker_certs: Some(PathBuf::from("/etc/docker/certs.d")),
        docker_daemon: Some(PathBuf::from("/etc/docker/daemon.json")),
        program: None,
    })
}

/// `disk=ssd,zone=a`: what `deploy.placement` can ask for as `node.labels.disk==ssd`.
fn node_labels(text: &str) -> Outcome<BTreeMap<String, String>> {
    let label = |part: &str| match part.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(Failure::new(format!("`ORC_NODE_LABELS`: `{part}` is not NAME=VALUE"))),
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(label).collect()
}

/// Done once there has been nothing to look after, and nobody connected, for so long; never without a limit.
async fn idle_for_long(
    mut idle: manager::Idle,
    mut clients: watch::Receiver<usize>,
    limit: Option<Duration>,
) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        idle.becomes(true).await;
        // The counter lives as long as the server; an error here and below is as good as a client.
        let _ = clients.wait_for(|count| *count == 0).await;
        if !idle.is() {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(limit) => return,
            () = idle.becomes(false) => {}
            _ = clients.wait_for(|count| *count > 0) => {}
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
