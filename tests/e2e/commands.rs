//! The smaller commands: what they print, where, and with which exit code.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::support::{Machine, eventually};

const STACK: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    deploy: {replicas: 2}
    ports: ['8080:80', '127.0.0.1:8443:81']
  says: {image: orc/demo, command: [demo, echo, one line]}
  counts: {image: orc/demo, command: [demo, count, '50']}
";

fn started(name: &str) -> Machine {
    let machine = Machine::new(name);
    machine.compose(STACK);
    machine.orc(&["up", "-d"]).ok();
    machine
}

#[test]
fn listings_must_suit_people_and_programs() {
    let machine = started("listings");
    eventually("it has said it", || machine.orc(&["ps", "-a", "says"]).stdout.contains("exited (0)"));
    machine.orc(&["ps"]).exits(0).says("web.2").says("0.0.0.0:8080->80/tcp").never_says("says.1");
    machine.orc(&["ps", "-a", "says"]).exits(0).says("exited (0)");
    let ids: BTreeSet<String> = machine.orc(&["ps", "-q", "web"]).ok().lines().map(str::to_owned).collect();
    let named = machine.ps().into_iter().filter(|container| container["Service"] == "web");
    assert_eq!(ids, named.filter_map(|container| Some(container["ID"].as_str()?.to_owned())).collect());
    assert_eq!(machine.orc(&["ps", "--services", "--status", "running"]).ok(), "counts\nweb");
    assert_eq!(machine.orc(&["port", "web", "80"]).ok(), "0.0.0.0:8080");
    assert_eq!(machine.orc(&["port", "web", "81"]).ok(), "127.0.0.1:8443");
    machine.orc(&["port", "web", "82"]).exits(1).says("publishes no port 82/tcp");
    machine.orc(&["ls"]).exits(0).says("running(3)");
    machine.orc(&["images", "web"]).exits(0).says("orc/demo");
    machine.orc(&["image", "ls"]).exits(0).says("orc/demo");
    machine.orc(&["ps", "nobody"]).exits(1).says("has no service `nobody`").says("`counts`, `says`, `web`");
    machine.leaves_nothing();
}

#[test]
fn listings_must_be_printed_as_a_go_template_says() {
    let machine = started("templates");
    let rows = |args: &[&str]| machine.orc(args).ok().to_owned();
    assert_eq!(rows(&["ps", "web", "--format", r"{{.Service}}\t{{.State}}"]), "web\trunning\nweb\trunning");
    let table = rows(&["ps", "web", "--format", r"table {{.Name}}\t{{.Ports}}"]);
    assert!(
        table.starts_with("NAME") && table.contains("PORTS") && table.contains("8080->80/tcp"),
        "{table}"
    );
    assert_eq!(rows(&["ls", "--format", "{{.Name}}"]), rows(&["ls", "-q"]));
    assert!(rows(&["images", "web", "--format", "{{.Repository}}:{{.Tag}}"]).starts_with("orc/demo:latest"));
    assert_eq!(rows(&["volumes", "--format", "{{.Name}}"]), "");
    let use_of = rows(&["stats", "--no-stream", "--format", "table {{.Name}}\t{{.MemUsage}}", "web"]);
    assert!(use_of.contains("MEM USAGE / LIMIT"), "{use_of}");
    machine.orc(&["ps", "--format", "{{.Naem}}"]).exits(1).says("no field `.Naem`").says(".Name");
    machine.orc(&["ps", "--format", "yaml"]).exits(2).says("Go template");
    machine.leaves_nothing();
}

#[test]
fn logs_must_be_whole_and_cut_as_asked() {
    let machine = started("logs");
    eventually("it has said it", || machine.orc(&["logs", "says"]).stdout.contains("one line"));
    assert_eq!(machine.orc(&["logs", "says"]).ok(), "says-1  | one line");
    assert_eq!(machine.orc(&["logs", "--no-log-prefix", "says"]).ok(), "one line");
    let timed = machine.orc(&["logs", "-t", "--no-log-prefix", "says"]);
    let (time, text) = timed.ok().split_once(' ').expect("a time and a line");
    assert!(time.ends_with('Z') && time.contains('T') && text == "one line", "{timed}");
    eventually("ten lines", || machine.orc(&["logs", "counts"]).stdout.lines().count() >= 10);
    assert_eq!(machine.orc(&["logs", "-n", "3", "counts"]).ok().lines().count(), 3);
    assert_eq!(machine.orc(&["logs", "--since", "2100-01-01T00:00:00Z"]).ok(), "");
    machine.orc(&["logs", "--since", "soon"]).exits(1).says("`--since soon` is not a time");
    machine.leaves_nothing();
}

#[test]
fn exec_and_run_must_carry_the_exit_code_and_what_they_are_given() {
    let machine = started("exec-run");
    machine.orc(&["exec", "-T", "web", "demo", "exit", "7"]).exits(7);
    machine.orc(&["exec", "-T", "web", "no-such-program"]).exits(127);
    let given = machine.orc(&[
        "exec",
        "-T",
        "-e",
        "COLOUR=green",
        "-u",
        "1000:1001",
        "-w",
        "/proc",
        "web",
        "demo",
        "id",
    ]);
    given.exits(0).says("uid=1000 gid=1001").says("cwd=/proc");
    machine.orc(&["exec", "-T", "-e", "COLOUR=green", "web", "demo", "env", "COLOUR"]).exits(0).says("green");
    machine
        .orc(&["exec", "-T", "--index", "9", "web", "demo", "id"])
        .exits(1)
        .says("not running as number 9");
    machine.orc(&["exec", "-T", "says", "demo", "id"]).exits(1).says("is not running");

    machine.orc(&["run", "--rm", "-T", "web", "demo", "exit", "5"]).exits(5);
    let once = machine.orc(&["run", "--rm", "-T", "-e", "A=b", "web", "demo", "env", "A"]);
    assert_eq!(once.ok(), "b");
    assert!(
        !machine
            .ps()
            .iter()
            .any(|container| container["Name"].as_str().is_some_and(|name| name.contains("-run-")))
    );
    machine.leaves_nothing();
}

#[test]
fn kill_and_rm_must_do_what_they_say() {
    let machine = started("kill-rm");
    machine.orc(&["kill", "counts"]).ok();
    let counts = || machine.ps().into_iter().find(|container| container["Service"] == "counts");
    assert_eq!(counts().map(|container| container["ExitCode"].as_i64()), Some(Some(137)));
    machine.orc(&["rm", "counts"]).exits(1).says("nobody to ask");
    machine.orc(&["rm", "-f", "counts"]).ok();
    assert!(counts().is_none());
    machine.orc(&["kill", "-s", "NONSENSE", "web"]).exits(1).says("not a signal");
    machine.leaves_nothing();
}

#[test]
fn a_dry_run_must_print_the_plan_and_do_nothing() {
    let machine = Machine::new("dry-run");
    machine.compose(STACK);
    machine.orc(&["--dry-run", "up", "-d"]).exits(0).says("web");
    assert!(machine.ps().is_empty());
    machine.orc(&["down", "-v", "--dry-run"]).exits(0).says("nothing to do");
    machine.orc(&["up", "-d", "web"]).ok();
    let states = || machine.ps().iter().map(|c| (c["ID"].clone(), c["State"].clone())).collect::<Vec<_>>();
    let before = states();
    for (command, said) in [
        (&["stop"][..], "stop  web.1\nstop  web.2"),
        (&["restart", "web"], "restart  web.1\nrestart  web.2"),
        (&["kill"], "kill  web.1\nkill  web.2"),
        (&["pause"], "pause  web.1\npause  web.2"),
        (&["unpause"], "nothing to do"),
        (&["start"], "nothing to do"),
        (&["rm"], "nothing to do"),
        (&["rm", "-s", "web"], "remove  web.1\nremove  web.2"),
    ] {
        assert_eq!(machine.orc(&[command, &["--dry-run"]].concat()).ok(), said);
    }
    machine.orc(&["scale", "web=3", "--dry-run"]).exits(0).says("web.3");
    assert_eq!(states(), before);
    machine.orc(&["--dry-run", "exec", "web", "demo", "id"]).exits(1).says("no plan");
    assert_eq!(machine.orc(&["config", "--services"]).ok(), "counts\nsays\nweb");
    machine.leaves_nothing();
}

#[test]
fn what_no_service_uses_must_be_there_when_all_resources_are_asked_for() {
    let machine = Machine::new("all-resources");
    let service = "image: orc/demo, command: [demo, sleep]";
    machine.file(
        "first.yaml",
        &format!(
            "{{name: first, services: {{box: {{{service}}}}}, networks: {{spine: {{name: spine}}}}, \
             volumes: {{kept: {{name: kept}}}}}}"
        ),
    );
    machine.file(
        "second.yaml",
        &format!(
            "{{name: second, services: {{box: {{{service}, networks: [spine], volumes: ['kept:/data']}}}}, \
             networks: {{spine: {{external: true}}}}, volumes: {{kept: {{external: true}}}}}}"
        ),
    );
    let orc = |args: &[&str]| machine.orc(args);
    assert!(!orc(&["-f", "first.yaml", "config"]).ok().contains("kept"));
    orc(&["-f", "first.yaml", "--all-resources", "config"]).exits(0).says("name: kept").says("name: spine");
    orc(&["-f", "first.yaml", "up", "-d"]).ok();
    orc(&["-f", "second.yaml", "up", "-d"]).exits(1).says("there is no such");
    orc(&["-f", "first.yaml", "--all-resources", "up", "-d"]).ok();
    orc(&["-f", "second.yaml", "up", "-d", "--wait"]).ok();
    orc(&["-f", "second.yaml", "exec", "-T", "box", "demo", "write", "/data/x", "kept"]).ok();
    orc(&["-f", "second.yaml", "down", "-t", "1"]).ok();
    orc(&["-f", "first.yaml", "down", "-v", "-t", "1"]).ok();
    machine.compose("services: {box: {image: orc/demo}}");
    machine.leaves_nothing();
}

#[test]
fn engines_must_come_alone_go_when_told_and_tell_who_they_are() {
    let machine = Machine::new("engine");
    machine.orc(&["engine", "status"]).exits(3).says("does not run");
    let clients: Vec<_> = (0..4)
        .map(|_| machine.orc_command(&["ls"]).stdout(Stdio::null()).spawn().expect("orc starts"))
        .collect();
    for mut client in clients {
        assert!(client.wait().expect("it ends").success());
    }
    assert_eq!(machine.pids_of("engine run").len(), 1, "four clients at once start one engine");
    machine.orc(&["engine", "run"]).exits(1).says("another engine");
    let status = machine.orc(&["engine", "status", "--format", "json"]).json().remove(0);
    assert_eq!((status["Running"].as_bool(), status["Pid"].as_u64()), (Some(true), machine.engine()));
    machine.orc(&["engine", "stop"]).ok();
    assert_eq!(machine.engine(), None);
    machine.shows_nothing_left();
}

#[test]
fn config_must_list_what_the_file_has_and_what_it_needs() {
    let machine = Machine::new("config-lists");
    machine.compose(
        "services:\n  web: {image: 'web:${TAG:?choose one}', profiles: [extra], cpu_count: 2}\n\
         models: {llm: {model: 'ai/${SIZE:-small}'}}\n",
    );
    let list = |flags: &[&str]| machine.orc(&[&["config"], flags].concat());
    let table = "NAME  REQUIRED  DEFAULT VALUE  ALTERNATE VALUE\nSIZE  false     small\nTAG   true";
    assert_eq!(list(&["--variables"]).ok(), table, "a variable without a value is no fault here");
    let variables: serde_json::Value =
        serde_json::from_str(list(&["--variables", "--format", "json"]).ok()).expect("it is JSON");
    assert_eq!(variables["TAG"]["Required"], true);
    assert_eq!(variables["SIZE"]["DefaultValue"], "small");
    list(&["--services"]).exits(1).says("choose one");
    assert_eq!(list(&["--no-interpolate", "--profiles"]).ok(), "extra");
    assert_eq!(list(&["--no-interpolate", "--images"]).ok(), "web:${TAG:?choose one}");
    assert_eq!(list(&["--no-interpolate", "--models"]).ok(), "ai/${SIZE:-small}");
    list(&["--no-interpolate", "--hash", "*"]).exits(2);

    machine.compose("services: {web: {image: web, cpu_count: 2}}\n");
    let check = list(&["--check", "--format", "json"]);
    check.exits(1);
    let found: serde_json::Value = serde_json::from_str(&check.stdout).expect("it is JSON");
    let attribute = &found["attributes"][0];
    assert_eq!(
        (&attribute["attribute"], &attribute["status"]),
        (&"services.web.cpu_count".into(), &"refused".into())
    );
    assert_eq!((&attribute["file"], &attribute["line"]), (&"compose.yaml".into(), &1.into()));
    machine.compose("services: {web: {image: web}}\n");
    assert_eq!(list(&["--check"]).ok(), "all attributes are honoured");
}
