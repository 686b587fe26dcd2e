//! What a container may do and use: the same for its first process and for what is executed later.

use crate::support::{Machine, eventually};

/// Both ways into a container print the same of themselves.
fn first_and_exec(machine: &Machine, tool: &[&str]) -> [String; 2] {
    let exec = machine.orc(&[&["exec", "-T", "box", "demo"], tool].concat());
    let run = machine.orc(&[&["run", "--rm", "-T", "box", "demo"], tool].concat());
    [exec.stdout, run.stdout]
}

#[test]
fn the_default_confinement_must_hold_for_first_process_and_exec_alike() {
    let machine = Machine::new("confined");
    machine.compose("services: {box: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    let [exec, first] = first_and_exec(&machine, &["status"]);
    assert_eq!(exec, first);
    for line in ["CapEff: 00000000800405fb", "CapBnd: 00000000800405fb", "Seccomp: 2", "NoNewPrivs: 0"] {
        assert!(exec.contains(line), "no `{line}` in\n{exec}");
    }
    for forbidden in ["mount", "mknod", "settime", "sethostname"] {
        for text in first_and_exec(&machine, &["try", forbidden]) {
            assert!(text.starts_with("refused"), "{forbidden}: {text}");
        }
    }
    for masked in ["/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/timer_list"] {
        let cat = machine.orc(&["exec", "-T", "box", "demo", "cat", masked]);
        assert!(cat.stdout.is_empty(), "{masked} shows something");
    }
    let write = machine.orc(&["exec", "-T", "box", "demo", "write", "/proc/sys/kernel/panic", "1"]);
    assert_ne!(write.code, 0, "read-only paths");
    machine.leaves_nothing();
}

#[test]
fn what_a_service_asks_for_must_hold_inside() {
    let machine = Machine::new("asked-for");
    machine.compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    user: '1000:1001'
    working_dir: /tmp
    read_only: true
    tmpfs: [/scratch]
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    security_opt: ['no-new-privileges:true']
    ulimits: {nofile: {soft: 100, hard: 200}}
    sysctls: {net.core.somaxconn: '77'}
    extra_hosts: ['far.example:192.0.2.7']
    hostname: boxed
    init: true
",
    );
    machine.orc(&["up", "-d"]).ok();
    let [exec, first] = first_and_exec(&machine, &["status"]);
    assert_eq!(exec, first);
    for line in [
        "Uid: 1000 1000",
        "Gid: 1001 1001",
        "CapBnd: 0000000000000400",
        "NoNewPrivs: 1",
        "Max open files 100 200",
    ] {
        assert!(exec.contains(line), "no `{line}` in\n{exec}");
    }
    let inside = |args: &[&str]| machine.orc(&[&["exec", "-T", "box", "demo"], args].concat());
    assert_ne!(inside(&["write", "/file", "x"]).code, 0, "the root is read-only");
    inside(&["cat", "/proc/sys/net/core/somaxconn"]).exits(0).says("77");
    inside(&["cat", "/etc/hosts"]).exits(0).says("192.0.2.7").says("boxed");
    inside(&["cat", "/proc/sys/kernel/hostname"]).exits(0).says("boxed");
    machine.leaves_nothing();
}

#[test]
fn limits_must_be_enforced() {
    let machine = Machine::new("limits");
    machine.compose(
        "
services:
  memory: {image: orc/demo, command: [demo, alloc, '200'], mem_limit: 32m}
  pids: {image: orc/demo, command: [demo, sleep], pids_limit: 10}
  cpu: {image: orc/demo, command: [demo, sleep], cpus: 0.2}
",
    );
    machine.orc(&["up", "-d"]);
    eventually("the memory limit ended it", || {
        let containers = machine.ps();
        containers.iter().any(|container| container["Service"] == "memory" && container["ExitCode"] == 137)
    });
    machine.orc(&["ps", "-a"]).exits(0).says("memory");
    let forks = machine.orc(&["exec", "-T", "pids", "demo", "fork", "50"]);
    forks.never_says(" 50 ");
    machine.leaves_nothing();
}

#[test]
fn secrets_and_configs_must_arrive_with_owner_and_mode() {
    let machine = Machine::new("secrets");
    machine.file("password.txt", "hunter2").file("app.conf", "a = 1\n").compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    secrets: [password]
    configs: [{source: app, target: /etc/app.conf, mode: 0440, uid: '1000'}]
secrets: {password: {file: password.txt}}
configs: {app: {file: app.conf}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "-T", "box", "demo", "cat", "/run/secrets/password"]).exits(0).says("hunter2");
    machine.orc(&["exec", "-T", "box", "demo", "cat", "/etc/app.conf"]).exits(0).says("a = 1");
    machine.orc(&["exec", "-T", "box", "demo", "stat", "/etc/app.conf"]).exits(0).says("440").says("1000");
    machine.leaves_nothing();
}
