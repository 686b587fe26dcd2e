//! What a file takes from other files and from the command line, as containers see it.

use crate::support::{Machine, Outcome};

fn inside(machine: &Machine, service: &str, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", service, "demo"], tool].concat())
}

const TAKEN: &str = "
version: '3.8'
name: taken
include: [{path: part/compose.yaml, env_file: part/words.env, project_directory: elsewhere}]
services:
  box:
    extends: {file: base/common.yaml, service: base}
    environment: {OVER: own}
    env_file: [plain.env, {path: raw.env, format: raw}, {path: missing.env, required: false}]
    label_file: labels
    labels: {both: own}
  extra: {image: orc/demo, command: [demo, sleep], profiles: [more]}
";

#[test]
fn what_a_file_takes_from_others_must_hold_inside() {
    let machine = Machine::new("inherited");
    let service = "image: orc/demo, command: [demo, sleep]";
    machine
        .file(
            "base/common.yaml",
            &format!("services: {{base: {{{service}, environment: {{FROM: base, OVER: base}}}}}}\n"),
        )
        .file(
            "part/compose.yaml",
            &format!(
                "services: {{part: {{{service}, environment: ['WORD=${{WORD}}'], volumes: ['./here:/here']}}}}\n"
            ),
        )
        .file("part/words.env", "WORD=included\n")
        .file("elsewhere/here/note", "of the folder")
        .file("plain.env", "QUOTED='x y'\n")
        .file("raw.env", "RAW='x y'\n")
        .file("labels", "kind=of the file\nboth=of the file\n");
    machine.compose(TAKEN);
    machine.orc(&["up", "-d"]).exits(0).says("`version` is obsolete and ignored");
    let variables = [("FROM", "base"), ("OVER", "own"), ("QUOTED", "x y"), ("RAW", "'x y'")];
    for (name, value) in variables {
        assert_eq!(inside(&machine, "box", &["env", name]).ok(), value, "{name}");
    }
    assert_eq!(inside(&machine, "part", &["env", "WORD"]).ok(), "included");
    assert_eq!(inside(&machine, "part", &["cat", "/here/note"]).ok(), "of the folder");
    let container = machine.container("box");
    assert_eq!(container["Name"], "taken-box-1");
    let labels = container["Labels"].as_str().unwrap_or_default();
    assert!(labels.contains("kind=of the file") && labels.contains("both=own"), "{labels}");

    let services = || machine.orc(&["ps", "--services"]).ok().to_owned();
    assert_eq!(services(), "box\npart");
    machine.orc(&["--profile", "more", "up", "-d"]).ok();
    assert_eq!(services(), "box\nextra\npart");
    machine.compose(&TAKEN.replace("required: false", "required: true"));
    machine.orc(&["up", "-d"]).exits(1).says("missing.env");
    machine.compose(TAKEN);
    machine.leaves_nothing();
}
