//! Dependencies that stay alive when what others need is restarted or replaced.

use crate::support::{Machine, eventually, eventually_some};

#[test]
fn what_restarts_with_its_dependency_must_do_so_once_that_is_back() {
    let machine = Machine::new("cascade");
    machine.compose(
        "
services:
  db:
    image: orc/demo
    command: [demo, store]
    environment: {REVISION: '1'}
    x-probe: {http: 80/healthz}
  web:
    image: orc/demo
    command: [demo, serve]
    depends_on: {db: {condition: service_healthy, restart: true}}
  log:
    image: orc/demo
    command: [demo, sleep]
    depends_on: [db]
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    let (web, log) = (machine.container("web"), machine.container("log"));
    machine.orc(&["restart", "-t", "1", "db"]).ok();
    let again = eventually_some("web was restarted in place", || {
        let now = machine.container("web");
        (now["State"] == "running" && now["Pid"] != web["Pid"]).then_some(now)
    });
    assert_eq!((&again["ID"], &machine.container("log")["Pid"]), (&web["ID"], &log["Pid"]));

    let text = std::fs::read_to_string(machine.work().join("compose.yaml")).expect("the file");
    machine.compose(&text.replace("'1'", "'2'"));
    machine.orc(&["up", "-d", "--wait"]).ok();
    eventually("web was restarted when db was replaced", || {
        let now = machine.container("web");
        now["State"] == "running" && now["Pid"] != again["Pid"] && now["ID"] == again["ID"]
    });
    assert_eq!(machine.container("log")["Pid"], log["Pid"]);
    machine.leaves_nothing();
}

#[test]
fn a_dependency_that_is_not_required_must_not_keep_others_from_starting() {
    let machine = Machine::new("optional");
    machine.compose(
        "
services:
  cache:
    image: orc/demo
    command: [demo, exit, '1']
  web:
    image: orc/demo
    command: [demo, sleep]
    depends_on: {cache: {condition: service_completed_successfully, required: false}}
",
    );
    machine.orc(&["up", "-d"]);
    eventually("web runs", || machine.container("web")["State"] == "running");
    machine.leaves_nothing();
}
