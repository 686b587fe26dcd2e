//! Values with a written form of their own: durations, sizes, file modes and resource limits.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::scalar;

/// A span of time in nanoseconds, written as Go does: `1m30s`. May be negative, since Compose accepts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(i64);

impl Duration {
    /// The given number of nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The given number of seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The standard library's form; a negative duration becomes zero.
    #[must_use]
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&scalar::format_duration(self.0))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        scalar::parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A size in bytes, written as a decimal string. -1 means no limit where that makes sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub i64);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        // What is printed is exact, and may be negative: that is how "no limit" is written.
        match text.parse() {
            Ok(exact) => Ok(Self(exact)),
            Err(_) => scalar::parse_bytes(&text).map(Self).map_err(D::Error::custom),
        }
    }
}

/// Permission bits of a file, written as an octal string: `"0440"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileMode(pub u32);

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0{:o}", self.0))
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).map(Self).map_err(D::Error::custom)
    }
}

/// A resource limit of processes: one number for both bounds, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ulimit {
    /// One number for both; -1 means no limit.
    Both(i64),
    /// Each its own.
    Split {
        /// The bound that processes may raise up to the hard one.
        #[serde(default, skip_serializing_if = "super::is_default")]
        soft: i64,
        /// The bound that only root may raise.
        #[serde(default, skip_serializing_if = "super::is_default")]
        hard: i64,
    },
}

impl Ulimit {
    /// The bound in force.
    #[must_use]
    pub const fn soft(self) -> i64 {
        match self {
            Self::Both(limit) => limit,
            Self::Split { soft, .. } => soft,
        }
    }

    /// The bound up to which processes may raise the soft one.
    #[must_use]
    pub const fn hard(self) -> i64 {
        match self {
            Self::Both(limit) => limit,
            Self::Split { hard, .. } => hard,
        }
    }
}

/// Gives a type that is written as text its place in the JSON Schema.
macro_rules! text_schema {
    ($type:ident, $pattern:literal, $description:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    };
}

text_schema!(Duration, r"^-?([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$", "A span of time, such as 1m30s.");
text_schema!(Bytes, r"^-?[0-9]+$", "A number of bytes.");
text_schema!(FileMode, r"^0[0-7]*$", "Permission bits in octal.");
