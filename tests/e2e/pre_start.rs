//! Steps that run to their end, each in a container of its own, before a service's containers start.

use crate::support::{Machine, eventually};

#[test]
fn steps_must_run_one_after_the_other_before_the_service_with_its_volumes_names_and_log() {
    let machine = Machine::new("pre-start");
    machine.compose(
        "
services:
  db: {image: orc/demo, command: [demo, serve]}
  web:
    image: orc/demo
    command: [demo, cat, /data/first, /data/second]
    user: '1000'
    environment: {WHO: service}
    volumes: ['data:/data']
    depends_on: [db]
    pre_start:
      - {command: [demo, write, /data/first, one], user: root}
      - {command: [demo, write, /data/second, two], user: root}
      - {command: [demo, env, WHO], environment: {WHO: the step}}
      - {command: [demo, id], working_dir: /tmp}
      - {command: [demo, get, 'http://db/']}
volumes: {data: {}}
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    let log = machine.orc(&["logs", "--no-log-prefix", "web"]);
    log.exits(0).says("the step").says("uid=1000").says("/tmp");
    assert!(
        log.stdout.trim_end().ends_with("onetwo") || log.stdout.trim_end().ends_with("one\ntwo"),
        "{log}"
    );
    machine.leaves_nothing();
}

#[test]
fn a_step_that_fails_must_keep_its_service_from_starting() {
    let machine = Machine::new("pre-start-fails");
    let compose = |code: &str| {
        format!(
            "
services:
  web:
    image: orc/demo
    command: [demo, sleep, '1000']
    pre_start: [{{command: [demo, exit, '{code}']}}, {{command: [demo, echo, second step]}}]
  after: {{image: orc/demo, command: [demo, sleep, '2000'], depends_on: [web]}}
"
        )
    };
    machine.compose(&compose("3"));
    let why = "`pre_start` step 1 `demo exit 3`: it ended with exit code 3";
    machine.orc(&["up", "-d"]).exits(1).says(why);
    machine.orc(&["ps", "-a"]).exits(0).says(why);
    machine.orc(&["why", "web"]).says(why);
    machine.orc(&["logs", "web"]).exits(0).never_says("second step");
    assert!(machine.pids_of("demo sleep").is_empty());
    machine.compose(&compose("0"));
    machine.orc(&["up", "-d", "--wait"]).ok();
    machine.orc(&["logs", "web"]).exits(0).says("second step");
    machine.leaves_nothing();
}

#[test]
fn a_step_must_run_once_for_a_service_unless_each_replica_asks_for_it() {
    let machine = Machine::new("pre-start-replicas");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, sleep, '1000']
    restart: always
    scale: 3
    pre_start: [{command: [demo, echo, once]}, {command: [demo, echo, each], per_replica: true}]
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    let said = |word: &str| machine.orc(&["logs", "--no-log-prefix", "web"]).ok().matches(word).count();
    assert_eq!((said("once"), said("each")), (1, 3));
    machine.orc(&["up", "-d", "--wait", "--scale", "web=4"]).ok();
    assert_eq!((said("once"), said("each")), (1, 4), "more replicas need only what is each one's own");
    let before = machine.pids_of("sleep 1000");
    machine.kill(before[0], "KILL");
    eventually("it is back", || {
        let now = machine.pids_of("sleep 1000");
        now.len() == 4 && now != before
    });
    assert_eq!((said("once"), said("each")), (1, 4), "a restart by policy is nobody's wish");
    machine.leaves_nothing();
}

#[test]
fn who_waits_for_a_long_step_must_be_stoppable_and_start_anew_after_the_engines_end() {
    let machine = Machine::new("pre-start-long");
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, sleep, '1000']
    pre_start: [{command: [demo, stubborn]}]
  other: {image: orc/demo, command: [demo, sleep, '2000']}
",
    );
    // The engine is then nobody's child who is still waiting.
    machine.orc(&["up", "-d", "other"]).ok();
    let mut up = machine.orc_command(&["up", "-d"]).spawn().expect("nsenter is there");
    let step = || machine.pids_of("demo stubborn");
    eventually("the step runs", || step().len() == 1);
    machine.orc(&["stop", "-t", "1"]).ok();
    eventually("it is ended", || step().is_empty());
    up.wait().expect("it has ended");
    let mut up = machine.orc_command(&["up", "-d"]).spawn().expect("nsenter is there");
    eventually("it runs again", || step().len() == 1);
    let first = step();
    machine.orc(&["engine", "stop"]).ok();
    up.wait().expect("it has ended");
    machine.orc(&["ps"]).ok();
    eventually("another engine runs it anew", || step().len() == 1 && step() != first);
    machine.leaves_nothing();
}

#[test]
fn a_step_must_be_one_of_another_image() {
    let machine = Machine::new("pre-start-image");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "web", "demo", "write", "/mine", "of the other image"]).ok();
    machine.orc(&["commit", "web", "mine:1"]).ok();
    machine.compose(
        "
services:
  web:
    image: orc/demo
    command: [demo, stat, /mine]
    pre_start: [{image: 'mine:1', command: [demo, cat, /mine]}]
",
    );
    machine.orc(&["up", "-d"]);
    eventually("the service's own image lacks it", || machine.container("web")["ExitCode"] == 1);
    machine.orc(&["logs", "--no-log-prefix", "web"]).exits(0).says("of the other image");
    machine.leaves_nothing();
}
