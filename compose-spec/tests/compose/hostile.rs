//! Hostile and broken input ends in an error, soon and with little memory.

use compose_spec::{LoadRequest, MemoryFiles, load};

use crate::support::{load_fixture, refused, request};

#[test]
fn alias_bombs_are_refused() {
    let mut text = String::from("x-0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("x-{level}: &a{level} [{aliases}]\n"));
    }
    refused(&text, "aliases inside of anchors stand for more than 10000 values");
}

#[test]
fn what_an_anchor_names_may_be_used_often_but_not_without_end() {
    let text = |uses: usize| {
        let uses = vec!["*a"; uses].join(", ");
        format!("x-a: &a [x, x, x]\nx-many: [{uses}]\nservices: {{web: {{image: x}}}}")
    };
    assert!(load_fixture(&text(20_000), |_| {}).project.is_some());
    refused(&text(30_000), "aliases stand for more than 100000 values");
}

#[test]
fn deep_nesting_is_refused() {
    refused(&format!("x-a: {}", "[".repeat(20_000)), "");
    let block: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(&format!("x-a:\n{block}"), "nested more than");
    refused(
        &format!("services: {{web: {{image: '{}x{}'}}}}", "${A:-".repeat(500), "}".repeat(500)),
        "nested more than",
    );
}

#[test]
fn an_alias_inside_of_its_own_anchor_is_refused() {
    refused("x-a: &a [*a]\nservices: {}", "");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for (bytes, reason) in [
        (b"services: {}\nx-a: \xff\n".to_vec(), "line 2 is not valid UTF-8"),
        (b"services: {}\nx-a: \"\0\"\n".to_vec(), "U+0000"),
        (vec![b' '; 17 * 1024 * 1024], "larger than 16 MiB"),
    ] {
        let mut files = MemoryFiles::new();
        files.insert("/work/shop/compose.yaml", bytes);
        let loaded = load(&request(), &files);
        assert!(loaded.diagnostics[0].message.contains(reason), "{:?}", loaded.diagnostics);
    }
}

#[test]
fn byte_order_marks_and_line_ends_of_other_systems_are_read() {
    let text = "\u{feff}services:\r\n  web:\r\n    image: a\r\n";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes().to_vec(), wide] {
        let mut files = MemoryFiles::new();
        files.insert("/work/shop/compose.yaml", bytes);
        assert!(load(&request(), &files).project.is_some());
    }
}

#[test]
fn endless_chains_are_refused() {
    let mut fixture = String::from("--- compose.yaml\ninclude: [0.yaml]\nservices: {}\n");
    for index in 0..100 {
        fixture.push_str(&format!("--- {index}.yaml\ninclude: [{}.yaml]\nservices: {{}}\n", index + 1));
    }
    refused(&fixture, "the chain of `include` is longer than");
    let services: String = (0..100).map(|i| format!("  s{i}: {{extends: s{}}}\n", i + 1)).collect();
    refused(&format!("services:\n{services}  s100: {{image: a}}\n"), "the chain of `extends` is longer than");
}

#[test]
fn findings_are_bounded() {
    let keys: String = (0..5_000).map(|index| format!("  wat{index}: 1\n")).collect();
    let loaded = load_fixture(&format!("services:\n  web:\n    image: a\nvolumes:\n{keys}"), |_| {});
    assert!(loaded.diagnostics.len() <= 101);
    assert!(loaded.project.is_none());
}

#[test]
fn port_ranges_are_bounded() {
    let ports = ["'0-65535'"; 3].join(", ");
    let text =
        format!("services: {{web: {{image: a, ports: [{ports}, '1-65535/udp', '127.0.0.1::1-60000']}}}}");
    refused(&text, "publishes more than");
}

#[test]
fn any_request_has_an_answer() {
    // Nothing is assumed about paths: not even that they are absolute or that there is a working folder.
    let loaded = load(&LoadRequest::default(), &MemoryFiles::new());
    assert!(loaded.has_errors());
}
