//! Loads fixtures from memory and looks at what comes out.

use std::path::{Path, PathBuf};

use compose_spec::{LoadRequest, Loaded, MemoryFiles, load, render};
use serde_json::Value;

/// The folder of every fixture.
pub(crate) const ROOT: &str = "/work/shop";

/// A request in the fixture's folder, with a home and nothing else around it.
pub(crate) fn request() -> LoadRequest {
    LoadRequest {
        working_dir: ROOT.into(),
        env: [("HOME".to_owned(), "/home/ann".to_owned())].into(),
        ..LoadRequest::default()
    }
}

/// Loads a fixture: files that begin with `--- NAME`, or one `compose.yaml`.
pub(crate) fn load_fixture(fixture: &str, change: impl FnOnce(&mut LoadRequest)) -> Loaded {
    let mut request = request();
    change(&mut request);
    load(&request, &MemoryFiles::fixture(Path::new(ROOT), fixture))
}

/// The canonical JSON of a fixture that must load.
pub(crate) fn json_with(fixture: &str, change: impl FnOnce(&mut LoadRequest)) -> Value {
    let loaded = load_fixture(fixture, change);
    loaded
        .to_json()
        .unwrap_or_else(|| panic!("{fixture}\n{}", render(&loaded.diagnostics, &loaded.sources, false)))
}

/// The same without changes to the request.
pub(crate) fn json(fixture: &str) -> Value {
    json_with(fixture, |_| {})
}

/// All findings of a fixture, as people see them.
pub(crate) fn findings(fixture: &str) -> String {
    let loaded = load_fixture(fixture, |_| {});
    render(&loaded.diagnostics, &loaded.sources, false)
}

/// Checks a part of a fixture's canonical JSON; `null` means that it is not there.
pub(crate) fn check(fixture: &str, pointer: &str, expect: Value) {
    let json = json(fixture);
    assert_eq!(json.pointer(pointer).unwrap_or(&Value::Null), &expect, "{fixture} at {pointer}");
}

/// Checks an attribute of the service `web`, written in flow style.
pub(crate) fn web(attributes: &str, attribute: &str, expect: Value) {
    let fixture = format!("services: {{web: {{image: a, {attributes}}}}}");
    check(&fixture, &format!("/services/web/{attribute}"), expect);
}

/// Checks that a fixture is refused for a reason.
pub(crate) fn refused(fixture: &str, reason: &str) {
    let loaded = load_fixture(fixture, |_| {});
    let text = unwrapped(&render(&loaded.diagnostics, &loaded.sources, false));
    assert!(loaded.project.is_none() && loaded.has_errors(), "accepted:\n{fixture}");
    assert!(text.contains(reason), "{fixture}\nis refused, but not for {reason:?}:\n{text}");
}

/// Checks that attributes of the service `web` are refused for a reason.
pub(crate) fn web_refused(attributes: &str, reason: &str) {
    refused(&format!("services: {{web: {{image: a, {attributes}}}}}"), reason);
}

/// Findings with each message on one line again, as a search needs them.
pub(crate) fn unwrapped(text: &str) -> String {
    text.replace("\n       ", " ").replace("\n      ", " ").replace("\n         ", " ")
}

/// An example program, which cargo builds together with the tests.
pub(crate) fn example(name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().ok()?;
    let program = tests.parent()?.parent()?.join("examples").join(name);
    program.is_file().then_some(program)
}
