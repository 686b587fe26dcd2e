//! Hostile input within bounds of time and memory: the example program runs it under limits of the operating system.
//! A program in a debug build needs many times what a release needs; the numbers of the latter are in the README.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::example;

/// Address space of the program, which its own code takes a part of.
const KIB: u32 = 384 * 1024;
/// Long enough for a busy machine.
const SECONDS: u32 = 60;

/// A folder of its own, taken away at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("compose-spec-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable temporary folder");
        Self(path)
    }

    fn write(&self, name: &str, content: &str) {
        let mut file = File::create(self.0.join(name)).expect("a writable folder");
        file.write_all(content.as_bytes()).expect("space for a small file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the program says about the files of a folder; it must end by itself, and refuse them.
fn refusal(program: &Path, folder: &Folder) -> String {
    let line = format!("ulimit -v {KIB}; exec timeout {SECONDS} \"$0\" config");
    let run = Command::new("sh").arg("-c").arg(line).arg(program).current_dir(&folder.0).output();
    let output = run.expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{:?}: {}", output.status, said.get(..400).unwrap_or(&said));
    said
}

fn check(name: &str, compose: &str, reason: &str) {
    check_files(name, &[("compose.yaml", compose)], reason);
}

fn check_files(name: &str, files: &[(&str, &str)], reason: &str) {
    let Some(program) = example("config") else {
        println!("the example program is not built");
        return;
    };
    let folder = Folder::new(name);
    files.iter().for_each(|(file, content)| folder.write(file, content));
    let said = refusal(&program, &folder);
    assert!(said.contains(reason), "{name}: {}", said.get(..2000).unwrap_or(&said));
}

#[test]
fn alias_bombs_stay_small() {
    let mut text = String::from("x-0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("x-{level}: &a{level} [{aliases}]\n"));
    }
    check("bomb", &text, "stand for more than 10000 values");
}

#[test]
fn huge_files_are_not_read() {
    let Some(program) = example("config") else { return };
    let folder = Folder::new("huge");
    let file = File::create(folder.0.join("compose.yaml")).expect("a writable folder");
    // A file with a hole: it takes no space, but reads as so many zeros.
    file.set_len(200 * 1024 * 1024).expect("a file system with large files");
    assert!(refusal(&program, &folder).contains("larger than 16 MiB"));
}

#[test]
fn too_many_keys_are_refused() {
    let keys: String = (0..1_000_001).map(|index| format!("k{index}:\n")).collect();
    check("keys", &keys, "the file has more than 1000000 values");
}

#[test]
fn very_many_faults_are_found_in_time() {
    let unknown: String = (0..100_000).map(|index| format!("    wat{index}: 1\n")).collect();
    check("unknown", &format!("services:\n  web:\n    image: a\n{unknown}"), "more findings are not shown");
    let services: String =
        (0..20_000).map(|index| format!("  s{index}: {{image: a, depends_on: [t{index}]}}\n")).collect();
    check("undefined", &format!("services:\n{services}"), "more findings are not shown");
    let twice: String = (0..100_000).map(|_| "k: 1\n").collect();
    check("twice", &format!("x-a: 1\n{twice}"), "the key `k` is defined twice");
}

#[test]
fn nesting_is_bounded() {
    check("brackets", &format!("x-a: {}", "[".repeat(1_000_000)), "error: ");
    let deep: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    check("blocks", &format!("x-a:\n{deep}"), "nested more than");
    let variables = format!("{}x{}", "${A:-".repeat(100_000), "}".repeat(100_000));
    check("variables", &format!("services: {{web: {{image: '{variables}'}}}}"), "nested more than");
}

#[test]
fn variables_do_not_grow_without_bound() {
    let mut doubling = String::from("A0=xxxxxxxxxxxxxxxx\n");
    for level in 1..60 {
        doubling.push_str(&format!("A{level}=$A{0}$A{0}\n", level - 1));
    }
    let compose = "services: {web: {image: a, env_file: .env}}\n";
    check_files("doubling", &[("compose.yaml", compose), (".env", &doubling)], "the value grows beyond");
    let mut sum = format!("A={}\n", "x".repeat(1_000_000));
    (0..1_000).for_each(|index| sum.push_str(&format!("B{index}=$A\n")));
    check_files("sum", &[("compose.yaml", compose), (".env", &sum)], "the values grow beyond");
    let uses: String = (0..1_000).map(|index| format!("    k{index}: $A\n")).collect();
    let env = format!("A={}\n", "x".repeat(1_000_000));
    let compose = format!("services:\n  web:\n    image: a\n    labels:\n{uses}");
    check_files("uses", &[("compose.yaml", &compose), (".env", &env)], "interpolation yields more than");
}

#[test]
fn one_long_line_takes_linear_time() {
    let compose = "services: {web: {image: a, env_file: .env}}\n";
    let settings = format!("{}A=\n'", "A='1' ".repeat(300_000));
    check_files("settings", &[("compose.yaml", compose), (".env", &settings)], ".env:2:1");
    let items = "a,".repeat(200_000);
    check("items", &format!("services: {{web: {{image: a, command: [{items} {{}}]}}}}"), "must be text");
}

#[test]
fn circles_and_chains_end() {
    check("self", "x-a: &a [*a]\n", "an alias stands inside what it refers to");
    let services: String = (0..20_000).map(|i| format!("  s{i}: {{extends: s{}}}\n", i + 1)).collect();
    check(
        "chain",
        &format!("services:\n{services}  s20000: {{image: a}}\n"),
        "the chain of `extends` is longer",
    );
    check("circle", "services: {a: {extends: b}, b: {extends: a}}\n", "in a circle");
    check("include", "include: [compose.yaml]\n", "in a circle");
}
