//! Collects the findings of all phases.

use crate::diagnostic::{Code, Diagnostic};
use crate::limits;
use crate::source::Span;

/// The findings so far. Only a limited number is kept, since hostile input can be wrong everywhere.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Diagnostic>,
    errors: usize,
    dropped: usize,
}

impl Report {
    /// Adds a finding, unless the same was found before.
    pub(crate) fn add(&mut self, finding: Diagnostic) {
        if self.findings.contains(&finding) {
            return;
        }
        self.errors += usize::from(finding.is_error());
        if self.findings.len() < limits::FINDINGS {
            self.findings.push(finding);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds an error without a hint.
    pub(crate) fn error(&mut self, code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) {
        self.add(Diagnostic::error(code, span, message));
    }

    /// Adds a warning without a hint.
    pub(crate) fn warning(&mut self, span: impl Into<Option<Span>>, message: impl Into<String>) {
        self.add(Diagnostic::warning(Code::Suspicious, span, message));
    }

    /// Whether further findings are only counted, so that advice for them is not worth its time.
    pub(crate) fn is_full(&self) -> bool {
        self.findings.len() >= limits::FINDINGS
    }

    /// How many errors were found.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// All findings by place; those without one first.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.findings.sort_by_key(|finding| finding.span);
        self.findings.dedup_by(|later, first| is_same_fault(first, later));
        if self.errors > 0 && !self.findings.iter().any(Diagnostic::is_error) {
            // Warnings filled the list first: the reason for the refusal must still be said.
            self.findings.push(Diagnostic::error(
                Code::Limit,
                None,
                "there are errors beyond the number of findings that are shown",
            ));
        } else if self.dropped > 0 {
            let message = format!("{} more findings are not shown", self.dropped);
            self.findings.push(Diagnostic::warning(Code::Limit, None, message));
        }
        self.findings
    }
}

/// Whether two findings are about one text that several services inherit, by `extends` or an alias.
fn is_same_fault(first: &Diagnostic, later: &Diagnostic) -> bool {
    first.span.is_some()
        && (first.span, first.severity, first.code) == (later.span, later.severity, later.code)
        && without_service(&first.message).is_some_and(|text| Some(text) == without_service(&later.message))
}

/// A message without the name of the first service in it.
fn without_service(message: &str) -> Option<(&str, &str)> {
    let (before, rest) = message.split_once("`services.")?;
    let (_, after) = rest.split_once('.')?;
    Some((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn a_fault_that_several_services_inherit_is_shown_once() {
        let file = Sources::default().add(std::path::Path::new("a"), "a".to_owned(), String::new());
        let span = Span { file, line: 1, column: 1, length: 1 };
        let mut report = Report::default();
        for message in ["`services.a.image` is bad", "`services.b.image` is bad", "`services.b.user` is bad"]
        {
            report.error(Code::Value, span, message);
        }
        let messages: Vec<_> = report.finish().into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages, ["`services.a.image` is bad", "`services.b.user` is bad"]);
    }
}
