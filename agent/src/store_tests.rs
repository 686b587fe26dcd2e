//! What is kept is found again.

use cluster::view::ServiceEndpoints;
use cluster::{StackName, Timestamp};

use super::*;

fn service(name: &str) -> ServiceKey {
    ServiceKey::new(&StackName("shop".into()), name)
}

fn with_services(version: u64, names: &[&str]) -> Assignments {
    let services = names.iter().map(|name| (service(name), ServiceEndpoints::default())).collect();
    Assignments { version: Version(version), services, ..Assignments::default() }
}

fn record(restarts: u32) -> Record {
    Record { generation: 1, restarts, streak: 2, at: Timestamp(3) }
}

/// The file is free once the thread of the store before has ended, which it does by itself.
async fn open_again(path: &Path) -> Store {
    loop {
        match Store::open(path) {
            Ok(store) => return store,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn records_and_assignments_outlive_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.redb");
    let store = Store::open(&path).unwrap();
    assert!(store.load().unwrap().assignments.is_none());

    let (first, second) = (with_services(1, &["web", "db"]), with_services(2, &["web", "cache"]));
    store.remember(&Update::Complete(first.clone()));
    store.remember(&Update::Delta(first.delta(&second)));
    store.keep(TaskId(1), Some(record(1))).await.unwrap();
    store.keep(TaskId(2), Some(record(2))).await.unwrap();
    store.keep(TaskId(1), None).await.unwrap();
    drop(store);

    let kept = open_again(&path).await.load().unwrap();
    assert_eq!(kept.records, BTreeMap::from([(TaskId(2), record(2))]));
    assert_eq!(kept.assignments, Some(second));
}

#[tokio::test]
async fn a_complete_set_replaces_all_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("agent.redb")).unwrap();
    store.remember(&Update::Complete(with_services(1, &["web", "db"])));
    store.remember(&Update::Complete(with_services(7, &["db"])));
    // A record waits for its commit, and what was said before it is in the same one.
    store.keep(TaskId(1), Some(record(0))).await.unwrap();
    assert_eq!(store.load().unwrap().assignments, Some(with_services(7, &["db"])));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.redb");
    let database = Database::create(&path).unwrap();
    let begun = database.begin_write().unwrap();
    begun.open_table(ABOUT).unwrap().insert("format", FORMAT + 1).unwrap();
    begun.commit().unwrap();
    drop(database);
    assert!(matches!(Store::open(&path), Err(Error::Format { found }) if found == FORMAT + 1));
}

#[tokio::test]
async fn after_an_error_the_file_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("agent.redb")).unwrap();
    store.keep(TaskId(1), Some(record(1))).await.unwrap();
    store.file.with(|_| Err::<(), _>(Error::Format { found: 2 })).unwrap_err();
    assert!(store.file.database.lock().unwrap().is_none(), "what met an error is not used again");
    store.keep(TaskId(2), Some(record(2))).await.unwrap();
    assert_eq!(store.load().unwrap().records.len(), 2);
}
