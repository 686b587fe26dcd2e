//! Development loop, lifecycle hooks and use of models.

use std::collections::BTreeMap;

use super::record;

record! {
    /// A service's `develop`.
    #[serde(deny_unknown_fields)]
    pub struct Develop {
        /// Paths to watch.
        pub watch: Vec<Watch>,
    }
}

record! {
    /// One watched path.
    #[serde(deny_unknown_fields)]
    pub struct Watch {
        /// `rebuild`, `sync`, `restart`, `sync+restart` or `sync+exec`.
        pub action: String,
        /// Command run in the container after a sync.
        pub exec: Option<Hook>,
        /// Patterns left out.
        pub ignore: Vec<String>,
        /// Patterns that limit what is watched.
        pub include: Vec<String>,
        /// Whether everything is synchronised at the start.
        pub initial_sync: bool,
        /// Path on the host.
        pub path: String,
        /// Path in the container.
        pub target: Option<String>,
    }
}

record! {
    /// A command run at a point of a container's life.
    #[serde(deny_unknown_fields)]
    pub struct Hook {
        /// Command and arguments.
        pub command: Option<Vec<String>>,
        /// Environment.
        pub environment: BTreeMap<String, Option<String>>,
        /// Image (`pre_start` only); unset means the service's.
        pub image: Option<String>,
        /// Whether it runs once per replica instead of once (`pre_start` only).
        pub per_replica: Option<bool>,
        /// Whether it runs privileged.
        pub privileged: bool,
        /// User.
        pub user: Option<String>,
        /// Working directory.
        pub working_dir: Option<String>,
    }
}

record! {
    /// How a service learns where a model answers.
    #[serde(deny_unknown_fields)]
    pub struct ServiceModel {
        /// Variable that receives the URL.
        pub endpoint_var: Option<String>,
        /// Variable that receives the model's name.
        pub model_var: Option<String>,
    }
}
