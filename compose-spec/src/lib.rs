//! Compose files: from text to one resolved, validated project, or to precise diagnostics.
//!
//! ```
//! use std::path::Path;
//! use compose_spec::{LoadRequest, MemoryFiles, load};
//!
//! let files = MemoryFiles::fixture(Path::new("/shop"), "services: {web: {image: nginx}}");
//! let request = LoadRequest { working_dir: "/shop".into(), ..LoadRequest::default() };
//! let loaded = load(&request, &files);
//! ```
//!
//! The crate is a function of its arguments: it reads through [`Files`], takes the environment from the
//! request, and has neither clock nor randomness.

mod diagnostic;
mod files;
mod graph;
mod hash;
mod load;
mod node;
pub mod project;
mod render;
mod request;
mod scalar;
mod source;
mod support;

pub use diagnostic::{Code, Diagnostic, Severity};
pub use files::{Files, MemoryFiles};
pub use graph::{Cycle, DependencyGraph};
pub use load::load;
pub use project::*;
pub use render::render;
pub use request::{LoadRequest, Loaded, Variable};
pub use source::{FileId, Sources, Span};
pub use support::{Support, check_support};
