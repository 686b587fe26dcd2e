//! Puts a manager together: disk, core, loop, and the services in front of them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::SystemTime;

use cluster::NodeId;
use tokio::sync::{mpsc, watch};

use crate::blobs::Blobs;
use crate::control::ControlService;
use crate::core::{ManagerCore, Persist, StartError, Stored};
use crate::disk::{Disk, DiskError};
use crate::dispatch::DispatchService;
use crate::limits::MAX_EVENTS;
use crate::run::{Condition, Event, Loop};

/// How a manager is to be.
#[derive(Clone, Debug)]
pub struct ManagerConfig {
    /// Where it keeps the log and blobs: a folder of its own, made if it is not there.
    pub data_dir: PathBuf,
    /// Who the engine is; told to whoever asks for its version.
    pub engine_id: String,
    /// The node it runs on. Its number is also the manager's in its group, so it is not 0.
    pub node: NodeId,
    /// The program's version.
    pub program: String,
    /// What tells one build of the program from another.
    pub build_id: String,
}

/// Why a manager does not start.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// Its folder cannot be used.
    #[error("cannot make {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Its log cannot be used.
    #[error("cannot read the cluster's state")]
    Disk(#[from] DiskError),
    /// What it has stored makes no sense.
    #[error("cannot go on from the stored state")]
    Stored(#[from] StartError),
    /// It ended before it could take wishes.
    #[error("the manager ended: {0}")]
    Ended(String),
}

/// A manager that runs. Dropping it ends it.
pub struct Manager {
    config: ManagerConfig,
    started_at_ms: u64,
    blobs: Blobs,
    events: mpsc::Sender<Event>,
    condition: watch::Receiver<Condition>,
    disk: std::thread::JoinHandle<()>,
}

/// Starts a manager, and waits until it takes wishes. Must be called within a tokio runtime.
///
/// # Errors
/// Another one uses the folder, or what is stored there is damaged or cannot be written.
pub async fn start(config: ManagerConfig) -> Result<Manager, ManagerError> {
    let folder_error = |path: PathBuf| move |source| ManagerError::Folder { path, source };
    let folder = config.data_dir.clone();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(folder_error(folder.clone()))?;
    let blobs = Blobs::open(folder.join("blobs")).map_err(folder_error(folder.join("blobs")))?;

    let id = config.node.0.max(1);
    let (disk, stored) = Disk::open(&folder, || Stored::first(&[id]))?;
    let core = ManagerCore::new(id, id, &stored)?;
    drop(stored);

    let (events, received) = mpsc::channel(MAX_EVENTS);
    let (to_disk, persists) = mpsc::unbounded_channel();
    let (from_disk, written) = mpsc::unbounded_channel();
    let (condition_sender, mut condition) = watch::channel(Condition::default());
    let disk = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_all(disk, persists, &from_disk))
        .map_err(folder_error(folder))?;
    tokio::spawn(Loop::new(core, to_disk, blobs.clone(), condition_sender).run(received, written));

    let ready = condition.wait_for(|condition| condition.leads || condition.ended.is_some()).await;
    let ended = ready.map_or(Some(None), |condition| condition.ended.clone());
    if let Some(why) = ended {
        return Err(ManagerError::Ended(why.unwrap_or_else(|| "it was told to".to_owned())));
    }
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let started_at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(Manager { config, started_at_ms, blobs, events, condition, disk })
}

impl Manager {
    /// What people's programs ask.
    pub fn control_service(&self) -> api::control::control_server::ControlServer<ControlService> {
        let version = api::control::VersionReply {
            program: self.config.program.clone(),
            protocol: api::PROTOCOL,
            engine_id: self.config.engine_id.clone(),
            pid: u64::from(std::process::id()),
            started_at_ms: self.started_at_ms,
            build_id: self.config.build_id.clone(),
        };
        api::control_server(ControlService::new(
            self.events.clone(),
            self.blobs.clone(),
            version,
            self.condition.clone(),
        ))
    }

    /// What agents ask.
    pub fn dispatch_service(&self) -> api::dispatch::dispatch_server::DispatchServer<DispatchService> {
        api::dispatch_server(DispatchService::new(self.events.clone(), self.blobs.clone()))
    }

    /// Whether there is nothing to look after: no stack, not even one on its way out. Changes as it does.
    #[must_use]
    pub fn idle(&self) -> Idle {
        Idle(self.condition.clone())
    }

    /// Waits until the manager has ended; the error says why, if nobody asked it to. An engine whose
    /// manager has failed should end, too: the next one may find a disk that works.
    pub async fn ended(&self) -> Result<(), ManagerError> {
        let mut condition = self.condition.clone();
        let ended = condition.wait_for(|condition| condition.ended.is_some()).await;
        match ended.ok().and_then(|condition| condition.ended.clone().flatten()) {
            Some(why) => Err(ManagerError::Ended(why)),
            None => Ok(()),
        }
    }

    /// Ends it, and waits until the file is closed so that another one can open it.
    pub async fn shutdown(self) {
        let _ = self.events.send(Event::Stop).await;
        let _ = self.ended().await;
        let disk = self.disk;
        // The thread ends when the loop's end of its channel is gone, which it is by now or very soon.
        let _ = tokio::task::spawn_blocking(move || disk.join()).await;
    }
}

/// Whether there is nothing to look after.
#[derive(Clone, Debug)]
pub struct Idle(watch::Receiver<Condition>);

impl Idle {
    /// Whether it is so now.
    #[must_use]
    pub fn is(&self) -> bool {
        self.0.borrow().idle
    }

    /// Waits until it is (`true`) or is not (`false`) so. Never done when the manager has ended.
    pub async fn becomes(&mut self, idle: bool) {
        if self.0.wait_for(|condition| condition.idle == idle).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The thread that writes: fsync takes as long as it takes, and the loop goes on meanwhile.
fn write_all(
    mut disk: Disk,
    mut persists: mpsc::UnboundedReceiver<Persist>,
    written: &mpsc::UnboundedSender<Event>,
) {
    while let Some(persist) = persists.blocking_recv() {
        let event = match disk.write(&persist) {
            Ok(()) => Event::Persisted(persist.sequence),
            Err(error) => Event::DiskFailed(error),
        };
        let failed = matches!(event, Event::DiskFailed(_));
        if written.send(event).is_err() || failed {
            return;
        }
    }
}
