//! Containers that take what they can get, do not end, or cannot be made.

use crate::support::{Machine, eventually, eventually_some};

/// Containers fork without end, look after no child, open files without end, write without end and take all memory they
/// get: each stays within its own limits and is reported, the engine answers, and another service does not notice.
#[test]
fn f27_greedy_containers_must_not_hurt_others() {
    let machine = Machine::new("greedy");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    ports: ['8080:80']
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 50ms}
  forks: {image: orc/demo, command: [demo, fork, '5000'], pids_limit: 30}
  zombies: {image: orc/demo, command: [demo, zombies, '5000'], pids_limit: 30}
  files: {image: orc/demo, command: [demo, open, '5000']}
  lines: {image: orc/demo, command: [demo, count, '0'], logging: {options: {max-size: 1m, max-file: '2'}}}
  memory: {image: orc/demo, command: [demo, alloc, '4000'], mem_limit: 32m}
",
    );
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    machine.orc(&["up", "-d"]);
    let state = |service: &str| {
        let list = machine.ps();
        list.into_iter().find(|container| container["Service"] == service).unwrap_or_default()
    };
    eventually("the memory hog is ended for it", || state("memory")["ExitCode"] == 137);
    machine.orc(&["ps", "-a", "memory"]).exits(0).says("memory");
    for (service, taken) in [("forks", "started 2"), ("zombies", "started 2"), ("files", "opened 10")] {
        eventually(&format!("{service} was stopped by its limit"), || {
            machine.orc(&["logs", "--no-log-prefix", service]).stdout.starts_with(taken)
        });
    }
    for _ in 0..20 {
        assert_eq!(machine.get("127.0.0.1:8080", "/").expect("web answers").status, 200);
    }
    assert_eq!(state("web")["State"], "running");
    machine.leaves_nothing();
}

/// A container takes no notice of SIGTERM, and commands run in it: it is killed when its time is up, and the commands
/// end with it.
#[test]
fn f28_a_stubborn_container_must_be_ended_with_all_that_runs_in_it() {
    let machine = Machine::new("stubborn");
    machine.compose("services: {web: {image: orc/demo, command: [demo, stubborn]}}\n");
    machine.orc(&["up", "-d"]).ok();
    eventually("it listens for SIGTERM", || machine.orc(&["logs", "web"]).stdout.contains("started"));
    let mut inside =
        machine.orc_command(&["exec", "-T", "web", "demo", "stubborn"]).spawn().expect("orc starts");
    eventually("the command runs", || machine.pids_of("demo stubborn").len() >= 3);
    machine.orc(&["stop", "-t", "1"]).ok();
    assert_eq!(inside.wait().expect("exec ends").code(), Some(137));
    let web = machine.ps().remove(0);
    assert_eq!((web["State"].as_str(), web["ExitCode"].as_i64()), (Some("exited"), Some(137)), "{web}");
    assert!(machine.pids_of("demo stubborn").is_empty());
    machine.leaves_nothing();
}

/// A container's first process leaves others behind and ends, with process numbers of its own and with the machine's:
/// what it left ends with it.
#[test]
fn f28_what_a_container_leaves_behind_must_end_with_it() {
    let machine = Machine::new("daemons");
    for pid in ["", "pid: host"] {
        machine.compose(&format!(
            "services:\n  web:\n    image: orc/demo\n    command: [demo, daemon]\n    {pid}\n"
        ));
        machine.orc(&["up", "-d"]).ok();
        eventually("the first process has ended", || machine.ps()[0]["State"] == "exited");
        assert_eq!(machine.ps()[0]["ExitCode"], 0);
        assert!(machine.pids_of("demo stubborn").is_empty(), "{pid}: the other with it");
    }
    machine.leaves_nothing();
}

/// Containers that cannot be made, each at another step: what is wrong is said, nothing of them is left, and the
/// service beside them runs.
#[test]
fn f33_a_container_that_cannot_be_made_must_leave_nothing() {
    let machine = Machine::new("half-made");
    for (attribute, reason) in [
        ("entrypoint: [no-such-program]", "no-such-program"),
        (
            "volumes: [{type: bind, source: /no/such/folder, target: /x, bind: {create_host_path: false}}]",
            "/no/such/folder",
        ),
        ("volumes: ['./compose.yaml:/proc']", "/proc"),
        ("user: nobody-knows", "nobody-knows"),
        ("sysctls: {net.no.such.thing: '1'}", "net"),
        ("devices: ['/dev/no-such:/dev/x']", "/dev/no-such"),
        ("cpuset: '4000'", "4000"),
        ("working_dir: /etc/hosts", "/etc/hosts"),
        ("tmpfs: [/etc/hosts]", "/etc/hosts"),
        ("volumes: [{type: image, source: no/such, target: /x}]", "no/such"),
        ("networks: {default: {mac_address: nonsense}}", "nonsense"),
    ] {
        machine.compose(&format!(
            "services:\n  good: {{image: orc/demo, command: [demo, sleep]}}\n  bad:\n    image: orc/demo\n    \
             command: [demo, sleep, '77']\n    {attribute}\n"
        ));
        let up = machine.orc(&["up", "-d"]);
        assert_ne!(up.code, 0, "{attribute}: {up}");
        up.says(reason);
        eventually(&format!("the other service runs beside {attribute}"), || {
            machine.pids_of("demo sleep").len() == 1
        });
        assert!(machine.pids_of("demo sleep 77").is_empty(), "{attribute}");
        machine.orc(&["down", "-v", "-t", "1"]).ok();
    }
    machine.leaves_nothing();
}

/// Health checks hang, print without end, and fail: they are ended at their timeout, their output is cut, their
/// service is called unhealthy, and others are checked as before.
#[test]
fn f35_bad_health_checks_must_keep_to_themselves() {
    let machine = Machine::new("bad-checks");
    let service = |check: &str| {
        format!(
            "{{image: orc/demo, command: [demo, sleep], x-on-unhealthy: none, \
             healthcheck: {{test: [CMD, {check}], interval: 100ms, timeout: 300ms, retries: 2}}}}"
        )
    };
    machine.compose(&format!(
        "services:\n  hangs: {}\n  floods: {}\n  good: {}\n",
        service("demo, sleep").replace("x-on-unhealthy: none, ", ""),
        service("demo, count, '0'").replace("x-on-unhealthy: none, ", ""),
        service("demo, echo, fine").replace("x-on-unhealthy: none, ", ""),
    ));
    machine.orc(&["up", "-d"]).ok();
    for (service, health) in [("hangs", "unhealthy"), ("floods", "unhealthy"), ("good", "healthy")] {
        eventually(&format!("{service} is {health}"), || {
            machine
                .ps()
                .iter()
                .any(|container| container["Service"] == service && container["Health"] == health)
        });
    }
    let engine = machine.engine().expect("an engine");
    let rss = machine.shell(&format!("grep VmRSS /proc/{engine}/status | tr -dc 0-9"));
    let kib: u64 = rss.ok().parse().expect("a number of KiB");
    assert!(kib < 300_000, "what checks print is not kept: {kib} KiB");
    // A check that hangs is ended, not left behind: at most one of each service runs.
    let checks = eventually_some("checks are ended", || {
        let checks = machine.pids_of("demo count 0").len();
        (checks <= 2).then_some(checks)
    });
    assert!(checks <= 2);
    machine.leaves_nothing();
}
