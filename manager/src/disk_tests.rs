//! What is written is there after a restart, and damage is never mistaken for an older truth.

use std::fs;

use tempfile::TempDir;

use super::*;

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, data: vec![u8::try_from(index % 251).unwrap(); 300] }
}

fn persist(entries: Vec<LogEntry>, term: u64) -> Persist {
    let committed = entries.last().map_or(1, |entry| entry.index);
    let vote = Vote { term, voted_for: 1, committed };
    Persist { sequence: 1, snapshot: None, discard_log: false, entries, vote }
}

fn snapshot(index: u64, term: u64) -> Snapshot {
    Snapshot { index, term, voters: vec![1, 2], state: format!("state {index}").into_bytes() }
}

fn open(folder: &TempDir) -> Result<(Disk, Stored), DiskError> {
    Disk::open(folder.path(), || Stored::first(&[1]))
}

/// What a manager writes over its life: entries, another leader's instead of some, snapshots.
fn life() -> Vec<Persist> {
    let mut life: Vec<Persist> = (2..40).map(|index| persist(vec![entry(index, 1)], 1)).collect();
    life.push(persist((35..50).map(|index| entry(index, 2)).collect(), 2));
    life.push(Persist { snapshot: Some(snapshot(45, 2)), ..persist(vec![], 2) });
    life.push(persist(vec![entry(50, 2)], 2));
    life.push(Persist { snapshot: Some(snapshot(90, 3)), discard_log: true, ..persist(vec![], 3) });
    life.push(persist((91..110).map(|index| entry(index, 3)).collect(), 3));
    life
}

fn lived() -> (TempDir, Stored) {
    let folder = tempfile::tempdir().unwrap();
    let (mut disk, mut expect) = open(&folder).unwrap();
    for persist in life() {
        disk.write(&persist).unwrap();
        expect.absorb(persist);
    }
    (folder, expect)
}

#[test]
fn everything_written_is_there_after_each_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (_, mut expect) = open(&folder).unwrap();
    assert_eq!(expect, Stored::first(&[1]));
    for persist in life() {
        let (mut disk, found) = open(&folder).unwrap();
        assert_eq!(found, expect);
        disk.write(&persist).unwrap();
        expect.absorb(persist);
    }
    assert_eq!(open(&folder).unwrap().1, expect);
}

#[test]
fn two_managers_cannot_use_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(&folder).unwrap();
    assert!(matches!(open(&folder), Err(DiskError::InUse { .. })));
}

/// The file of a manager that was killed, which nobody closed.
fn killed() -> (TempDir, Stored) {
    let (folder, expect) = lived();
    let (disk, _) = open(&folder).unwrap();
    let left = fs::read(folder.path().join("log.redb")).unwrap();
    drop(disk);
    fs::remove_file(folder.path().join("log.seal")).unwrap();
    fs::write(folder.path().join("log.redb"), left).unwrap();
    (folder, expect)
}

/// Opening either finds everything, or says that it does not.
fn is_refused(folder: &TempDir, expect: &Stored, what: &str) -> bool {
    match open(folder) {
        Ok((_, found)) => {
            assert!(found == *expect, "{what}: something else was read without a word");
            false
        }
        Err(DiskError::Damaged { .. } | DiskError::Io { .. }) => true,
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Damages the file in many ways; answers which were refused.
fn try_all(
    (folder, expect): &(TempDir, Stored),
    ways: impl Fn(&[u8]) -> Vec<(String, Vec<u8>)>,
) -> Vec<(String, bool)> {
    let names = ["log.redb", "log.mark", "log.seal"];
    let good = names.map(|name| (folder.path().join(name), fs::read(folder.path().join(name)).ok()));
    let damages = ways(good[0].1.as_deref().unwrap());
    let attempt = |(what, damaged): (String, Vec<u8>)| {
        for (path, content) in &good {
            match content {
                Some(content) => fs::write(path, content).unwrap(),
                None => _ = fs::remove_file(path),
            }
        }
        fs::write(&good[0].0, damaged).unwrap();
        let refused = is_refused(folder, expect, &what);
        (what, refused)
    };
    damages.into_iter().map(attempt).collect()
}

fn cuts(whole: &[u8]) -> Vec<(String, Vec<u8>)> {
    (0..32).map(|part| (format!("{part}/32 of it"), whole[..whole.len() * part / 32].to_vec())).collect()
}

fn flips(whole: &[u8]) -> Vec<(String, Vec<u8>)> {
    let flip = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x10;
        (format!("byte {at} of {}", whole.len()), bytes)
    };
    // Of the header more than of the rest.
    (0..320).step_by(5).chain((320..whole.len()).step_by(whole.len() / 64)).map(flip).collect()
}

#[test]
fn a_closed_file_is_refused_after_any_change() {
    let lived = lived();
    for (what, refused) in try_all(&lived, cuts).into_iter().chain(try_all(&lived, flips)) {
        assert!(refused, "{what} passed for all of it");
    }
}

#[test]
fn a_killed_managers_file_is_refused_when_something_is_missing() {
    let killed = killed();
    assert!(!is_refused(&killed.0, &killed.1, "as it was left"));
    let killed = self::killed();
    for (what, refused) in try_all(&killed, cuts) {
        assert!(refused, "{what} passed for all of it");
    }
    let refused = try_all(&killed, flips).into_iter().filter(|(_, refused)| *refused).count();
    assert!(refused > 0, "no flip fell on anything that matters");
}

#[test]
fn a_lost_file_is_no_new_beginning() {
    let (folder, _) = lived();
    fs::remove_file(folder.path().join("log.redb")).unwrap();
    assert!(matches!(open(&folder), Err(DiskError::Damaged { .. })));
    let (folder, _) = killed();
    fs::remove_file(folder.path().join("log.redb")).unwrap();
    assert!(matches!(open(&folder), Err(DiskError::Damaged { .. })));
}

#[test]
fn an_older_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut disk, _) = open(&folder).unwrap();
    disk.write(&persist(vec![entry(2, 1)], 1)).unwrap();
    drop(disk);
    let path = folder.path().join("log.redb");
    let older = fs::read(&path).unwrap();
    let seal = fs::read(folder.path().join("log.seal")).unwrap();
    let (mut disk, _) = open(&folder).unwrap();
    disk.write(&persist(vec![entry(3, 1)], 1)).unwrap();
    drop(disk);
    fs::write(&path, older).unwrap();
    fs::write(folder.path().join("log.seal"), seal).unwrap();
    let error = open(&folder).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("ends with entry 2 of term 1, and entry 3 of term 1 was acknowledged"), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let (folder, _) = lived();
    let database = Database::create(folder.path().join("log.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let newer = sealed("format", 0, &(FORMAT + 1).to_le_bytes());
    transaction.open_table(META).unwrap().insert("format", newer.as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    Seal::set(&folder.path().join("log.redb")).unwrap();
    assert!(matches!(open(&folder), Err(DiskError::Newer { found: 2, .. })));
}
