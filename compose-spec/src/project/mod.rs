//! The typed project: what remains of Compose files once every reference, variable and default is settled.
//!
//! The serde form of these types *is* canonical Compose JSON: what `docker compose config --format json`
//! prints. It reads back to an equal value, so a project can travel between processes as text that any
//! Compose tool understands. Attributes that hold their default are left out of it.

mod build;
mod deploy;
mod develop;
mod device;
mod network;
mod object;
mod pull;
mod run;
mod service;
mod values;
mod volume;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

pub use build::Build;
pub use deploy::{
    Deploy, DiscreteResource, GenericResource, Placement, PlacementPreference, ResourceLimits, Resources,
    RestartPolicy, UpdateConfig,
};
pub use develop::{Develop, Hook, ServiceModel, Watch};
pub use device::{BlkioConfig, Device, DeviceRequest, ThrottleDevice, WeightDevice};
pub use network::{Ipam, IpamPool, Network, Port, ServiceNetwork};
pub use object::{Config, FileReference, Model, Secret};
pub use pull::PullWhen;
pub use run::{Condition, CredentialSpec, Dependency, EnvFile, Extends, Healthcheck, Logging, Provider};
pub use service::Service;
pub use values::{Bytes, Duration, FileMode, Ulimit};
pub use volume::{BindOptions, ImageOptions, Mount, MountKind, TmpfsOptions, Volume, VolumeOptions};

/// Declares a record of the format: every attribute may be missing, and one that holds its default is not
/// printed.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident {
        $( $(#[$field_meta:meta])* pub $field:ident: $type:ty, )*
    }) => {
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        $(#[$meta])*
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(skip_serializing_if = "crate::project::is_default")]
                pub $field: $type,
            )*
        }
    };
}
pub(crate) use record;

/// Whether an attribute says nothing and is therefore left out of the canonical form.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

record! {
    /// A whole project: the services of the enabled profiles and the resources that they use.
    pub struct Project {
        /// Project name: lower-case letters, digits, `-` and `_`.
        pub name: String,
        /// Services by name; those of disabled profiles are in [`crate::Loaded::disabled`].
        pub services: BTreeMap<String, Box<Service>>,
        /// Networks by the key that services use; the real name is in [`Network::name`].
        pub networks: BTreeMap<String, Network>,
        /// Volumes by the key that services use; the real name is in [`Volume::name`].
        pub volumes: BTreeMap<String, Volume>,
        /// Secrets by the key that services use.
        pub secrets: BTreeMap<String, Secret>,
        /// Configs by the key that services use.
        pub configs: BTreeMap<String, Config>,
        /// Language models by the key that services use.
        pub models: BTreeMap<String, Model>,
        /// Top-level `x-` attributes.
        #[serde(flatten)]
        pub extensions: Extensions,
    }
}

/// `x-` attributes: free for tools to use, without meaning in Compose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Extensions(pub BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Extensions {
    /// Refuses keys without the prefix, since anything else here is a misspelt attribute.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
        match values.keys().find(|key| !key.starts_with("x-")) {
            Some(key) => Err(D::Error::custom(format!("unknown attribute `{key}`"))),
            None => Ok(Self(values)),
        }
    }
}
