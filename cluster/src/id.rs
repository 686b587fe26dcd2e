//! The names of things: small types, so that a node is never mistaken for a task.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A stack's name: Compose's project name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StackName(pub String);

/// A service of a stack. Prints and parses as `stack/service`, which also makes it a JSON map key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The stack that the service belongs to.
    pub stack: StackName,
    /// The service's name in the Compose file.
    pub service: String,
}

/// A task. The number is a scrambled counter of the state, so that ids are unique, look unlike one
/// another, and are a function of the state alone. Prints as sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// A node. Prints as eight hexadecimal digits or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

/// A network by its full name, as `docker network ls` would show it (`shop_default`, or the `name:` given).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkName(pub String);

/// A volume by its full name (`shop_data`, or the `name:` given).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VolumeName(pub String);

/// How often an object was changed: the index of the change that last touched it. A change that was
/// decided on an older version of the object is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl ServiceKey {
    /// The key of `service` in `stack`.
    pub fn new(stack: &StackName, service: &str) -> Self {
        Self { stack: stack.clone(), service: service.to_owned() }
    }
}

macro_rules! display_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display_inner!(StackName, NetworkName, VolumeName, Version);

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stack, self.service)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl std::str::FromStr for TaskId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(TaskId)
    }
}

impl std::str::FromStr for ServiceKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (stack, service) =
            text.split_once('/').ok_or_else(|| format!("`{text}` is not of the form stack/service"))?;
        Ok(Self { stack: StackName(stack.to_owned()), service: service.to_owned() })
    }
}

macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text!(ServiceKey, TaskId);
