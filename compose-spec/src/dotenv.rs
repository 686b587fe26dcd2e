//! Environment files as Compose reads them.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::limits;
use crate::source::{FileId, Span};
use crate::template::{self, Lookup, Use};

/// Characters of a line that a finding marks at most.
const SHOWN: usize = 200;

/// One line's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The variable.
    pub(crate) name: String,
    /// Its value; `None` hands on the one that is set outside, if any.
    pub(crate) value: Option<String>,
    /// Where it is set.
    pub(crate) span: Span,
}

/// Reads a file. `outside` answers for variables that the file itself does not set; it beats the file.
///
/// # Errors
/// The first malformed line.
pub(crate) fn parse(
    text: &str,
    file: FileId,
    outside: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Assignment>, Diagnostic> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser {
        text,
        at: 0,
        line: 1,
        column: 1,
        line_end: None,
        file,
        outside,
        found: Vec::new(),
        known: BTreeMap::new(),
        bytes: 0,
    };
    while parser.skip_to_statement() {
        parser.statement()?;
    }
    Ok(parser.found)
}

/// Reads a file in which every value is verbatim: no quotes, no comments after values, no variables.
///
/// # Errors
/// The first line without a proper name.
pub(crate) fn parse_raw(text: &str, file: FileId) -> Result<Vec<Assignment>, Diagnostic> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (name, value) = match trimmed.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (trimmed, None),
        };
        let span = Span {
            file,
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            column: 1,
            length: u32::try_from(line.chars().count()).unwrap_or(u32::MAX),
        };
        if name.is_empty() || name.contains([' ', '\t']) {
            let message = format!("`{name}` cannot be the name of a variable");
            return Err(Diagnostic::error(Code::Dotenv, span, message)
                .hint("expected `NAME=value` without spaces around the name"));
        }
        found.push(Assignment { name: name.to_owned(), value, span });
    }
    Ok(found)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    column: u32,
    /// Where the line ends, once that is known: a line may hold very many settings.
    line_end: Option<usize>,
    file: FileId,
    outside: &'a dyn Fn(&str) -> Option<String>,
    found: Vec<Assignment>,
    /// The latest setting of each variable.
    known: BTreeMap<String, usize>,
    /// Bytes of all values.
    bytes: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.rest()[..bytes];
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        match passed.rfind('\n') {
            Some(newline) => {
                let lines = passed.bytes().filter(|byte| *byte == b'\n').count();
                self.line = self.line.saturating_add(count(lines));
                self.column = count(passed[newline + 1..].chars().count()).saturating_add(1);
            }
            None => self.column = self.column.saturating_add(count(passed.chars().count())),
        }
        self.at += bytes;
        self.line_end = self.line_end.filter(|end| *end >= self.at);
    }

    /// How many bytes are left of the line.
    fn line_end(&mut self) -> usize {
        let (text, at) = (self.text, self.at);
        let end =
            self.line_end.get_or_insert_with(|| text[at..].find('\n').map_or(text.len(), |end| at + end));
        *end - at
    }

    /// Passes over white space and comments; says whether anything follows.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.advance(blank);
            if self.rest().starts_with('#') {
                let end = self.line_end();
                self.advance(end);
            } else {
                return !self.rest().is_empty();
            }
        }
    }

    /// One setting. What follows a closing quote on the same line is the next one.
    fn statement(&mut self) -> Result<(), Diagnostic> {
        if let Some(rest) = self.rest().strip_prefix("export")
            && rest.starts_with([' ', '\t', '\r', '\n', '\u{c}'])
        {
            let blank = rest.len() - rest.trim_start_matches(is_blank).len();
            self.advance("export".len() + blank);
        }
        let end = self.line_end();
        let line = &self.rest()[..end];
        let span = self.span(line);
        let separator = line.find(['=', ':']);
        let name = line[..separator.unwrap_or(line.len())].trim_end();
        let cut_off = separator.is_none() && line.len() == self.rest().len();
        self.check_name(name, cut_off, span)?;
        match separator {
            Some(separator) => {
                self.advance(separator + 1);
                let blank = self.rest().len() - self.rest().trim_start_matches(is_blank).len();
                self.advance(blank);
                let value = self.value(span)?;
                self.keep(name, Some(value), span)?;
            }
            // The reference does not see the name in a last line without an end, and takes it for a value.
            None if cut_off => {
                self.advance(line.len());
                self.keep("", Some(name.to_owned()), span)?;
            }
            None => {
                self.advance(line.len());
                self.keep(name, None, span)?;
            }
        }
        Ok(())
    }

    fn span(&self, line: &str) -> Span {
        // More is not shown, and a line may hold very many settings.
        let length = line.trim_end().chars().take(SHOWN).count();
        Span {
            file: self.file,
            line: self.line,
            column: self.column,
            length: u32::try_from(length).unwrap_or(u32::MAX),
        }
    }

    /// Keeps a setting; all values together must stay within the limit.
    fn keep(&mut self, name: &str, value: Option<String>, span: Span) -> Result<(), Diagnostic> {
        self.bytes += value.as_ref().map_or(0, String::len);
        if self.bytes > limits::INTERPOLATED_TOTAL {
            let message = format!("the values grow beyond {} bytes", limits::INTERPOLATED_TOTAL);
            return Err(Diagnostic::error(Code::Limit, span, message));
        }
        self.known.insert(name.to_owned(), self.found.len());
        self.found.push(Assignment { name: name.to_owned(), value, span });
        Ok(())
    }

    fn check_name(&self, name: &str, spaces: bool, span: Span) -> Result<(), Diagnostic> {
        if name.contains(' ') && !spaces {
            return Err(Diagnostic::error(
                Code::Dotenv,
                span,
                format!("the variable name `{name}` contains a space"),
            )
            .hint("expected `NAME=value`; a comment begins with `#`"));
        }
        let valid = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']') || is_blank(c);
        match name.chars().find(|c| !valid(*c)) {
            Some(c) => {
                let message = format!("unexpected `{}` in the variable name `{name}`", c.escape_default());
                Err(Diagnostic::error(Code::Dotenv, span, message).hint("expected `NAME=value`"))
            }
            None => Ok(()),
        }
    }

    fn value(&mut self, span: Span) -> Result<String, Diagnostic> {
        match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote, span),
            _ => {
                let end = self.line_end();
                let line = &self.rest()[..end];
                self.advance(end);
                let value = line.split(" #").next().unwrap_or("");
                self.expand(value.trim_end(), span)
            }
        }
    }

    /// A value in quotes, which may go over several lines.
    fn quoted(&mut self, quote: char, span: Span) -> Result<String, Diagnostic> {
        let body = &self.rest()[1..];
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (index, c) in body.char_indices() {
            if c == quote && !escaped {
                end = Some(index);
                break;
            }
            if escaped && c != quote {
                value.push('\\');
            }
            escaped = c == '\\' && !escaped;
            if !escaped {
                value.push(c);
            }
        }
        let Some(end) = end else {
            return Err(Diagnostic::error(Code::Dotenv, span, "the quoted value is not closed")
                .hint(format!("add {quote} where it ends")));
        };
        self.advance(end + 2);
        if quote == '"' { self.expand(&unescape(&value), span) } else { Ok(value) }
    }

    /// Replaces variables by what is set outside or further up in the file.
    fn expand(&self, value: &str, span: Span) -> Result<String, Diagnostic> {
        if !value.contains('$') {
            return Ok(value.to_owned());
        }
        let mut lookup = Known { outside: self.outside, found: &self.found, known: &self.known };
        template::substitute(value, &mut lookup).map_err(|error| {
            let mut finding = Diagnostic::error(Code::Interpolation, span, error.message);
            finding.hint = error.hint;
            finding
        })
    }
}

struct Known<'a> {
    outside: &'a dyn Fn(&str) -> Option<String>,
    found: &'a [Assignment],
    known: &'a BTreeMap<String, usize>,
}

impl Lookup for Known<'_> {
    fn value(&mut self, name: &str) -> Option<String> {
        (self.outside)(name).or_else(|| self.found[*self.known.get(name)?].value.clone())
    }

    fn used(&mut self, _: &str, _: Use<'_>, _: std::ops::Range<usize>, _: bool) {}
}

/// White space within a line.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// Replaces the escapes of double quotes. `\$` becomes `$$`, which interpolation makes a literal `$`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (replacement, length) = escape(tail);
        match replacement {
            Some(text) => out.push_str(&text),
            None => out.push_str(&rest[at..=at]),
        }
        rest = &tail[length..];
    }
    out.push_str(rest);
    out
}

/// The meaning of what follows a backslash, and how many bytes it takes.
fn escape(tail: &str) -> (Option<String>, usize) {
    let plain = |text: &str| (Some(text.to_owned()), 1);
    match tail.bytes().next() {
        Some(b'n') => plain("\n"),
        Some(b't') => plain("\t"),
        Some(b'r') => plain("\r"),
        Some(b'a') => plain("\u{7}"),
        Some(b'b') => plain("\u{8}"),
        Some(b'f') => plain("\u{c}"),
        Some(b'v') => plain("\u{b}"),
        Some(b'"') => plain("\""),
        Some(b'\\') => plain("\\"),
        Some(b'$') => plain("$$"),
        Some(b'0') => {
            let digits = tail[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
            let code = &tail[1..=digits];
            match u8::from_str_radix(code, 8).ok().filter(|_| digits == 3) {
                Some(code) => (Some(char::from(code).to_string()), 1 + digits),
                // What is no code loses its zero, as in the reference.
                None => (Some(format!("\\{code}")), 1 + digits),
            }
        }
        _ => (None, 0),
    }
}

#[cfg(test)]
#[path = "dotenv_tests.rs"]
mod tests;
