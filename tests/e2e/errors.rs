//! What a person reads when something is wrong, and that nothing was started then.

use crate::support::{Machine, eventually};

/// Each faulty file with what must be said of it.
const FAULTS: [(&str, &[&str]); 5] = [
    (
        "services: {web: {image: x, depends_on: [cache]}, cash: {image: y}}\n",
        &["compose.yaml:1:", "cache", "not defined"],
    ),
    (
        "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
        &["a -> b -> a", "compose.yaml:"],
    ),
    ("services:\n  web:\n    image: ${TAG:?give a tag}\n", &["compose.yaml:3:", "TAG", "give a tag"]),
    ("services:\n  web:\n    image: [\n", &["compose.yaml:"]),
    ("services:\n  web:\n    image: x\n    build: .\n", &["compose.yaml:4:", "build", "not supported yet"]),
];

#[test]
fn a_faulty_file_must_be_explained_with_its_place_and_start_nothing() {
    let machine = Machine::new("faults");
    for (file, words) in FAULTS {
        machine.compose(file);
        let up = machine.orc(&["up", "-d"]);
        up.exits(1).says("error");
        for word in words {
            up.says(word);
        }
    }
    assert_eq!(machine.engine(), None, "a faulty file starts no engine");
    machine.file("none/.keep", "");
    machine
        .orc(&["--project-directory", "none", "-f", "none/compose.yaml", "up"])
        .exits(1)
        .says("none/compose.yaml");
}

#[test]
fn an_image_that_cannot_be_had_must_not_hold_up_others() {
    let machine = Machine::new("no-image");
    machine.compose(
        "
services:
  good: {image: orc/demo, command: [demo, sleep]}
  bad: {image: '127.0.0.1:9/no/such:1'}
",
    );
    let up = machine.orc(&["up", "-d"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("127.0.0.1:9/no/such:1");
    eventually("the other service runs", || machine.pids_of("demo sleep").len() == 1);
    machine.orc(&["ps", "-a"]).exits(0).says("127.0.0.1:9/no/such:1");
    machine.leaves_nothing();
}

#[test]
fn a_command_that_is_not_in_the_image_must_be_127_and_say_why() {
    let machine = Machine::new("no-command");
    machine.compose("services: {web: {image: orc/demo, command: [no-such-program]}}\n");
    let up = machine.orc(&["up", "-d"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("no-such-program");
    let web = machine.ps().remove(0);
    assert_eq!(web["ExitCode"], 127, "{web}");
    machine.orc(&["run", "--rm", "web", "neither-this"]).exits(127);
    machine.leaves_nothing();
}

#[test]
fn two_ups_at_once_must_leave_one_sound_stack() {
    let machine = Machine::new("two-ups");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep], deploy: {replicas: 3}}}\n");
    let mut first = machine.orc_command(&["up", "-d"]).spawn().expect("it starts");
    let mut second = machine.orc_command(&["up", "-d"]).spawn().expect("it starts");
    first.wait().expect("it ends");
    second.wait().expect("it ends");
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(machine.pids_of("demo sleep").len(), 3);
    machine.leaves_nothing();
}

#[test]
fn a_socket_of_somebody_else_must_be_refused() {
    let machine = Machine::new("foreign-socket");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    let socket = machine.shell("find \"$ORC_DATA_DIR\" /run -name engine.sock").ok().to_owned();
    assert!(!socket.is_empty(), "the engine's socket is found");
    machine.shell(&format!("chown 12345 '{socket}'")).ok();
    let ps = machine.orc(&["ps"]);
    assert_ne!(ps.code, 0, "{ps}");
    ps.says("12345");
    machine.shell(&format!("chown 0 '{socket}'")).ok();
    machine.leaves_nothing();
}

#[test]
fn all_that_is_wrong_must_be_said_in_one_round() {
    let machine = Machine::new("one-round");
    machine.compose(
        "
services:
  a: {image: orc/demo, build: ., secrets: [gone]}
  b: {image: orc/demo, use_api_socket: true}
secrets:
  gone: {file: ./not-there}
",
    );
    machine
        .orc(&["up", "-d"])
        .exits(1)
        .says("a.build` is not supported yet")
        .says("b.use_api_socket` is not supported yet")
        .says("cannot read secret `gone`")
        .says("not-there");
    machine.orc(&["config", "-q"]).ok();
    machine.file("not-there", "there now");
    machine.compose(
        "
services:
  a: {image: orc/demo, ports: ['8080:80']}
  b: {image: orc/demo, ports: ['8080:80']}
  c: {image: orc/demo}
  d: {image: orc/demo}
",
    );
    machine
        .orc(&["up", "-d", "--scale", "c=99999", "--scale", "d=99999"])
        .exits(1)
        .says("services `a` and `b` both publish host port 8080/tcp")
        .says("service `c` asks for 99999 replicas")
        .says("service `d` asks for 99999 replicas");
    assert_eq!(machine.engine(), None, "what can never be granted starts no engine");
}
