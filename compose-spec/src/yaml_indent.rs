//! Accepts what YAML forbids but every other Compose parser accepts: a line inside of brackets or quotes that is
//! indented less than the key it belongs to.
//!
//! ```yaml
//! command: [
//!   "serve",
//! ]
//! key: "-----BEGIN
//! abc"
//! ```
//!
//! White space at the start of such a line means nothing, so the line is indented deeper and the text parsed again.

use std::collections::BTreeMap;

use saphyr_parser::ScanError;

/// Deeper than any key that matters.
const DEEP: usize = 256;
/// How often a text may be parsed again, in bytes that are parsed again altogether.
const BYTES: usize = 8 * 1024 * 1024;

/// Where the parser stopped for a line's indentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BadIndent {
    line: usize,
    /// Whether the line is the first of a quoted text, so that the fault is in one of the next.
    quoted: bool,
}

impl BadIndent {
    /// Whether that is what an error is about.
    pub(crate) fn of(error: &ScanError) -> Option<Self> {
        let line = error.marker().line();
        match error.info() {
            "invalid indentation" | "invalid indentation in flow construct" => {
                Some(Self { line, quoted: false })
            }
            "invalid indentation in quoted scalar" => Some(Self { line, quoted: true }),
            _ => None,
        }
    }
}

/// The lines that are indented deeper than they stand in the file.
#[derive(Debug, Default)]
pub(crate) struct Indents {
    lines: BTreeMap<usize, usize>,
    parsed: usize,
}

impl Indents {
    /// By how many columns a line (counted from 1) is moved.
    pub(crate) fn of(&self, line: usize) -> usize {
        self.lines.get(&line).copied().unwrap_or(0)
    }

    /// Notes that a line must go deeper; says whether that is worth another try.
    pub(crate) fn deepen(&mut self, text: &str, at: BadIndent) -> bool {
        self.parsed += text.len().max(1024);
        let mut line = if at.quoted { at.line + 1 } else { at.line };
        while at.quoted && self.lines.contains_key(&line) {
            line += 1;
        }
        self.parsed <= BYTES
            && text.lines().nth(line - 1).is_some()
            && self.lines.insert(line, DEEP).is_none()
    }

    /// The text with its lines moved.
    pub(crate) fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + self.lines.len() * DEEP);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            out.extend(std::iter::repeat_n(' ', self.of(index + 1)));
            out.push_str(line);
        }
        out
    }
}
