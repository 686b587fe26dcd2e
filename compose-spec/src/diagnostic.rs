//! Findings: what is wrong, where, and what to do about it.

use crate::source::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// There is no project.
    Error,
    /// The project is as written, but surely not as meant.
    Warning,
}

/// What kind of finding it is; stable, for tools and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// The request itself cannot be fulfilled (no file, bad project name, ...).
    Request,
    /// A file cannot be read.
    File,
    /// A text is not YAML.
    Yaml,
    /// An environment file is malformed.
    Dotenv,
    /// A `${...}` is malformed or its variable is missing.
    Interpolation,
    /// An attribute is unknown or has the wrong type.
    Schema,
    /// A value of the right type makes no sense.
    Value,
    /// `extends` or `include` cannot be followed.
    Reference,
    /// Attributes or objects contradict one another.
    Consistency,
    /// A limit on the input is exceeded.
    Limit,
    /// The attribute is understood, but the engine does not honour it.
    Unsupported,
    /// Surely not what was meant.
    Suspicious,
}

impl Code {
    /// The code as printed in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::File => "file",
            Self::Yaml => "yaml",
            Self::Dotenv => "dotenv",
            Self::Interpolation => "interpolation",
            Self::Schema => "schema",
            Self::Value => "value",
            Self::Reference => "reference",
            Self::Consistency => "consistency",
            Self::Limit => "limit",
            Self::Unsupported => "unsupported",
            Self::Suspicious => "suspicious",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of finding it is.
    pub code: Code,
    /// Where the fault lies; `None` when it lies in no file.
    pub span: Option<Span>,
    /// What is wrong, in one sentence without a full stop. Names are in back quotes.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other places that belong to it: where a value came from, the first of two keys.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span.into(), message.into())
    }

    /// A warning at a place.
    pub fn warning(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span.into(), message.into())
    }

    fn new(severity: Severity, code: Code, span: Option<Span>, message: String) -> Self {
        Self { severity, code, span, message, hint: None, related: Vec::new() }
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Whether it keeps the project from being loaded.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
