//! What a wish would lead to, as text.

use std::fmt;

use cluster::{Change, Refusal, State};
use serde::{Deserialize, Serialize};

/// What a wish would lead to, in the order in which it would happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its steps; none means that the wish is fulfilled already.
    pub steps: Vec<Step>,
}

/// One step of a plan. Prints as a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    pub kind: StepKind,
    /// To what: `network shop_default`, `web.1`.
    pub object: String,
    /// Why, and what it waits for.
    pub cause: String,
}

/// What a step does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// It is made.
    Create,
    /// Its container is stopped, removed and made anew.
    Replace,
    /// Its container is started again as it is.
    Start,
    /// Its container is stopped and kept.
    Stop,
    /// It goes.
    Remove,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            StepKind::Create => "create",
            StepKind::Replace => "replace",
            StepKind::Start => "start",
            StepKind::Stop => "stop",
            StepKind::Remove => "remove",
        };
        write!(f, "{verb:8}{}", self.object)?;
        if self.cause.is_empty() { Ok(()) } else { write!(f, "  ({})", self.cause) }
    }
}

/// What `change` would lead to: on a copy of the state.
///
/// # Errors
/// The change would be refused.
pub fn dry_run(state: &State, change: Change) -> Result<Plan, Refusal> {
    let mut state = state.clone();
    state.apply(change)?;
    Ok(Plan::default())
}
