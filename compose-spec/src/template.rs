//! The text form of interpolation: `$NAME`, `${NAME}` and the operators `-`, `?`, `+`, each also with `:`.

use std::ops::Range;

use crate::limits;

/// What is wrong with a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    /// The part of the text that is wrong, in bytes.
    pub(crate) range: Range<usize>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// How a variable is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use<'a> {
    /// `$NAME` or `${NAME}`.
    Plain,
    /// With `-`: this, if there is no value.
    Default(&'a str),
    /// With `?`: this message, if there is no value.
    Required(&'a str),
    /// With `+`: this, if there is a value.
    Alternative(&'a str),
}

/// Where variables come from, and who wants to know which are used.
pub(crate) trait Lookup {
    /// The value of a variable.
    fn value(&mut self, name: &str) -> Option<String>;

    /// Told of each use, and whether a value is missed: of a default that does not count, none is.
    fn used(&mut self, name: &str, how: Use<'_>, range: Range<usize>, missed: bool);
}

/// Replaces variables in a text.
///
/// # Errors
/// For a malformed `${...}`, a required variable without a value, and a text that grows beyond the limits.
pub(crate) fn substitute(text: &str, lookup: &mut dyn Lookup) -> Result<String, TemplateError> {
    Substitution { lookup, depth: 0, idle: false }.run(text, 0)
}

struct Substitution<'lookup> {
    lookup: &'lookup mut dyn Lookup,
    depth: usize,
    /// Whether this is part of a text that does not count.
    idle: bool,
}

impl Substitution<'_> {
    /// `offset` is where the text begins in the whole.
    fn run(&mut self, text: &str, offset: usize) -> Result<String, TemplateError> {
        let error = |range: Range<usize>, message: String| TemplateError {
            range: offset + range.start..offset + range.end,
            message,
            hint: None,
        };
        if self.depth > limits::INTERPOLATION_DEPTH {
            let message = format!("`${{...}}` is nested more than {} deep", limits::INTERPOLATION_DEPTH);
            return Err(error(0..text.len(), message));
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(found) = text[at..].find('$') {
            let dollar = at + found;
            out.push_str(&text[at..dollar]);
            let rest = &text[dollar + 1..];
            if rest.starts_with('$') {
                out.push('$');
                at = dollar + 2;
            } else if let Some(braced) = rest.strip_prefix('{') {
                let end = closing_brace(braced).ok_or_else(|| TemplateError {
                    hint: Some("write `$$` for a literal `$`".to_owned()),
                    ..error(dollar..text.len(), "`${` is not closed".to_owned())
                })?;
                at = dollar + 2 + end + 1;
                let value = self.braced(&braced[..end], offset + dollar + 2, offset + dollar..offset + at)?;
                out.push_str(&value);
            } else {
                let length = name_length(rest);
                at = dollar + 1 + length;
                if length == 0 {
                    out.push('$');
                } else {
                    let name = &rest[..length];
                    let value = self.lookup.value(name);
                    let range = offset + dollar..offset + at;
                    self.lookup.used(name, Use::Plain, range, value.is_none() && !self.idle);
                    out.push_str(&value.unwrap_or_default());
                }
            }
            if out.len() > limits::INTERPOLATED_BYTES {
                let message = format!("the value grows beyond {} bytes", limits::INTERPOLATED_BYTES);
                return Err(error(0..text.len(), message));
            }
        }
        out.push_str(&text[at..]);
        Ok(out)
    }

    /// What stands between the braces; `range` includes them.
    fn braced(&mut self, body: &str, offset: usize, range: Range<usize>) -> Result<String, TemplateError> {
        let length = name_length(body);
        let (name, rest) = body.split_at(length);
        let (nonempty, operator) = match rest.strip_prefix(':') {
            Some(operator) => (true, operator),
            None => (false, rest),
        };
        let argument = operator.get(1..).unwrap_or("");
        let argument_offset = offset + body.len() - argument.len();
        let how = match operator.as_bytes().first() {
            _ if name.is_empty() => return Err(malformed(body, range)),
            None if !nonempty => Use::Plain,
            Some(b'-') => Use::Default(argument),
            Some(b'?') => Use::Required(argument),
            Some(b'+') => Use::Alternative(argument),
            _ => return Err(malformed(body, range)),
        };
        let value = self.lookup.value(name);
        let present = value.as_ref().is_some_and(|value| !nonempty || !value.is_empty());
        self.lookup.used(name, how, range.clone(), value.is_none() && !self.idle);
        let counts = match how {
            Use::Plain => return Ok(value.unwrap_or_default()),
            Use::Default(_) | Use::Required(_) => !present,
            Use::Alternative(_) => present,
        };
        // What does not count is read all the same: a fault in it is one, whatever is set.
        let inner = self.nested(argument, argument_offset, counts)?;
        match how {
            Use::Alternative(_) if !counts => Ok(String::new()),
            _ if !counts => Ok(value.unwrap_or_default()),
            Use::Plain | Use::Default(_) | Use::Alternative(_) => Ok(inner),
            Use::Required(_) => {
                let reason = inner;
                let state = if value.is_some() { "empty" } else { "not set" };
                let message = match reason.trim() {
                    "" => format!("required variable `{name}` is {state}"),
                    reason => format!("required variable `{name}` is {state}: {reason}"),
                };
                let hint = format!("set it in the environment or in `.env`: {name}=...");
                Err(TemplateError { range, message, hint: Some(hint) })
            }
        }
    }

    fn nested(&mut self, text: &str, offset: usize, counts: bool) -> Result<String, TemplateError> {
        let idle = self.idle;
        self.idle |= !counts;
        self.depth += 1;
        let value = self.run(text, offset);
        self.depth -= 1;
        self.idle = idle;
        value
    }
}

fn malformed(body: &str, range: Range<usize>) -> TemplateError {
    TemplateError {
        range,
        message: format!("`${{{body}}}` is not a valid interpolation"),
        hint: Some(
            "expected `${NAME}`, `${NAME:-default}`, `${NAME:?message}` or `${NAME:+value}`; write `$$` for a \
             literal `$`"
                .to_owned(),
        ),
    }
}

/// How many bytes of a variable's name stand at the start.
fn name_length(text: &str) -> usize {
    let name = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    if text.starts_with(|c: char| c.is_ascii_digit()) { 0 } else { name }
}

/// Where the brace that closes an opened one is. Braces count in pairs, but what follows an opening one is not looked
/// at; where they do not pair up, the last one of the line closes, as the reference does.
fn closing_brace(text: &str) -> Option<usize> {
    let line = text.split('\n').next().unwrap_or_default();
    let mut open = 1_usize;
    let mut bytes = line.bytes().enumerate();
    // The first character follows the opened brace.
    if !line.starts_with('}') {
        bytes.next();
    }
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'{' => {
                open += 1;
                bytes.next();
            }
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    line.rfind('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Lookup for Fixed {
        fn value(&mut self, name: &str) -> Option<String> {
            match name {
                "A" => Some("a".to_owned()),
                "A_B" => Some("ab".to_owned()),
                "E" => Some(String::new()),
                "R" => Some("${A}".to_owned()),
                _ => None,
            }
        }

        fn used(&mut self, _: &str, _: Use<'_>, _: Range<usize>, _: bool) {}
    }

    fn check(text: &str, expect: &str) {
        assert_eq!(substitute(text, &mut Fixed).as_deref(), Ok(expect), "{text}");
    }

    #[test]
    fn variables_are_replaced() {
        check("$A-${A}", "a-a");
        check("$A_B", "ab");
        check("$U|${U}", "|");
        check("${R}", "${A}");
    }

    #[test]
    fn a_colon_makes_empty_count_as_unset() {
        check("${E:-b}|${E-b}", "b|");
        check("${E:+b}|${E+b}", "|b");
        check("${U:-b}|${U-b}|${U:+b}|${U+b}", "b|b||");
    }

    #[test]
    fn defaults_nest_and_hold_balanced_braces() {
        check("${U:-${A}}", "a");
        check("${U:-${V:-x}y}", "xy");
        check(r#"${U:-{"j": 1}}"#, r#"{"j": 1}"#);
        check("${U:-a}b}", "ab}");
        check("${U:-}", "");
        check("${U:-{a}", "{a");
        check("${U:-{}}x}", "{}}x");
    }

    #[test]
    fn a_dollar_that_names_nothing_stays() {
        check("$$A $$$A $ A $1 $(A) a$", "$A $a $ A $1 $(A) a$");
    }

    #[test]
    fn malformed_and_missing_variables_are_errors() {
        for text in [
            "${}",
            "${1}",
            "${A.B}",
            "${A:x}",
            "${ A }",
            "${A",
            "${U:-a\n}",
            "${U:?}",
            "${U?gone}",
            "${E:?gone}",
        ] {
            assert!(substitute(text, &mut Fixed).is_err(), "{text}");
        }
        check("${E?gone}", "");
    }

    #[test]
    fn a_fault_in_a_default_is_one_even_where_it_does_not_count() {
        for text in ["${A:-${U:?gone}}", "${U:+${U?gone}}", "${A:?${}}", "${A-${E:-${U:?}}}"] {
            assert!(substitute(text, &mut Fixed).is_err(), "{text}");
        }
        check("${A:-${U}}${U:+$U}", "a");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("{}x{}", "${U:-".repeat(1000), "}".repeat(1000));
        assert!(substitute(&text, &mut Fixed).unwrap_err().message.contains("nested"));
    }
}
