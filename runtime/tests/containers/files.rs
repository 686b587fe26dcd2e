//! Mounts and injected files.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use runtime::{InjectedFile, Mount, MountSource};

use crate::support::{Machine, config, exec, run, start, wait_for_line};

fn mount(source: MountSource, target: &str, read_only: bool) -> Mount {
    Mount { source, target: target.to_owned(), read_only }
}

#[tokio::test]
async fn mounts_are_what_they_say() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let host = machine.path().join("host");
    std::fs::create_dir(&host).unwrap();
    std::fs::write(host.join("hello"), "from the machine").unwrap();
    let bind = |create| MountSource::Bind {
        path: host.clone(),
        create,
        propagation: Default::default(),
        recursive: Default::default(),
    };
    let made = machine.path().join("made/here");
    let volume = machine.path().join("volume");
    let mut container = config(&runtime, "c", &["stubborn"]).await;
    container.read_only = true;
    container.mounts = vec![
        // Written below its parent on purpose: the order must not matter.
        mount(
            MountSource::Tmpfs { size_bytes: Some(1 << 20), mode: Some(0o700), uid: Some(7), gid: Some(8) },
            "/srv/a/b",
            false,
        ),
        mount(bind(false), "/srv/a", false),
        mount(bind(false), "/ro", true),
        mount(
            MountSource::Bind {
                path: made.clone(),
                create: true,
                propagation: Default::default(),
                recursive: Default::default(),
            },
            "/made",
            false,
        ),
        mount(
            MountSource::Volume { path: volume.clone(), copy_up: true, subpath: None, device: None },
            "/etc",
            false,
        ),
    ];
    start(&runtime, container).await;
    wait_for_line(&runtime, "c", "stubborn").await;
    let check = async |command: &[&str], expect: &str| {
        let (_, text) = exec(&runtime, "c", command, |_| {}).await;
        assert!(text.contains(expect), "{command:?}: {text}");
    };
    check(&["cat", "/ro/hello"], "from the machine").await;
    check(&["write", "/ro/x", "x"], "Read-only file system").await;
    check(&["write", "/srv/a/new", "x"], "write: ok").await;
    check(&["stat", "/srv/a/b"], "700 7:8").await;
    check(&["write", "/srv/a/b/x", "x"], "write: ok").await;
    check(&["write", "/made/x", "x"], "write: ok").await;
    check(&["write", "/top", "x"], "Read-only file system").await;
    check(&["cat", "/etc/passwd"], "nobody").await;
    check(&["write", "/etc/new", "x"], "write: ok").await;
    runtime.remove("c").await.unwrap();
    assert!(host.join("new").exists() && made.join("x").exists());
    assert!(
        volume.join("passwd").exists() && volume.join("new").exists(),
        "the volume was filled and outlives"
    );
    machine.assert_clean();
}

#[tokio::test]
async fn injected_files_are_there_keep_their_mode_and_can_be_rewritten() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let file = |target: &str, content: &str, mode, uid, writable| InjectedFile {
        target: target.to_owned(),
        begins_with: None,
        content: content.as_bytes().to_vec(),
        mode,
        uid,
        gid: uid,
        writable,
    };
    let mut container = config(&runtime, "c", &["stubborn"]).await;
    container.read_only = true;
    container.user = Some("4242".into());
    let of_machine = machine.path().join("names");
    std::fs::write(&of_machine, "search example.org").unwrap();
    container.files = vec![
        InjectedFile {
            begins_with: Some(of_machine),
            ..file("/etc/resolv.conf", "options ndots:0\n", 0o644, 0, true)
        },
        InjectedFile {
            begins_with: Some("/none".into()),
            ..file("/etc/none", "only this\n", 0o644, 0, true)
        },
        file("/etc/hosts", "127.0.0.1 localhost\n", 0o644, 0, true),
        file("/run/secrets/key", "SECRET-CANARY", 0o400, 4242, false),
        file("/run/secrets/other", "not yours", 0o400, 0, false),
    ];
    runtime.create(container.clone()).await.unwrap();
    runtime.start("c").await.unwrap();
    let (_, text) =
        exec(&runtime, "c", &["cat", "/run/secrets/key", "/run/secrets/other", "/etc/hosts"], |_| {}).await;
    assert!(text.starts_with("SECRET-CANARY") && text.contains("other: Permission denied"), "{text}");
    assert!(text.ends_with("127.0.0.1 localhost\n"));
    assert!(
        exec(&runtime, "c", &["stat", "/run/secrets/key"], |_| {}).await.1.starts_with("400 4242:4242 13")
    );
    let (_, text) = exec(&runtime, "c", &["cat", "/etc/resolv.conf", "/etc/none"], |_| {}).await;
    assert_eq!(text, "search example.org\noptions ndots:0\nonly this\n", "after the machine's own");
    runtime.update_file("c", "/etc/hosts", b"10.0.0.2 web\n".to_vec()).await.unwrap();
    assert_eq!(exec(&runtime, "c", &["cat", "/etc/hosts"], |_| {}).await.1, "10.0.0.2 web\n");
    assert!(runtime.update_file("c", "/etc/passwd", Vec::new()).await.is_err());

    let grep = std::process::Command::new("grep")
        .args(["-r", "SECRET-CANARY"])
        .arg(machine.path().join("data"))
        .output();
    assert!(grep.unwrap().stdout.is_empty(), "a secret was written to the durable folder");
    let folder = std::fs::metadata(machine.path().join("run/c/c")).unwrap();
    assert_eq!((folder.permissions().mode() & 0o777, folder.uid()), (0o700, 0));
    runtime.signal("c", 9).await.unwrap();
    runtime.wait("c").await.unwrap();
    runtime.start("c").await.unwrap();
    let (_, text) = exec(&runtime, "c", &["cat", "/run/secrets/key"], |_| {}).await;
    assert_eq!(text, "SECRET-CANARY", "a second start has them too");
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn a_missing_working_folder_is_made_and_an_impossible_one_named() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["cwd"]).await;
    container.working_dir = Some("/not/yet/there".into());
    container.read_only = true;
    assert_eq!(run(&runtime, container.clone()).await.1, "/not/yet/there\n");
    container.working_dir = Some("/etc/passwd".into());
    runtime.create(container).await.unwrap();
    let error = runtime.start("c").await.unwrap_err();
    assert_eq!(error.exit_code(), Some(126));
    assert!(error.to_string().contains("working folder `/etc/passwd`"), "{error}");
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}
