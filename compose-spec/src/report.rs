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

    /// How many errors were found.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// All findings by place; those without one first.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.findings.sort_by_key(|finding| finding.span);
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
