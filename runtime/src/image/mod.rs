//! Images on this machine: names, the content-addressed store, pulling, archives, and safe unpacking.
//!
//! An image is its configuration blob, whose digest is the image's id, and a stack of unpacked layers that
//! overlayfs can mount as they are. Everything that comes from outside (registry answers, archives, layers)
//! is checked against its digest and against [`limits`] before it is believed.
//!
//! ```text
//! reference ──► registry | archive | demo ──► blobs/sha256/<digest> ──► unpack ──► layers/<chain id>
//!                                                       └───────────► index.json (names, images) ◄── last
//! ```

mod archive;
mod changes;
mod config;
mod demo;
mod digest;
mod error;
pub(crate) mod inside;
pub mod limits;
pub(crate) mod lower;
mod pull;
mod reference;
mod registry;
mod store;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use unpack::unpack_over;

use std::path::PathBuf;

pub use changes::Changes;
pub use config::{HealthCheck, ImageConfig};
pub use digest::Digest;
pub use error::{Error, Refusal, Result};
pub use reference::Reference;
pub use store::{ImageStore, Removed};

/// The reference of the image that is made from the program's own executable.
pub const DEMO_REFERENCE: &str = "orc/demo";

/// An image that is complete on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Digest of the configuration, `sha256:...`: the image's identity.
    pub id: String,
    /// The normalised name it was asked for by, or its first name; empty when it has none.
    pub reference: String,
    /// Digest of the manifest (or index) that the registry gave for the reference.
    pub digest: Option<String>,
    pub config: ImageConfig,
    /// Folders of the unpacked layers, from the bottom to the top.
    pub layers: Vec<PathBuf>,
    /// Bytes of all files of all layers.
    pub size: u64,
    /// When the image says it was made, as in its configuration (RFC 3339).
    pub created: Option<String>,
}

/// A line of `orc image ls`: one image with all its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    pub id: String,
    /// Normalised names, sorted.
    pub references: Vec<String>,
    pub size: u64,
    pub created: Option<String>,
}

/// When a registry is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PullPolicy {
    /// Only if the image is not on this machine.
    #[default]
    Missing,
    /// Each time, so that a moved tag is noticed.
    Always,
    /// Never: an image that is not here is an error.
    Never,
    /// If the image is not on this machine, or its name was given to it longer ago than this.
    OlderThan {
        /// Milliseconds.
        ms: u64,
    },
}

/// Where credentials for registries come from, and what registries are known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Docker's `config.json`; it may name credential helpers. A missing file means anonymous.
    pub docker_config: Option<PathBuf>,
    /// Docker's `certs.d`: for each registry a folder with the certificates that are believed from it.
    pub docker_certs: Option<PathBuf>,
    /// Docker's `daemon.json`; its `registry-mirrors` are asked before Docker Hub is. A missing file means none.
    pub docker_daemon: Option<PathBuf>,
}

/// What a pull is doing. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullProgress {
    /// The registry is asked what the reference means.
    Resolving,
    /// A layer is being fetched; `total` is what the manifest says.
    Downloading { layer: Digest, done: u64, total: u64 },
    /// A layer is being unpacked.
    Unpacking { layer: Digest },
    /// A layer is complete, or was here already.
    Ready { layer: Digest },
    /// The registry failed in a way that may pass; the next attempt is after `delay_ms`.
    Retrying { reason: String, delay_ms: u64 },
}
