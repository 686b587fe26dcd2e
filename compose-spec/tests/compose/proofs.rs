//! Every attribute that is honoured on one node has end-to-end scenarios that prove it: the list of them is
//! `tests/e2e/attributes.txt` of the workspace, and `docs/compose-support.md` shows it beside the table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use compose_spec::{Target, attributes, support, support_markdown};

/// The folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A scenario as the list names it: `FILE::NAME`, the file below `tests/e2e`.
struct Scenario {
    file: String,
    name: String,
}

impl Scenario {
    fn new(line: &str) -> Self {
        let (file, name) = line.rsplit_once("::").unwrap_or_else(|| panic!("`{line}` is not FILE::NAME"));
        Self { file: format!("tests/e2e/{}.rs", file.replace("::", "/")), name: name.to_owned() }
    }

    fn exists(&self) -> bool {
        read(&self.file).contains(&format!("#[test]\nfn {}(", self.name))
    }

    /// A word of the file is the name of the attribute.
    fn speaks_of(&self, attribute: &str) -> bool {
        let name = attribute.rsplit('.').find(|step| *step != "*").unwrap_or_default();
        let is_part = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
        read(&self.file).split(is_part).any(|word| word == name)
    }

    fn link(&self) -> String {
        format!("[{}](../{})", self.name, self.file)
    }
}

/// The scenarios of the list with their attributes, which stand below them with an indent.
fn listed() -> Vec<(Scenario, Vec<String>)> {
    let mut found: Vec<(Scenario, Vec<String>)> = Vec::new();
    let text = read("tests/e2e/attributes.txt");
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("    "), found.last_mut()) {
            (Some(attribute), Some((_, attributes))) => attributes.push(attribute.to_owned()),
            (Some(attribute), None) => panic!("`{attribute}` stands below no scenario"),
            (None, _) => found.push((Scenario::new(line), Vec::new())),
        }
    }
    found
}

fn is_honoured(attribute: &str) -> bool {
    let own = attribute.starts_with("services.*.x-");
    own || support(attribute, Target::Node).is_some_and(|support| !support.is_refused())
}

#[test]
fn every_honoured_attribute_has_a_scenario_that_proves_it() {
    let listed = listed();
    let mut faults = Vec::new();
    for (scenario, attributes) in &listed {
        let name = &scenario.name;
        if !scenario.exists() {
            faults.push(format!("there is no scenario `{name}` in {}", scenario.file));
        }
        for attribute in attributes {
            if !is_honoured(attribute) {
                faults.push(format!("`{attribute}` of `{name}` is not honoured"));
            }
            if !scenario.speaks_of(attribute) {
                faults.push(format!("{} never speaks of `{attribute}`", scenario.file));
            }
        }
    }
    let has_proof = |path: &String| listed.iter().any(|(_, attributes)| attributes.contains(path));
    for path in attributes().iter().filter(|path| is_honoured(path) && !has_proof(path)) {
        faults.push(format!("`{path}` has no scenario"));
    }
    assert!(faults.is_empty(), "tests/e2e/attributes.txt:\n{}", faults.join("\n"));
}

/// `BLESS=1` writes it anew.
#[test]
fn the_page_about_support_says_what_table_and_list_say() {
    let mut proofs: BTreeMap<String, String> = BTreeMap::new();
    for (scenario, attributes) in listed() {
        for attribute in attributes {
            let cell = proofs.entry(attribute).or_default();
            *cell = [cell.as_str(), &scenario.link()].join(" ").trim().to_owned();
        }
    }
    let page = workspace().join("docs/compose-support.md");
    let made = support_markdown(&proofs);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&page, &made).expect("a writable page");
    }
    let found = fs::read_to_string(&page).expect("the page is there");
    assert!(
        found == made,
        "docs/compose-support.md is out of date: BLESS=1 cargo test -p compose-spec --test compose support"
    );
}
