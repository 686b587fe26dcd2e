//! What is told of a stack: to programs in docker compose's words, to people with reasons.

use crate::support::{Machine, Outcome, eventually};

const STACK: &str = "
name: shop
services:
  web:
    image: orc/demo
    command: [demo, serve]
    expose: ['9000']
    ports: ['8080:80', '127.0.0.1:8443:81']
    volumes: ['data:/data', './:/here']
    labels: {tier: front}
  job: {image: orc/demo, command: [demo, exit, '5']}
volumes: {data: }
";

#[test]
fn programs_must_find_the_fields_of_docker_compose() {
    let machine = Machine::new("fields");
    machine.compose(STACK);
    machine.orc(&["up", "-d"]).ok();
    let find =
        |service: &str| machine.ps().into_iter().find(|c| c["Service"] == service).expect("it is there");
    eventually("the job has ended", || find("job")["State"] == "exited");
    let web = find("web");
    let status = web["Status"].as_str().unwrap_or_default();
    assert!(status.starts_with("Up ") && status.contains("second"), "{web}");
    assert!(
        find("job")["Status"].as_str().is_some_and(|s| s.starts_with("Exited (5) ") && s.ends_with(" ago"))
    );
    assert_eq!((web["Name"].as_str(), web["Project"].as_str()), (Some("shop-web-1"), Some("shop")));
    assert_eq!(web["Ports"], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:8443->81/tcp, 9000/tcp");
    assert_eq!((web["LocalVolumes"].as_str(), web["ExitCode"].as_i64()), (Some("1"), Some(0)));
    let labels = web["Labels"].as_str().unwrap_or_default();
    assert!(labels.contains("tier=front") && labels.contains("com.docker.compose.service=web"), "{labels}");
    let whole = machine.orc(&["ps", "--no-trunc", "--format", "json", "web"]).json().remove(0);
    let mounts = format!("shop_data,{}", machine.work().display());
    assert_eq!(whole["Mounts"].as_str(), Some(mounts.as_str()));
    assert_eq!(machine.orc(&["ps", "--filter", "status=exited", "--services"]).ok(), "job");
    machine.orc(&["ps", "--filter", "name=web"]).exits(2).says("`status` can");

    let stacks = machine.orc(&["ls", "--format", "json"]).json();
    let file = machine.work().join("compose.yaml").display().to_string();
    assert_eq!(stacks[0]["ConfigFiles"].as_str(), Some(file.as_str()), "{stacks:?}");
    assert_eq!(machine.orc(&["ls", "-q", "--filter", "name=sho"]).ok(), "shop");
    assert_eq!(machine.orc(&["ls", "-q", "--filter", "name=other"]).ok(), "");
    let images = machine.orc(&["images", "--format", "json", "web"]).json();
    assert_eq!(
        (images[0]["Repository"].as_str(), images[0]["Tag"].as_str()),
        (Some("orc/demo"), Some("latest"))
    );
    assert_eq!(machine.orc(&["images", "-q"]).ok().lines().count(), 1, "an image is listed once");
    machine.orc(&["compose", "ps", "-a"]).exits(0).says("COMMAND").says("\"demo exit 5\"").says("Exited (5)");
    machine.leaves_nothing();
}

#[test]
fn why_must_lead_from_the_wish_to_the_last_words() {
    let machine = Machine::new("why");
    machine.compose(
        "
services:
  well: {image: orc/demo, command: [demo, sleep]}
  talks: {image: orc/demo, command: [demo, tell, nobody]}
  waits: {image: orc/demo, command: [demo, sleep], depends_on: {talks: {condition: service_completed_successfully}}}
  lost: {image: '127.0.0.1:9/no/such:1'}
",
    );
    assert_ne!(machine.orc(&["up", "-d"]).code, 0);
    let why = machine.orc(&["why", "waits"]);
    why.exits(0)
        .says("waits.1: dependencies")
        .says("waits for `talks` to complete: it ended with exit code 2");
    why.says("talks.1: exit").says("ended with exit code 2").says("     | ").never_says("well");
    machine
        .orc(&["why", "lost"])
        .exits(0)
        .says("lost.1: image")
        .says("Connection refused")
        .says("tried again in");
    machine.orc(&["why"]).exits(0).says("talks.1").says("lost.1").never_says("well.1");
    machine.orc(&["why", "well"]).exits(0).says("well.1: as wished");
    let chains = machine.orc(&["why", "talks", "--format", "json"]).json();
    assert_eq!((chains[0]["Task"].as_str(), chains[0]["Well"].as_bool()), (Some("talks.1"), Some(false)));
    machine.orc(&["stop", "-t", "1", "well"]).ok();
    machine.orc(&["why", "well"]).exits(0).says("`orc start` starts it");
    machine.leaves_nothing();
}

#[test]
fn a_plan_must_say_what_would_change_and_do_nothing() {
    let machine = Machine::new("plan");
    let file = "services: {web: {image: orc/demo, command: [demo, sleep], environment: {A: '1'}, secrets: [key]}}\nsecrets: {key: {file: ./key}}\n";
    machine.file("key", "secret").compose(file);
    machine.orc(&["plan"]).exits(2).says("create  web.1");
    assert!(machine.ps().is_empty(), "a plan makes nothing");
    machine.orc(&["up", "-d"]).ok();
    machine.orc(&["plan"]).exits(0).says("nothing to do");
    machine.compose(&file.replace("'1'", "'2'"));
    machine
        .orc(&["plan", "--scale", "web=2"])
        .exits(2)
        .says("replace web.1  (environment changed)")
        .says("web.2");
    let plan = machine.orc(&["plan", "--format", "json"]);
    let plan = plan.exits(2).json().remove(0);
    assert_eq!((plan["changed"].as_bool(), plan["steps"][0]["kind"].as_str()), (Some(true), Some("replace")));
    machine.orc(&["plan", "--force-recreate", "wbe"]).exits(1).says("did you mean `web`?");
    machine.leaves_nothing();
}

#[test]
fn shells_and_manuals_must_know_the_commands() {
    let machine = Machine::new("completion");
    for shell in ["bash", "zsh", "fish"] {
        machine.orc(&["completion", shell]).exits(0).says("restart").says("remove-orphans");
    }
    machine.orc(&["man"]).exits(0).says(".TH orc 1");
    machine.file("man/.keep", "");
    machine.orc(&["man", "man"]).ok();
    assert!(
        machine.work().join("man/orc-up.1").is_file()
            && machine.work().join("man/orc-image-pull.1").is_file()
    );
}

#[test]
fn the_name_of_docker_compose_must_be_answered_to() {
    let machine = Machine::new("called-compose");
    machine.compose(STACK);
    let program = machine.work().join("docker-compose");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_orc"), &program).expect("a link can be made");
    let compose = |script: &str| machine.shell(&format!("./docker-compose {script}"));
    compose("up -d --quiet-pull --no-build --parallel 4").ok();
    compose("ps -a").exits(0).says("NAME").says("shop-web-1").says("\"demo serve\"");
    compose("--compatibility --verbose ps").exits(0).says("changes nothing").says("shop-web-1");
    compose("version").exits(0).says("Docker Compose version v");
    compose("--version").exits(0).says("Docker Compose version v");
    assert!(compose("version --short").ok().starts_with(|first: char| first.is_ascii_digit()));
    let version = compose("version -f json").json().remove(0);
    assert!(version["version"].as_str().is_some_and(|version| version.starts_with('v')), "{version}");
    let silent = machine.orc_command(&["up", "-d"]).env("COMPOSE_STATUS_STDOUT", "1").output();
    let silent = Outcome::new("up -d".to_owned(), &silent.expect("it runs"));
    assert!(silent.stdout.contains("shop_default") && silent.stderr.is_empty(), "{silent}");
    compose("down -v").ok();
    machine.leaves_nothing();
}
