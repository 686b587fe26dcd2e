//! What commands do with a stack that is there, when they end, and what they say of what cannot be.

use std::process::Stdio;

use crate::support::{Machine, Outcome, eventually};

/// What `ps -a` says of each container of a service.
fn states(machine: &Machine, service: &str) -> Vec<String> {
    let containers = machine.ps().into_iter().filter(|container| container["Service"] == service);
    containers.map(|container| container["State"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn scale_must_start_what_was_stopped_and_what_that_needs() {
    let machine = Machine::new("scale-stopped");
    machine.compose(
        "
services:
  base: {image: orc/demo, command: [demo, sleep]}
  web: {image: orc/demo, command: [demo, sleep], depends_on: [base]}
",
    );
    machine.orc(&["scale", "web=1"]).ok();
    assert_eq!(states(&machine, "base"), ["running"], "what was never started starts as with `up`");
    machine.orc(&["stop", "-t", "1"]).ok();
    machine.orc(&["scale", "web=2"]).ok();
    assert_eq!(states(&machine, "web"), ["running", "running"]);
    assert_eq!(states(&machine, "base"), ["running"]);
    machine.orc(&["stop", "-t", "1"]).ok();
    machine.orc(&["start", "web"]).ok();
    assert_eq!(states(&machine, "base"), ["running"], "`start` starts what a service needs, too");
    machine.orc(&["stop", "-t", "1"]).ok();
    machine
        .orc(&["scale", "--no-deps", "web=1"])
        .exits(1)
        .says("waits for `base` to start, and it is stopped");
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["down", "-t", "1", "web"]).ok();
    assert_eq!((states(&machine, "web").len(), states(&machine, "base").len()), (0, 1));
    machine.leaves_nothing();
}

#[test]
fn waiting_must_succeed_for_what_stays_or_completes_and_fail_for_what_does_not() {
    let machine = Machine::new("wait");
    let wait = |services: &str| {
        machine.compose(&format!("services:\n{services}"));
        let outcome = machine.orc(&["up", "--wait", "--remove-orphans"]);
        machine.orc(&["down", "-t", "1"]).ok();
        outcome
    };
    wait("  stays: {image: orc/demo, command: [demo, sleep]}\n").exits(0);
    wait("  job: {image: orc/demo, command: [demo, exit, '0']}\n").exits(0);
    // What waits for the end keeps `up` waiting until there is one, on however slow a machine.
    let after = |condition: &str, required: bool| {
        format!(
            "  after: {{image: orc/demo, command: [demo, sleep], depends_on: {{it: {{condition: {condition}, required: {required}}}}}}}\n"
        )
    };
    let ended = after("service_completed_successfully", false);
    wait(&format!("  it: {{image: orc/demo, command: [demo, exit, '5']}}\n{ended}"))
        .exits(1)
        .says("service `it`: 0/1 exited (5)")
        .says("✘");
    let done = after("service_completed_successfully", true);
    wait(&format!("  it: {{image: orc/demo, restart: always, command: [demo, exit, '3']}}\n{done}"))
        .exits(1)
        .says("exited (3), restarted ")
        .says("service `it`: 0/1 restarting")
        .says("waits for `it` to complete")
        .says("service `after`: 0/1 waiting");
    let check = |test: &str| {
        let command = "image: orc/demo, command: [demo, sleep]";
        format!("  it: {{{command}, healthcheck: {{test: [CMD, demo, exit, '1'], {test}}}}}\n")
    };
    wait(&check("interval: 100ms, retries: 2")).exits(1).says("service `it`: 0/1 unhealthy");
    machine.compose(&format!("services:\n{}", check("start_period: 300s")));
    machine.orc(&["up", "--wait", "--wait-timeout", "1"]).exits(1).says("within 1 s").says("service `it`");
    machine.leaves_nothing();
}

#[test]
fn a_dependent_of_what_keeps_failing_must_not_be_waited_for() {
    let machine = Machine::new("wait-loop");
    machine.compose(
        "
services:
  job: {image: orc/demo, command: [demo, exit, '3'], restart: always}
  web: {image: orc/demo, command: [demo, sleep], depends_on: {job: {condition: service_completed_successfully}}}
",
    );
    machine.orc(&["up", "-d"]).exits(1).says("service `web`: 0/1 waiting");
    machine.leaves_nothing();
}

#[test]
fn names_must_be_checked_and_the_nearest_suggested() {
    let machine = Machine::new("checked-names");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}, other: {image: orc/demo}}\n");
    for name in ["Bad Name!", "Upper", "../up"] {
        machine.orc(&["--project-name", name, "ps"]).exits(1).says(name).says("lower-case letters");
    }
    // What the file names may be asked for although nothing of it was started.
    machine.orc(&["ps", "web"]).ok();
    machine.orc(&["logs", "web"]).ok();
    machine.orc(&["stop", "web"]).ok();
    machine.orc(&["start", "web"]).exits(1).says("service `web` has no container to start");
    machine.orc(&["exec", "web", "demo", "id"]).exits(1).says("service `web` is not running");
    machine.orc(&["up", "-d", "web"]).ok();
    for command in
        [&["ps", "wbe"][..], &["logs", "wbe"], &["exec", "wbe", "id"], &["stop", "wbe"], &["up", "wbe"]]
    {
        machine.orc(command).exits(1).says("wbe").says("did you mean `web`?");
    }
    machine.leaves_nothing();
}

#[test]
fn orphans_must_be_told_once_and_removed_when_asked() {
    let machine = Machine::new("orphans");
    let file = "services: {web: {image: orc/demo, command: [demo, sleep]}, old: {image: orc/demo, command: [demo, sleep]}}\n";
    machine.compose(file);
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["stop", "-t", "1", "old"]).ok();
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    let up = machine.orc(&["up", "-d"]);
    up.exits(0).says("the file does not name `old` (exited)").never_says("runs");
    assert_eq!(up.stderr.matches("old").count(), 1, "{up}");
    machine.orc(&["ps", "-a"]).exits(0).says("old");
    machine.orc(&["ps", "-a", "--orphans=false"]).exits(0).never_says("old");
    let quiet = machine.orc_command(&["up", "-d"]).env("COMPOSE_IGNORE_ORPHANS", "1").output();
    Outcome::new("up -d".to_owned(), &quiet.expect("it runs")).exits(0).never_says("old");
    machine.orc(&["up", "-d", "--remove-orphans"]).exits(0).says("old       removed");
    assert!(states(&machine, "old").is_empty(), "`up` has waited for the removal");

    machine.compose(file);
    machine.orc(&["up", "-d"]).ok();
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    let run = machine.orc(&["run", "--rm", "-T", "--remove-orphans", "web", "demo", "exit", "3"]);
    run.exits(3).says("old       removed");
    assert!(states(&machine, "old").is_empty() && !states(&machine, "web").is_empty());

    machine.compose(file);
    machine.orc(&["up", "-d"]).ok();
    machine.compose(&file.replace("old", "new"));
    // Services of the file that are not named on the line are no orphans.
    machine.orc(&["up", "-d", "--remove-orphans", "new"]).exits(0).says("old       removed");
    assert!(states(&machine, "old").is_empty() && !states(&machine, "web").is_empty());
    // Nor are those of a profile that is not asked for.
    machine.compose(&file.replace("old: {", "new: {profiles: [more], "));
    machine.orc(&["up", "-d"]).exits(0).never_says("does not name");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.orc(&["down", "-t", "1", "--remove-orphans"]).exits(0).says("new       removed");
    machine.leaves_nothing();
}

#[test]
fn only_what_was_named_must_be_replaced_by_force() {
    let machine = Machine::new("force");
    machine.compose(
        "
services:
  base: {image: orc/demo, command: [demo, sleep]}
  web: {image: orc/demo, command: [demo, sleep], depends_on: [base]}
",
    );
    let ids = || {
        let id = |service: &str| machine.orc(&["ps", "-q", service]).ok().to_owned();
        (id("base"), id("web"))
    };
    machine.orc(&["up", "-d"]).ok();
    let first = ids();
    machine.orc(&["up", "-d", "--force-recreate", "web"]).ok();
    let second = ids();
    assert!(first.0 == second.0 && first.1 != second.1, "{first:?} {second:?}");
    machine.orc(&["up", "-d", "--always-recreate-deps", "web"]).ok();
    let third = ids();
    assert!(second.0 != third.0 && second.1 == third.1, "{second:?} {third:?}");
    machine.orc(&["up", "-d", "--build"]).exits(1).says("`--build` is not supported yet").says("hint");
    machine.leaves_nothing();
}

#[test]
fn restart_must_take_dependents_along_or_leave_them_as_told() {
    let machine = Machine::new("restart-deps");
    machine.compose(
        "
services:
  base: {image: orc/demo, command: [demo, sleep]}
  web: {image: orc/demo, command: [demo, sleep], depends_on: {base: {condition: service_started, restart: true}}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    let pid = || machine.ps().into_iter().find(|c| c["Service"] == "web").and_then(|c| c["Pid"].as_u64());
    let first = pid();
    machine.orc(&["restart", "-t", "1", "--no-deps", "base"]).ok();
    assert_eq!(pid(), first);
    machine.orc(&["restart", "-t", "1", "base"]).ok();
    eventually("the dependent has a process again", || pid().is_some_and(|pid| Some(pid) != first));
    machine.leaves_nothing();
}

#[test]
fn a_slow_end_must_be_one_that_can_be_hurried() {
    let machine = Machine::new("hurry");
    machine.compose(
        "services: {web: {image: orc/demo, command: [demo, stubborn], stop_grace_period: 300s, scale: 2}}\n",
    );
    for hurry in [&["down", "-t", "0"][..], &["kill"]] {
        machine.orc(&["up", "-d"]).ok();
        let mut down = machine.orc_command(&["down"]).stderr(Stdio::null()).spawn().expect("orc starts");
        eventually("both were asked to end", || {
            machine.orc(&["logs"]).stdout.matches("ignored SIGTERM").count() == 2
        });
        machine.orc(hurry).ok();
        assert!(down.wait().expect("it ends").success());
    }
    machine.leaves_nothing();
}

/// `orc up` in the background, and a way to ask for its end.
fn up_attached(machine: &Machine, args: &[&str]) -> std::process::Child {
    let mut command = machine.orc_command(&[&["up"], args].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("orc starts")
}

fn interrupt(machine: &Machine) {
    let pids = machine.pids_of("orc up");
    assert!(!pids.is_empty(), "`orc up` runs");
    pids.into_iter().for_each(|pid| machine.kill(pid, "INT"));
}

#[test]
fn attached_up_must_stop_at_the_first_interrupt_and_kill_at_the_second() {
    let machine = Machine::new("interrupt");
    machine.compose(
        "
services:
  gentle: {image: orc/demo, command: [demo, sleep]}
  stubborn: {image: orc/demo, command: [demo, stubborn], stop_grace_period: 300s}
",
    );
    let up = up_attached(&machine, &[]);
    eventually("both run", || {
        machine.orc(&["ps", "--services", "--status", "running"]).stdout.lines().count() == 2
    });
    interrupt(&machine);
    eventually("the gentle one has stopped", || states(&machine, "gentle") == ["exited"]);
    assert_eq!(states(&machine, "stubborn"), ["running"], "it was asked, not killed");
    interrupt(&machine);
    let output = up.wait_with_output().expect("it ends");
    let up = Outcome::new("up".to_owned(), &output);
    up.exits(130).says("press Ctrl-C again to kill").says("stubborn-1 exited with code 137");
    assert_eq!(states(&machine, "stubborn"), ["exited"]);
    machine.leaves_nothing();
}

#[test]
fn attached_up_must_end_with_the_code_that_was_asked_for() {
    let machine = Machine::new("abort");
    machine.compose(
        "
services:
  server: {image: orc/demo, command: [demo, sleep]}
  fine: {image: orc/demo, command: [demo, exit, '0']}
  test: {image: orc/demo, command: [demo, exit, '7'], depends_on: {fine: {condition: service_completed_successfully}}}
",
    );
    machine.orc(&["up", "--abort-on-container-exit"]).exits(0).says("fine-1 exited with code 0");
    // It may have been stopped before it was ever started; but nothing of it is to come any more.
    let server = states(&machine, "server");
    assert!(server == ["exited"] || server == ["created"], "{server:?}");
    machine.orc(&["up", "--abort-on-container-failure"]).exits(7).says("test-1 exited with code 7");
    machine.orc(&["up", "--exit-code-from", "test", "--no-deps", "test"]).exits(7);
    machine.orc(&["up", "--exit-code-from", "tset"]).exits(1).says("did you mean `test`?");
    machine.leaves_nothing();
}

#[test]
fn attached_up_must_show_whose_output_was_asked_for() {
    let machine = Machine::new("attach-choice");
    machine.compose(
        "
services:
  base: {image: orc/demo, command: [demo, echo, from-base]}
  quiet: {image: orc/demo, command: [demo, echo, from-quiet], attach: false}
  web:
    image: orc/demo
    command: [demo, echo, from-web]
    depends_on: {base: {condition: service_completed_successfully}}
",
    );
    let check = |args: &[&str], shown: &str| {
        let up = machine.orc(&[&["up"], args].concat());
        for name in ["base", "quiet", "web"] {
            let text = format!("from-{name}");
            if shown.contains(name) {
                up.exits(0).says(&text)
            } else {
                up.exits(0).never_says(&text)
            };
        }
        // What was not shown may still run: the next `up` is to start all of it.
        machine.orc(&["down", "-t", "1"]).ok();
    };
    check(&[], "base web");
    check(&["web"], "web");
    check(&["--attach-dependencies", "web"], "base web");
    check(&["--attach", "quiet"], "quiet");
    check(&["--no-attach", "base"], "web");
    let plain = machine.orc(&["up", "--no-log-prefix", "--timestamps", "web"]);
    let line = plain.ok().lines().find(|line| line.contains("from-web")).expect("its line");
    assert!(line.starts_with("20") && line.ends_with("Z from-web"), "{line}");
    machine.leaves_nothing();
}
