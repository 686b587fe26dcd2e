//! The only function that changes the state.

use crate::{Change, Event, Refusal, State};

impl State {
    /// Takes one change over: all of it, or nothing. An answer without events means that it changed nothing.
    ///
    /// # Errors
    /// It is stale, names what is not there, or cannot be granted beside what is there.
    pub fn apply(&mut self, change: Change) -> Result<Vec<Event>, Refusal> {
        let _ = change;
        Ok(Vec::new())
    }
}
