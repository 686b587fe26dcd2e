//! One-off commands: `orc run`, and signals for what runs.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Machine, Outcome, eventually, eventually_some};

const STACK: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    environment: {COLOUR: red}
    ports: ['8080:80']
    depends_on: [store]
  store: {image: orc/demo, command: [demo, store]}
";

fn machine(name: &str) -> Machine {
    let machine = Machine::new(name);
    machine.compose(STACK);
    machine
}

/// What a command says to whom it is given this input.
fn fed(mut command: Command, input: &[u8]) -> Outcome {
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().expect("orc starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        // A command that does not read all of it closes the pipe.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("it ends")
    });
    Outcome::new("orc with input".to_owned(), &output)
}

/// The containers of `orc run`.
fn one_offs(machine: &Machine) -> Vec<serde_json::Value> {
    let is_one_off =
        |container: &serde_json::Value| container["Name"].as_str().is_some_and(|name| name.contains("-run-"));
    machine.ps().into_iter().filter(is_one_off).collect()
}

fn runs(machine: &Machine) -> bool {
    one_offs(machine).iter().any(|container| container["State"] == "running")
}

/// `orc` on a terminal with 33 rows and 44 columns.
fn on_a_terminal(machine: &Machine, line: &str) -> Outcome {
    let orc = env!("CARGO_BIN_EXE_orc");
    machine.shell(&format!("script -qec 'stty rows 33 cols 44; {orc} {line}' /dev/null </dev/null"))
}

#[test]
fn run_must_lose_nothing_of_a_command_that_ends_at_once() {
    let machine = machine("run-at-once");
    for round in 0..10 {
        let word = format!("word-{round}");
        let said = machine.orc(&["run", "--rm", "-T", "--no-deps", "web", "demo", "echo", &word]);
        assert_eq!(said.ok(), word, "round {round}: {said}");
        let code = round + 1;
        machine.orc(&["run", "--rm", "--no-deps", "web", "demo", "exit", &code.to_string()]).exits(code);
    }
    for round in 0..5 {
        let said = on_a_terminal(&machine, "run --rm --no-deps web demo tty");
        assert!(said.stdout.contains("terminal 44x33"), "round {round}: {said}");
    }
    machine.orc(&["run", "--rm", "--no-deps", "web", "no-such-program"]).exits(127).says("no-such-program");
    assert!(one_offs(&machine).is_empty(), "{:?}", one_offs(&machine));
    machine.leaves_nothing();
}

#[test]
fn run_must_wait_for_what_its_service_needs_and_not_run_without_it() {
    let machine = Machine::new("run-needs");
    let compose = |check: &str, job: &str| {
        machine.compose(&format!(
            "
services:
  db:
    image: orc/demo
    command: [demo, sleep]
    healthcheck: {{test: [CMD, demo, {check}], interval: 200ms, retries: 2}}
  job: {{image: orc/demo, command: [demo, {job}]}}
  spare: {{image: orc/demo, command: [demo, no-such-tool]}}
  app:
    image: orc/demo
    command: [demo, echo, it ran]
    depends_on: {{db: {{condition: service_healthy}}, spare: {{condition: service_started, required: false}}}}
  late:
    image: orc/demo
    command: [demo, echo, it ran]
    depends_on: {{job: {{condition: service_completed_successfully}}}}
"
        ));
    };
    compose("exit, '1'", "exit, '3', '1'");
    for (service, reason) in
        [("app", "service `db`: 0/1 unhealthy"), ("late", "service `job`: 0/1 exited (3)")]
    {
        let run = machine.orc(&["run", "-T", "--rm", service]);
        run.exits(1).says(&format!("what `{service}` depends on could not be started")).says(reason);
        assert_eq!(run.stdout, "");
    }
    machine.orc(&["run", "-T", "--rm", "--no-deps", "late"]).exits(0).says("it ran");
    compose("echo", "exit, '0', '1'");
    for service in ["app", "late"] {
        machine.orc(&["run", "-T", "--rm", service]).exits(0).says("it ran");
    }
    machine.leaves_nothing();
}

#[test]
fn run_must_take_input_and_give_all_output() {
    let machine = machine("run-input");
    let cat = ["run", "--rm", "--no-deps", "web", "demo", "cat"];
    assert_eq!(fed(machine.orc_command(&cat), b"hi\n").ok(), "hi");
    let much = vec![b'x'; 3_000_000];
    let back = fed(machine.orc_command(&cat), &much);
    assert_eq!(back.exits(0).stdout.len(), much.len());
    machine.orc(&["up", "-d", "store"]).ok();
    let exec = ["exec", "-T", "store", "demo", "cat"];
    assert_eq!(fed(machine.orc_command(&exec), &much).exits(0).stdout.len(), much.len());
    assert_eq!(
        fed(machine.orc_command(&["run", "--rm", "-i=false", "store", "demo", "cat"]), b"hi").ok(),
        ""
    );
    machine.leaves_nothing();
}

#[test]
fn a_fleeting_container_must_go_with_its_end_or_with_whoever_ran_it() {
    let machine = machine("run-rm");
    machine.orc(&["run", "--rm", "-d", "web", "demo", "exit", "3"]).exits(0).says("-run-");
    eventually("it has gone with its end", || one_offs(&machine).is_empty());

    let mut client = machine.orc_command(&["run", "--rm", "web", "demo", "count", "5"]);
    let mut client = client.stdout(Stdio::piped()).spawn().expect("orc starts");
    eventually("it runs", || runs(&machine));
    // Whoever reads goes first.
    drop(client.stdout.take());
    client.wait().expect("it ends");
    eventually("its reader has gone", || one_offs(&machine).is_empty());

    let mut client =
        machine.orc_command(&["run", "--rm", "web", "demo", "sleep"]).spawn().expect("orc starts");
    eventually("it runs", || runs(&machine));
    let clients = machine.pids_of("run --rm web demo sleep");
    clients.iter().for_each(|pid| machine.kill(*pid, "KILL"));
    client.wait().expect("it ends");
    eventually("its client was killed", || one_offs(&machine).is_empty());
    machine.leaves_nothing();
}

#[test]
fn one_offs_must_be_seen_and_stopped_with_their_service() {
    let machine = machine("run-ps");
    let name = machine.orc(&["run", "-d", "web", "demo", "sleep"]).ok().to_owned();
    let there = one_offs(&machine);
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!((there[0]["Service"].as_str(), there[0]["Name"].as_str()), (Some("web"), Some(name.as_str())));
    assert_eq!(machine.orc(&["ps", "-q", "web"]).ok(), "", "it is no replica of its service");
    machine.orc(&["ps", "nobody"]).exits(1).says("`store`, `web`").never_says("-run-");
    machine.orc(&["stop", "-t", "1", "web"]).ok();
    assert_eq!(one_offs(&machine)[0]["State"], "exited");
    assert!(machine.pids_of("demo store").len() == 1, "what it depends on runs on");
    let other = machine.orc(&["run", "-d", "--name", "worker", "web", "demo", "sleep"]).ok().to_owned();
    assert_eq!(other, "worker");
    machine.orc(&["kill", "worker"]).ok();
    let killed = machine.ps().into_iter().find(|container| container["Name"] == "worker");
    assert_eq!(killed.expect("it is kept")["ExitCode"], 137);
    machine.leaves_nothing();
}

#[test]
fn run_must_obey_its_flags() {
    let machine = machine("run-flags");
    machine.file("here/note", "from the host");
    let run = |args: &[&str]| {
        let line: Vec<&str> = ["run", "--rm", "--no-deps"].into_iter().chain(args.iter().copied()).collect();
        machine.orc(&line)
    };
    assert_eq!(run(&["-e", "COLOUR=$blue", "web", "demo", "env", "COLOUR"]).ok(), "$blue");
    assert_eq!(run(&["web", "demo", "env", "COLOUR"]).ok(), "red");
    machine.file("vars", "COLOUR=green\nSHAPE='a $b'\n");
    assert_eq!(run(&["--env-from-file", "vars", "web", "demo", "env", "COLOUR"]).ok(), "green");
    assert_eq!(run(&["--env-from-file", "vars", "web", "demo", "env", "SHAPE"]).ok(), "a $b");
    assert_eq!(run(&["--env-from-file", "vars", "-e", "COLOUR=x", "web", "demo", "env", "COLOUR"]).ok(), "x");
    assert_eq!(run(&["-v", "./here:/there:ro", "web", "demo", "cat", "/there/note"]).ok(), "from the host");
    run(&["-u", "7:8", "-w", "/proc", "web", "demo", "id"]).exits(0).says("uid=7 gid=8").says("cwd=/proc");
    assert_eq!(run(&["--entrypoint", "demo echo \"a b\"", "web", "c"]).ok(), "a b c");
    run(&["-v", "nonsense:", "web", "demo", "id"]).exits(1).says("command line");
    run(&["--build", "web"]).exits(1).says("not supported yet");
    let caps = |args: &[&str]| run(&[args, &["web", "demo", "status"]].concat()).ok().to_owned();
    assert_ne!(caps(&["--cap-drop", "ALL"]), caps(&["--cap-add", "NET_ADMIN"]));

    machine.orc(&["run", "-d", "-p", "8090:80", "-l", "who=me", "web"]).ok();
    eventually("it answers at its own port", || machine.get("127.0.0.1:8090", "/").is_ok());
    assert!(machine.get("127.0.0.1:8080", "/").is_err(), "the service's ports are not published");
    let labels = one_offs(&machine)[0]["Labels"].as_str().unwrap_or_default().to_owned();
    assert!(labels.contains("who=me"), "{labels}");
    machine.orc(&["down", "-t", "1"]).ok();
    machine.orc(&["run", "-d", "--service-ports", "web"]).ok();
    eventually("it answers at the service's port", || machine.get("127.0.0.1:8080", "/").is_ok());
    machine.leaves_nothing();
}

#[test]
fn a_signal_that_asks_for_no_end_must_only_reach_the_process() {
    let machine = machine("kill-signals");
    machine.orc(&["up", "-d"]).ok();
    let store = machine.pids_of("demo store");
    machine.orc(&["kill", "-s", "WINCH", "store"]).exits(0);
    machine.orc(&["kill", "-s", "sigcont", "store"]).exits(0);
    machine.orc(&["kill", "-s", "28"]).exits(0);
    assert_eq!(machine.pids_of("demo store"), store);
    // Nobody asked it to end: its policy says what follows, here that it stays.
    machine.orc(&["kill", "-s", "USR1", "store"]).exits(0);
    machine.orc(&["kill", "-s", "TERM", "store"]).exits(0);
    let state = || machine.ps().into_iter().find(|container| container["Service"] == "store");
    assert_eq!(eventually_some("it has ended", state)["State"], "exited");
    machine.orc(&["kill", "store"]).exits(0).says("no container to kill");
    machine.leaves_nothing();
}

#[test]
fn exec_must_leave_a_detached_command_running_and_tell_why_one_cannot_run() {
    let machine = machine("exec-detached");
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["exec", "-d", "store", "demo", "sleep", "1000"]).exits(0);
    eventually("it runs on", || machine.pids_of("demo sleep 1000").len() == 1);
    eventually("its client has gone", || machine.pids_of("exec -d").is_empty());
    assert_eq!(machine.pids_of("demo sleep 1000").len(), 1);
    machine.orc(&["exec", "-d", "store", "no-such-program"]).exits(127);
    machine.orc(&["exec", "-T", "store", "/"]).exits(126).says("error:");
    let raw = on_a_terminal(&machine, "exec store no-such-program");
    assert!(raw.stdout.contains("cannot run the command\r\n"), "{raw}");
    machine.orc(&["exec", "-T", "--privileged", "store", "demo", "status"]).exits(0).says("CapEff");
    machine.leaves_nothing();
}
