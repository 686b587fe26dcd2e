//! What of a task must outlive the agent: how often and when its container was started.
//!
//! The first start needs no record, since the container's own label says for which generation it was made;
//! so bringing up a stack writes nothing here. Every later start is written down before it happens.

use std::collections::BTreeMap;
use std::fmt;

use cluster::compose_spec::Hook;
use cluster::{NetworkName, ServiceKey, Timestamp, VolumeName};
use serde::{Deserialize, Serialize};

use super::health::Check;

/// The starts of a task's container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The generation that the last start was for.
    pub generation: u64,
    /// How often the restart policy started it again in this generation.
    pub restarts: u32,
    /// How many of those came after short runs: the exponent of the pause.
    pub streak: u32,
    /// When the last start was decided; an end that is older belongs to the run before.
    pub at: Timestamp,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {} restarts {} streak {}", self.generation, self.restarts, self.streak)
    }
}

/// The label of a container that holds its [`Origin`].
pub const ORIGIN_LABEL: &str = "dev.orc.origin";

/// What a container was made from, kept with it as a label: enough to look after it, and to take it away when
/// nobody assigns it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The service.
    pub service: ServiceKey,
    /// The slot.
    pub slot: u32,
    /// The generation that it was made for; its first start answers it.
    pub generation: u64,
    /// The image's id.
    pub image: String,
    /// Its health check, the image's part included.
    pub check: Option<Check>,
    /// It is restarted when its checks fail, as far as its restart policy goes.
    #[serde(default)]
    pub restarts_unhealthy: bool,
    /// Commands run in it after each start.
    #[serde(default)]
    pub post_start: Vec<Hook>,
    /// Commands run in it before it is asked to end.
    #[serde(default)]
    pub pre_stop: Vec<Hook>,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// Milliseconds until SIGKILL.
    pub grace_ms: u64,
    /// Which volumes of its own the slot has; see `Task::volumes_renewed`.
    #[serde(default)]
    pub volumes_renewed: u64,
    /// Volumes of its own, by the path in the container.
    pub anonymous: BTreeMap<String, String>,
    /// Named volumes that it mounts.
    pub volumes: Vec<VolumeName>,
    /// Networks that it is in.
    pub networks: Vec<NetworkName>,
}

impl Origin {
    /// Reads the label of a found container.
    ///
    /// # Errors
    /// The container was not made by an agent, or by one of another format.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Result<Origin, String> {
        let text = labels.get(ORIGIN_LABEL).ok_or_else(|| format!("it has no label `{ORIGIN_LABEL}`"))?;
        serde_json::from_str(text).map_err(|error| format!("its label `{ORIGIN_LABEL}`: {error}"))
    }

    /// The label's text.
    #[must_use]
    pub fn to_label(&self) -> String {
        // Strings, numbers and maps with string keys only: that cannot fail to be JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}
