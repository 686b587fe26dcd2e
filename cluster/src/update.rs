//! The replacement of a service's tasks, a few at a time: what was asked for, and how far it has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use compose_spec::UpdateConfig;
use serde::{Deserialize, Serialize};

use crate::{Service, ServiceSpec, Timestamp};

/// A replacement under way, paused or taken back. A service that says nothing in `deploy.update_config` has
/// none: all its tasks are replaced at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// When it began, or was taken up again or back: tasks made since are its own.
    pub started_at: Timestamp,
    /// How it goes.
    pub state: UpdateState,
    /// What ran before, to go back to; once it is taken back: what failed.
    pub other: Arc<ServiceSpec>,
    /// The slots whose new task failed, with what became of it.
    pub failed: BTreeMap<u32, String>,
}

/// How a replacement goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// Tasks are being replaced, or watched for a while.
    Running,
    /// Too many failed, for this reason: nothing more is replaced until the next `orc up`.
    Paused(String),
    /// Too many failed, for this reason: what ran before comes back.
    RollingBack(String),
    /// What ran before is back.
    RolledBack(String),
}

/// What the scheduler decides about a replacement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStep {
    /// The new task of a slot failed.
    Fail {
        /// Which slot.
        slot: u32,
        /// What became of it.
        why: String,
    },
    /// Stop replacing.
    Pause(String),
    /// Go back to what ran before. The user's own standing order: `failure_action: rollback`.
    RollBack(String),
    /// All is replaced, and was watched for long enough.
    Finish,
}

impl ServiceSpec {
    /// `deploy.update_config`.
    #[must_use]
    pub fn update_config(&self) -> Option<&UpdateConfig> {
        self.compose.deploy.as_ref()?.update_config.as_ref()
    }

    /// `deploy.rollback_config`.
    #[must_use]
    pub fn rollback_config(&self) -> Option<&UpdateConfig> {
        self.compose.deploy.as_ref()?.rollback_config.as_ref()
    }
}

impl Update {
    /// Tasks are still to be replaced or watched.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.state, UpdateState::Running | UpdateState::RollingBack(_))
    }

    /// The replacement that leads from `old` to `new`, if `new` asks for one a few at a time. One that was
    /// under way and did not come to its end leaves what ran before it as what can be gone back to.
    #[must_use]
    pub(crate) fn begin(old: &Service, new: &ServiceSpec, at: Timestamp) -> Option<Update> {
        new.update_config()?;
        let unfinished = old
            .update
            .as_ref()
            .filter(|update| matches!(update.state, UpdateState::Running | UpdateState::Paused(_)));
        let other = unfinished.map_or(&old.spec, |update| &update.other).clone();
        Some(Update { started_at: at, state: UpdateState::Running, other, failed: BTreeMap::new() })
    }
}
