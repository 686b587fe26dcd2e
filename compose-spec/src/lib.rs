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

mod canonical;
mod cast;
mod consistency;
mod decode;
mod diagnostic;
mod discover;
mod document;
mod dotenv;
mod environment;
mod extends;
mod files;
mod finish;
mod format;
mod graph;
mod hash;
mod include;
mod interpolate;
mod limits;
mod load;
mod loader;
mod map;
mod merge;
mod node;
mod normalize;
mod paths;
mod place;
pub mod project;
mod render;
mod report;
mod request;
mod scalar;
mod schema;
mod select;
mod short;
mod source;
mod suggest;
mod support;
mod suspicious;
mod template;
mod unique;
mod validate;
mod variables;
mod yaml;
mod yaml_indent;
mod yaml_scalar;

pub use diagnostic::{Code, Diagnostic, Severity};
pub use files::{Files, MemoryFiles};
pub use graph::{Cycle, DependencyGraph};
pub use load::load;
pub use project::*;
pub use render::render;
pub use request::{LoadRequest, Loaded, Variable};
pub use source::{FileId, Sources, Span};
pub use support::{Support, check_support, support};
