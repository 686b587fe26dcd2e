//! Findings as text for people: message, place, excerpt, hint.
//!
//! ```text
//! error: service `web` depends on `cache`, which is not defined
//!   --> compose.yaml:7:9
//!    |
//!  7 |       - cache
//!    |         ^^^^^
//! hint: defined services are `db`, `redis`, `web`; did you mean `redis`?
//! ```

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Sources, Span};

/// Columns of an excerpt; a longer line is cut around the place.
const EXCERPT_WIDTH: usize = 72;

/// All findings with their excerpts and hints, as one text; `color` adds ANSI escapes.
///
/// The text ends with a line break unless it is empty. Control characters of the files never get through.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut out = String::new();
    let style = Style { color };
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        finding(&mut out, diagnostic, sources, style);
    }
    out
}

#[derive(Clone, Copy)]
struct Style {
    color: bool,
}

impl Style {
    fn paint(self, escape: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{escape}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn finding(out: &mut String, diagnostic: &Diagnostic, sources: &Sources, style: Style) {
    let (name, escape) = match diagnostic.severity {
        Severity::Error => ("error", "1;31"),
        Severity::Warning => ("warning", "1;33"),
    };
    line(out, &format!("{}: {}", style.paint(escape, name), plain(&diagnostic.message)));
    if let Some(span) = diagnostic.span {
        excerpt(out, span, None, escape, sources, style);
    }
    for (span, label) in &diagnostic.related {
        excerpt(out, *span, Some(label), "1;34", sources, style);
    }
    if let Some(hint) = &diagnostic.hint {
        line(out, &format!("{}: {}", style.paint("1;36", "hint"), plain(hint)));
    }
}

/// One place: where it is, the line, and a mark below it.
fn excerpt(out: &mut String, span: Span, label: Option<&str>, escape: &str, sources: &Sources, style: Style) {
    let number = span.line.to_string();
    let gutter = " ".repeat(number.len() + 1);
    let bar = style.paint("1;34", "|");
    let arrow = style.paint("1;34", if label.is_some() { ":::" } else { "-->" });
    let place = format!("{}:{}:{}", plain(sources.shown(span.file)), span.line, span.column);
    line(out, &format!("{gutter}{arrow} {place}"));
    let Some(text) = sources.line(span.file, span.line) else { return };
    let (text, column) = window(text, (span.column.max(1) - 1) as usize);
    let available = text.chars().count().saturating_sub(column);
    let length = (span.length as usize).clamp(1, available.max(1));
    let mark = style.paint(escape, &"^".repeat(length));
    let note = label.map_or_else(String::new, |label| format!(" {}", style.paint(escape, &plain(label))));
    line(out, &format!("{gutter} {bar}"));
    line(out, &format!(" {} {bar} {}", style.paint("1;34", &number), text.trim_end()));
    line(out, &format!("{gutter} {bar} {}{mark}{note}", " ".repeat(column)));
}

/// The part of a line around a column, and where the column is in it. Tabs become spaces of the same width,
/// so that the mark stands below what it marks.
fn window(text: &str, column: usize) -> (String, usize) {
    let chars: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if chars.len() <= EXCERPT_WIDTH {
        return (chars.into_iter().collect(), column);
    }
    let start = column.saturating_sub(EXCERPT_WIDTH / 2).min(chars.len() - EXCERPT_WIDTH);
    let end = start + EXCERPT_WIDTH;
    let mut shown: String = chars[start..end].iter().collect();
    let mut column = column - start;
    if start > 0 {
        shown.insert_str(0, "...");
        column += 3;
    }
    if end < chars.len() {
        shown.push_str("...");
    }
    (shown, column)
}

/// Text on one line, without control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}
