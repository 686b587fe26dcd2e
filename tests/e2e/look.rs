//! Looking into containers and taking hold of them: files, processes, use, events, pauses.

use std::process::Stdio;

use crate::support::{Machine, Outcome, eventually, eventually_some};

const STACK: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    volumes: ['data:/data']
  asks: {image: orc/demo, command: [demo, cat], stdin_open: true}
  ends: {image: orc/demo, command: [demo, exit, '7', '1']}
volumes: {data: {}}
";

fn started(name: &str) -> Machine {
    let machine = Machine::new(name);
    machine.compose(STACK);
    machine.orc(&["up", "-d"]).ok();
    machine
}

fn state(machine: &Machine, service: &str) -> String {
    let container = machine.ps().into_iter().find(|container| container["Service"] == service);
    container.and_then(|container| Some(container["State"].as_str()?.to_owned())).unwrap_or_default()
}

#[test]
fn cp_must_bring_files_both_ways_and_stay_inside() {
    let machine = started("cp");
    machine.file("from/a/note", "words").file("secret", "of the host");
    machine.orc(&["cp", "from", "web:/data"]).exits(0).says("copied");
    assert_eq!(machine.orc(&["exec", "-T", "web", "demo", "cat", "/data/from/a/note"]).ok(), "words");
    machine.orc(&["cp", "from/a/note", "web:/data/renamed"]).ok();
    machine.orc(&["cp", "web:/data/renamed", "back"]).ok();
    assert_eq!(machine.shell("cat back").ok(), "words");
    machine.orc(&["cp", "web:/data/from/.", "folder"]).ok();
    assert_eq!(machine.shell("cat folder/a/note").ok(), "words");
    machine.shell("chown 7:8 from/a/note").ok();
    machine.orc(&["cp", "-a", "from/a/note", "web:/data/kept"]).ok();
    machine.orc(&["exec", "-T", "web", "demo", "stat", "/data/kept"]).exits(0).says("7:8");
    machine.orc(&["exec", "-T", "web", "demo", "stat", "/data/renamed"]).exits(0).says("0:0");

    // Through pipes, as archives.
    let orc = env!("CARGO_BIN_EXE_orc");
    machine.shell(&format!("{orc} cp web:/data/renamed - | tar -xO")).exits(0).says("words");
    machine
        .shell(&format!("tar -c -C from a | {orc} cp - web:/data/piped && {orc} cp web:/data/piped/a p"))
        .ok();
    assert_eq!(machine.shell("cat p/note").ok(), "words");

    // A link in the container leads nowhere on this machine.
    let host = machine.work().join("secret");
    machine
        .shell(&format!("mkdir t && ln -s {} t/link && tar -c -C t . | {orc} cp - web:/", host.display()))
        .ok();
    machine.orc(&["cp", "-L", "web:/link", "stolen"]).exits(1);
    machine.orc(&["cp", "from/a/note", "web:/link"]).exits(0);
    assert_eq!(machine.shell("cat secret").ok(), "of the host");
    machine.orc(&["cp", "web:/no/such/file", "x"]).exits(1).says("No such file");
    machine.orc(&["cp", "x", "y"]).exits(1).says("neither end");

    // Into all replicas, or one of them.
    machine.orc(&["scale", "web=2"]).ok();
    let there = |path: &str| {
        ["1", "2"]
            .map(|index| machine.orc(&["exec", "-T", "--index", index, "web", "demo", "cat", path]).code == 0)
    };
    machine.orc(&["cp", "from/a/note", "web:/tmp/all"]).exits(0).says("-web-1:").says("-web-2:");
    machine.orc(&["cp", "--index", "2", "from/a/note", "web:/tmp/one"]).ok();
    assert_eq!((there("/tmp/all"), there("/tmp/one")), ([true, true], [false, true]));
    machine.shell(&format!("tar -c from | {orc} cp - web:/tmp")).exits(1).says("only once").says("`--index`");

    // Of a container that has ended, too.
    eventually("it has ended", || state(&machine, "ends") == "exited");
    machine.orc(&["cp", "secret", "ends:/note"]).ok();
    machine.orc(&["cp", "ends:/note", "ended"]).ok();
    assert_eq!(machine.shell("cat ended").ok(), "of the host");
    machine.leaves_nothing();
}

#[test]
fn export_must_hold_the_containers_own_files_alone() {
    let machine = started("export");
    machine.orc(&["exec", "-T", "web", "demo", "write", "/mine", "text"]).ok();
    machine.orc(&["exec", "-T", "web", "demo", "write", "/data/shared", "text"]).ok();
    machine.orc(&["export", "-o", "all.tar", "web"]).ok();
    let names = machine.shell("tar -tf all.tar").ok().to_owned();
    let has = |name: &str| names.lines().any(|line| line == name);
    assert!(has("mine") && has("data") && !has("data/shared"), "{names}");
    assert!(!names.lines().any(|line| line.starts_with("proc/")), "{names}");
    machine.leaves_nothing();
}

#[test]
fn commit_must_make_an_image_of_what_a_container_is() {
    let machine = started("commit");
    machine.orc(&["exec", "-T", "web", "demo", "write", "/mine", "text"]).ok();
    machine.orc(&["exec", "-T", "web", "demo", "rm", "/etc/group"]).ok();
    machine
        .orc(&["commit", "-m", "why", "-c", "CMD [\"demo\", \"cat\", \"/mine\"]", "web", "mine:1"])
        .exits(0)
        .says("sha256:");
    machine.orc(&["image", "ls"]).exits(0).says("mine");
    machine.orc(&["down", "-t", "1"]).ok();
    machine.compose("services: {again: {image: 'mine:1'}}");
    assert_eq!(machine.orc(&["run", "--rm", "again"]).ok(), "text");
    machine.orc(&["run", "--rm", "again", "demo", "stat", "/etc/group"]).exits(1);
    machine.orc(&["run", "--rm", "again", "demo", "stat", "/etc/passwd"]).exits(0);
    machine.leaves_nothing();
}

#[test]
fn file_capabilities_must_survive_cp_export_and_commit() {
    let machine = started("capabilities");
    // Version 2, effective; permitted CAP_NET_RAW.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let of = |file: &str| {
        let mut value = [0; 64];
        let length = rustix::fs::getxattr(machine.work().join(file), "security.capability", &mut value);
        length.map(|length| value[..length].to_vec())
    };
    machine.file("tool", "program");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(machine.work().join("tool"), "security.capability", &capability, flags)
        .expect("root may");
    machine.orc(&["cp", "tool", "web:/tool"]).ok();
    machine.orc(&["cp", "web:/tool", "back"]).ok();
    assert_eq!(of("back").as_deref(), Ok(&capability[..]));
    machine.orc(&["export", "-o", "all.tar", "web"]).ok();
    machine.shell("mkdir all && tar -x --xattrs --xattrs-include='*' -f all.tar -C all tool").ok();
    assert_eq!(of("all/tool").as_deref(), Ok(&capability[..]));
    machine.orc(&["commit", "web", "mine:caps"]).ok();
    machine.orc(&["down", "-t", "1"]).ok();
    machine.compose("services: {web: {image: 'mine:caps', command: [demo, sleep]}}");
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["cp", "web:/tool", "committed"]).ok();
    assert_eq!(of("committed").as_deref(), Ok(&capability[..]));
    machine.leaves_nothing();
}

#[test]
fn a_paused_service_must_stand_still_until_it_is_unpaused_or_stopped() {
    let machine = started("pause");
    machine.orc(&["pause", "web"]).exits(0).says("paused");
    assert_eq!(state(&machine, "web"), "paused");
    assert_eq!(machine.orc(&["ps", "--services", "--status", "paused"]).ok(), "web");
    // Another engine sees it too.
    machine.kill_engine();
    assert_eq!(state(&machine, "web"), "paused");
    machine.orc(&["unpause"]).exits(0).says("unpaused");
    assert_eq!(state(&machine, "web"), "running");
    machine.orc(&["pause", "web"]).ok();
    machine.orc(&["stop", "-t", "20", "web"]).ok();
    assert_eq!(state(&machine, "web"), "exited");
    machine.orc(&["pause", "web"]).exits(0).says("nothing runs");
    machine.leaves_nothing();
}

#[test]
fn processes_and_use_must_be_shown_in_docker_composes_columns() {
    let machine = started("top-stats");
    let top = machine.orc(&["top", "web"]);
    let heading: Vec<&str> = top.ok().lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(heading, ["SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    top.says("demo serve").never_says("demo cat");
    let stats = machine.orc(&["stats", "--no-stream", "--format", "json"]).json();
    let web = stats.iter().find(|line| line["Name"] == "work-web-1").expect("a line for web");
    for field in ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "NetIO", "PIDs"] {
        assert!(web[field].is_string(), "{field} in {web}");
    }
    assert!(web["MemUsage"].as_str().is_some_and(|text| text.contains("iB / ")), "{web}");
    machine.orc(&["stats", "--no-stream", "web"]).exits(0).says("MEM USAGE / LIMIT").says("work-web-1");
    assert_eq!(machine.orc(&["volumes", "-q"]).ok(), "work_data");
    machine.orc(&["volumes"]).exits(0).says("VOLUME NAME");
    machine.orc(&["pull", "-q"]).ok();
    machine.leaves_nothing();
}

#[test]
fn wait_and_events_must_tell_what_happens() {
    let machine = started("wait-events");
    machine.orc(&["wait", "ends"]).exits(7).says("exited with status code 7");
    let past = machine.orc(&["events", "--json", "--since", "10m", "--until", "2000-01-01T00:00:00Z"]);
    past.exits(0);
    let mut events = machine.orc_command(&["events", "--json", "--since", "10m"]);
    let mut events = events.stdout(Stdio::piped()).spawn().expect("orc starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(events.stdout.take().expect("a pipe")));
    let mut until = |service: &str, action: &str| {
        eventually_some("the event comes", || {
            let line = lines.next()?.expect("it can be read");
            let event: serde_json::Value = serde_json::from_str(&line).expect("an object a line");
            (event["service"] == service && event["action"] == action).then_some(event)
        })
    };
    let died = until("ends", "die");
    assert_eq!(
        (died["type"].as_str(), died["attributes"]["exitCode"].as_str()),
        (Some("container"), Some("7"))
    );
    machine.orc(&["pause", "web"]).ok();
    until("web", "pause");
    machine.orc(&["rm", "-fs", "web"]).ok();
    until("web", "destroy");
    events.kill().expect("it follows for ever");
    events.wait().expect("it ends");
    machine.orc(&["wait", "--down-project", "ends"]).exits(7);
    assert_eq!(machine.orc(&["ls", "-q", "-a"]).ok(), "");
    machine.leaves_nothing();
}

#[test]
fn attach_must_join_a_running_process() {
    let machine = started("attach");
    let mut attached = machine.orc_command(&["attach", "asks"]);
    let mut attached = attached
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("orc starts");
    let mut stdin = attached.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, b"to and fro\n").expect("it reads");
    drop(stdin);
    let output = Outcome::new("orc attach asks".to_owned(), &attached.wait_with_output().expect("it ends"));
    assert_eq!(output.ok(), "to and fro");
    eventually("it has ended", || state(&machine, "ends") == "exited");
    machine.orc(&["attach", "ends"]).exits(1).says("not running");
    machine.orc(&["attach", "--detach-keys", "ctrl-%", "asks"]).exits(1).says("is not a key");
    machine.leaves_nothing();
}
