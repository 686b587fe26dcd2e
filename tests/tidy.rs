//! The rules kept by machine: what may depend on what, what is pure, how long files are, where `unsafe` and
//! printing may be. Each finding says where, and which rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crates that are functions of their arguments.
const PURE: [&str; 3] = ["compose-spec", "cluster", "scheduler"];
/// What a pure crate must not depend on, however indirectly.
const IMPURE: [&str; 12] = [
    "async-std",
    "fastrand",
    "getrandom",
    "log",
    "mio",
    "nix",
    "rand",
    "rustix",
    "socket2",
    "tokio",
    "tracing",
    "chrono",
];
/// What must not be named in a `core/` folder. Addresses of `std::net` are values, and welcome.
const IMPURE_WORDS: [&str; 13] = [
    "tokio",
    "async ",
    ".await",
    "std::fs",
    "std::time",
    "std::env",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "SystemTime",
];
/// The modules that may use `unsafe`.
const UNSAFE: [&str; 13] = [
    "overlay-net/src/legacy.rs",
    "overlay-net/src/netns.rs",
    "overlay-net/src/watch.rs",
    "runtime/src/asyncfd.rs",
    "runtime/src/cgroup/device.rs",
    "runtime/src/confine/mod.rs",
    "runtime/src/init.rs",
    "runtime/src/shim/exec.rs",
    "runtime/src/shim/mod.rs",
    "runtime/src/shim/prepare.rs",
    "runtime/src/shim/serve.rs",
    "runtime/src/snapshot/quota.rs",
    // The program inside of test containers: it tries what a container must not be able to do.
    "runtime/tests/containers/kit.rs",
];
/// Where things may be printed and processes ended: the terminal's module; the program inside of `orc/demo`,
/// which is another program than `orc`; and build scripts, whose printing is how they talk to cargo.
const PRINTING: [&str; 3] = ["orc/src/output/", "orc/src/demo/", "api/build.rs"];
/// What stands for something unfinished, or for a word that `docs/words.md` has another word for.
const BANNED: [&str; 7] = ["TODO", "FIXME", "XXX", "kubelet", "whitelist", "blacklist", "todo!("];
const FILE_LINES: usize = 400;
const TEST_FILE_LINES: usize = 600;
/// How many lines above an `unsafe` its reason may begin.
const REASON_LINES: usize = 8;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

struct Source {
    /// Relative to the workspace.
    path: String,
    text: String,
}

impl Source {
    /// Tests, and programs that show how a crate is used, may be longer, and may print.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.contains("/examples/")
            || name == "testing.rs"
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
    }

    /// The lines that are code, with their numbers: comments and what is in quotes are left out.
    fn code(&self) -> impl Iterator<Item = (usize, String)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, without_quotes(line)))
    }
}

/// A line without its comment and without the insides of its strings.
fn without_quotes(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut before = ' ';
    for c in line.chars() {
        match c {
            '"' if before != '\\' && before != '\'' => quoted = !quoted,
            '/' if !quoted && before == '/' => {
                code.pop();
                break;
            }
            _ if !quoted => code.push(c),
            _ => {}
        }
        before = c;
    }
    code
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                // What a program has written is for programs to read.
                if !["target", "generated"].contains(&name.as_str()) && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let relative =
                    path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push(Source { path: relative, text: fs::read_to_string(&path).expect("a source") });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "the sources were not found");
    found
}

#[track_caller]
fn none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n{}", findings.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut findings = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let limit = if source.is_test() { TEST_FILE_LINES } else { FILE_LINES };
        if lines > limit {
            findings.push(format!("{}: {lines} lines, and {limit} is the limit", source.path));
        }
        if !source.text.starts_with("//!") {
            findings.push(format!("{}: does not begin with what it is for (`//!`)", source.path));
        }
    }
    none("files", findings);
}

#[test]
fn cores_are_pure() {
    let mut findings = Vec::new();
    let mut cores = 0;
    for source in sources().iter().filter(|source| source.path.contains("/src/core/")) {
        cores += 1;
        for (number, code) in source.code() {
            findings.extend(
                IMPURE_WORDS
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{}:{number}: `{}` in a core", source.path, word.trim())),
            );
        }
    }
    assert!(cores > 4, "the cores were not found");
    none("cores", findings);
}

#[test]
fn unsafe_code_is_where_it_may_be_and_says_why() {
    let mut findings = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, code) in source.code() {
            let words: Vec<&str> = code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if !words.contains(&"unsafe") {
                continue;
            }
            if !UNSAFE.contains(&source.path.as_str()) {
                findings
                    .push(format!("{}:{number}: `unsafe` outside of the modules named for it", source.path));
            }
            let above = &lines[number.saturating_sub(1 + REASON_LINES)..number];
            if !above.iter().any(|line| line.contains("//") || line.contains("reason =")) {
                findings.push(format!("{}:{number}: `unsafe` without a reason", source.path));
            }
        }
    }
    none("unsafe", findings);
}

#[test]
fn only_the_output_module_prints_and_exits() {
    let mut findings = Vec::new();
    let words = ["println!", "print!", "eprintln!", "eprint!", "process::exit"];
    for source in sources().iter().filter(|source| !source.is_test()) {
        if PRINTING.iter().any(|allowed| source.path.starts_with(allowed)) {
            continue;
        }
        for (number, code) in source.code() {
            if let Some(word) = words.iter().find(|word| code.contains(**word)) {
                findings.push(format!("{}:{number}: `{word}`", source.path));
            }
        }
    }
    none("printing", findings);
}

#[test]
fn nothing_is_left_unfinished_and_words_are_the_ones_of_the_project() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| source.path != "tests/tidy.rs") {
        for (index, line) in source.text.lines().enumerate() {
            if let Some(word) = BANNED.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{}:{}: `{word}`", source.path, index + 1));
            }
        }
    }
    none("words", findings);
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// The crates of the workspace that are part of the product, with those that each depends on.
fn arrows_in_manifests(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> =
        list(metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
    let packages: Vec<&Value> =
        list(metadata, "packages").iter().filter(|package| members.contains(text(package, "id"))).collect();
    let names: BTreeSet<&str> = packages.iter().map(|package| text(package, "name")).collect();
    let ours = |package: &Value| {
        let dependencies = list(package, "dependencies").iter().filter(|d| d["kind"].is_null());
        dependencies.map(|d| text(d, "name")).filter(|name| names.contains(name)).map(str::to_owned).collect()
    };
    packages
        .into_iter()
        .filter(|package| text(package, "name") != "orc-tests")
        .map(|package| (text(package, "name").to_owned(), ours(package)))
        .collect()
}

/// The arrows as a reader of ARCHITECTURE.md finds them: lines `crate -> a, b` in a block of code.
fn arrows_in_words(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut in_code = false;
    let mut arrows = BTreeMap::new();
    for line in page.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let Some((from, to)) = line.split_once(" -> ").filter(|_| in_code) else { continue };
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        if !is_name(from.trim()) {
            continue;
        }
        let to = to.split(',').map(str::trim).filter(|name| is_name(name) && *name != "-");
        arrows.insert(from.trim().to_owned(), to.map(str::to_owned).collect());
    }
    arrows
}

#[test]
fn arrows_between_crates_are_those_of_the_architecture_page() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    assert_eq!(
        arrows_in_words(&page),
        arrows_in_manifests(&metadata()),
        "left: ARCHITECTURE.md, right: Cargo.toml"
    );
}

/// `cargo run`, the README's first command, refuses to choose between two.
#[test]
fn there_is_one_program_to_run() {
    let metadata = metadata();
    let default = list(&metadata, "workspace_default_members");
    let packages = list(&metadata, "packages").iter().filter(|package| default.contains(&package["id"]));
    let targets = packages.flat_map(|package| list(package, "targets"));
    let programs: Vec<&str> = targets
        .filter(|target| list(target, "kind").iter().any(|kind| kind == "bin"))
        .map(|target| text(target, "name"))
        .collect();
    assert_eq!(programs, ["orc"]);
}

#[test]
fn pure_crates_depend_on_nothing_impure() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = list(&metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"], "nodes").iter().map(|node| (text(node, "id"), node)).collect();
    let mut findings = Vec::new();
    for pure in PURE {
        let start = names.iter().find(|(_, name)| **name == pure).map(|(id, _)| *id).expect("a pure crate");
        let mut ways = vec![vec![start]];
        let mut seen = BTreeSet::from([start]);
        while let Some(way) = ways.pop() {
            let last = way[way.len() - 1];
            if IMPURE.contains(&names[last]) {
                let names: Vec<&str> = way.iter().map(|id| names[id]).collect();
                findings.push(names.join(" -> "));
                continue;
            }
            for dependency in list(nodes[last], "deps") {
                let normal = list(dependency, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
                let id = text(dependency, "pkg");
                // A procedural macro runs in the compiler, not in the crate.
                if normal && !is_macro(&metadata, id) && seen.insert(id) {
                    ways.push(way.iter().copied().chain([id]).collect());
                }
            }
        }
    }
    none("pure crates", findings);
}

fn is_macro(metadata: &Value, id: &str) -> bool {
    let package = list(metadata, "packages").iter().find(|package| text(package, "id") == id);
    package.is_some_and(|package| {
        let targets = list(package, "targets").iter();
        targets.flat_map(|target| list(target, "kind")).any(|kind| kind == "proc-macro")
    })
}

#[test]
fn the_rules_see_what_they_should() {
    assert_eq!(without_quotes(r#"let a = "std::fs"; // std::fs"#), "let a = ; ");
    assert_eq!(without_quotes("std::fs::read(path)"), "std::fs::read(path)");
    let page = "a -> b\n```\nb -> -\nc      -> b, d\n1. e -> f\n```\n";
    let expect = [("b", vec![]), ("c", vec!["b", "d"])];
    let expect = expect.map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect()));
    assert_eq!(arrows_in_words(page), BTreeMap::from(expect));
}
