//! Services that programs of the machine make (`provider`).

use crate::support::{Machine, Outcome};

/// A program that notes how it is called, and answers with the file of the call's name.
const PROGRAM: &str = r#"#!/bin/sh
echo "$*" >> "$0.calls"
case "$2" in
  metadata) cat "$0.metadata" 2>/dev/null || exit 1 ;;
  *) cat "$0.$3" ;;
esac
"#;

const STACK: &str = "
services:
  db:
    provider: {type: cloud, options: {size: 3, zone: [a, b]}}
    depends_on: [keys]
  keys:
    provider: {type: vault, options: {path: secret/app, color: blue}}
  app:
    image: orc/demo
    command: [demo, sleep]
    environment: {DB_URL: nowhere, OWN: kept}
    depends_on: {db: {condition: service_healthy}, keys: {condition: service_started}}
  beside: {image: orc/demo, command: [demo, sleep]}
";

struct World(Machine);

impl World {
    fn new(name: &str) -> Self {
        let machine = Machine::new(name);
        machine.compose(STACK).file("bin/docker-cloud", PROGRAM).file("bin/vault", PROGRAM);
        machine.shell("chmod +x bin/*").ok();
        let world = Self(machine);
        world.says(
            "docker-cloud.up",
            &[("info", "made"), ("setenv", "URL=tcp://one"), ("rawsetenv", "REGION=north")],
        );
        world.says("docker-cloud.down", &[("info", "taken away")]);
        world.says("vault.up", &[("debug", "hidden"), ("setenv", "TOKEN=a=b")]);
        world.says("vault.down", &[]);
        world.0.file(
            "bin/vault.metadata",
            r#"{"description": "keys", "up": {"parameters": [{"name": "path", "required": true}]}}"#,
        );
        world
    }

    fn says(&self, file: &str, messages: &[(&str, &str)]) {
        let line =
            |(kind, text): &(&str, &str)| format!("{{\"type\": \"{kind}\", \"message\": \"{text}\"}}\n");
        self.0.file(&format!("bin/{file}"), &messages.iter().map(line).collect::<String>());
    }

    fn orc(&self, args: &[&str]) -> Outcome {
        let path = format!("{}/bin:/usr/bin:/bin", self.0.work().display());
        let output = self.0.orc_command(args).env("PATH", path).output().expect("nsenter is there");
        Outcome::new(format!("orc {}", args.join(" ")), &output)
    }

    /// A file that nothing but orc is needed for.
    fn without_providers(self) -> Machine {
        self.0.compose("services: {app: {image: orc/demo}}");
        self.0
    }

    /// How the program was called since this was asked last.
    fn calls(&self, program: &str) -> Vec<String> {
        let text = self.0.shell(&format!("cat bin/{program}.calls && rm bin/{program}.calls")).stdout;
        text.lines().filter(|line| !line.ends_with("metadata")).map(str::to_owned).collect()
    }
}

#[test]
fn what_a_provider_tells_must_reach_those_that_depend_on_it() {
    let world = World::new("providers");
    world.orc(&["up", "-d"]).exits(0).says("db: made");
    let project = "compose --project-name=work";
    assert_eq!(world.calls("docker-cloud"), [format!("{project} up --size=3 --zone=a --zone=b db")]);
    assert_eq!(world.calls("vault"), [format!("{project} up --path=secret/app keys")]);
    let env = world.orc(&["exec", "-T", "app", "demo", "env"]);
    env.exits(0)
        .says("DB_URL=tcp://one\n")
        .says("REGION=north\n")
        .says("KEYS_TOKEN=a=b\n")
        .says("OWN=kept\n");
    world.orc(&["exec", "-T", "beside", "demo", "env", "REGION"]).exits(1);
    let pids = world.0.pids_of("demo sleep");

    // The same answers change nothing; another one replaces what depends on it.
    world.orc(&["up", "-d"]).ok();
    assert_eq!(world.0.pids_of("demo sleep"), pids);
    world.says("docker-cloud.up", &[("setenv", "URL=tcp://two")]);
    world.orc(&["up", "-d", "--no-deps", "app"]).ok();
    world.orc(&["exec", "-T", "app", "demo", "env", "DB_URL"]).exits(0).says("tcp://two");
    world
        .orc(&["run", "-T", "--rm", "-e", "KEYS_TOKEN=mine", "app", "demo", "env"])
        .exits(0)
        .says("DB_URL=tcp://two")
        .says("KEYS_TOKEN=mine");

    // A plan makes nothing.
    world.calls("docker-cloud");
    world.orc(&["plan"]).says("providers are not asked");
    assert_eq!(world.calls("docker-cloud").len(), 0);

    world.orc(&["up", "-d", "keys"]).ok();
    world.orc(&["down", "-t", "1"]).exits(0).says("db: taken away");
    assert_eq!(world.calls("docker-cloud"), [format!("{project} down --size=3 --zone=a --zone=b db")]);
    world.without_providers().leaves_nothing();
}

#[test]
fn a_provider_that_fails_must_start_nothing() {
    let world = World::new("providers-fail");
    for (answer, said) in [
        ("{\"type\": \"error\", \"message\": \"no money left\"}\n", "no money left"),
        (
            "{\"type\": \"setenv\", \"message\": \"nothing\"}\n",
            "the variable `nothing`, which is not NAME=VALUE",
        ),
        ("{\"type\": \"dance\", \"message\": \"\"}\n", "a message of type `dance`"),
        ("hello\n", "it answered `hello`"),
    ] {
        world.0.file("bin/docker-cloud.up", answer);
        world.orc(&["up", "-d"]).exits(1).says("provider `cloud` could not make service `db`").says(said);
    }
    world.0.shell("rm bin/docker-cloud.up").ok();
    world.orc(&["up", "-d"]).exits(1).says("the program ended with exit status: 1");
    world.0.compose(&STACK.replace("path: secret/app, ", ""));
    world.orc(&["up", "-d"]).exits(1).says("`provider.options` lacks `path`");
    world.0.compose(&STACK.replace("type: vault", "type: bin/vault"));
    world.orc(&["up", "-d"]).exits(1).says("there is no program `docker-bin/vault` or `bin/vault`");
    world.0.compose(&STACK.replace("depends_on: [keys]", "depends_on: [beside]"));
    world.orc(&["up", "-d"]).exits(1).says("cannot depend on `beside`");
    assert_eq!(world.0.pids_of("demo sleep").len(), 0);
    world.without_providers().leaves_nothing();
}

#[test]
fn a_provider_that_fails_must_keep_no_other_from_being_asked_at_down() {
    let world = World::new("providers-down");
    world.orc(&["up", "-d"]).ok();
    world.calls("docker-cloud");
    world.0.shell("rm bin/vault.down").ok();
    world.orc(&["down", "-t", "1"]).exits(1).says("provider `vault` could not take away service `keys`");
    assert_eq!(world.calls("docker-cloud").len(), 1);
    world.0.shell("rm bin/docker-cloud.down").ok();
    world
        .orc(&["down", "-t", "1"])
        .exits(1)
        .says("not everything could be taken away")
        .says("provider `vault` could not take away service `keys`: the program ended with")
        .says("provider `cloud` could not take away service `db`: the program ended with");
    world.without_providers().leaves_nothing();
}
