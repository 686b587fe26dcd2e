//! Other processes in a running container.

use runtime::{Error, ExecConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Machine, config, exec, start, wait_for_line};

#[tokio::test]
async fn a_command_has_the_containers_namespaces_user_environment_and_folder() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["stubborn"]).await;
    container.user = Some("nobody".into());
    container.env.push(("COLOUR".into(), "blue".into()));
    container.working_dir = Some("/data/deep".into());
    container.hostname = "box".into();
    let pid = start(&runtime, container).await;
    wait_for_line(&runtime, "c", "stubborn").await;

    let (code, text) = exec(&runtime, "c", &["namespaces"], |_| {}).await;
    assert_eq!(code, 0);
    let mut of_init: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/ns"))
        .unwrap()
        .flatten()
        .filter(|entry| !entry.file_name().to_str().unwrap().ends_with("_for_children"))
        .map(|entry| std::fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned())
        .collect();
    of_init.sort();
    assert_eq!(text.trim(), of_init.join(" "));

    let (_, text) = exec(&runtime, "c", &["env"], |e| e.env = vec![("COLOUR".into(), "red".into())]).await;
    assert_eq!(text, "PATH=/bin\nHOSTNAME=box\nHOME=/\nCOLOUR=red\n");
    assert_eq!(exec(&runtime, "c", &["cwd"], |_| {}).await.1, "/data/deep\n");
    let to_tmp = |e: &mut ExecConfig| e.working_dir = Some("/tmp".into());
    assert_eq!(exec(&runtime, "c", &["cwd"], to_tmp).await.1, "/tmp\n");
    let (_, text) = exec(&runtime, "c", &["cat", "/proc/self/status"], |_| {}).await;
    assert!(text.contains("Uid:\t65534\t65534"), "{text}");
    let (_, text) = exec(&runtime, "c", &["cat", "/proc/self/status"], |e| e.user = Some("7:8".into())).await;
    assert!(text.contains("Uid:\t7\t7") && text.contains("Gid:\t8\t8"), "{text}");

    let (_, groups) = exec(&runtime, "c", &["cat", "/proc/self/cgroup"], |e| e.user = Some("0".into())).await;
    assert!(
        !groups.contains("/orc/"),
        "the command is outside of the container's cgroup namespace: {groups}"
    );
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn streams_and_codes_are_carried() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    start(&runtime, config(&runtime, "c", &["stubborn"]).await).await;
    assert_eq!(exec(&runtime, "c", &["exit", "42"], |_| {}).await.0, 42);

    let args = ["demo", "stdin"].map(str::to_owned).into();
    let mut session =
        runtime.exec("c", ExecConfig { args, stdin: true, ..Default::default() }).await.unwrap();
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(&[b'x'; 200_000]).await.unwrap();
    drop(stdin);
    let mut text = String::new();
    session.stdout.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("200000 bytes: xxx"), "{}", &text[..40]);
    assert_eq!(session.wait().await.unwrap(), 0);

    let args = ["demo", "fail", "because"].map(str::to_owned).into();
    let mut session = runtime.exec("c", ExecConfig { args, ..Default::default() }).await.unwrap();
    let mut text = String::new();
    session.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!((session.wait().await.unwrap(), text.as_str()), (1, "because\n"));

    for (command, code) in [("nonesuch", 127), ("/etc/passwd", 126)] {
        let config = ExecConfig { args: vec![command.into()], ..Default::default() };
        let error = runtime.exec("c", config).await.err().unwrap();
        assert_eq!(error.exit_code(), Some(code), "{error}");
    }
    runtime.signal("c", 9).await.unwrap();
    runtime.wait("c").await.unwrap();
    let config = ExecConfig { args: vec!["demo".into()], ..Default::default() };
    assert!(matches!(runtime.exec("c", config).await.err(), Some(Error::NotRunning { .. })));
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn a_command_over_its_time_is_killed_with_everything_it_started() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["stubborn"]).await;
    // Somebody has to collect the orphans of a killed command.
    container.init = true;
    start(&runtime, container).await;
    wait_for_line(&runtime, "c", "stubborn").await;
    let (code, _) = exec(&runtime, "c", &["exec", "stubborn"], |e| e.timeout_ms = Some(300)).await;
    assert_eq!(code, 137);
    wait_for_pids(&runtime, 2).await;

    let args = ["demo", "exec", "stubborn"].map(str::to_owned).into();
    let session = runtime.exec("c", ExecConfig { args, ..Default::default() }).await.unwrap();
    wait_for_pids(&runtime, 4).await;
    drop(session);
    wait_for_pids(&runtime, 2).await;
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

/// Waits until so many processes are in the container.
async fn wait_for_pids(runtime: &runtime::Runtime, expect: u64) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while runtime.stats("c").await.unwrap().pids != expect {
        assert!(std::time::Instant::now() < deadline, "never {expect} processes");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn many_commands_at_once_each_get_their_own_answer() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    start(&runtime, config(&runtime, "c", &["stubborn"]).await).await;
    let commands = (0..20).map(async |number: i32| {
        let text = number.to_string();
        exec(&runtime, "c", &["exit", &text], |_| {}).await.0
    });
    let codes = futures_util::future::join_all(commands).await;
    assert_eq!(codes, (0..20).collect::<Vec<_>>());
    let (code, text) = exec(&runtime, "c", &["background"], |_| {}).await;
    assert!(code == 0 && text.starts_with("left "), "{text}");
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}
