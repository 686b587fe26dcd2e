//! What text means where a boolean or a number is expected. Applied after interpolation, since a variable
//! can only hold text.

/// What an attribute wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    /// A boolean.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
}

impl Cast {
    /// The name for messages.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Bool => "`true` or `false`",
            Self::Int => "a whole number",
            Self::Float => "a number",
        }
    }
}

/// Reads a boolean; the words of YAML 1.1 count too.
pub(crate) fn to_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Reads a whole decimal number.
pub(crate) fn to_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Reads a number; what is beyond the range of numbers is none.
pub(crate) fn to_float(text: &str) -> Option<f64> {
    crate::scalar::parse_float(text).filter(|value| value.is_finite())
}
