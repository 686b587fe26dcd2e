//! Secrets, configs and models of a project, and a service's references to the first two.

use std::collections::BTreeMap;

use super::{FileMode, record};

record! {
    /// A secret.
    #[serde(deny_unknown_fields)]
    pub struct Secret {
        /// Real name; `project_key` unless given.
        pub name: Option<String>,
        /// Driver.
        pub driver: Option<String>,
        /// Driver options.
        pub driver_opts: BTreeMap<String, String>,
        /// Variable that holds the content.
        pub environment: Option<String>,
        /// Whether it exists outside the project.
        pub external: bool,
        /// File that holds the content.
        pub file: Option<String>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
        /// Driver that expands templates in the content.
        pub template_driver: Option<String>,
    }
}

record! {
    /// A config.
    #[serde(deny_unknown_fields)]
    pub struct Config {
        /// Real name; `project_key` unless given.
        pub name: Option<String>,
        /// The content itself.
        pub content: Option<String>,
        /// Variable that holds the content.
        pub environment: Option<String>,
        /// Whether it exists outside the project.
        pub external: bool,
        /// File that holds the content.
        pub file: Option<String>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
        /// Driver that expands templates in the content.
        pub template_driver: Option<String>,
    }
}

record! {
    /// A service's reference to a secret or a config.
    #[serde(deny_unknown_fields)]
    pub struct FileReference {
        /// Key of the secret or config.
        pub source: String,
        /// Path in the container; for configs unset means `/SOURCE`.
        pub target: Option<String>,
        /// Owner.
        pub uid: Option<String>,
        /// Group.
        pub gid: Option<String>,
        /// Permissions; unset means `0444`.
        pub mode: Option<FileMode>,
    }
}

record! {
    /// A language model.
    #[serde(deny_unknown_fields)]
    pub struct Model {
        /// Real name; the key unless given.
        pub name: Option<String>,
        /// Reference of the model.
        pub model: Option<String>,
        /// Size of the context in tokens.
        pub context_size: Option<i64>,
        /// Flags of the program that runs the model.
        pub runtime_flags: Vec<String>,
    }
}
