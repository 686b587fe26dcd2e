//! People's mistakes, and people who are not the owner.

use crate::support::Machine;

const STACK: &str = "services: {web: {image: orc/demo, command: [demo, sleep], volumes: ['data:/data']}}\nvolumes: {data: {}}\n";

/// The engine's socket is another user's, a link, or left over from a dead engine: a foreign one is refused and
/// nothing is sent to it, a dead one is replaced, and nobody but the owner may open the real one.
#[test]
fn f48_only_the_owners_socket_must_be_spoken_to() {
    let machine = Machine::new("sockets");
    machine.compose(STACK);
    machine.orc(&["up", "-d"]).ok();
    let socket = machine.shell("find \"$ORC_DATA_DIR\" /run -name engine.sock | head -1").ok().to_owned();
    assert_eq!(machine.shell(&format!("stat -c %a '{socket}'")).ok(), "600");
    assert_eq!(machine.shell(&format!("stat -c %a \"$(dirname '{socket}')\"")).ok(), "700");
    machine
        .shell(&format!("setpriv --reuid 12345 --clear-groups cat '{socket}'"))
        .exits(1)
        .says("Permission denied");

    machine.shell(&format!("chown 12345 '{socket}'")).ok();
    let ps = machine.orc(&["ps"]);
    assert_ne!(ps.code, 0, "{ps}");
    ps.says("12345");
    machine.shell(&format!("chown 0 '{socket}'")).ok();

    machine.kill_engine();
    machine.shell(&format!("test -S '{socket}'")).ok();
    assert_eq!(machine.ps().len(), 1, "a dead engine's socket is replaced");

    machine.orc(&["engine", "stop"]).ok();
    machine.shell(&format!("ln -s /nowhere/at/all '{socket}'")).ok();
    assert_eq!(machine.ps().len(), 1, "a link that leads nowhere is replaced as well");
    machine.leaves_nothing();
}

/// `down` is called for the wrong stack, and again for the same one: nothing but what the stack owns goes, and volumes go
/// only when that is asked for.
#[test]
fn f52_mistakes_must_not_cost_data() {
    let machine = Machine::new("mistakes");
    machine.compose(STACK);
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "-T", "web", "demo", "write", "/data/kept", "yes"]).ok();
    machine.orc(&["-p", "no-such-stack", "down", "-v"]).exits(0);
    assert_eq!(machine.pids_of("demo sleep").len(), 1, "another stack's `down` is nothing to this one");
    for _ in 0..2 {
        machine.orc(&["down", "-t", "1"]).ok();
    }
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(machine.orc(&["exec", "-T", "web", "demo", "cat", "/data/kept"]).ok(), "yes");
    machine.leaves_nothing();
}

/// A Compose file of somebody else asks for the whole machine, or for places outside of its container: the first is
/// done with a warning that says what it means, the second leads nowhere but into the container.
#[test]
fn f45_files_of_others_must_not_reach_further_than_they_say() {
    let machine = Machine::new("foreign-file");
    let file = "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    env_file: ../outside.env
    volumes: ['/:/host', './link:/linked']
    configs: [{source: note, target: ../../../../planted-by-f45}]
configs: {note: {content: planted}}
";
    machine.compose(file);
    machine.shell("echo GREETING=hello > ../outside.env && mkdir inside && ln -s inside link").ok();
    machine.orc(&["up", "-d"]).exits(1).says("must be absolute and without `..`");
    machine.shell("test ! -e /planted-by-f45").ok();

    machine.compose(&file.replace("../../../../planted-by-f45", "planted-by-f45"));
    let up = machine.orc(&["up", "-d"]);
    up.exits(0).says("compose.yaml:7:15").says("lets the container change every file of this");
    let demo = |args: &[&str]| machine.orc(&[&["exec", "-T", "box", "demo"], args].concat());
    assert_eq!(demo(&["cat", "/planted-by-f45"]).ok(), "planted");
    assert_eq!(
        demo(&["env", "GREETING"]).ok(),
        "hello",
        "a file beside the project may be read, as in Compose"
    );
    // What a link means is decided once, when the container is made.
    machine.shell("rm link && ln -s /etc link").ok();
    assert_ne!(demo(&["cat", "/linked/passwd"]).code, 0);
    machine.leaves_nothing();
}
