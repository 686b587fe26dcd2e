//! Replicas, resources, placement, restart and update of a service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, DeviceRequest, Duration, record};

record! {
    /// A service's `deploy`.
    #[serde(deny_unknown_fields)]
    pub struct Deploy {
        /// What the service's name resolves to: `vip` or `dnsrr`.
        pub endpoint_mode: Option<String>,
        /// Labels of the service (not of its containers).
        pub labels: BTreeMap<String, String>,
        /// `replicated`, `global`, `replicated-job` or `global-job`.
        pub mode: Option<String>,
        /// Where tasks may run.
        pub placement: Option<Placement>,
        /// Number of tasks.
        pub replicas: Option<u32>,
        /// Limits and reservations.
        pub resources: Option<Resources>,
        /// When a task that ended is started again.
        pub restart_policy: Option<RestartPolicy>,
        /// How an update is taken back.
        pub rollback_config: Option<UpdateConfig>,
        /// How an update proceeds.
        pub update_config: Option<UpdateConfig>,
    }
}

record! {
    /// `deploy.resources`.
    #[serde(deny_unknown_fields)]
    pub struct Resources {
        /// What a task may use at most.
        pub limits: Option<ResourceLimits>,
        /// What is kept for a task.
        pub reservations: Option<ResourceLimits>,
    }
}

record! {
    /// Amounts of resources.
    #[serde(deny_unknown_fields)]
    pub struct ResourceLimits {
        /// CPUs.
        pub cpus: Option<f64>,
        /// Devices (reservations only).
        pub devices: Vec<DeviceRequest>,
        /// Named countable resources (reservations only).
        pub generic_resources: Vec<GenericResource>,
        /// Memory.
        pub memory: Option<Bytes>,
        /// Processes (limits only).
        pub pids: Option<i64>,
    }
}

record! {
    /// A named countable resource.
    #[serde(deny_unknown_fields)]
    pub struct GenericResource {
        /// Kind and amount.
        pub discrete_resource_spec: Option<DiscreteResource>,
    }
}

/// Kind and amount of a countable resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiscreteResource {
    /// Name of the resource.
    pub kind: String,
    /// How many; printed even if it is none.
    pub value: i64,
}

record! {
    /// `deploy.restart_policy`.
    #[serde(deny_unknown_fields)]
    pub struct RestartPolicy {
        /// `none`, `on-failure` or `any`.
        pub condition: Option<String>,
        /// Pause between attempts.
        pub delay: Option<Duration>,
        /// Attempts before giving up.
        pub max_attempts: Option<u64>,
        /// How long a task must run to count as started.
        pub window: Option<Duration>,
    }
}

record! {
    /// `deploy.update_config` and `deploy.rollback_config`.
    #[serde(deny_unknown_fields)]
    pub struct UpdateConfig {
        /// Pause between groups of tasks.
        pub delay: Option<Duration>,
        /// `pause`, `continue` or `rollback`.
        pub failure_action: Option<String>,
        /// Share of tasks that may fail.
        pub max_failure_ratio: Option<f64>,
        /// How long a new task is watched.
        pub monitor: Option<Duration>,
        /// `start-first` or `stop-first`.
        pub order: Option<String>,
        /// Tasks replaced at once; 0 means all.
        pub parallelism: Option<u64>,
    }
}

record! {
    /// `deploy.placement`.
    #[serde(deny_unknown_fields)]
    pub struct Placement {
        /// Conditions on the node, such as `node.labels.disk==ssd`.
        pub constraints: Vec<String>,
        /// Tasks of the service that one node may run at most.
        pub max_replicas_per_node: Option<u64>,
        /// How tasks are spread.
        pub preferences: Vec<PlacementPreference>,
    }
}

record! {
    /// One preference of placement.
    #[serde(deny_unknown_fields)]
    pub struct PlacementPreference {
        /// Node label over whose values tasks are spread evenly.
        pub spread: Option<String>,
    }
}
