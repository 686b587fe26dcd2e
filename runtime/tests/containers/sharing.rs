//! Containers that share namespaces and mounts with others.

use runtime::{InjectedFile, Joined, Mount, MountSource, MountsOf};

use crate::support::{Machine, config, exec, start, wait_for_line};

fn namespace(pid: u32, kind: &str) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

#[tokio::test]
async fn namespaces_of_another_container_can_be_joined_while_it_runs() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut owner = config(&runtime, "owner", &["stubborn"]).await;
    owner.files = vec![InjectedFile {
        target: "/etc/hosts".into(),
        begins_with: None,
        content: b"192.0.2.1 known".to_vec(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        writable: true,
    }];
    let mut guest = config(&runtime, "guest", &["stubborn"]).await;
    let of = || Some("owner".to_owned());
    guest.joined = Joined { network: of(), ipc: of(), pid: of() };
    runtime.create(owner).await.unwrap();
    runtime.create(guest.clone()).await.unwrap();
    let early = runtime.start("guest").await.unwrap_err();
    assert!(early.to_string().contains("`owner`"), "{early}");
    let owner = runtime.start("owner").await.unwrap();
    let started = runtime.start("guest").await.unwrap();
    for kind in ["net", "ipc", "pid"] {
        assert_eq!(namespace(started.pid, kind), namespace(owner.pid, kind), "{kind}");
    }
    for kind in ["mnt", "uts"] {
        assert_ne!(namespace(started.pid, kind), namespace(owner.pid, kind), "{kind}");
    }
    let runs = started.joined;
    assert_eq!((runs.network, runs.ipc, runs.pid), (Some(owner.pid), Some(owner.pid), Some(owner.pid)));
    wait_for_line(&runtime, "guest", "stubborn").await;
    assert!(exec(&runtime, "owner", &["write", "/dev/shm/x", "shared"], |_| {}).await.1.contains("ok"));
    assert!(exec(&runtime, "guest", &["cat", "/dev/shm/x"], |_| {}).await.1.contains("shared"));
    assert!(exec(&runtime, "guest", &["cat", "/etc/hosts"], |_| {}).await.1.contains("known"));
    // Nobody lives on in a process namespace whose first process is dead.
    runtime.kill_all("owner").await.unwrap();
    assert_eq!(runtime.wait("guest").await.unwrap().code, 137);
    for id in ["guest", "owner"] {
        runtime.remove(id).await.unwrap();
    }
    machine.assert_clean();
}

#[tokio::test]
async fn mounts_of_another_container_are_had_where_there_are_none_of_its_own() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let volume = |name: &str, target: &str| Mount {
        source: MountSource::Volume {
            path: machine.path().join(name),
            copy_up: false,
            subpath: None,
            device: None,
        },
        target: target.to_owned(),
        read_only: false,
    };
    let mut first = config(&runtime, "first", &["stubborn"]).await;
    first.mounts = vec![volume("data", "/data"), volume("other", "/taken/")];
    runtime.create(first).await.unwrap();
    let mut second = config(&runtime, "second", &["stubborn"]).await;
    second.mounts = vec![volume("own", "/taken")];
    second.mounts_of = vec![MountsOf { container: "first".into(), read_only: false }];
    start(&runtime, second).await;
    let mut third = config(&runtime, "third", &["stubborn"]).await;
    third.mounts_of = vec![MountsOf { container: "second".into(), read_only: true }];
    start(&runtime, third).await;
    let inside = async |id: &str, command: &[&str]| exec(&runtime, id, command, |_| {}).await.1;
    assert!(inside("second", &["write", "/data/x", "shared"]).await.contains("ok"));
    assert!(inside("second", &["write", "/taken/y", "own"]).await.contains("ok"));
    assert!(inside("third", &["cat", "/data/x"]).await.contains("shared"));
    assert!(inside("third", &["cat", "/taken/y"]).await.contains("own"));
    assert!(inside("third", &["write", "/data/x", "no"]).await.contains("Read-only file system"));
    for id in ["third", "second", "first"] {
        runtime.remove(id).await.unwrap();
    }
    machine.assert_clean();
}
