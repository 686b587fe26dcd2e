//! What must outlive the agent, in one redb file: the records of starts, durable before the start happens,
//! and the last assignments, for a node that boots while no manager answers.
//!
//! One thread writes; whatever waits for it goes into one commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cluster::view::{Assignments, AssignmentsDelta};
use cluster::{NetworkName, ServiceKey, TaskId, Version, VolumeName};
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::core::{Record, Update};
use crate::limits::STORE_DELAY_MS;

/// Task id to the JSON of its [`Record`].
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// `task/ID`, `network/NAME`, `volume/NAME`, `service/STACK/NAME` and `version` to JSON.
const ASSIGNED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("assigned");
/// `format` to the version of the two others.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// Grows when an older agent could not read the file.
const FORMAT: u64 = 1;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said so.
    #[error("the agent's state")]
    Database(#[from] Box<redb::Error>),
    /// A newer program wrote it.
    #[error("the agent's state has format {found}, this program knows {FORMAT}; use the newer program")]
    Format {
        /// The file's format.
        found: u64,
    },
    /// The thread that writes cannot be made.
    #[error("cannot start the thread that writes the agent's state")]
    Thread(#[source] std::io::Error),
}

impl Error {
    fn of(error: impl Into<redb::Error>) -> Error {
        Error::Database(Box::new(error.into()))
    }
}

/// What was kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) records: BTreeMap<TaskId, Record>,
    /// `None` when there were never any.
    pub(crate) assignments: Option<Assignments>,
}

/// The agent's file. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    file: Arc<File>,
    writes: Sender<Write>,
}

/// The file, closed after an error until it is needed again: a database that met one of the disk, a full one for
/// example, refuses everything until it is opened anew.
#[derive(Debug)]
struct File {
    path: PathBuf,
    database: Mutex<Option<Database>>,
}

impl File {
    fn with<R>(&self, work: impl FnOnce(&Database) -> Result<R, Error>) -> Result<R, Error> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match slot.take() {
            Some(database) => database,
            None => Database::create(&self.path).map_err(Error::of)?,
        };
        let done = work(&database);
        if done.is_ok() {
            *slot = Some(database);
        }
        done
    }
}

/// One thing to be written.
enum Write {
    /// Urgent: somebody waits for it to be durable.
    Record(TaskId, Option<Record>, oneshot::Sender<Result<(), String>>),
    /// Not urgent; `None` for what is gone.
    Assigned { clear: bool, entries: Vec<(String, Option<Vec<u8>>)> },
}

impl Store {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// It is damaged, in use, or of a newer format.
    pub(crate) fn open(path: &Path) -> Result<Store, Error> {
        let file = Arc::new(File { path: path.to_owned(), database: Mutex::new(None) });
        file.with(prepare)?;
        let (writes, waiting) = channel();
        let writer = file.clone();
        std::thread::Builder::new()
            .name("agent-store".to_owned())
            .spawn(move || write_all(&writer, &waiting))
            .map_err(Error::Thread)?;
        Ok(Store { file, writes })
    }

    /// What was kept. Assignments that cannot be read any more are as good as none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn load(&self) -> Result<Kept, Error> {
        self.file.with(load)
    }

    /// Writes a record, or takes it away. Done when it is durable.
    ///
    /// # Errors
    /// It cannot be written, in words for a person.
    pub(crate) async fn keep(&self, task: TaskId, record: Option<Record>) -> Result<(), String> {
        let (done, result) = oneshot::channel();
        let gone = || "the agent's state is not written any more".to_owned();
        self.writes.send(Write::Record(task, record, done)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// Writes assignments, soon.
    pub(crate) fn remember(&self, update: &Update) {
        let write = match update {
            Update::Remembered(_) => return,
            Update::Complete(all) => {
                Write::Assigned { clear: true, entries: entries(Assignments::default().delta(all)) }
            }
            Update::Delta(delta) => Write::Assigned { clear: false, entries: entries(delta.clone()) },
        };
        // The thread that writes ends only with the store.
        let _ = self.writes.send(write);
    }
}

/// Makes the tables of a new file, and refuses one that a newer program wrote.
fn prepare(database: &Database) -> Result<(), Error> {
    let begun = database.begin_write().map_err(Error::of)?;
    {
        let mut about = begun.open_table(ABOUT).map_err(Error::of)?;
        let found = about.get("format").map_err(Error::of)?.map(|format| format.value());
        if let Some(found) = found.filter(|found| *found > FORMAT) {
            return Err(Error::Format { found });
        }
        about.insert("format", FORMAT).map_err(Error::of)?;
        begun.open_table(RECORDS).map_err(Error::of)?;
        begun.open_table(ASSIGNED).map_err(Error::of)?;
    }
    begun.commit().map_err(Error::of)
}

fn load(database: &Database) -> Result<Kept, Error> {
    let begun = database.begin_read().map_err(Error::of)?;
    let mut kept = Kept::default();
    for entry in begun.open_table(RECORDS).map_err(Error::of)?.iter().map_err(Error::of)? {
        let (id, json) = entry.map_err(Error::of)?;
        if let Ok(record) = serde_json::from_slice(json.value()) {
            kept.records.insert(TaskId(id.value()), record);
        }
    }
    let mut entries = BTreeMap::new();
    for entry in begun.open_table(ASSIGNED).map_err(Error::of)?.iter().map_err(Error::of)? {
        let (key, json) = entry.map_err(Error::of)?;
        entries.insert(key.value().to_owned(), json.value().to_vec());
    }
    kept.assignments = assignments(&entries);
    Ok(kept)
}

fn entries(delta: AssignmentsDelta) -> Vec<(String, Option<Vec<u8>>)> {
    // Maps with text keys, texts and numbers: that cannot fail to be JSON.
    fn json<T: Serialize>(value: &T) -> Vec<u8> {
        serde_json::to_vec(value).unwrap_or_default()
    }
    let mut list = vec![("version".to_owned(), Some(json(&delta.version)))];
    list.extend(delta.tasks.iter().map(|(id, task)| (format!("task/{id}"), task.as_ref().map(json))));
    list.extend(
        delta.networks.iter().map(|(name, value)| (format!("network/{name}"), value.as_ref().map(json))),
    );
    list.extend(
        delta.volumes.iter().map(|(name, value)| (format!("volume/{name}"), value.as_ref().map(json))),
    );
    list.extend(
        delta.services.iter().map(|(key, value)| (format!("service/{key}"), value.as_ref().map(json))),
    );
    list
}

fn assignments(entries: &BTreeMap<String, Vec<u8>>) -> Option<Assignments> {
    fn all<K: Ord, V: DeserializeOwned>(
        entries: &BTreeMap<String, Vec<u8>>,
        kind: &str,
        key: impl Fn(&str) -> Option<K>,
    ) -> Option<BTreeMap<K, V>> {
        let of_kind = entries.iter().filter_map(|(name, json)| Some((name.strip_prefix(kind)?, json)));
        of_kind.map(|(name, json)| Some((key(name)?, serde_json::from_slice(json).ok()?))).collect()
    }
    let version: Version = serde_json::from_slice(entries.get("version")?).ok()?;
    Some(Assignments {
        version,
        tasks: all(entries, "task/", |name| name.parse().ok())?,
        networks: all(entries, "network/", |name| Some(NetworkName(name.to_owned())))?,
        volumes: all(entries, "volume/", |name| Some(VolumeName(name.to_owned())))?,
        services: all(entries, "service/", |name| name.parse::<ServiceKey>().ok())?,
    })
}

/// Writes until the last store is dropped. A record is written at once, with everything that waits;
/// assignments alone may wait for more of their kind.
fn write_all(file: &File, waiting: &Receiver<Write>) {
    let delay = Duration::from_millis(STORE_DELAY_MS);
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        let deadline = Instant::now() + delay;
        loop {
            let urgent = batch.iter().any(|write| matches!(write, Write::Record(..)));
            let patience =
                if urgent { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) };
            match waiting.recv_timeout(patience) {
                Ok(write) => batch.push(write),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        commit(file, batch);
    }
}

fn commit(file: &File, batch: Vec<Write>) {
    let written = file.with(|database| write(database, &batch)).map_err(|error| crate::chain(&error));
    if let Err(message) = &written {
        tracing::error!(%message, "cannot write the agent's state");
    }
    for write in batch {
        if let Write::Record(_, _, done) = write {
            // Nobody waits for it any more when the agent is being stopped.
            let _ = done.send(written.clone());
        }
    }
}

fn write(database: &Database, batch: &[Write]) -> Result<(), Error> {
    let begun = database.begin_write().map_err(Error::of)?;
    fill(&begun, batch)?;
    begun.commit().map_err(Error::of)
}

fn fill(begun: &WriteTransaction, batch: &[Write]) -> Result<(), Error> {
    let mut records = begun.open_table(RECORDS).map_err(Error::of)?;
    let mut assigned = begun.open_table(ASSIGNED).map_err(Error::of)?;
    for write in batch {
        match write {
            Write::Record(task, Some(record), _) => {
                // Numbers only: that cannot fail to be JSON.
                let json = serde_json::to_vec(record).unwrap_or_default();
                records.insert(task.0, json.as_slice()).map_err(Error::of)?;
            }
            Write::Record(task, None, _) => {
                records.remove(task.0).map_err(Error::of)?;
            }
            Write::Assigned { clear, entries } => put(&mut assigned, *clear, entries)?,
        }
    }
    Ok(())
}

fn put(
    table: &mut Table<'_, &'static str, &'static [u8]>,
    clear: bool,
    entries: &[(String, Option<Vec<u8>>)],
) -> Result<(), Error> {
    if clear {
        table.retain(|_, _| false).map_err(Error::of)?;
    }
    for (key, value) in entries {
        match value {
            Some(json) => table.insert(key.as_str(), json.as_slice()).map_err(Error::of)?,
            None => table.remove(key.as_str()).map_err(Error::of)?,
        };
    }
    Ok(())
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
