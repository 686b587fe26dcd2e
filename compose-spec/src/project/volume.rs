//! Volumes, and a service's mounts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, record};

record! {
    /// A volume.
    #[serde(deny_unknown_fields)]
    pub struct Volume {
        /// Real name; `project_key` unless given.
        pub name: Option<String>,
        /// Driver; unset means the engine's default.
        pub driver: Option<String>,
        /// Driver options.
        pub driver_opts: BTreeMap<String, String>,
        /// Whether it exists outside the project.
        pub external: bool,
        /// Labels.
        pub labels: BTreeMap<String, String>,
    }
}

/// What kind of thing is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume; anonymous when the mount has no source.
    Volume,
    /// Memory.
    Tmpfs,
    /// A volume of the cluster's storage.
    Cluster,
    /// A named pipe (Windows).
    Npipe,
    /// The files of an image.
    Image,
}

/// One mount of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// What kind of thing is mounted.
    #[serde(rename = "type")]
    pub kind: MountKind,
    /// Host path, volume key or image; unset for tmpfs and anonymous volumes.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub source: Option<String>,
    /// Path in the container.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub target: String,
    /// Whether it is read-only.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub read_only: bool,
    /// Consistency (macOS); without meaning on Linux.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub consistency: Option<String>,
    /// Options of a bind mount.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub bind: Option<BindOptions>,
    /// Options of a volume mount.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub volume: Option<VolumeOptions>,
    /// Options of a tmpfs mount.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub tmpfs: Option<TmpfsOptions>,
    /// Options of an image mount.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub image: Option<ImageOptions>,
}

record! {
    /// Options of a bind mount.
    #[serde(deny_unknown_fields)]
    pub struct BindOptions {
        /// Whether a missing host path is made; unset means yes.
        pub create_host_path: Option<bool>,
        /// Mount propagation.
        pub propagation: Option<String>,
        /// `enabled`, `disabled`, `writable` or `readonly`.
        pub recursive: Option<String>,
        /// SELinux label: `z` (shared) or `Z` (private).
        pub selinux: Option<String>,
    }
}

record! {
    /// Options of a volume mount.
    #[serde(deny_unknown_fields)]
    pub struct VolumeOptions {
        /// Labels of an anonymous volume.
        pub labels: BTreeMap<String, String>,
        /// Whether the image's files are not copied into a new volume.
        pub nocopy: bool,
        /// Path inside the volume.
        pub subpath: Option<String>,
    }
}

record! {
    /// Options of a tmpfs mount.
    #[serde(deny_unknown_fields)]
    pub struct TmpfsOptions {
        /// Permission bits, as a plain number (493 is `0755`).
        pub mode: Option<u32>,
        /// Size limit.
        pub size: Option<Bytes>,
    }
}

record! {
    /// Options of an image mount.
    #[serde(deny_unknown_fields)]
    pub struct ImageOptions {
        /// Path inside the image.
        pub subpath: Option<String>,
    }
}
