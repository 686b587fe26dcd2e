//! Compose files: from text to one resolved, validated project, or to precise diagnostics.
//!
//! # Loading
//!
//! [`load`] takes a [`LoadRequest`] (what `docker compose`'s flags say) and [`Files`] (the only way to the outside),
//! and gives [`Loaded`]: a [`Project`] if nothing is wrong, and all findings at once.
//!
//! ```
//! use std::path::Path;
//! use compose_spec::{LoadRequest, MemoryFiles, load, render};
//!
//! let files = MemoryFiles::fixture(Path::new("/shop"), "
//! services:
//!   web:
//!     image: nginx
//!     ports: ['8080:80']
//!     depends_on: [databse]
//!   database:
//!     image: postgres
//! ");
//! let request = LoadRequest { working_dir: "/shop".into(), ..LoadRequest::default() };
//! let loaded = load(&request, &files);
//!
//! assert!(loaded.project.is_none());
//! assert_eq!(
//!     render(&loaded.diagnostics, &loaded.sources, false),
//!     "\
//! error: service `web` depends on `databse`, which is not defined
//!   --> compose.yaml:6:18
//!    |
//!  6 |     depends_on: [databse]
//!    |                  ^^^^^^^
//! hint: defined services are `database`; did you mean `database`?
//! "
//! );
//! ```
//!
//! A project is typed and complete: short forms are written out, variables replaced, defaults filled in, paths
//! absolute, environment files folded in. Its serde form is the canonical JSON that
//! `docker compose config --format json` prints, and it reads back to an equal value:
//!
//! ```
//! # use std::path::Path;
//! # use compose_spec::{LoadRequest, MemoryFiles, Project, load};
//! # let files = MemoryFiles::fixture(Path::new("/shop"), "services: {web: {image: nginx, ports: ['8080:80']}}");
//! # let request = LoadRequest { working_dir: "/shop".into(), ..LoadRequest::default() };
//! let project = load(&request, &files).project.expect("nothing is wrong with it");
//! let web = &project.services["web"];
//! assert_eq!(web.image.as_deref(), Some("nginx"));
//! assert_eq!((web.ports[0].target, web.ports[0].published.as_deref()), (80, Some("8080")));
//!
//! let json = serde_json::to_string(&project).expect("a project is always JSON");
//! assert_eq!(serde_json::from_str::<Project>(&json).expect("and reads back"), project);
//! ```
//!
//! # What else there is
//!
//! - [`DependencyGraph`]: which services come before which, circles, drawings as text, dot and Mermaid.
//! - [`Project::service_hash`]: whether a service's containers must be replaced.
//! - [`check_support`]: attributes that the engine behind this crate does not honour on the request's [`Target`], one
//!   machine or several; [`support`] for one path, [`support_markdown`] for all [`attributes`].
//! - [`json_schema`]: the format for editors.
//! - [`render`]: findings as text, with excerpts, for terminals of 80 columns.
//! - [`Loaded::to_yaml_text`] and [`Loaded::to_json_text`]: what `config` prints; it loads again.
//!
//! A graph, for example:
//!
//! ```
//! # use std::path::Path;
//! # use compose_spec::{DependencyGraph, LoadRequest, MemoryFiles, load};
//! let files = MemoryFiles::fixture(Path::new("/shop"), "
//! services:
//!   web: {image: nginx, depends_on: {api: {condition: service_healthy}}}
//!   api: {image: api, network_mode: 'service:vpn'}
//!   vpn: {image: vpn}
//! ");
//! let request = LoadRequest { working_dir: "/shop".into(), ..LoadRequest::default() };
//! let project = load(&request, &files).project.expect("nothing is wrong with it");
//! let graph = DependencyGraph::new(&project);
//! assert_eq!(graph.start_order().expect("no circle"), ["vpn", "api", "web"]);
//! assert_eq!(graph.tree(), "web\n└─ api (healthy)\n   └─ vpn (started, restart)\n");
//! ```
//!
//! # Files, variables and several files
//!
//! [`MemoryFiles`] holds files in memory; a program that reads a disk implements [`Files`] with three short methods, as
//! `examples/config.rs` does. Variables come from [`LoadRequest::env`] and from environment files, which [`load`] finds
//! and reads as docker compose does. Files are named by [`LoadRequest::files`], or else found; those that they extend
//! and include are read too.
//!
//! ```
//! # use compose_spec::{LoadRequest, MemoryFiles, load};
//! let mut files = MemoryFiles::new();
//! files.insert("/shop/compose.yaml", "services: {web: {image: 'nginx:${TAG:-latest}', ports: ['80']}}");
//! files.insert("/shop/more.yaml", "services: {web: {ports: ['443'], labels: ['tier=${TIER}']}}");
//! files.insert("/shop/.env", "TAG=1.27");
//! let request = LoadRequest {
//!     working_dir: "/shop".into(),
//!     files: vec!["compose.yaml".into(), "more.yaml".into()],
//!     env: [("TIER".to_owned(), "front".to_owned())].into(),
//!     ..LoadRequest::default()
//! };
//! let project = load(&request, &files).project.expect("nothing is wrong with it");
//! let web = &project.services["web"];
//! assert_eq!(web.image.as_deref(), Some("nginx:1.27"));
//! assert_eq!(web.ports.len(), 2);
//! assert_eq!(web.labels["tier"], "front");
//! ```
//!
//! # How it is made
//!
//! The crate is a function of its arguments: it reads through [`Files`], takes the environment from the request, and has
//! neither clock nor randomness. Input is hostile until proven otherwise: files, values, nesting, chains and
//! findings have limits, and every refusal is a [`Diagnostic`] with its place.
//!
//! A file becomes a tree in which every value knows its line and column. Each phase works on that tree, guided by one
//! table that holds, for each attribute of the format, its shape, cast, merge rule, identity and canonical
//! form. Only at the end does the tree become a [`Project`].

#[cfg(test)]
mod attribute_tests;
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
mod json_schema;
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
mod yaml_print;
mod yaml_scalar;

pub use diagnostic::{Code, Diagnostic, Severity};
pub use discover::{NAME_HINT, is_project_name};
pub use files::{Files, MemoryFiles};
pub use graph::{Cycle, DependencyGraph};
pub use json_schema::json_schema;
pub use load::load;
pub use project::*;
pub use render::render;
pub use request::{LoadRequest, Loaded, Variable};
pub use source::{FileId, Sources, Span};
pub use suggest::defined;
pub use support::{Requirement, Support, Target, attributes, check_support, support, support_markdown};
