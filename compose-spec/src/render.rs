//! Findings as text for people: message, place, excerpt, hint; made for terminals of 80 columns.
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

use unicode_width::UnicodeWidthChar;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Sources, Span};

/// Columns of the whole text.
const WIDTH: usize = 80;
/// Columns from one tab stop to the next.
const TAB: usize = 4;
/// What stands where a line is cut.
const CUT: &str = "...";

/// All findings with their excerpts and hints, as one text; `color` adds ANSI escapes.
///
/// The text ends with a line break unless it is empty. Messages are wrapped at 80 columns, except inside of words.
/// Control characters of the files never get through.
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
    paragraph(out, name, escape, &diagnostic.message, style);
    let spans = diagnostic.span.iter().chain(diagnostic.related.iter().map(|(span, _)| span));
    let digits = spans.map(|span| span.line.to_string().len()).max().unwrap_or(1);
    let excerpts = Excerpts { sources, style, digits };
    if let Some(span) = diagnostic.span {
        excerpts.show(out, span, None, escape);
    }
    for (span, label) in &diagnostic.related {
        excerpts.show(out, *span, Some(label), "1;34");
    }
    if let Some(hint) = &diagnostic.hint {
        paragraph(out, "hint", "1;36", hint, style);
    }
}

/// A text behind its title, broken between words where it would leave the terminal; what follows is indented.
fn paragraph(out: &mut String, title: &str, escape: &str, text: &str, style: Style) {
    out.push_str(&style.paint(escape, title));
    out.push(':');
    let indent = title.len() + 2;
    let mut column = indent - 1;
    for (index, word) in plain(text).split(' ').enumerate() {
        let width = width_of(word);
        if index > 0 && column + 1 + width > WIDTH && !word.is_empty() {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}

/// The places of one finding.
struct Excerpts<'a> {
    sources: &'a Sources,
    style: Style,
    /// Digits of the highest line number, so that all lines begin at the same column.
    digits: usize,
}

impl Excerpts<'_> {
    /// One place: where it is, the line, and a mark below it.
    fn show(&self, out: &mut String, span: Span, label: Option<&str>, escape: &str) {
        let style = self.style;
        let gutter = " ".repeat(self.digits + 1);
        let bar = style.paint("1;34", "|");
        let arrow = style.paint("1;34", if label.is_some() { ":::" } else { "-->" });
        let place = format!("{}:{}:{}", plain(self.sources.shown(span.file)), span.line, span.column);
        line(out, &format!("{gutter}{arrow} {place}"));
        let label = label.map(plain);
        let Some(text) = self.sources.line(span.file, span.line) else {
            if let Some(label) = label {
                line(out, &format!("{gutter} {bar} {}", style.paint(escape, &label)));
            }
            return;
        };
        let shown = window(text, span, WIDTH - gutter.len() - 3);
        let number = style.paint("1;34", &format!("{:>1$}", span.line, self.digits));
        let mark = format!("{}{}", " ".repeat(shown.column), style.paint(escape, &"^".repeat(shown.marked)));
        line(out, &format!("{gutter} {bar}"));
        line(out, &format!(" {number} {bar} {}", shown.text.trim_end()));
        let Some(label) = label else {
            line(out, &format!("{gutter} {bar} {mark}"));
            return;
        };
        let end = gutter.len() + 3 + shown.column + shown.marked;
        let between =
            if end + 1 + width_of(&label) <= WIDTH { " ".to_owned() } else { format!("\n{gutter} {bar} ") };
        line(out, &format!("{gutter} {bar} {mark}{between}{}", style.paint(escape, &label)));
    }
}

/// A part of a line as a terminal shows it.
struct Window {
    text: String,
    /// Where the mark begins, in columns of the terminal.
    column: usize,
    /// How long the mark is, in columns.
    marked: usize,
}

/// The part of a line around a place, at most `width` columns of it. Tabs become spaces, so that the mark stands
/// below what it marks; the rest of a mark that does not fit is left out.
fn window(text: &str, span: Span, width: usize) -> Window {
    let first = (span.column.max(1) - 1) as usize;
    let last = first + (span.length as usize).max(1);
    let mut cells: Vec<(String, usize)> = Vec::new();
    let mut column = 0;
    for c in text.chars() {
        let (shown, wide) = match c {
            '\t' => (" ".repeat(TAB - column % TAB), TAB - column % TAB),
            c => (if c.is_control() { ' ' } else { c }.to_string(), c.width().unwrap_or(1)),
        };
        column += wide;
        cells.push((shown, wide));
    }
    let columns = |cells: &[(String, usize)]| cells.iter().map(|(_, wide)| wide).sum::<usize>();
    let first = first.min(cells.len());
    let last = last.clamp(first, cells.len().max(first));
    let (mut from, mut to) = (0, cells.len());
    if columns(&cells) > width {
        // Half of what is before the place, at most, and then as much as fits.
        let room = width - 2 * CUT.len();
        from = first;
        while from > 0
            && (columns(&cells[from - 1..first]) <= room / 2 || columns(&cells[from - 1..]) <= room)
        {
            from -= 1;
        }
        to = from;
        while to < cells.len() && columns(&cells[from..=to]) <= room {
            to += 1;
        }
    }
    let before = if from > 0 { CUT } else { "" };
    let after = if to < cells.len() { CUT } else { "" };
    let shown: String = cells[from..to].iter().map(|(text, _)| text.as_str()).collect();
    Window {
        text: format!("{before}{shown}{after}"),
        column: before.len() + columns(&cells[from..first]),
        marked: columns(&cells[first..last.min(to).max(first)]).max(1),
    }
}

/// How many columns of a terminal a text takes.
fn width_of(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Text on one line, without control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shown(text: &str, column: u32, length: u32, label: Option<&str>) -> String {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("/a.yaml"), "a.yaml".to_owned(), text.to_owned());
        let span = Span { file, line: 1, column, length };
        let mut out = String::new();
        let excerpts = Excerpts { sources: &sources, style: Style { color: false }, digits: 1 };
        excerpts.show(&mut out, span, label, "");
        out
    }

    #[test]
    fn marks_stand_below_what_they_mark() {
        assert_eq!(shown("a: b", 4, 1, None), "  --> a.yaml:1:4\n   |\n 1 | a: b\n   |    ^\n");
        // A tab reaches to the next stop, whatever stands before it.
        assert_eq!(shown("a:\tbc", 4, 2, None), "  --> a.yaml:1:4\n   |\n 1 | a:  bc\n   |     ^^\n");
        // Wide characters take two columns, combining ones none.
        assert_eq!(
            shown("名前: e\u{301}x", 5, 3, None),
            "  --> a.yaml:1:5\n   |\n 1 | 名前: e\u{301}x\n   |       ^^\n"
        );
        assert_eq!(shown("a: b\r", 5, 1, None), "  --> a.yaml:1:5\n   |\n 1 | a: b\n   |     ^\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}bad{}", "x".repeat(200), "y".repeat(200));
        let out = shown(&text, 201, 3, Some("a label that does not fit beside the mark any more"));
        for line in out.lines() {
            assert!(width_of(line) <= WIDTH, "{line}");
        }
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[2].find("bad"), lines[3].find("^^^"), "{out}");
    }

    #[test]
    fn messages_are_wrapped_between_words() {
        let mut out = String::new();
        paragraph(&mut out, "hint", "", "word ".repeat(30).trim_end(), Style { color: false });
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines.len() == 2 && lines.iter().all(|line| line.len() <= WIDTH), "{out}");
        assert!(lines[1].starts_with("      word"), "{out}");
    }
}
