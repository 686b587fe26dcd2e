//! Dependencies, health, logging and the other small records of a service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, record};

/// What a dependency must have reached before its dependents start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Condition {
    /// It was started.
    #[default]
    #[serde(rename = "service_started")]
    Started,
    /// Its health check passes.
    #[serde(rename = "service_healthy")]
    Healthy,
    /// It ended with exit status 0.
    #[serde(rename = "service_completed_successfully")]
    CompletedSuccessfully,
}

/// One entry of `depends_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// What is waited for.
    #[serde(default)]
    pub condition: Condition,
    /// Whether a restart of the dependency restarts the dependent.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub restart: bool,
    /// Whether the dependent fails when the dependency cannot be had.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

impl Default for Dependency {
    fn default() -> Self {
        Self { condition: Condition::Started, restart: false, required: true }
    }
}

record! {
    /// A service's `healthcheck`.
    #[serde(deny_unknown_fields)]
    pub struct Healthcheck {
        /// Whether the image's check is switched off.
        pub disable: bool,
        /// Pause between checks.
        pub interval: Option<Duration>,
        /// Failures in a row that make a container unhealthy.
        pub retries: Option<u64>,
        /// Pause between checks during the start period.
        pub start_interval: Option<Duration>,
        /// Time during which failures do not count.
        pub start_period: Option<Duration>,
        /// `["CMD", ..]`, `["CMD-SHELL", "line"]` or `["NONE"]`; empty means the image's.
        pub test: Vec<String>,
        /// Time that one check may take.
        pub timeout: Option<Duration>,
    }
}

record! {
    /// A service's `logging`.
    #[serde(deny_unknown_fields)]
    pub struct Logging {
        /// Driver.
        pub driver: Option<String>,
        /// Driver options.
        pub options: BTreeMap<String, String>,
    }
}

record! {
    /// A service's `credential_spec`.
    #[serde(deny_unknown_fields)]
    pub struct CredentialSpec {
        /// Config that holds it.
        pub config: Option<String>,
        /// File that holds it.
        pub file: Option<String>,
        /// Registry value that holds it.
        pub registry: Option<String>,
    }
}

record! {
    /// A service's `provider`.
    #[serde(deny_unknown_fields)]
    pub struct Provider {
        /// Name of the program.
        #[serde(rename = "type")]
        pub kind: String,
        /// Its options.
        pub options: BTreeMap<String, Vec<String>>,
    }
}

/// One environment file of a service, while it is not folded into `environment`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvFile {
    /// Path.
    pub path: String,
    /// Whether a missing file is an error.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub required: bool,
    /// `raw` takes every value verbatim.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub format: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

record! {
    /// A service's `extends`, while it is not resolved.
    #[serde(deny_unknown_fields)]
    pub struct Extends {
        /// File of the base; unset means the same.
        pub file: Option<String>,
        /// The base service.
        pub service: String,
    }
}
