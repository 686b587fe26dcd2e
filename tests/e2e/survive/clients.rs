//! Programs that talk to the engine badly: too many, too slow, all at once.

use std::os::unix::net::UnixStream;

use crate::support::{Machine, eventually};

const STACK: &str = "services: {web: {image: orc/demo, command: [demo, sleep], deploy: {replicas: 2}}}\n";

/// More programs connect than the engine lets in, and say nothing: what runs goes on, and as soon as they are gone the
/// engine answers again.
#[test]
fn f37_idle_clients_must_not_stop_the_engine() {
    let machine = Machine::new("idle-clients");
    machine.compose(STACK);
    machine.orc(&["up", "-d"]).ok();
    let socket = machine.shell("find \"$ORC_DATA_DIR\" /run -name engine.sock | head -1").ok().to_owned();
    // The kernel's queue of a socket is finite, too: who does not get in any more is refused, which is as good.
    let mut idle: Vec<_> = (0..1_500).map_while(|_| UnixStream::connect(&socket).ok()).collect();
    // This process may have as many files open as it is allowed, and needs some to look around.
    idle.truncate(idle.len().saturating_sub(50));
    assert!(idle.len() > 500, "{} connections", idle.len());
    assert_eq!(machine.pids_of("demo sleep").len(), 2);
    drop(idle);
    eventually("the engine answers", || machine.orc(&["ps"]).code == 0);
    machine.orc(&["up", "-d"]).ok();
    machine.leaves_nothing();
}

/// A program follows a log that grows as fast as it can, and never reads: others are answered, and the engine's memory
/// stays small.
#[test]
fn f37_a_client_that_never_reads_must_hold_up_nobody() {
    let machine = Machine::new("slow-client");
    machine.compose("services: {web: {image: orc/demo, command: [demo, count, '0']}}\n");
    machine.orc(&["up", "-d"]).ok();
    let mut slow = machine.orc_command(&["logs", "-f"]);
    let mut slow = slow.stdout(std::process::Stdio::piped()).spawn().expect("orc starts");
    let mut watching = machine.orc_command(&["up"]);
    let mut watching = watching.stdout(std::process::Stdio::piped()).spawn().expect("orc starts");
    eventually("both are there", || machine.pids_of("orc logs").len() + machine.pids_of("orc up").len() >= 2);
    for _ in 0..10 {
        machine.orc(&["ps"]).ok();
    }
    machine.orc(&["restart", "-t", "0"]).ok();
    let engine = machine.engine().expect("an engine");
    let rss = machine.shell(&format!("grep VmRSS /proc/{engine}/status | tr -dc 0-9"));
    let kib: u64 = rss.ok().parse().expect("a number of KiB");
    assert!(kib < 300_000, "what nobody reads is not kept: {kib} KiB");
    for child in [&mut slow, &mut watching] {
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
        // That was the one who entered the namespaces; the client itself ends when nobody can read any more.
        drop(child.stdout.take());
    }
    machine.leaves_nothing();
}

/// Ten programs state wishes for one stack at once, some the same and some not, while another takes it down: each is
/// fulfilled or told why not, and the next wish converges.
#[test]
fn f38_wishes_at_once_must_leave_one_sound_stack() {
    let machine = Machine::new("many-ups");
    machine.compose(STACK);
    machine.file("other.yaml", &STACK.replace("replicas: 2", "replicas: 4"));
    machine.orc(&["up", "-d"]).ok();
    let mut children: Vec<_> = (0..10)
        .map(|number| match number % 3 {
            0 => machine.orc_command(&["-f", "other.yaml", "up", "-d"]),
            1 => machine.orc_command(&["up", "-d"]),
            _ => machine.orc_command(&["down", "-t", "0"]),
        })
        .map(|mut command| command.stderr(std::process::Stdio::piped()).spawn().expect("orc starts"))
        .collect();
    for child in children.drain(..) {
        let output = child.wait_with_output().expect("it ends");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || words.contains("error: "), "it says why not: {words}");
        assert!(!words.contains("panicked"), "{words}");
    }
    machine.orc(&["up", "-d"]).ok();
    eventually("two replicas, and no other", || machine.pids_of("demo sleep").len() == 2);
    machine.leaves_nothing();
}
