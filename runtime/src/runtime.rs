//! The engine's handle on every container of this engine.

mod adopt;
mod before;
mod create;
mod join;
mod launch;
mod look;
mod mounted;
mod talk;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream as FuturesStream;
use tokio::sync::RwLock;

use crate::asyncfd;
use crate::cgroup::Cgroup;
use crate::config::{ContainerConfig, RuntimeConfig};
use crate::error::{Error, Result};
use crate::folders::{self, Folders};
use crate::image::ImageStore;
use crate::log;
use crate::sealed::Sealed;
use crate::snapshot::Snapshots;
use crate::status::{Exit, Found, FoundState, LogLine, LogQuery, Started};
pub use look::Files;
use mounted::Mounted;
use watch::Entry;

/// All containers of one engine. Cheap to clone; one per data folder and process.
///
/// Every change of one container waits for the one before it. A future that is dropped does not leave half a
/// container: what was begun is finished in the background.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    config: RuntimeConfig,
    images: ImageStore,
    snapshots: Snapshots,
    program: PathBuf,
    /// What shims are executed from.
    sealed: Sealed,
    containers: Mutex<BTreeMap<String, Arc<Entry>>>,
    mounted: Mounted,
    /// Held for reading while containers start, for writing while the engine's own cgroup is removed.
    starting: RwLock<()>,
}

impl Runtime {
    /// Opens the folders, adopts the containers that are there, and removes what a dead engine left half-made.
    ///
    /// # Errors
    /// When the folders cannot be used, or the image store is open elsewhere.
    pub async fn open(config: RuntimeConfig) -> Result<Runtime> {
        let inner = blocking(move || Inner::open(config)).await?;
        let runtime = Runtime { inner: Arc::new(inner) };
        runtime.adopt().await?;
        Ok(runtime)
    }

    /// The images that containers are made from, by their ids.
    pub fn images(&self) -> &ImageStore {
        &self.inner.images
    }

    /// Writes down what the container shall be and gives it a writable layer. Doing it again is fine, also with
    /// another configuration as long as the container does not run; it then also renews the injected files,
    /// which do not outlive a reboot.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Image`] if the image is not here, [`Error::AlreadyRunning`].
    pub async fn create(&self, config: ContainerConfig) -> Result<()> {
        let entry = self.inner.entry(&config.id);
        let created = {
            let guard = entry.lock.clone().lock_owned().await;
            let (inner, entry) = (self.inner.clone(), entry.clone());
            detached(async move {
                let created = blocking(move || create::create(&inner, &entry, config)).await;
                drop(guard);
                created
            })
            .await
        };
        self.inner.forget_if_unknown(&entry);
        created
    }

    /// Starts the container's program, in the same writable layer if it has run before.
    ///
    /// # Errors
    /// [`Error::Command`] if there is no such program, [`Error::Start`] if the container could not be made;
    /// nothing is left of it then but its configuration, its writable layer and its log.
    pub async fn start(&self, id: &str) -> Result<Started> {
        let entry = self.inner.known(id)?;
        let guard = entry.lock.clone().lock_owned().await;
        let inner = self.inner.clone();
        detached(async move {
            let _starting = inner.starting.read().await;
            let started = launch::start(&inner, &entry).await;
            drop(guard);
            started
        })
        .await
    }

    /// How the container ended; at once if it already has. Nothing polls: the kernel tells.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it was never started.
    pub async fn wait(&self, id: &str) -> Result<Exit> {
        if *self.inner.known(id)?.state.borrow() == FoundState::Created {
            return Err(Error::NotRunning { id: id.to_owned() });
        }
        self.end(id)?.await
    }

    /// As [`Runtime::wait`], also for a container that will be started only later.
    ///
    /// # Errors
    /// [`Error::NotFound`], from the future if the container is removed before it has ended.
    pub fn end(&self, id: &str) -> Result<impl Future<Output = Result<Exit>> + Send + 'static + use<>> {
        let mut state = self.inner.known(id)?.state.subscribe();
        let id = id.to_owned();
        Ok(async move {
            loop {
                if let FoundState::Exited(exit) = &*state.borrow_and_update() {
                    return Ok(exit.clone());
                }
                state.changed().await.map_err(|_| Error::NotFound { id: id.clone() })?;
            }
        })
    }

    /// Waits until the container's first process is dead, and with it whatever it served. How it ended is
    /// told by [`Runtime::wait`], later: the shim first saves the last output and writes its record.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it was never started; [`Error::System`] if its first process cannot be watched.
    pub async fn dying(&self, id: &str) -> Result<()> {
        let Ok(started) = self.running(id) else { return self.wait(id).await.map(drop) };
        let folders = self.inner.folders(id);
        let first = blocking(move || watch::first_process(&folders, started.pid)).await?;
        let Some(first) = first else { return Ok(()) };
        let failed = "cannot watch the first process of a container";
        let first = asyncfd::register(first).map_err(Error::system(failed))?;
        tokio::select! {
            dead = first.readable() => dead.map(drop).map_err(Error::system(failed)),
            // A killed shim takes its container along.
            ended = self.wait(id) => ended.map(drop),
        }
    }

    /// Kills every process of the container at once (SIGKILL). One that does not run is fine.
    pub async fn kill_all(&self, id: &str) -> Result<()> {
        self.inner.known(id)?;
        let cgroup = self.inner.cgroup(id)?;
        // A frozen process of v1 does not die.
        blocking(move || {
            let killed = cgroup.kill().and_then(|()| cgroup.freeze(false));
            killed.map_err(Error::system("cannot kill a container"))
        })
        .await
    }

    /// Stops the clock of every process of the container.
    pub async fn pause(&self, id: &str) -> Result<()> {
        self.freeze(id, true).await
    }

    pub async fn unpause(&self, id: &str) -> Result<()> {
        self.freeze(id, false).await
    }

    /// Sends a signal that asks for an end, and starts the clock again if it is stopped: without that the
    /// process would never hear of it.
    ///
    /// # Errors
    /// [`Error::NotRunning`].
    pub async fn ask_to_end(&self, id: &str, signal: i32) -> Result<()> {
        self.signal(id, signal).await?;
        self.unpause(id).await
    }

    async fn freeze(&self, id: &str, frozen: bool) -> Result<()> {
        self.running(id)?;
        let cgroup = self.inner.cgroup(id)?;
        blocking(move || cgroup.freeze(frozen).map_err(Error::system("cannot freeze or thaw a container")))
            .await
    }

    /// Kills the container if it runs and removes everything of it, and of what runs before it. One that does not
    /// exist is fine.
    pub async fn remove(&self, id: &str) -> Result<()> {
        if self.inner.known(&before::id_of(id)).is_ok() {
            self.end_before(id).await?;
        }
        self.remove_one(id).await
    }

    async fn remove_one(&self, id: &str) -> Result<()> {
        create::check_id(id)?;
        let entry = self.inner.entry(id);
        let guard = entry.lock.clone().lock_owned().await;
        let (runtime, id) = (self.clone(), id.to_owned());
        detached(async move {
            if matches!(*entry.state.borrow(), FoundState::Running(_)) {
                runtime.kill_all(&id).await?;
                runtime.wait(&id).await?;
            }
            let (inner, name) = (runtime.inner.clone(), id.clone());
            let parent = blocking(move || create::remove(&inner, &name)).await?;
            let last = {
                let mut containers = runtime.inner.containers();
                containers.remove(&id);
                containers.is_empty()
            };
            drop(guard);
            if let Some(parent) = parent {
                runtime.remove_parent_cgroup(&parent).await;
            }
            if last {
                runtime.remove_own_cgroup().await;
            }
            Ok(())
        })
        .await
    }

    /// The folders above the containers' groups; not while one starts, which makes its own in there.
    async fn remove_own_cgroup(&self) {
        let _alone = self.inner.starting.write().await;
        for path in [folders::cgroup_parent(&self.inner.config.engine_id), "/orc".to_owned()] {
            if let Ok(cgroup) = Cgroup::at(&path) {
                cgroup.remove_if_empty();
            }
        }
    }

    /// A group that a container asked for, as far as this engine made it and nobody is left in it; not while one
    /// starts, which may be about to use it.
    async fn remove_parent_cgroup(&self, asked: &str) {
        let _alone = self.inner.starting.write().await;
        let engine = &self.inner.config.engine_id;
        if let Ok(cgroup) = Cgroup::at(&folders::cgroup_parent_of(engine, Some(asked))) {
            cgroup.remove_if_made_by(engine);
        }
    }

    /// Every container, sorted by id.
    pub async fn list(&self) -> Result<Vec<Found>> {
        let entries: Vec<Arc<Entry>> = self.inner.containers().values().cloned().collect();
        let inner = self.inner.clone();
        blocking(move || {
            let mut list = Vec::new();
            for entry in entries {
                if let Some(stored) = create::stored(&inner.folders(&entry.id))? {
                    let state = entry.state.borrow().clone();
                    let paused = matches!(state, FoundState::Running(_))
                        && inner.cgroup(&entry.id).is_ok_and(|cgroup| cgroup.is_frozen());
                    list.push(Found { config: stored.config, state, paused });
                }
            }
            Ok(list)
        })
        .await
    }

    /// The container's output, also of a container that has ended. With `follow` the stream ends when the
    /// container is removed.
    pub fn logs(
        &self,
        id: &str,
        query: LogQuery,
    ) -> impl FuturesStream<Item = Result<LogLine>> + Send + Unpin + 'static + use<> {
        log::read::lines(self.inner.folders(id).logs(), query)
    }

    fn running(&self, id: &str) -> Result<Started> {
        match &*self.inner.known(id)?.state.borrow() {
            FoundState::Running(started) => Ok(*started),
            _ => Err(Error::NotRunning { id: id.to_owned() }),
        }
    }
}

impl Inner {
    fn open(config: RuntimeConfig) -> Result<Inner> {
        for folder in [&config.data_dir, &config.run_dir] {
            std::fs::create_dir_all(folder).map_err(Error::file("cannot create", folder))?;
        }
        for folder in [folders::all_durable(&config), folders::all_run(&config)] {
            folders::private_dir(&folder)?;
        }
        let program = match &config.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(Error::system("cannot find this program's own file"))?,
        };
        let image = |source| Error::Image { id: String::new(), source: Box::new(source) };
        let sealed = Sealed::of(&program, &config.run_dir).map_err(Error::file("cannot seal", &program))?;
        Ok(Inner {
            images: ImageStore::open(&config.data_dir).map_err(image)?.with_demo(&program),
            snapshots: Snapshots::open(&config.data_dir).map_err(image)?,
            program,
            sealed,
            containers: Mutex::default(),
            mounted: Mounted::default(),
            starting: RwLock::default(),
            config,
        })
    }

    fn folders(&self, id: &str) -> Folders {
        Folders::of(&self.config, id)
    }

    /// Of a container that is not there: where it would be without a wish of its own.
    fn cgroup_path(&self, id: &str) -> Result<String> {
        let stored = create::stored(&self.folders(id))?;
        let asked = stored.as_ref().and_then(|stored| stored.config.cgroup_parent.as_deref());
        Ok(format!("{}/{id}", folders::cgroup_parent_of(&self.config.engine_id, asked)))
    }

    fn cgroup(&self, id: &str) -> Result<Cgroup> {
        Cgroup::at(&self.cgroup_path(id)?).map_err(Error::system("cannot find the cgroup hierarchies"))
    }

    fn containers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        // The map is whole after every single operation on it, so a panic elsewhere does no harm.
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a container that may not exist yet.
    fn entry(&self, id: &str) -> Arc<Entry> {
        self.containers().entry(id.to_owned()).or_insert_with(|| Arc::new(Entry::new(id))).clone()
    }

    fn known(&self, id: &str) -> Result<Arc<Entry>> {
        self.containers().get(id).cloned().ok_or_else(|| Error::NotFound { id: id.to_owned() })
    }

    /// After a failed `create`: an entry without a container would be listed for ever.
    fn forget_if_unknown(&self, entry: &Entry) {
        if !self.folders(&entry.id).config().exists() {
            self.containers().remove(&entry.id);
        }
    }
}

/// Runs what waits for the disk or the kernel where it does not hold up other tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| panicked(&error))
}

/// Runs to the end even if the caller stops waiting.
async fn detached<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|error| panicked(&error))
}

fn panicked<T>(error: &tokio::task::JoinError) -> Result<T> {
    Err(Error::system("the work was interrupted")(std::io::Error::other(error.to_string())))
}
