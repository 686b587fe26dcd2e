//! Runs the conformance corpus when it lies beside the checkout (`ORC_CONFORMANCE`, or `../../shared/conformance`
//! from this crate). Without it there is nothing to run: every rule has a test of its own here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::example;

/// The share of cases that must pass, in per mille. All do.
const REQUIRED: u32 = 1000;

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
