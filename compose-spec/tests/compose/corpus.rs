//! Runs the conformance corpus when it lies beside the checkout (`ORC_CONFORMANCE`, or `../../shared/conformance`
//! from this crate). Without it there is nothing to run: every rule has a test of its own here.
#![expect(clippy::disallowed_methods, reason = "the corpus is on a disk")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use compose_spec::{Files, LoadRequest, load, render};
use serde_json::Value;

use crate::support::example;

/// The share of cases that must pass, in per mille. All do.
const REQUIRED: u32 = 1000;

/// Cases whose expected result is itself no Compose file, or another one: an empty context that is not printed and
/// found again, the limit -1, a config whose content is empty, a variable without a name.
const NOT_REPEATABLE: &[&str] = &[
    "build/build.3",
    "byte-sizes/mem-16-1",
    "configs/toplevel_21_content",
    "environment/empty_key",
    "peer-docker-compose/simple-build-test-compose-interpolate",
];

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder = std::env::var_os("ORC_CONFORMANCE").map_or(beside, PathBuf::from);
    folder.join("run.py").is_file().then_some(folder)
}

#[test]
fn the_corpus_passes() {
    let (Some(corpus), Some(program)) = (corpus(), example("config")) else {
        println!("no corpus beside the checkout");
        return;
    };
    let command = format!("{} {{global}} config --format json {{args}}", program.display());
    let run = Command::new("python3").arg(corpus.join("run.py")).args(["-q", "--cmd", &command]).output();
    let output = run.expect("python3 runs the corpus").stdout;
    let text = String::from_utf8_lossy(&output);
    let total =
        text.lines().find(|line| line.starts_with("TOTAL")).unwrap_or_else(|| panic!("no total: {text}"));
    let (passed, all) = total.split_whitespace().nth(1).and_then(|part| part.split_once('/')).expect("N/M");
    let (passed, all): (u32, u32) = (passed.parse().expect("a number"), all.parse().expect("a number"));
    assert!(passed * 1000 >= all * REQUIRED, "{text}");
}

#[test]
fn what_is_printed_of_the_corpus_loads_again_and_says_the_same() {
    let Some(corpus) = corpus() else {
        println!("no corpus beside the checkout");
        return;
    };
    let mut seen = 0;
    for case in accepted(&corpus) {
        let name = case.strip_prefix(&corpus).expect("a case lies in the corpus").display().to_string();
        let mut request = request(&case);
        let first = load(&request, &Disk(None));
        // A folder that the runner would make first may be missing; without interpolation `$` is not escaped.
        let Some(printed) = first.to_yaml_text().filter(|_| first.document.is_none()) else { continue };
        if NOT_REPEATABLE.contains(&name.as_str()) {
            continue;
        }
        let path = case.join("printed.yaml");
        request.files = vec![path.clone()];
        request.profiles = vec!["*".to_owned()];
        request.project_directory = None;
        request.services.clear();
        let second = load(&request, &Disk(Some((path, printed.clone()))));
        let again = second.to_yaml_text();
        assert_eq!(again, Some(printed), "{name}\n{}", render(&second.diagnostics, &second.sources, false));
        seen += 1;
    }
    assert!(seen > 900, "only {seen} cases were printed");
}

/// The folders of the cases that are to be accepted.
fn accepted(corpus: &Path) -> Vec<PathBuf> {
    let folders = |folder: &Path| -> Vec<PathBuf> {
        let entries =
            folder.read_dir().expect("a folder of the corpus").map(|entry| entry.expect("an entry"));
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let topics = folders(corpus).into_iter().flat_map(|topic| folders(&topic));
    topics.filter(|case| case.join("expected.json").is_file()).collect()
}

/// What a case asks for, by its `cmd.json`.
fn request(case: &Path) -> LoadRequest {
    let text = std::fs::read_to_string(case.join("cmd.json")).expect("each case says how it is run");
    let case_says: Value = serde_json::from_str(&text).expect("cmd.json is JSON");
    let texts = |key: &str| -> Vec<String> {
        case_says[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let text = |key: &str| case_says[key].as_str().map(str::to_owned);
    let mut env = BTreeMap::from([("HOME".to_owned(), "/home/tester".to_owned())]);
    for (name, value) in case_says["env"].as_object().into_iter().flatten() {
        env.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    let (flags, services): (Vec<_>, Vec<_>) =
        texts("args").into_iter().partition(|word| word.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|known| known == flag);
    let folder = case.join(text("workdir").unwrap_or_else(|| ".".to_owned()));
    LoadRequest {
        files: texts("files").into_iter().map(PathBuf::from).collect(),
        profiles: texts("profiles"),
        env_files: texts("env_files").into_iter().map(PathBuf::from).collect(),
        project_name: text("project_name"),
        project_directory: text("project_directory").map(PathBuf::from),
        working_dir: folder.canonicalize().unwrap_or(folder),
        env,
        services,
        no_interpolate: has("--no-interpolate"),
        no_normalize: has("--no-normalize"),
        no_path_resolution: has("--no-path-resolution"),
        no_consistency: has("--no-consistency"),
        no_env_resolution: has("--no-env-resolution"),
        ..LoadRequest::default()
    }
}

/// The disk, and one more file.
struct Disk(Option<(PathBuf, String)>);

impl Files for Disk {
    fn read(&self, path: &Path, _limit: usize) -> std::io::Result<Vec<u8>> {
        match &self.0 {
            Some((printed, text)) if printed == path => Ok(text.clone().into_bytes()),
            _ => std::fs::read(path),
        }
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.as_ref().is_some_and(|(printed, _)| printed == path) || path.is_file()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }
}
