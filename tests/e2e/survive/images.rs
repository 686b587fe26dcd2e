//! Images whose configuration and files are made to break out.

use crate::support::Machine;

/// Images that start the runtime's own program, work in folders of open descriptors, climb out by their working folder or
/// bring links where the runtime mounts: none gets at anything of this machine.
#[test]
fn f44_images_made_to_break_out_must_stay_inside() {
    let machine = Machine::new("escape");
    machine.compose("services: {box: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    // Named like the demo, so that the program that it becomes, orc itself, runs on and can be written to.
    machine.shell("mkdir -p evil/x && ln -s /proc/self/exe evil/x/demo").ok();
    machine.orc(&["cp", "evil/x", "box:/x"]).ok();
    let commit = |change: &str, name: &str| {
        machine.orc(&["commit", "-c", change, "box", name]).ok();
    };
    commit("ENTRYPOINT [\"/x/demo\"]", "escape/itself:1");
    commit("WORKDIR ../../../../etc", "escape/climb:1");
    let run = |image: &str, flags: &[&str], command: &[&str]| {
        machine.compose(&format!("services: {{box: {{image: '{image}', command: [sleep]}}}}\n"));
        machine.orc(&[&["run", "--rm", "-T"], flags, &["box"], command].concat())
    };
    let before = machine.shell("sha256sum < /proc/$(pidof -s orc || echo self)/exe").stdout;

    // CVE-2019-5736: what is executed is a sealed copy.
    machine.compose("services: {box: {image: 'escape/itself:1', command: [sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(machine.pids_of("/x/demo sleep").len(), 1, "the runtime's own program is the first process");
    let write = machine.orc(&["exec", "-T", "box", "/bin/demo", "write", "/proc/1/exe", "overwritten"]);
    assert_ne!(write.code, 0, "the program of the first process was written to: {write}");
    write.says("/proc/1/exe");
    let after = machine.shell("sha256sum < /proc/$(pidof -s orc || echo self)/exe").stdout;
    assert_eq!(before, after);

    // CVE-2024-21626: no descriptor of the host's is open when the working folder is entered.
    for number in 3..=15 {
        let folder = format!("/proc/self/fd/{number}");
        let ls = run("orc/demo", &["-w", &folder], &["demo", "ls", "../../../.."]);
        assert!(ls.code != 0 || !ls.stdout.lines().any(|name| name == "work"), "{folder}: {ls}");
    }
    run("escape/climb:1", &[], &["demo", "id"])
        .exits(1)
        .says("working folder `../../../../etc` must be absolute");

    // CVE-2025-31133: a link in the place of `/dev/null`, with which files of /proc are covered, would make them windows.
    machine.shell("mkdir -p dev && ln -sf /proc/sys/kernel/hostname dev/null").ok();
    machine.compose(
        "services: {box: {image: orc/demo, command: [demo, sleep], hostname: windowed, volumes: ['./dev:/dev']}}\n",
    );
    if machine.orc(&["up", "-d"]).code == 0 {
        for masked in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
            let cat = machine.orc(&["exec", "-T", "box", "demo", "cat", masked]);
            assert!(cat.stdout.is_empty(), "{masked} shows what a link led to: {cat}");
        }
    }
    assert_eq!(
        machine.shell("readlink dev/null").ok(),
        "/proc/sys/kernel/hostname",
        "the link was not replaced"
    );
    machine.orc(&["image", "rm", "-f", "escape/itself:1", "escape/climb:1"]);
    machine.leaves_nothing();
}
