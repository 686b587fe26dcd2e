//! `kill -9` of the engine, of a container, of a shim; an engine that stands still.

use crate::support::{Machine, eventually, eventually_some};

pub(super) const STACK: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    restart: always
    ports: ['8080:80']
    deploy: {replicas: 2}
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 50ms}
  count: {image: orc/demo, command: [demo, count, '20']}
  brief: {image: orc/demo, command: [demo, exit, '7', '3']}
";

fn ids(machine: &Machine, service: &str) -> Vec<String> {
    let containers = machine.ps().into_iter().filter(|container| container["Service"] == service);
    containers.filter_map(|container| Some(container["ID"].as_str()?.to_owned())).collect()
}

/// The engine is killed: containers keep running and the port keeps answering; the next engine adopts them, the
/// first `orc ps` tells the exit that happened meanwhile, and logs have neither gap nor duplicate.
#[test]
fn f03_a_killed_engine_must_be_followed_by_one_that_adopts_the_stack() {
    let machine = Machine::new("engine-killed");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web", "count", "brief"]);
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("what is healthy answers").status, 200);
    let web = machine.pids_of("demo serve");
    let count = machine.pids_of("demo count");
    machine.kill_engine();
    for _ in 0..20 {
        assert_eq!(machine.get("127.0.0.1:8080", "/").expect("the port goes on answering").status, 200);
    }
    eventually("the short one has ended meanwhile", || machine.pids_of("demo exit 7").is_empty());
    // The first `ps` starts the next engine, which answers only when it knows what is.
    let brief = machine.ps().into_iter().find(|container| container["Service"] == "brief");
    let brief = brief.expect("it is listed");
    assert_eq!((brief["State"].as_str(), brief["ExitCode"].as_i64()), (Some("exited"), Some(7)), "{brief}");
    assert_eq!((machine.pids_of("demo serve"), machine.pids_of("demo count")), (web, count));

    let log = machine.orc(&["logs", "--no-log-prefix", "count"]);
    let numbers: Vec<u64> =
        log.ok().lines().map(|line| line.trim().parse().expect("a number a line")).collect();
    assert!(
        numbers.iter().zip(1..).all(|(number, expected)| *number == expected),
        "a gap or a duplicate: {numbers:?}"
    );
    machine.leaves_nothing();
}

/// A container's first process is killed: it is back by its restart policy, and no request fails but those that
/// were under way in it.
#[test]
fn f04_a_killed_container_must_come_back_and_get_no_request_meanwhile() {
    let machine = Machine::new("container-killed");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    let victims = machine.pids_of("demo serve");
    assert_eq!(victims.len(), 2);
    machine.kill(victims[0], "KILL");
    let mut failures = 0;
    eventually("the replica is back", || {
        failures += usize::from(machine.get("127.0.0.1:8080", "/").is_err());
        let now = machine.pids_of("demo serve");
        now.len() == 2 && !now.contains(&victims[0])
    });
    assert!(failures <= 1, "{failures} requests failed; only one can have been in flight");
    for _ in 0..20 {
        assert_eq!(
            machine.get("127.0.0.1:8080", "/").expect("no request reaches one that is not ready").status,
            200
        );
    }
    machine.leaves_nothing();
}

/// The process beside a container is killed: the container is ended, started again, and nothing of it is left.
#[test]
fn f04_a_killed_shim_must_be_noticed_and_leak_nothing() {
    let machine = Machine::new("shim-killed");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "web"]).ok();
    let id = ids(&machine, "web").remove(0);
    let shim = eventually_some("its shim", || machine.pids_of(&format!("/c/{id}")).first().copied());
    machine.kill(shim, "KILL");
    eventually("the container runs again under another shim", || {
        let shims = machine.pids_of("shim ");
        shims.len() == 2 && !shims.contains(&shim) && machine.pids_of("demo serve").len() == 2
    });
    machine.leaves_nothing();
}

/// The process beside a container stands still while the container's first process is killed: requests go to the other
/// replica, and the container is started again as soon as the process goes on.
#[test]
fn f04_a_shim_that_stood_still_must_tell_what_happened_meanwhile() {
    let machine = Machine::new("shim-stopped");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    let id = ids(&machine, "web").remove(0);
    let shim = eventually_some("its shim", || machine.pids_of(&format!("/c/{id}")).first().copied());
    let before = machine.pids_of("demo serve");
    machine.kill(shim, "STOP");
    let children = machine.shell(&format!("cat /proc/{shim}/task/{shim}/children"));
    let first: u64 =
        children.ok().split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("its child");
    assert!(before.contains(&first), "{first} serves");
    machine.kill(first, "KILL");
    let mut answers = 0;
    eventually("the other replica has all requests", || {
        answers = if machine.get("127.0.0.1:8080", "/").is_ok() { answers + 1 } else { 0 };
        answers == 20
    });
    machine.kill(shim, "CONT");
    eventually("the replica is back", || {
        let now = machine.pids_of("demo serve");
        now.len() == 2 && !now.contains(&first)
    });
    machine.leaves_nothing();
}

/// The engine is killed at many moments of `up`, `--scale` and `down` (`ORC_E2E_KILLS` says how many): the next
/// `up` converges, the next `down` leaves nothing.
#[test]
fn f01_engines_killed_at_random_must_never_keep_up_and_down_from_converging() {
    let machine = Machine::new("random-kills");
    let kills: u64 = std::env::var("ORC_E2E_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    machine.compose(STACK);
    for round in 0..kills {
        // Multiples of an odd number spread the moments over the first half second without a clock or dice.
        let moment = std::time::Duration::from_millis(round * 37 % 500);
        let args: &[&str] = match round % 3 {
            0 => &["up", "-d", "web"],
            1 => &["up", "-d", "--scale", "web=4", "web"],
            _ => &["down", "-t", "1"],
        };
        let mut command = machine.orc_command(args).spawn().expect("orc starts");
        let start = std::time::Instant::now();
        eventually("the moment has come", || start.elapsed() >= moment);
        if let Some(engine) = machine.engine() {
            machine.shell(&format!("kill -KILL {engine}"));
        }
        command.wait().expect("orc ends, whatever became of its engine");
    }
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    assert_eq!(machine.pids_of("demo serve").len(), 2);
    machine.leaves_nothing();
}

/// The engine is killed by the kernel because it gets no memory any more: containers keep running, and the next command
/// starts an engine that adopts them.
#[test]
fn f06_an_engine_without_memory_must_be_followed_by_one_that_adopts_the_stack() {
    let machine = Machine::new("engine-starved");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    let web = machine.pids_of("demo serve");
    let engine = machine.engine().expect("an engine runs");
    // A group of its own in which nothing more can be had, whichever version the machine's groups are of.
    let starve = format!(
        "root=/sys/fs/cgroup/memory; test -d $root || root=/sys/fs/cgroup; group=$root/orc/starved-{engine}; \
         mkdir -p $group && echo {engine} >$group/cgroup.procs && \
         (echo 0 >$group/memory.max || echo 0 >$group/memory.limit_in_bytes) 2>/dev/null; echo $group"
    );
    let group = machine.shell(&starve).ok().trim().to_owned();
    eventually("the kernel ends it", || {
        machine.orc(&["ps", "-q"]);
        machine.shell(&format!("test -e /proc/{engine}")).code != 0
    });
    let counted = machine.shell(&format!("cat {group}/memory.oom_control {group}/memory.events 2>/dev/null"));
    assert!(counted.stdout.contains("oom_kill 1"), "for want of memory: {counted}");
    machine.shell(&format!("rmdir {group}")).ok();
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("the port answers").status, 200);
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    assert_eq!(machine.pids_of("demo serve"), web, "containers have lived on");
    machine.leaves_nothing();
}

/// The engine stands still (SIGSTOP) and goes on: the port answers meanwhile, who asks waits, nothing is restarted.
#[test]
fn f06_an_engine_that_stood_still_must_go_on_as_if_nothing_had_been() {
    let machine = Machine::new("engine-stopped");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait", "web"]).ok();
    let web = machine.pids_of("demo serve");
    let engine = machine.engine().expect("an engine runs");
    machine.kill(engine, "STOP");
    for _ in 0..20 {
        assert_eq!(machine.get("127.0.0.1:8080", "/").expect("the port goes on answering").status, 200);
    }
    let mut waiting = machine.orc_command(&["ps", "-q"]).spawn().expect("orc starts");
    machine.kill(web[0], "KILL");
    machine.kill(engine, "CONT");
    assert!(waiting.wait().expect("orc ends").success(), "who waited is answered");
    eventually("who died meanwhile is back", || machine.pids_of("demo serve").len() == 2);
    assert!(machine.pids_of("demo serve").contains(&web[1]), "who lived goes on");
    assert_eq!(machine.engine(), Some(engine));
    machine.leaves_nothing();
}
