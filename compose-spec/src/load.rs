//! The phases of loading, in order.

use crate::files::Files;
use crate::request::{LoadRequest, Loaded};

/// Loads a project, or says what keeps it from being loaded.
#[must_use]
pub fn load(request: &LoadRequest, files: &dyn Files) -> Loaded {
    let _ = (request, files);
    Loaded::default()
}
