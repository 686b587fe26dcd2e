//! Log, vote and snapshot in one file.
//!
//! The file is redb's, which commits with one fsync and takes back what was not committed when the machine
//! stopped. What was committed is checked with sums of our own when it is read, must be without gaps, and
//! must agree with its witnesses ([`crate::witness`]): a manager that finds otherwise refuses to start
//! rather than to forget what it has promised.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, Durability, ReadableDatabase, TableDefinition};
use sha2::{Digest, Sha256};

use crate::core::{LogEntry, Persist, Snapshot, Stored, Vote};
use crate::limits::STORE_CACHE_BYTES;
use crate::witness::{Mark, Seal};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const FORMAT: u64 = 1;
/// Bytes of a checksum.
pub(crate) const SUM: usize = 8;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it open.
    #[error("another manager uses {}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// What was written is not what is there.
    #[error("{} is damaged: {what}; nothing was changed, restore the file from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, and how it shows.
        what: String,
    },
    /// A newer program wrote it.
    #[error("{} has format {found}, and this program knows formats up to {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u64,
    },
    /// The disk or the file system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What was said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A manager's file.
pub(crate) struct Disk {
    path: PathBuf,
    /// There until the file is closed.
    database: Option<Database>,
    mark: Mark,
    last: (u64, u64),
}

impl Disk {
    /// Opens the file, or begins it with what `first` says.
    ///
    /// # Errors
    /// It cannot be used, or does not hold what was once acknowledged.
    pub(crate) fn open(folder: &Path, first: impl FnOnce() -> Stored) -> Result<(Self, Stored), DiskError> {
        let path = folder.join("log.redb");
        let new = !path.exists();
        Seal::check(folder, &path)?;
        let mut builder = Database::builder();
        builder.set_cache_size(STORE_CACHE_BYTES);
        let database = builder.create(&path).map_err(|e| open_error(&path, e))?;
        let mark = Mark::open(&folder.join("log.mark"))
            .map_err(|e| io_error("open", &folder.join("log.mark"), e))?;
        let mut disk = Self { path, database: Some(database), mark, last: (0, 0) };
        let stored = match disk.read()? {
            Some(stored) => stored,
            None if disk.mark.read().is_some() => {
                return Err(disk.damaged("it is empty and was not".to_owned()));
            }
            None => {
                let first = first();
                disk.begin(&first)?;
                first
            }
        };
        if new {
            // The file's name must be as durable as its content.
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|e| io_error("sync", folder, e))?;
        }
        disk.last = stored
            .entries
            .last()
            .map_or((stored.snapshot.term, stored.snapshot.index), |e| (e.term, e.index));
        if let Some(mark) = disk.mark.read().filter(|mark| *mark > disk.last) {
            return Err(disk.damaged(format!(
                "it ends with entry {} of term {}, and entry {} of term {} was acknowledged",
                disk.last.1, disk.last.0, mark.1, mark.0
            )));
        }
        Ok((disk, stored))
    }

    fn begin(&mut self, first: &Stored) -> Result<(), DiskError> {
        self.write(&Persist {
            sequence: 0,
            snapshot: Some(first.snapshot.clone()),
            discard_log: true,
            entries: first.entries.clone(),
            vote: first.vote,
        })
    }

    /// Writes all of it or nothing, durably.
    pub(crate) fn write(&mut self, persist: &Persist) -> Result<(), DiskError> {
        self.commit(persist).map_err(|e| io_error("write", &self.path, e))?;
        if let Some(snapshot) = &persist.snapshot {
            self.last =
                if persist.discard_log { (0, 0) } else { self.last }.max((snapshot.term, snapshot.index));
        }
        if let Some(entry) = persist.entries.last() {
            self.last = (entry.term, entry.index);
        }
        self.mark.write(self.last).map_err(|e| io_error("mark", &self.path, e))
    }

    fn commit(&self, persist: &Persist) -> Result<(), redb::Error> {
        let mut transaction = self.database()?.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut log = transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            if let Some(snapshot) = &persist.snapshot {
                meta.insert("format", sealed("format", 0, &FORMAT.to_le_bytes()).as_slice())?;
                meta.insert("snapshot", sealed("snapshot", 0, &snapshot_bytes(snapshot)).as_slice())?;
                let kept = if persist.discard_log { u64::MAX } else { snapshot.index };
                log.retain_in(..=kept, |_, _| false)?;
            }
            if let Some(first) = persist.entries.first() {
                log.retain_in(first.index.., |_, _| false)?;
            }
            for entry in &persist.entries {
                log.insert(entry.index, sealed("log", entry.index, &entry_bytes(entry)).as_slice())?;
            }
            meta.insert("vote", sealed("vote", 0, &vote_bytes(persist.vote)).as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// What is there; `None` in a file that was only just made.
    fn read(&self) -> Result<Option<Stored>, DiskError> {
        let raw = self.read_raw().map_err(|e| match e {
            redb::Error::Corrupted(what) => self.damaged(what),
            e => io_error("read", &self.path, e),
        })?;
        let Some(raw) = raw else { return Ok(None) };
        let format = self.unseal("format", 0, &raw.format)?;
        let found = format.try_into().map_or(u64::MAX, u64::from_le_bytes);
        if found > FORMAT {
            return Err(DiskError::Newer { path: self.path.clone(), found });
        }
        let snapshot = read_snapshot(self.unseal("snapshot", 0, &raw.snapshot)?);
        let vote = read_vote(self.unseal("vote", 0, &raw.vote)?);
        let (Some(snapshot), Some(vote)) = (snapshot, vote) else {
            return Err(self.damaged("snapshot or vote are cut short".to_owned()));
        };
        let mut entries = Vec::with_capacity(raw.log.len());
        for (expected, (index, bytes)) in (snapshot.index + 1..).zip(&raw.log) {
            if *index != expected {
                return Err(self.damaged(format!("entry {expected} of the log is missing")));
            }
            let entry = read_entry(*index, self.unseal("log", *index, bytes)?);
            entries
                .push(entry.ok_or_else(|| self.damaged(format!("entry {index} of the log is cut short")))?);
        }
        Ok(Some(Stored { vote, snapshot, entries }))
    }

    fn read_raw(&self) -> Result<Option<Raw>, redb::Error> {
        let transaction = self.database()?.begin_read()?;
        let (log, meta) = match (transaction.open_table(LOG), transaction.open_table(META)) {
            (Ok(log), Ok(meta)) => (log, meta),
            (Err(redb::TableError::TableDoesNotExist(_)), _) => return Ok(None),
            (Err(e), _) | (_, Err(e)) => return Err(e.into()),
        };
        let get = |key| -> Result<Vec<u8>, redb::Error> {
            Ok(meta.get(key)?.map(|value| value.value().to_vec()).unwrap_or_default())
        };
        let mut entries = Vec::new();
        for entry in log.range::<u64>(..)? {
            let (index, value) = entry?;
            entries.push((index.value(), value.value().to_vec()));
        }
        Ok(Some(Raw { format: get("format")?, snapshot: get("snapshot")?, vote: get("vote")?, log: entries }))
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::DatabaseClosed)
    }

    fn unseal<'a>(&self, table: &str, key: u64, bytes: &'a [u8]) -> Result<&'a [u8], DiskError> {
        let (sum, content) =
            bytes.split_at_checked(SUM).ok_or_else(|| self.damaged(format!("{table} {key} is missing")))?;
        if sum == checksum(table, key, content) {
            Ok(content)
        } else {
            Err(self.damaged(format!("the checksum of {table} {key} is wrong")))
        }
    }

    fn damaged(&self, what: String) -> DiskError {
        DiskError::Damaged { path: self.path.clone(), what }
    }
}

impl Drop for Disk {
    /// Closes the file and seals it. A file without seal is looked through as after a crash, so that there
    /// is nobody who has to know when sealing fails.
    fn drop(&mut self) {
        drop(self.database.take());
        let _ = Seal::set(&self.path);
    }
}

/// The content of the file, not looked at yet.
struct Raw {
    format: Vec<u8>,
    snapshot: Vec<u8>,
    vote: Vec<u8>,
    log: Vec<(u64, Vec<u8>)>,
}

/// Content behind its checksum, which also says where it belongs.
pub(crate) fn sealed(table: &str, key: u64, content: &[u8]) -> Vec<u8> {
    [checksum(table, key, content).as_slice(), content].concat()
}

pub(crate) fn checksum(table: &str, key: u64, content: &[u8]) -> [u8; SUM] {
    let digest =
        Sha256::new().chain_update(table).chain_update(key.to_le_bytes()).chain_update(content).finalize();
    let mut sum = [0; SUM];
    sum.copy_from_slice(&digest[..SUM]);
    sum
}

fn entry_bytes(entry: &LogEntry) -> Vec<u8> {
    [&entry.term.to_le_bytes(), entry.data.as_slice()].concat()
}

fn read_entry(index: u64, bytes: &[u8]) -> Option<LogEntry> {
    let (term, data) = take_number(bytes)?;
    Some(LogEntry { index, term, data: data.to_vec() })
}

fn vote_bytes(vote: Vote) -> Vec<u8> {
    [vote.term, vote.voted_for, vote.committed].map(u64::to_le_bytes).concat()
}

fn read_vote(bytes: &[u8]) -> Option<Vote> {
    let (term, bytes) = take_number(bytes)?;
    let (voted_for, bytes) = take_number(bytes)?;
    let (committed, _) = take_number(bytes)?;
    Some(Vote { term, voted_for, committed })
}

fn snapshot_bytes(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(snapshot.state.len() + 64);
    let numbers = [snapshot.index, snapshot.term, snapshot.voters.len() as u64];
    for number in numbers.iter().chain(&snapshot.voters) {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(&snapshot.state);
    bytes
}

fn read_snapshot(bytes: &[u8]) -> Option<Snapshot> {
    let (index, bytes) = take_number(bytes)?;
    let (term, bytes) = take_number(bytes)?;
    let (count, mut bytes) = take_number(bytes)?;
    let mut voters = Vec::new();
    for _ in 0..count {
        let (voter, rest) = take_number(bytes)?;
        voters.push(voter);
        bytes = rest;
    }
    Some(Snapshot { index, term, voters, state: bytes.to_vec() })
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

fn open_error(path: &Path, error: DatabaseError) -> DiskError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => DiskError::InUse { path: path.into() },
        DatabaseError::Storage(redb::StorageError::Corrupted(what)) => {
            DiskError::Damaged { path: path.into(), what }
        }
        DatabaseError::Storage(redb::StorageError::Io(e)) if e.kind() == io::ErrorKind::InvalidData => {
            DiskError::Damaged { path: path.into(), what: e.to_string() }
        }
        error => io_error("open", path, error),
    }
}

pub(crate) fn io_error(
    doing: &'static str,
    path: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> DiskError {
    DiskError::Io { doing, path: path.into(), source: source.into() }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
