//! How containers give way to others: a few at a time, the new one first, watched, and taken back.

use std::collections::BTreeSet;

use crate::support::{Machine, eventually};

/// A published service that is updated so; `{}` is what differs from revision to revision.
const WEB: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    environment: {REVISION: '1'}
    ports: ['8080:80']
    healthcheck: {interval: 200ms}
    x-probe: {http: 80/healthz}
    deploy:
      replicas: 2
      update_config: {order: start-first, monitor: 500ms, failure_action: rollback}
";

fn ids(machine: &Machine) -> BTreeSet<String> {
    let running = machine.ps().into_iter().filter(|container| container["State"] == "running");
    running.filter_map(|container| Some(container["ID"].as_str()?.to_owned())).collect()
}

#[test]
fn an_update_that_starts_first_must_fail_no_request() {
    let machine = Machine::new("start-first");
    machine.compose(WEB);
    machine.orc(&["up", "-d", "--wait"]).ok();
    let before = ids(&machine);
    assert_eq!(before.len(), 2);
    machine.compose(&WEB.replace("'1'", "'2'"));
    let plan = machine.orc(&["up", "-d", "--dry-run"]);
    plan.exits(0).says("the new one starts first");
    let mut update = machine.orc_command(&["up", "-d", "--wait"]).spawn().expect("orc starts");
    let mut asked = 0;
    loop {
        let ended = update.try_wait().expect("orc can be waited for");
        for _ in 0..20 {
            let answer = machine.get("127.0.0.1:8080", "/");
            assert!(answer.as_ref().is_ok_and(|answer| answer.status == 200), "request {asked}: {answer:?}");
            asked += 1;
        }
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
            break;
        }
    }
    eventually("the old ones are gone", || ids(&machine).is_disjoint(&before) && ids(&machine).len() == 2);
    machine.orc(&["exec", "web", "demo", "env", "REVISION"]).exits(0).says("2");
    machine.leaves_nothing();
}

#[test]
fn an_update_that_fails_must_take_itself_back() {
    let machine = Machine::new("rollback");
    machine.compose(WEB);
    machine.orc(&["up", "-d", "--wait"]).ok();
    let before = ids(&machine);
    machine.compose(&WEB.replace("[demo, serve]", "[demo, exit, '3']"));
    let up = machine.orc(&["up", "-d", "--wait"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("rolled back").says("ended with exit code 3");
    eventually("what ran before runs alone", || ids(&machine) == before);
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("it answers").status, 200);
    // The mended file is another update, which may go through.
    machine.compose(&WEB.replace("'1'", "'3'"));
    machine.orc(&["up", "-d", "--wait"]).ok();
    machine.leaves_nothing();
}

#[test]
fn an_update_must_be_paused_when_nothing_else_is_said_of_failures() {
    let machine = Machine::new("paused");
    let file = WEB.replace("order: start-first, monitor: 500ms, failure_action: rollback", "parallelism: 1");
    machine.compose(&file);
    machine.orc(&["up", "-d", "--wait"]).ok();
    machine.compose(&file.replace("[demo, serve]", "[demo, exit, '3']"));
    let up = machine.orc(&["up", "-d"]);
    assert_ne!(up.code, 0, "{up}");
    up.says("update paused").says("web.1 ended with exit code 3");
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("the other replica answers").status, 200);
    assert_eq!(ids(&machine).len(), 1);
    machine.compose(&file);
    machine.orc(&["up", "-d", "--wait"]).ok();
    assert_eq!(ids(&machine).len(), 2);
    machine.leaves_nothing();
}

#[test]
fn an_anonymous_volume_must_outlive_the_replacement_of_its_container() {
    let machine = Machine::new("anonymous");
    let file = "
services:
  web:
    image: orc/demo
    command: [demo, sleep]
    environment: {REVISION: '1'}
    volumes: [/kept]
";
    machine.compose(file);
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "web", "demo", "write", "/kept/text", "still here"]).ok();
    machine.compose(&file.replace("'1'", "'2'"));
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "web", "demo", "env", "REVISION"]).exits(0).says("2");
    machine.orc(&["exec", "web", "demo", "cat", "/kept/text"]).exits(0).says("still here");
    machine.leaves_nothing();
}

#[test]
fn an_anonymous_volume_must_be_made_anew_when_that_is_asked_for() {
    let machine = Machine::new("renewed");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep], volumes: [/kept]}}\n");
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "web", "demo", "write", "/kept/text", "still here"]).ok();
    machine.orc(&["up", "-d", "-V"]).ok();
    machine.orc(&["exec", "web", "demo", "cat", "/kept/text"]).exits(0).says("still here");
    machine.orc(&["up", "-d", "--force-recreate", "-V"]).ok();
    machine.orc(&["exec", "web", "demo", "cat", "/kept/text"]).exits(1).never_says("still here");
    machine.orc(&["exec", "web", "demo", "write", "/kept/text", "second"]).ok();
    machine.orc(&["up", "-d", "--force-recreate"]).ok();
    machine.orc(&["exec", "web", "demo", "cat", "/kept/text"]).exits(0).says("second");
    // What was given up is deleted, as it belonged to nobody else.
    let volumes = || machine.shell("ls \"$ORC_DATA_DIR\"/volumes | wc -l").ok().to_owned();
    eventually("one volume is there", || volumes() == "1");
    machine.leaves_nothing();
}
