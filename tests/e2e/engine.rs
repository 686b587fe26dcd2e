//! The engine as something that is simply there: started when needed, gone when not, a service when asked for.

use std::time::{Duration, Instant};

use crate::support::{Machine, Outcome, eventually};

/// `orc` whose engine stays so many seconds with nothing to look after.
fn with_idle(machine: &Machine, seconds: &str, args: &[&str]) -> Outcome {
    let output = machine.orc_command(args).env("ORC_ENGINE_IDLE", seconds).output().expect("orc starts");
    Outcome::new(args.join(" "), &output)
}

#[test]
fn an_engine_must_end_when_nobody_needs_it_and_not_before() {
    let machine = Machine::new("idle-engine");
    machine.compose(
        "services:\n  web: {image: orc/demo, command: [demo, sleep]}\n  \
         clock: {image: orc/demo, command: [demo, exit, '0', '3']}\n",
    );
    with_idle(&machine, "1", &["ls"]).ok();
    eventually("an engine with nothing to do has ended", || machine.engine().is_none());

    with_idle(&machine, "1", &["up", "-d"]).ok();
    let engine = machine.engine().expect("an engine runs");
    // Containers tell the time: three times as long as an idle engine stays.
    eventually("the clock has run down", || machine.pids_of("demo exit").is_empty());
    assert_eq!(machine.engine(), Some(engine), "a stack is there");

    let socket = machine.shell("find \"$ORC_DATA_DIR\" /run -name engine.sock | head -1").ok().to_owned();
    let client = std::os::unix::net::UnixStream::connect(socket).expect("the engine listens");
    with_idle(&machine, "1", &["down", "-t", "0"]).ok();
    let start = Instant::now();
    eventually("three times as long has passed", || start.elapsed() > Duration::from_secs(3));
    assert_eq!(machine.engine(), Some(engine), "somebody is connected");
    drop(client);
    eventually("nobody needs it any more", || machine.engine().is_none());
    machine.shows_nothing_left();
}

/// A `systemctl` that notes how it was called and does what the real one would do with the engine's unit.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> "$PWD/calls"
pid() { tr -dc 0-9 < "$ORC_DATA_DIR/engine.lock"; }
case "$1 $2" in
"enable --now") (exec >/dev/null 2>&1; eval "setsid $(sed -n 's/^ExecStart=//p' "/etc/systemd/system/$3.service")") & ;;
"disable --now") kill "$(pid)"; while kill -0 "$(pid)" 2>/dev/null; do sleep 0.1; done ;;
esac
"#;

#[test]
fn an_installed_engine_must_be_a_service_that_leaves_containers_alone() {
    let machine = Machine::new("service");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.own_etc("mkdir -p etc/systemd/system");
    machine
        .file("bin/systemctl", SYSTEMCTL)
        .shell("chmod 755 bin/systemctl; mkdir -p /run/systemd/system")
        .ok();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", machine.work().join("bin").display());
    let orc = |args: &[&str]| {
        let output = machine.orc_command(args).env("PATH", &path).output().expect("orc starts");
        Outcome::new(args.join(" "), &output)
    };
    orc(&["engine", "uninstall"]).exits(0).says("no service");
    orc(&["up", "-d"]).ok();
    let web = machine.pids_of("demo sleep");

    let install = orc(&["engine", "install"]);
    install.exits(0).says("/etc/systemd/system/orc-");
    let unit = machine.shell("cat /etc/systemd/system/orc-*.service");
    unit.says("KillMode=process").says("Type=notify").says("engine\" \"run\" \"--idle\" \"0\"");
    eventually("the service's engine answers", || {
        machine.pids_of("engine run --idle 0").len() == 1 && orc(&["engine", "status"]).code == 0
    });
    orc(&["ps"]).ok();
    assert_eq!(machine.pids_of("engine run").len(), 1, "there is one engine");
    assert_eq!(machine.pids_of("demo sleep"), web, "and containers have not noticed");

    orc(&["engine", "uninstall"]).exits(0).says("containers go on");
    assert_eq!(machine.shell("ls /etc/systemd/system").ok(), "");
    let calls = machine.shell("cut -d' ' -f1 calls | tr '\\n' ' '");
    assert_eq!(calls.ok().trim_end(), "daemon-reload enable disable daemon-reload");
    assert_eq!(machine.pids_of("demo sleep"), web);
    machine.leaves_nothing();
}

#[test]
fn a_machine_without_services_must_be_told_what_to_run() {
    let machine = Machine::new("no-service");
    machine
        .orc(&["engine", "install"])
        .exits(1)
        .says("neither systemd nor OpenRC")
        .says("engine run --idle 0");
}

#[test]
fn the_engine_must_open_many_files_and_containers_get_the_usual_limit() {
    let machine = Machine::new("open-files");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.shell(&format!("ulimit -Sn 256; ulimit -Hn 4096; exec {} up -d", env!("CARGO_BIN_EXE_orc"))).ok();
    let limit = |pid: u64| {
        let limits = machine.shell(&format!("grep 'Max open files' /proc/{pid}/limits"));
        limits.ok().split_whitespace().skip(3).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit(machine.engine().expect("an engine runs")), ["4096", "4096"]);
    assert_eq!(limit(machine.container("web")["Pid"].as_u64().expect("it runs")), ["1024", "4096"]);
    let exec = machine.orc(&["exec", "-T", "web", "demo", "cat", "/proc/self/limits"]);
    let line = exec.ok().lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["1024", "4096"]);
    machine.leaves_nothing();
}
