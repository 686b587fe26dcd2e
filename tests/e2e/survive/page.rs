//! `docs/what-we-survive.md` says what the scenarios beside this file show, in their own words.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The page; `BLESS=1` writes it anew.
#[test]
fn the_page_must_say_what_the_scenarios_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut rows = Vec::new();
    for entry in fs::read_dir(root.join("tests/e2e/survive")).expect("the folder of this file") {
        let path = entry.expect("an entry").path();
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        rows.extend(scenarios(&fs::read_to_string(&path).expect("a source")).map(|row| row.of(&file)));
    }
    rows.sort();
    let mut page = String::from(HEAD);
    for (number, words, name, file) in &rows {
        let _ = writeln!(page, "| F{number} | {words} | `{name}` in [{file}](../tests/e2e/survive/{file}) |");
    }
    let path = root.join("docs/what-we-survive.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, page, "run this test with `BLESS=1` to write the page anew");
}

const HEAD: &str = "\
# What is survived

Each line is an end-to-end scenario with real containers, run by `cargo test -p orc --test e2e survive`. This page is
made from their names and comments by the test `the_page_must_say_what_the_scenarios_show`.

| fault | what happens, and what holds | scenario |
|---|---|---|
";

struct Scenario {
    number: u32,
    words: String,
    name: String,
}

impl Scenario {
    fn of(self, file: &str) -> (u32, String, String, String) {
        (self.number, self.words, self.name, file.to_owned())
    }
}

/// The tests of a source whose name begins with the number of a fault, with the comment above each.
fn scenarios(source: &str) -> impl Iterator<Item = Scenario> {
    let mut comment: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for line in source.lines() {
        if let Some(words) = line.strip_prefix("/// ") {
            comment.push(words);
        } else if let Some(rest) = line.strip_prefix("fn f") {
            let name = rest.split('(').next().unwrap_or_default();
            let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
            if let Ok(number) = digits.parse() {
                assert!(!comment.is_empty(), "f{name} says nothing of what happens");
                found.push(Scenario { number, words: comment.join(" "), name: format!("f{name}") });
            }
            comment.clear();
        } else if line != "#[test]" {
            comment.clear();
        }
    }
    found.into_iter()
}
