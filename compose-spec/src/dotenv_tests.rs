//! Environment files, line by line.

use super::*;
use crate::source::Sources;

fn file() -> FileId {
    Sources::default().add(std::path::Path::new(".env"), ".env".to_owned(), String::new())
}

fn check(text: &str, expect: &[(&str, Option<&str>)]) {
    let outside = |name: &str| (name == "OUT").then(|| "outside".to_owned());
    let found = parse(text, file(), &outside).unwrap_or_else(|e| panic!("{text:?}: {e:?}"));
    let found: Vec<_> = found.iter().map(|a| (a.name.as_str(), a.value.as_deref())).collect();
    assert_eq!(found, expect, "{text:?}");
}

fn one(text: &str, value: &str) {
    check(text, &[("A", Some(value))]);
}

#[test]
fn names_and_values_are_separated_in_many_ways() {
    one("A=1", "1");
    one("A: 1", "1");
    one("export A=1", "1");
    one("  A  =  1  ", "1");
    one("\u{feff}A=1\r\n", "1");
    one("A=", "");
    check("A=1\n\n# comment\nB=2", &[("A", Some("1")), ("B", Some("2"))]);
    check("A=\nB=2", &[("A", Some("")), ("B", Some("2"))]);
    check("A\nB=2", &[("A", None), ("B", Some("2"))]);
    check("export\nB=2", &[("", None), ("B", Some("2"))]);
    check("A\tB=2", &[("A\tB", Some("2"))]);
}

#[test]
fn a_comment_needs_a_space_before_it() {
    one("A=1 # one", "1");
    one("A=1#one", "1#one");
    one("A=#one", "#one");
    one("A=\"a\r\nb\"\r\n", "a\r\nb");
    one("A='1' # one", "1");
}

#[test]
fn quotes_keep_spaces_lines_and_comments() {
    one("A=' 1 # '", " 1 # ");
    one("A=\"a\nb\"", "a\nb");
    one(r#"A="a\nb\t\"c\"""#, "a\nb\t\"c\"");
    one(r"A='a\nb'", r"a\nb");
    one(r"A='it\'s'", "it's");
    one(r"A='$B $$'", "$B $$");
    one("A=\"1\" # dropped", "1");
}

#[test]
fn what_follows_a_closing_quote_is_the_next_setting() {
    check("A=\"1\" B='2'C=3\n", &[("A", Some("1")), ("B", Some("2")), ("C", Some("3"))]);
    check("A='1' outside\n", &[("A", Some("1")), ("outside", None)]);
}

#[test]
fn a_value_may_lack_its_name() {
    check("=1\n", &[("", Some("1"))]);
    check("A=1\nLAST", &[("A", Some("1")), ("", Some("LAST"))]);
}

#[test]
fn codes_in_double_quotes_are_octal() {
    one(r#"A="\0101""#, "A");
    one(r#"A="\0|\07|\0999""#, r"\|\7|\999");
}

#[test]
fn variables_come_from_outside_or_from_above() {
    one("A=$OUT", "outside");
    one(r#"A="${OUT:-x}""#, "outside");
    one(r#"A="\$OUT""#, "$OUT");
    check("B=1\nA=${B}2", &[("B", Some("1")), ("A", Some("12"))]);
    check("OUT=inside\nA=$OUT", &[("OUT", Some("inside")), ("A", Some("outside"))]);
}

#[test]
fn malformed_lines_are_refused_at_their_place() {
    for (text, line) in [("A=1\nB C=2", 2), ("A='x", 1), ("A='1' \"2\"", 1), ("A!=1", 1), ("A=${", 1)] {
        let finding = parse(text, file(), &|_| None).expect_err(text);
        assert_eq!(finding.span.map(|span| span.line), Some(line), "{text:?}");
    }
}

#[test]
fn raw_files_are_taken_verbatim() {
    let found = parse_raw("# c\nA=\"x\" # $Y\nB", file()).unwrap();
    let found: Vec<_> = found.iter().map(|a| (a.name.as_str(), a.value.as_deref())).collect();
    assert_eq!(found, [("A", Some("\"x\" # $Y")), ("B", None)]);
    for text in ["=1", "A =1", "A B"] {
        assert!(parse_raw(text, file()).is_err(), "{text}");
    }
}
