//! Lines of containers' output with the name of whoever said it before them.

use std::collections::BTreeMap;

use anstyle::AnsiColor;

use super::{paint, raw};

/// Colours of names, in the order in which names turn up.
const COLORS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// How lines are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogStyle {
    /// The name before each line.
    pub(crate) prefix: bool,
    /// The time before each line.
    pub(crate) timestamps: bool,
    /// Names in colours.
    pub(crate) color: bool,
}

/// Prints lines.
pub(crate) struct LogPrinter {
    style: LogStyle,
    /// Colour of each name seen so far.
    names: BTreeMap<String, AnsiColor>,
    width: usize,
}

impl LogPrinter {
    /// A printer for these names, which need not be all.
    pub(crate) fn new(style: LogStyle, names: impl IntoIterator<Item = String>) -> Self {
        let mut printer = Self { style, names: BTreeMap::new(), width: 0 };
        for name in names {
            printer.color_of(&name);
        }
        printer
    }

    /// Prints one line to standard output, adding a line end if it has none.
    pub(crate) fn line(&mut self, name: &str, time: &str, line: &[u8]) {
        let text = self.format(name, time, line);
        raw::stdout(&text);
    }

    /// Prints what happened to somebody, among the lines.
    pub(crate) fn note(&mut self, name: &str, text: &str) {
        let color = self.color_of(name);
        raw::stdout(format!("{}\n", paint(text, color, self.style.color)).as_bytes());
    }

    fn color_of(&mut self, name: &str) -> AnsiColor {
        let next = COLORS[self.names.len() % COLORS.len()];
        self.width = self.width.max(name.chars().count());
        *self.names.entry(name.to_owned()).or_insert(next)
    }

    fn format(&mut self, name: &str, time: &str, line: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        if self.style.prefix {
            let color = self.color_of(name);
            let prefix = format!("{name:<width$}  | ", width = self.width);
            text.extend_from_slice(paint(&prefix, color, self.style.color).as_bytes());
        }
        if self.style.timestamps {
            text.extend_from_slice(time.as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            text.push(b'\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_padded_to_the_longest() {
        let style = LogStyle { prefix: true, ..LogStyle::default() };
        let mut printer = LogPrinter::new(style, ["web-1".to_owned(), "database-1".to_owned()]);
        assert_eq!(printer.format("web-1", "", b"hi\n"), b"web-1       | hi\n");
        assert_eq!(printer.format("database-1", "", b"hi"), b"database-1  | hi\n");
        let style = LogStyle { timestamps: true, ..LogStyle::default() };
        let mut bare = LogPrinter::new(style, []);
        assert_eq!(bare.format("web-1", "2026-01-01T00:00:00Z", b"hi\n"), b"2026-01-01T00:00:00Z hi\n");
    }
}
