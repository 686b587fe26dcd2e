//! How an image is built.

use std::collections::BTreeMap;

use super::{Bytes, FileReference, Ulimit, record};

record! {
    /// A service's `build`.
    #[serde(deny_unknown_fields)]
    pub struct Build {
        /// Named contexts beside the main one.
        pub additional_contexts: BTreeMap<String, String>,
        /// Build arguments; one without a value is taken from the builder's environment.
        pub args: BTreeMap<String, Option<String>>,
        /// Sources of cached layers.
        pub cache_from: Vec<String>,
        /// Targets of cached layers.
        pub cache_to: Vec<String>,
        /// Folder or URL of the sources.
        pub context: Option<String>,
        /// Dockerfile, relative to the context.
        pub dockerfile: Option<String>,
        /// The Dockerfile itself.
        pub dockerfile_inline: Option<String>,
        /// Extra rights of the build.
        pub entitlements: Vec<String>,
        /// Additional host names, each as `name=address`.
        pub extra_hosts: Vec<String>,
        /// Isolation technology.
        pub isolation: Option<String>,
        /// Labels of the image.
        pub labels: BTreeMap<String, String>,
        /// Network of the build's steps.
        pub network: Option<String>,
        /// Whether cached layers are ignored.
        pub no_cache: bool,
        /// Stages whose cached layers are ignored.
        pub no_cache_filter: Vec<String>,
        /// Platforms to build for.
        pub platforms: Vec<String>,
        /// Whether the build runs privileged.
        pub privileged: bool,
        /// Provenance attestation.
        pub provenance: Option<String>,
        /// Whether base images are always pulled.
        pub pull: bool,
        /// Software bill of materials.
        pub sbom: Option<String>,
        /// Secrets of the build.
        pub secrets: Vec<FileReference>,
        /// Size of `/dev/shm` during the build.
        pub shm_size: Option<Bytes>,
        /// SSH agents or keys by id; `default` without a path is the caller's agent.
        pub ssh: BTreeMap<String, Option<String>>,
        /// Additional image names.
        pub tags: Vec<String>,
        /// Stage to build.
        pub target: Option<String>,
        /// Resource limits of the build's processes.
        pub ulimits: BTreeMap<String, Ulimit>,
    }
}
