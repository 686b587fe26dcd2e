//! What single attributes of a service do inside of its containers.

use std::path::Path;

use crate::support::{Machine, Outcome, eventually};

/// A machine on which the file's services run.
fn up(name: &str, compose: &str) -> Machine {
    let machine = Machine::new(name);
    machine.compose(compose);
    machine.orc(&["up", "-d"]).ok();
    machine
}

/// A tool of the image, in the container of `box`.
fn inside(machine: &Machine, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", "box", "demo"], tool].concat())
}

/// What a container sees of its own control group, whichever version of cgroups this machine has.
#[track_caller]
fn is_limited(machine: &Machine, v1: (&str, &str), v2: (&str, &str)) {
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let (file, value) = if unified { v2 } else { v1 };
    let seen = inside(machine, &["cat", &format!("/sys/fs/cgroup/{file}")]);
    assert_eq!(seen.exits(0).stdout.trim(), value, "{file}");
}

/// Where a namespace of the container's first process, or of the machine, leads to.
fn namespace(machine: &Machine, process: &str, kind: &str) -> String {
    machine.shell(&format!("readlink /proc/{process}/ns/{kind}")).ok().to_owned()
}

#[test]
fn limits_of_resources_must_hold_in_every_form() {
    let machine = up(
        "resources",
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    cpu_shares: 512
    cpu_period: 200000
    cpu_quota: 50000
    cpuset: '0'
    mem_limit: 64m
    memswap_limit: 128m
    mem_reservation: 32m
    oom_score_adj: 321
    shm_size: 8m
",
    );
    // By the curve on which 1024 shares are a weight of 100, as in runc since 1.3.2.
    is_limited(&machine, ("cpu/cpu.shares", "512"), ("cpu.weight", "59"));
    is_limited(&machine, ("cpu/cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 200000"));
    is_limited(&machine, ("cpu/cpu.cfs_period_us", "200000"), ("cpu.max", "50000 200000"));
    is_limited(&machine, ("cpuset/cpuset.cpus", "0"), ("cpuset.cpus", "0"));
    is_limited(&machine, ("memory/memory.limit_in_bytes", "67108864"), ("memory.max", "67108864"));
    is_limited(
        &machine,
        ("memory/memory.memsw.limit_in_bytes", "134217728"),
        ("memory.swap.max", "67108864"),
    );
    is_limited(&machine, ("memory/memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432"));
    inside(&machine, &["cat", "/proc/self/oom_score_adj"]).exits(0).says("321");
    inside(&machine, &["cat", "/proc/self/mountinfo"]).exits(0).says("size=8192k");
    machine.leaves_nothing();
}

#[test]
fn the_use_of_block_devices_must_be_limited() {
    let limits = "
    blkio_config:
      device_read_bps: [{path: /dev/loop0, rate: 1mb}]
      device_write_bps: [{path: /dev/loop0, rate: 2mb}]
      device_read_iops: [{path: /dev/loop0, rate: 110}]
      device_write_iops: [{path: /dev/loop0, rate: 120}]
";
    let service =
        |limits: &str| format!("services:\n  box:\n    image: orc/demo\n    command: [demo, sleep]{limits}");
    let machine = Machine::new("block-io");
    machine.compose(&service(limits));
    let up = machine.orc(&["up", "-d"]);
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        // Not every machine lets version 2 limit block devices; then that is said.
        match up.code {
            0 => {
                _ = inside(&machine, &["cat", "/sys/fs/cgroup/io.max"])
                    .says("7:0 rbps=1048576 wbps=2097152 riops=110 wiops=120")
            }
            _ => _ = up.says("needs the cgroup controller `io`"),
        }
    } else {
        up.ok();
        let file = |name: &str| inside(&machine, &["cat", &format!("/sys/fs/cgroup/blkio/{name}")]);
        assert_eq!(file("blkio.throttle.read_bps_device").ok(), "7:0 1048576");
        assert_eq!(file("blkio.throttle.write_bps_device").ok(), "7:0 2097152");
        assert_eq!(file("blkio.throttle.read_iops_device").ok(), "7:0 110");
        assert_eq!(file("blkio.throttle.write_iops_device").ok(), "7:0 120");
    }
    machine.compose(&service("\n    blkio_config: {device_read_bps: [{path: /dev/null, rate: 1mb}]}\n"));
    machine.orc(&["up", "-d"]).exits(1).says("`/dev/null` of this machine is no block device");
    machine.leaves_nothing();
}

#[test]
fn weights_of_block_devices_must_be_had_where_the_kernel_has_them_or_be_refused() {
    let machine = Machine::new("block-weights");
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    for (limit, attribute, weight) in [
        ("weight: 300", "blkio_config.weight`", "300"),
        ("weight_device: [{path: /dev/loop0, weight: 400}]", "blkio_config.weight_device`", "400"),
    ] {
        machine.compose(&format!(
            "services: {{box: {{image: orc/demo, command: [demo, sleep], blkio_config: {{{limit}}}}}}}\n"
        ));
        let up = machine.orc(&["up", "-d", "-t", "1"]);
        match up.code {
            0 if unified => _ = inside(&machine, &["cat", "/sys/fs/cgroup/io.bfq.weight"]).says(weight),
            0 => _ = inside(&machine, &["cat", "/sys/fs/cgroup/blkio/blkio.bfq.weight"]).says(weight),
            _ if unified => _ = up.says("`blkio_config"),
            _ => _ = up.says(attribute),
        }
    }
    machine.leaves_nothing();
}

#[test]
fn what_only_version_1_of_cgroups_has_must_hold_there_and_be_refused_elsewhere() {
    let machine = Machine::new("version-1");
    machine.compose(
        "services: {box: {image: orc/demo, command: [demo, sleep], mem_limit: 64m, mem_swappiness: 17}}\n",
    );
    let up = machine.orc(&["up", "-d"]);
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        up.exits(1).says("needs cgroup v1");
    } else {
        up.ok();
        inside(&machine, &["cat", "/sys/fs/cgroup/memory/memory.swappiness"]).exits(0).says("17");
    }
    machine.leaves_nothing();
}

#[test]
fn what_takes_too_much_memory_must_wait_where_it_is_not_to_be_killed() {
    let machine = Machine::new("oom-waits");
    machine.compose(
        "
services:
  box: {image: orc/demo, command: [demo, alloc, '200'], mem_limit: 32m, oom_kill_disable: true}
",
    );
    let up = machine.orc(&["up", "-d"]);
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        up.exits(1).says("`oom_kill_disable` needs cgroup v1");
    } else {
        up.ok();
        let pid = machine.pids_of("demo alloc")[0];
        let group = "/sys/fs/cgroup/memory$(sed -n 's/.*:memory://p' /proc/PID/cgroup)";
        let look = format!("cat {}/memory.oom_control", group.replace("PID", &pid.to_string()));
        eventually("it waits", || machine.shell(&look).stdout.contains("under_oom 1"));
        machine.shell(&look).says("oom_kill 0");
        assert_eq!(machine.pids_of("demo alloc"), [pid], "nothing was killed");
    }
    machine.orc(&["down", "-t", "0"]).ok();
    machine.leaves_nothing();
}

#[test]
fn time_for_real_time_processes_must_be_given_where_the_kernel_can() {
    let machine = Machine::new("real-time");
    machine.compose(
        "
services:
  box: {image: orc/demo, command: [demo, sleep], cpu_rt_runtime: 12000, cpu_rt_period: 500000}
",
    );
    let up = machine.orc(&["up", "-d"]);
    if Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists() {
        up.ok();
        let file = |name: &str| inside(&machine, &["cat", &format!("/sys/fs/cgroup/cpu/{name}")]);
        assert_eq!(file("cpu.rt_runtime_us").ok(), "12000");
        assert_eq!(file("cpu.rt_period_us").ok(), "500000");
    } else {
        up.exits(1).says("`cpu_rt_runtime`");
    }
    machine.leaves_nothing();
}

#[test]
fn deploy_resources_must_hold_like_the_older_attributes() {
    let machine = up(
        "deploy-resources",
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    deploy:
      resources:
        limits: {cpus: '0.25', memory: 48m, pids: 33}
        reservations: {memory: 16m}
",
    );
    is_limited(&machine, ("cpu/cpu.cfs_quota_us", "25000"), ("cpu.max", "25000 100000"));
    is_limited(&machine, ("memory/memory.limit_in_bytes", "50331648"), ("memory.max", "50331648"));
    is_limited(&machine, ("memory/memory.soft_limit_in_bytes", "16777216"), ("memory.low", "16777216"));
    is_limited(&machine, ("pids/pids.max", "33"), ("pids.max", "33"));
    machine.leaves_nothing();
}

#[test]
fn what_is_reserved_must_be_there() {
    let machine = Machine::new("reservations");
    for (reserved, fits) in
        [("cpus: '0.1'", true), ("cpus: '5000'", false), ("memory: 1m", true), ("memory: 5000t", false)]
    {
        machine.compose(&format!(
            "services: {{box: {{image: orc/demo, command: [demo, sleep], deploy: {{resources: {{reservations: {{{reserved}}}}}}}}}}}\n"
        ));
        let up = machine.orc(&["up", "-d", "-t", "1"]);
        if fits { _ = up.ok() } else { _ = up.exits(1).says("no node fits") }
    }
    machine.leaves_nothing();
}

#[test]
fn names_groups_and_resolver_must_be_what_the_service_says() {
    let machine = up(
        "identity",
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    user: '1000:1000'
    group_add: ['4242']
    hostname: boxed
    domainname: example.test
    dns_search: [corp.example, lab.example]
    dns_opt: ['timeout:3']
",
    );
    inside(&machine, &["id"]).exits(0).says("4242");
    inside(&machine, &["cat", "/proc/sys/kernel/domainname"]).exits(0).says("example.test");
    inside(&machine, &["cat", "/etc/hosts"]).exits(0).says("boxed.example.test");
    let resolver = inside(&machine, &["cat", "/etc/resolv.conf"]);
    resolver.exits(0).says("search corp.example lab.example").says("timeout:3");
    machine.leaves_nothing();
}

#[test]
fn a_privileged_container_must_be_allowed_everything() {
    let machine =
        up("privileged", "services: {box: {image: orc/demo, command: [demo, sleep], privileged: true}}\n");
    let status = inside(&machine, &["status"]);
    status.exits(0).says("Seccomp: 0");
    assert!(!status.stdout.contains("CapEff: 00000000800405fb"), "{status}");
    inside(&machine, &["cat", "/proc/self/mountinfo"]).exits(0).never_says("/proc/sys");
    let mounting = inside(&machine, &["try", "mount"]);
    assert!(!mounting.stdout.starts_with("refused"), "{mounting}");
    machine.leaves_nothing();
}

#[test]
fn a_device_must_be_there_and_allow_what_was_asked_for() {
    // A block device that can be opened wherever there is one: nothing is attached to it.
    let machine = up(
        "devices",
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    devices: [{source: /dev/loop0, target: /dev/disk, permissions: r}]
    device_cgroup_rules: ['c 10:237 rw']
  wrong:
    image: orc/demo
    command: [demo, sleep]
    profiles: [wrong]
    devices: [/etc/passwd]
",
    );
    inside(&machine, &["cat", "/dev/disk"]).exits(0);
    assert_ne!(inside(&machine, &["write", "/dev/disk", "x"]).code, 0, "it may only be read");
    // Version 2 keeps its rules in a program, which nobody can look at from inside.
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        let rules = inside(&machine, &["cat", "/sys/fs/cgroup/devices/devices.list"]);
        rules.exits(0).says("b 7:0 r\n").says("c 10:237 rw\n");
    }
    let wrong = machine.orc(&["--profile", "wrong", "up", "-d", "wrong"]);
    wrong.exits(1).says("`/etc/passwd` of this machine is not a device");
    machine.leaves_nothing();
}

#[test]
fn host_modes_must_share_the_machines_own_namespaces() {
    let machine = up(
        "host-modes",
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    ipc: host
    pid: host
    uts: host
    cgroup: host
  own:
    image: orc/demo
    command: [demo, sleep, '1000000']
    ipc: private
    cgroup: private
",
    );
    let processes = machine.pids_of("demo sleep");
    let own = machine.pids_of("1000000")[0];
    let shared = *processes.iter().find(|pid| **pid != own).expect("box runs");
    for kind in ["ipc", "pid", "uts", "cgroup"] {
        // The machine of a scenario has a process namespace of its own; all else is that of its first process.
        assert_eq!(namespace(&machine, &shared.to_string(), kind), namespace(&machine, "1", kind), "{kind}");
        assert_ne!(namespace(&machine, &own.to_string(), kind), namespace(&machine, "1", kind), "{kind}");
    }
    machine.leaves_nothing();
}

#[test]
fn the_machines_network_or_none_at_all_must_be_possible() {
    let machine = up(
        "network-modes",
        "
services:
  open:
    image: orc/demo
    command: [demo, serve, '8123']
    network_mode: host
    extra_hosts: {of-this-service: 192.0.2.7, the-machine: host-gateway}
    dns: 192.0.2.53
  box: {image: orc/demo, command: [demo, sleep], network_mode: none}
",
    );
    eventually("it answers on the machine's own address, without publishing", || {
        machine.get("127.0.0.1:8123", "/").is_ok_and(|response| response.status == 200)
    });
    assert_eq!(inside(&machine, &["ls", "/sys/class/net"]).exits(0).stdout.trim(), "lo");
    let read = |path: &str| machine.orc(&["exec", "open", "demo", "cat", path]).exits(0).stdout.clone();
    let of_machine = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let own = "192.0.2.7\tof-this-service\n127.0.0.1\tthe-machine\n";
    assert_eq!(
        read("/etc/hosts"),
        format!("{}\n{own}", of_machine.trim_end_matches('\n')).trim_start_matches('\n')
    );
    assert_eq!(read("/etc/resolv.conf"), "nameserver 192.0.2.53\n");
    machine.leaves_nothing();
}

#[test]
fn logs_must_stay_within_their_limits_or_not_be_kept() {
    let machine = up(
        "logging",
        "
services:
  box:
    image: orc/demo
    command: [demo, count, '1']
    logging: {driver: json-file, options: {max-size: 1k, max-file: '2'}}
  silent:
    image: orc/demo
    command: [demo, count, '1']
    logging: {driver: none}
",
    );
    eventually("the oldest lines are gone", || {
        let log = machine.orc(&["logs", "--no-log-prefix", "box"]);
        log.stdout.lines().next().is_some_and(|first| first != "1")
    });
    let log = machine.orc(&["logs", "--no-log-prefix", "box"]);
    assert!(log.stdout.len() < 4096, "{} bytes are kept", log.stdout.len());
    assert_eq!(machine.orc(&["logs", "silent"]).exits(0).stdout, "");
    machine.leaves_nothing();
}

#[test]
fn an_image_that_must_not_be_pulled_must_not_be_pulled() {
    let machine = Machine::new("pull-never");
    machine
        .compose("services: {box: {image: 'registry.invalid/none:1', command: [x], pull_policy: never}}\n");
    machine.orc(&["up", "-d"]).exits(1).says("registry.invalid/none:1").never_says("resolve");
    machine.leaves_nothing();
}

#[test]
fn a_container_must_be_in_the_cgroup_that_it_asks_for_and_leave_none_behind() {
    let machine = Machine::new("cgroup-parent");
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let top = Path::new("/sys/fs/cgroup").join(if unified { "" } else { "pids" });
    let name = format!("orc-e2e-parent-{}", std::process::id());
    // Its owner's group stays; what the engine makes in other hierarchies, and below it, does not.
    let owned = top.join(&name);
    std::fs::create_dir_all(&owned).expect("a cgroup can be made");
    machine.compose(&format!(
        "
services:
  box: {{image: orc/demo, command: [demo, sleep], cgroup_parent: /{name}/below}}
  own: {{image: orc/demo, command: [demo, sleep, '1000000'], cgroup_parent: shop}}
  wrong: {{image: orc/demo, profiles: [wrong], cgroup_parent: ../up}}
"
    ));
    machine.orc(&["up", "-d"]).ok();
    let groups = |service: &str| {
        let container = machine.ps().into_iter().find(|container| container["Service"] == service);
        let pid = container.expect("it is there")["Pid"].as_u64().expect("it runs");
        machine.shell(&format!("cat /proc/{pid}/cgroup")).ok().to_owned()
    };
    assert!(groups("box").contains(&format!("/{name}/below/")), "{}", groups("box"));
    assert!(groups("own").contains("/.shop/"), "{}", groups("own"));
    // It is found there by all that looks for it, also for another engine.
    machine.kill_engine();
    inside(&machine, &["echo", "in"]).exits(0).says("in");
    machine.orc(&["pause", "box"]).ok();
    machine.orc(&["unpause", "box"]).ok();
    machine
        .orc(&["--profile", "wrong", "up", "-d", "wrong"])
        .exits(1)
        .says("`../up` is not the path of a cgroup");
    machine.orc(&["down", "-t", "1"]).ok();
    assert!(owned.is_dir() && !owned.join("below").exists(), "{}", owned.display());
    let others = std::fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten();
    let left =
        others.map(|hierarchy| hierarchy.path().join(&name)).find(|path| *path != owned && path.exists());
    assert_eq!(left, None);
    std::fs::remove_dir(&owned).expect("nobody is in it");
    machine.leaves_nothing();
}

#[test]
fn a_terminal_and_the_signal_that_stops_must_be_as_the_service_says() {
    let machine = Machine::new("process");
    machine.compose(
        "
services:
  terminal: {image: orc/demo, command: [demo, tty], tty: true}
  plain: {image: orc/demo, command: [demo, tty]}
  # It takes no notice of SIGTERM; whose process is not the first one ends by SIGINT.
  box: {image: orc/demo, command: [demo, stubborn], init: true, stop_signal: SIGINT, stop_grace_period: 300s}
",
    );
    machine.orc(&["up", "-d"]).ok();
    let log = |service: &str| machine.orc(&["logs", "--no-log-prefix", service]).ok().to_owned();
    eventually("both have said it", || {
        log("terminal").starts_with("terminal") && log("plain") == "no terminal"
    });
    eventually("it listens for SIGTERM", || log("box") == "started");
    machine.orc(&["stop", "box"]).ok();
    assert_eq!((log("box").as_str(), &machine.container("box")["ExitCode"]), ("started", &130.into()));
    machine.leaves_nothing();
}

#[test]
fn annotations_must_reach_what_makes_the_container() {
    let machine = Machine::new("annotations");
    // What only looks like a runtime: it keeps what it is asked to make.
    machine.shell("mount -t tmpfs none /usr/local/sbin").ok();
    let asked =
        "for word; do test -f \"$word/config.json\" && cp \"$word/config.json\" /usr/local/sbin/; done";
    machine.file("youki", &format!("#!/bin/sh\n{asked}\nexit 1\n"));
    machine.shell("install -m 755 youki /usr/local/sbin/youki").ok();
    machine.compose(
        "services: {box: {image: orc/demo, command: [demo, sleep], runtime: youki, annotations: {com.example.tier: front}}}\n",
    );
    machine.orc(&["up", "-d"]).exits(1);
    let config = machine.shell("cat /usr/local/sbin/config.json").json().remove(0);
    assert_eq!(config["annotations"]["com.example.tier"], "front");
    machine.orc(&["down", "-t", "1"]).ok();
    machine.shell("umount /usr/local/sbin").ok();
    machine.leaves_nothing();
}

#[test]
fn users_must_be_those_of_the_machine() {
    let machine =
        up("userns", "services: {box: {image: orc/demo, command: [demo, sleep], userns_mode: host}}\n");
    let own = machine.shell("cat /proc/self/uid_map").ok().to_owned();
    assert_eq!(inside(&machine, &["cat", "/proc/self/uid_map"]).ok(), own);
    machine.leaves_nothing();
}
