//! Several engines: one after another of different builds, and two at once.

use std::fs;
use std::path::{Path, PathBuf};

use super::kills::STACK;
use crate::support::Machine;

/// What comes before the build id in the program's notes: the sizes of name and id, `NT_GNU_BUILD_ID`, `GNU`.
const BUILD_ID_NOTE: [u8; 16] = *b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";

/// This program as another build of it: a copy whose build id differs in one byte.
fn other_build(folder: &Path) -> PathBuf {
    let mut bytes = fs::read(env!("CARGO_BIN_EXE_orc")).expect("the program");
    let notes = bytes.windows(BUILD_ID_NOTE.len()).position(|window| window == BUILD_ID_NOTE);
    match notes {
        Some(at) => bytes[at + BUILD_ID_NOTE.len()] ^= 0xff,
        // Without a build id its size tells one build from another.
        None => bytes.push(0),
    }
    let path = folder.join("orc-next");
    fs::write(&path, bytes).expect("room for another program");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
    path
}

/// The program is replaced by a newer build and later by the older one again, while containers run: the engine
/// is replaced, containers keep running, the port keeps answering, nothing is started anew.
#[test]
fn f05_a_newer_build_must_take_over_what_an_older_one_runs() {
    let machine = Machine::new("newer-build");
    machine.compose(STACK);
    let next = other_build(&machine.work());
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    let web = machine.pids_of("demo serve");
    let first = machine.engine();
    for program in [next.as_path(), Path::new(env!("CARGO_BIN_EXE_orc"))] {
        let before = machine.engine();
        machine.program(program, &["up", "-d", "--wait", "web"]).exits(0).says("another build");
        assert_ne!(machine.engine(), before, "the engine is of the build that was called");
        assert_eq!(machine.pids_of("demo serve"), web);
        for _ in 0..10 {
            assert_eq!(machine.get("127.0.0.1:8080", "/").expect("the port answers").status, 200);
        }
        let exec = machine.program(program, &["exec", "-T", "web", "demo", "echo", "hello"]);
        assert_eq!(exec.ok(), "hello", "one build's engine reaches the other's containers");
    }
    assert_ne!(machine.engine(), first);
    machine.orc(&["kill", "-s", "KILL", "web"]).ok();
    machine.leaves_nothing();
}

/// A second engine is started on the same data folder: it is refused with the first one's pid, and the first goes on.
#[test]
fn f24_a_second_engine_must_be_refused_on_the_same_folder() {
    let machine = Machine::new("two-engines");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    let engine = machine.engine().expect("an engine runs");
    machine.orc(&["engine", "run"]).exits(1).says("another engine").says(&format!("pid {engine}"));
    assert_eq!(machine.engine(), Some(engine));
    assert_eq!(machine.ps().len(), 1);
    machine.leaves_nothing();
}

/// A copy of a data folder is used beside the original (a cloned disk, a restored backup): its engine would take the
/// other's networks and containers for its own, and is refused while that one runs.
#[test]
fn f24_an_engine_on_a_copied_folder_must_be_refused() {
    let machine = Machine::new("copied-folder");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    let engine = machine.engine().expect("an engine runs");
    machine.shell("mkdir copy && cp \"$ORC_DATA_DIR\"/engine.id copy/").ok();
    let mut second = machine.orc_command(&["ps"]);
    let second = second.env("ORC_DATA_DIR", machine.work().join("copy")).output().expect("orc starts");
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && words.contains("copy of"), "{words}");
    assert_eq!(machine.engine(), Some(engine));
    assert_eq!(machine.pids_of("demo sleep").len(), 1);
    machine.leaves_nothing();
}
