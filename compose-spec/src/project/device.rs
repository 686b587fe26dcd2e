//! Devices of the host and limits on block devices.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, record};

record! {
    /// A host device inside the containers.
    #[serde(deny_unknown_fields)]
    pub struct Device {
        /// Path on the host, or a CDI name.
        pub source: String,
        /// Path in the container.
        pub target: Option<String>,
        /// Any of `r`, `w` and `m`.
        pub permissions: Option<String>,
    }
}

record! {
    /// A request for devices by what they can do.
    #[serde(deny_unknown_fields)]
    pub struct DeviceRequest {
        /// What the devices must be able to do.
        pub capabilities: Vec<String>,
        /// How many; -1 means all.
        pub count: Option<i64>,
        /// Which.
        pub device_ids: Vec<String>,
        /// Driver.
        pub driver: Option<String>,
        /// Driver options.
        pub options: BTreeMap<String, String>,
    }
}

record! {
    /// A service's `blkio_config`.
    #[serde(deny_unknown_fields)]
    pub struct BlkioConfig {
        /// Bytes read per second.
        pub device_read_bps: Vec<ThrottleDevice>,
        /// Reads per second.
        pub device_read_iops: Vec<ThrottleDevice>,
        /// Bytes written per second.
        pub device_write_bps: Vec<ThrottleDevice>,
        /// Writes per second.
        pub device_write_iops: Vec<ThrottleDevice>,
        /// Relative weight, 10 to 1000.
        pub weight: Option<u16>,
        /// Relative weight by device.
        pub weight_device: Vec<WeightDevice>,
    }
}

/// A rate limit of one device. The capitals are those of the reference's output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThrottleDevice {
    /// Device path.
    #[serde(rename = "Path", alias = "path")]
    pub path: String,
    /// Bytes or operations per second.
    #[serde(rename = "Rate", alias = "rate")]
    pub rate: Bytes,
}

/// The weight of one device. The capitals are those of the reference's output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightDevice {
    /// Device path.
    #[serde(rename = "Path", alias = "path")]
    pub path: String,
    /// Relative weight.
    #[serde(rename = "Weight", alias = "weight")]
    pub weight: u16,
}
