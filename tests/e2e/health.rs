//! Health checks, inside and outside of containers, and what follows from them; hooks.

use crate::support::{Machine, eventually, eventually_some};

#[test]
fn an_unhealthy_container_must_be_restarted_where_its_policy_allows_it() {
    let machine = Machine::new("unhealthy");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, sleep]
    restart: always
    tmpfs: [/state]
    post_start: [{command: [demo, write, /state/ok, 'yes']}]
    healthcheck: {test: [CMD, demo, cat, /state/ok], interval: 200ms, retries: 2}
  left:
    image: orc/demo
    command: [demo, sleep]
    restart: always
    x-on-unhealthy: none
    healthcheck: {test: [CMD, demo, cat, /nothing], interval: 200ms, retries: 1}
",
    );
    machine.orc(&["up", "-d"]).ok();
    eventually("web is healthy", || machine.container("web")["Health"] == "healthy");
    let before = machine.container("web");
    machine.orc(&["exec", "web", "demo", "rm", "/state/ok"]).ok();
    let after = eventually_some("it was restarted in place, and its hook made it healthy again", || {
        let now = machine.container("web");
        (now["Pid"] != before["Pid"] && now["Health"] == "healthy").then_some(now)
    });
    assert_eq!(after["ID"], before["ID"]);
    machine.orc(&["ps", "web"]).exits(0).says("restarted once; it was unhealthy");
    machine.orc(&["why", "web"]).says("stopped because it was unhealthy");
    machine
        .orc(&["events", "--json", "--since", "1h", "--until", "0s"])
        .exits(0)
        .says("\"reason\":\"unhealthy\"");
    let left = eventually_some("the other one is unhealthy", || {
        let left = machine.container("left");
        (left["Health"] == "unhealthy").then_some(left)
    });
    assert_eq!(left["State"], "running");
    machine.leaves_nothing();
}

#[test]
fn a_probe_from_outside_must_need_no_program_in_the_container() {
    let machine = Machine::new("probe");
    machine.compose(
        "
services:
  store:
    image: orc/demo
    command: [demo, store]
    x-probe: {http: 80/healthz}
  client:
    image: orc/demo
    command: [demo, get, 'http://store/healthz']
    depends_on: {store: {condition: service_healthy}}
  deaf:
    image: orc/demo
    command: [demo, sleep]
    x-probe: {tcp: 81}
    healthcheck: {interval: 100ms, start_period: 300ms, retries: 2}
",
    );
    let up = machine.orc(&["up", "-d", "--wait"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("cannot connect");
    assert_eq!(machine.container("store")["Health"], "healthy");
    eventually("the client found the store at its first try", || {
        let client = machine.container("client");
        client["State"] == "exited" && client["ExitCode"] == 0
    });
    assert_eq!(machine.container("deaf")["Health"], "unhealthy");
    machine.leaves_nothing();
}

#[test]
fn what_is_no_probe_must_be_refused() {
    let machine = Machine::new("no-probe");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep], x-probe: {http: web}}}");
    let up = machine.orc(&["up", "-d"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("does not begin with a port");
    machine.leaves_nothing();
}

#[test]
fn hooks_must_run_as_their_user_after_the_start_and_before_the_stop() {
    let machine = Machine::new("hooks");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, sleep]
    user: '1000'
    volumes: ['notes:/notes']
    post_start:
      - {command: [demo, write, /notes/started, 'as root'], user: root, environment: {A: b}}
    pre_stop:
      - {command: [demo, write, /notes/stopped, 'as root'], user: root}
  next:
    image: orc/demo
    command: [demo, cat, /notes/started]
    volumes: ['notes:/notes']
    depends_on: [web]
volumes: {notes: {}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    eventually("who depends on it started after the hook", || {
        let next = machine.container("next");
        next["State"] == "exited" && next["ExitCode"] == 0
    });
    machine.orc(&["stop", "-t", "5", "web"]).ok();
    machine.orc(&["run", "--rm", "next", "demo", "cat", "/notes/stopped"]).exits(0).says("as root");
    machine.leaves_nothing();
}

#[test]
fn a_hook_that_fails_must_be_told() {
    let machine = Machine::new("hook-fails");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, sleep]
    post_start: [{command: [demo, cat, /nothing]}]
",
    );
    let up = machine.orc(&["up", "-d"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("`post_start` hook `demo cat /nothing`");
    machine.leaves_nothing();
}

#[test]
fn a_grpc_server_must_be_asked_for_its_own_word() {
    let machine = Machine::new("grpc-probe");
    machine.compose(
        "
services:
  whole: {image: orc/demo, command: [demo, health], x-probe: {grpc: 50051}}
  part: {image: orc/demo, command: [demo, health, '9000', shop.Cart], x-probe: {grpc: ':9000/shop.Cart'}}
  client:
    image: orc/demo
    command: [demo, sleep]
    depends_on: {whole: {condition: service_healthy}, part: {condition: service_healthy}}
  other:
    image: orc/demo
    command: [demo, health, '9000', shop.Cart]
    x-probe: {grpc: 9000/shop.Till}
    healthcheck: {interval: 100ms, retries: 2}
  mute:
    image: orc/demo
    command: [demo, serve]
    x-probe: {grpc: 80}
    healthcheck: {interval: 100ms, retries: 2}
",
    );
    let up = machine.orc(&["up", "-d", "--wait"]);
    up.exits(1).says("there is no service `shop.Till`");
    for service in ["whole", "part"] {
        assert_eq!(machine.container(service)["Health"], "healthy");
    }
    eventually("who waits for both runs", || machine.container("client")["State"] == "running");
    for service in ["other", "mute"] {
        eventually(&format!("{service} is unhealthy"), || {
            machine.container(service)["Health"] == "unhealthy"
        });
    }
    machine.leaves_nothing();
}

#[test]
fn a_check_must_be_one_that_can_be_left_out() {
    let machine = Machine::new("no-check");
    machine.file(
        "base.yaml",
        "services: {web: {image: orc/demo, command: [demo, sleep], healthcheck: {test: [CMD, demo, exit, '0'], interval: 100ms}}}\n",
    );
    machine.compose(
        "
services:
  checked: {extends: {file: base.yaml, service: web}}
  disabled: {extends: {file: base.yaml, service: web}, healthcheck: {disable: true}}
  none: {extends: {file: base.yaml, service: web}, healthcheck: {test: [NONE]}}
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    let health = |service: &str| machine.container(service)["Health"].as_str().map(str::to_owned);
    assert_eq!(health("checked").as_deref(), Some("healthy"));
    for service in ["disabled", "none"] {
        assert_eq!(health(service).as_deref(), Some(""), "{service}");
    }
    machine.leaves_nothing();
}

/// What a hook of each kind is said to be.
const HOOK: &str = "user: '5:6', working_dir: /notes, environment: {WORD: given}, privileged: true";

#[test]
fn every_hook_must_run_as_whom_where_and_with_what_it_says() {
    let machine = Machine::new("hook-process");
    let hook = |seconds: u32| format!("[{{command: [demo, sleep, '{seconds}'], {HOOK}}}]");
    machine.compose(&format!(
        "
services:
  web:
    image: orc/demo
    command: [demo, stubborn]
    user: '1000'
    stop_grace_period: 300s
    volumes: ['notes:/notes']
    pre_start: {}
    post_start: {}
    pre_stop: {}
volumes: {{notes: }}
",
        hook(2000),
        hook(3000),
        hook(4000)
    ));
    let look = |seconds: u32| {
        let pid = eventually_some("the hook runs", || {
            machine.pids_of(&format!("demo sleep {seconds}")).first().copied()
        });
        machine.shell(&format!("tr '\\0' '\\n' < /proc/{pid}/environ")).exits(0).says("WORD=given\n");
        machine.shell(&format!("readlink /proc/{pid}/cwd")).exits(0).says("/notes\n");
        let status = machine.shell(&format!("cat /proc/{pid}/status"));
        status.exits(0).says("Uid:\t5\t5").says("Gid:\t6\t6").never_says("CapBnd:\t00000000800405fb");
        machine.kill(pid, "TERM");
    };
    // The engine is then nobody's child who is still waiting.
    machine.orc(&["ls"]).ok();
    let mut up = machine.orc_command(&["up", "-d"]).spawn().expect("orc starts");
    look(2000);
    look(3000);
    assert!(up.wait().expect("it ends").success());
    let mut stop = machine.orc_command(&["stop"]).spawn().expect("orc starts");
    look(4000);
    machine.orc(&["kill"]).ok();
    stop.wait().expect("it ends");
    machine.leaves_nothing();
}
