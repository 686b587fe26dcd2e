//! Terminals and attaching, for the first process and for commands.

use runtime::{ExecConfig, FdStream, TtySize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Machine, config, start};

/// Reads until `words` have come.
async fn read_until(stream: &mut FdStream, words: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(words) {
        let count = stream.read_buf(&mut text).await.unwrap();
        assert!(count > 0, "`{words}` never came, only {}", String::from_utf8_lossy(&text));
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_command_can_have_a_terminal_of_the_containers_own() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["stubborn"]).await;
    container.user = Some("nobody".into());
    start(&runtime, container).await;
    let args = ["demo", "tty"].map(str::to_owned).into();
    let exec =
        ExecConfig { args, tty: Some(TtySize { rows: 30, cols: 100 }), stdin: true, ..Default::default() };
    let mut session = runtime.exec("c", exec).await.unwrap();
    assert!(session.stderr.is_none());
    read_until(&mut session.stdout, "/dev/pts/0 Ok((30, 100))").await;
    session.resize(TtySize { rows: 5, cols: 6 }).unwrap();
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"hello\n").await.unwrap();
    read_until(&mut session.stdout, "/dev/pts/0 Ok((5, 6))").await;
    stdin.write_all(b"quit\n").await.unwrap();
    let mut rest = String::new();
    session.stdout.read_to_string(&mut rest).await.unwrap();
    assert_eq!(session.wait().await.unwrap(), 5);
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn the_first_process_can_have_a_terminal() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["tty"]).await;
    container.tty = true;
    start(&runtime, container).await;
    let mut attached = runtime.attach("c", true, None).await.unwrap();
    runtime.resize("c", TtySize { rows: 11, cols: 22 }).await.unwrap();
    let mut stdin = attached.stdin.take().unwrap();
    stdin.write_all(b"hello\n").await.unwrap();
    // The program tells the size once at its start too, which may be before or after the resizing.
    read_until(&mut attached.stdout, "got hello\r\n/dev/pts/0 Ok((11, 22))").await;
    stdin.write_all(b"quit\n").await.unwrap();
    assert_eq!(runtime.wait("c").await.unwrap().code, 5);
    assert!(crate::support::output(&runtime, "c").await.contains("got hello"));
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn attached_input_reaches_the_program_and_its_end_too() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["stdin"]).await;
    container.stdin_open = true;
    start(&runtime, container).await;
    let mut attached = runtime.attach("c", true, None).await.unwrap();
    let mut stdin = attached.stdin.take().unwrap();
    stdin.write_all(&[b'y'; 300_000]).await.unwrap();
    drop(stdin);
    let mut text = String::new();
    attached.stdout.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("300000 bytes: yyy"), "{}", &text[..text.len().min(40)]);
    assert_eq!(runtime.wait("c").await.unwrap().code, 0);
    runtime.remove("c").await.unwrap();

    start(&runtime, config(&runtime, "c", &["stubborn"]).await).await;
    let error = runtime.attach("c", true, None).await.err().unwrap().to_string();
    assert!(error.contains("standard input is not open"), "{error}");
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn whoever_attaches_before_the_start_misses_nothing() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    for round in 0..20 {
        runtime.create(config(&runtime, "c", &["ls", "/etc"]).await).await.unwrap();
        let mut attached = runtime.attach_to_next("c", false, None).unwrap();
        let end = runtime.end("c").unwrap();
        runtime.start("c").await.unwrap();
        let mut text = String::new();
        attached.stdout.read_to_string(&mut text).await.unwrap();
        assert!(text.contains("hosts") || text.contains("passwd"), "round {round}: {text}");
        assert_eq!(end.await.unwrap().code, 0);
        assert!(runtime.attach_to_next("c", false, None).is_err(), "it has run");
        runtime.remove("c").await.unwrap();
    }
    let mut container = config(&runtime, "c", &["no-such-program"]).await;
    container.args = vec!["no-such-program".to_owned()];
    runtime.create(container).await.unwrap();
    let mut attached = runtime.attach_to_next("c", false, None).unwrap();
    runtime.start("c").await.unwrap_err();
    assert_eq!(attached.stdout.read_to_string(&mut String::new()).await.unwrap(), 0, "and output ends");
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn a_terminal_has_its_size_before_the_program_looks() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["tty"]).await;
    container.tty = true;
    runtime.create(container).await.unwrap();
    let size = Some(TtySize { rows: 33, cols: 44 });
    let mut attached = runtime.attach_to_next("c", true, size).unwrap();
    runtime.start("c").await.unwrap();
    let first = read_until(&mut attached.stdout, ")").await;
    assert!(first.contains("Ok((33, 44))"), "{first}");
    attached.stdin.take().unwrap().write_all(b"quit\n").await.unwrap();
    assert_eq!(runtime.wait("c").await.unwrap().code, 5);
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}
