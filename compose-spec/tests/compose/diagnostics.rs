//! Whole error outputs, as people see them. Each file of `diagnostics/` holds a fixture, a line of equals signs and
//! what is printed; `BLESS=1` writes the latter anew.

use std::path::{Path, PathBuf};

use crate::support::findings;

const SEPARATOR: &str = "========\n";

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/diagnostics");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn findings_are_pleasant_to_read() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a fixture");
        let (fixture, expect) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
        let found = findings(fixture);
        if found != expect {
            wrong.push(format!("{}:\n{found}", file.display()));
            if bless {
                std::fs::write(&file, format!("{fixture}{SEPARATOR}{found}")).expect("a writable fixture");
            }
        }
    }
    assert!(wrong.is_empty() || bless, "{}", wrong.join("\n"));
}

#[test]
fn lines_fit_a_terminal() {
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a fixture");
        let (_, printed) = text.split_once(SEPARATOR).expect("a separator");
        for line in printed.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", file.display());
        }
    }
}
