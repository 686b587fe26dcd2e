//! A service: how its containers are made and run.

use std::collections::BTreeMap;

use super::{
    BlkioConfig, Build, Bytes, CredentialSpec, Dependency, Deploy, Develop, Device, DeviceRequest, Duration,
    EnvFile, Extends, Extensions, FileReference, Healthcheck, Hook, Logging, Mount, Port, Provider,
    ServiceModel, ServiceNetwork, Ulimit, record,
};

record! {
    /// One service. Attribute names are Compose's own. What is large and often missing is boxed: there may be
    /// ten thousand services.
    pub struct Service {
        /// OCI annotations of the container.
        pub annotations: BTreeMap<String, String>,
        /// Whether `up` shows this service's output; unset means yes.
        pub attach: Option<bool>,
        /// Block I/O limits.
        pub blkio_config: Option<BlkioConfig>,
        /// How to build the image.
        pub build: Option<Box<Build>>,
        /// Capabilities added to the default set.
        pub cap_add: Vec<String>,
        /// Capabilities taken from the default set.
        pub cap_drop: Vec<String>,
        /// Cgroup namespace: `host` or `private`.
        pub cgroup: Option<String>,
        /// Parent cgroup of the containers.
        pub cgroup_parent: Option<String>,
        /// Arguments; `None` means the image's, an empty list none at all.
        pub command: Option<Vec<String>>,
        /// Configs mounted into the containers.
        pub configs: Vec<FileReference>,
        /// Name of the one container.
        pub container_name: Option<String>,
        /// Usable CPUs (Windows).
        pub cpu_count: Option<i64>,
        /// Usable percentage of the CPUs (Windows).
        pub cpu_percent: Option<f64>,
        /// CFS period in microseconds.
        pub cpu_period: Option<i64>,
        /// CFS quota in microseconds per period.
        pub cpu_quota: Option<i64>,
        /// Real-time period in microseconds (cgroup v1).
        pub cpu_rt_period: Option<i64>,
        /// Real-time runtime in microseconds (cgroup v1).
        pub cpu_rt_runtime: Option<i64>,
        /// Relative CPU weight; 1024 is the usual one.
        pub cpu_shares: Option<i64>,
        /// CPU limit in CPUs.
        pub cpus: Option<f64>,
        /// CPUs that may be used, as `0-3` or `0,1`.
        pub cpuset: Option<String>,
        /// Credentials (Windows).
        pub credential_spec: Option<CredentialSpec>,
        /// Services that come first.
        pub depends_on: BTreeMap<String, Dependency>,
        /// Replicas, resources, placement and updates.
        pub deploy: Option<Box<Deploy>>,
        /// How to follow changes of the sources during development.
        pub develop: Option<Develop>,
        /// Rules of the device cgroup.
        pub device_cgroup_rules: Vec<String>,
        /// Host devices.
        pub devices: Vec<Device>,
        /// DNS servers.
        pub dns: Vec<String>,
        /// DNS resolver options.
        pub dns_opt: Vec<String>,
        /// DNS search domains.
        pub dns_search: Vec<String>,
        /// NIS domain name.
        pub domainname: Option<String>,
        /// Program; `None` means the image's, an empty list none at all.
        pub entrypoint: Option<Vec<String>>,
        /// Environment files; empty once they are folded into `environment`.
        pub env_file: Vec<EnvFile>,
        /// Environment; a variable without a value is not set in the container.
        pub environment: BTreeMap<String, Option<String>>,
        /// Ports that are open between containers.
        pub expose: Vec<String>,
        /// The service this one extends; empty once that is resolved.
        pub extends: Option<Extends>,
        /// Containers outside the project to be linked.
        pub external_links: Vec<String>,
        /// Additional host names, each as `name=address`.
        pub extra_hosts: Vec<String>,
        /// GPUs.
        pub gpus: Vec<DeviceRequest>,
        /// Additional groups, by name or id.
        pub group_add: Vec<String>,
        /// How to find out whether a container works.
        pub healthcheck: Option<Healthcheck>,
        /// Host name inside the container.
        pub hostname: Option<String>,
        /// Image reference.
        pub image: Option<String>,
        /// Whether an init process reaps children.
        pub init: Option<bool>,
        /// IPC namespace.
        pub ipc: Option<String>,
        /// Isolation technology (Windows).
        pub isolation: Option<String>,
        /// Files with labels; empty once they are folded into `labels`.
        pub label_file: Vec<String>,
        /// Labels of the containers.
        pub labels: BTreeMap<String, String>,
        /// Links to other services, as `service` or `service:alias`.
        pub links: Vec<String>,
        /// Where output goes.
        pub logging: Option<Logging>,
        /// MAC address.
        pub mac_address: Option<String>,
        /// Memory limit.
        pub mem_limit: Option<Bytes>,
        /// Memory kept for the service.
        pub mem_reservation: Option<Bytes>,
        /// Tendency to swap, 0 to 100 (cgroup v1).
        pub mem_swappiness: Option<Bytes>,
        /// Limit of memory and swap together; -1 means none.
        pub memswap_limit: Option<Bytes>,
        /// Language models that the service uses.
        pub models: BTreeMap<String, Option<ServiceModel>>,
        /// `host`, `none`, `service:NAME`, `container:NAME` or another driver's mode.
        pub network_mode: Option<String>,
        /// Networks; `None` joins without any option.
        pub networks: BTreeMap<String, Option<Box<ServiceNetwork>>>,
        /// Whether the OOM killer spares the containers (cgroup v1).
        pub oom_kill_disable: bool,
        /// Preference of the OOM killer, -1000 to 1000.
        pub oom_score_adj: Option<i64>,
        /// PID namespace.
        pub pid: Option<String>,
        /// Limit of processes; -1 means none.
        pub pids_limit: Option<i64>,
        /// Platform of the image, as `os/arch/variant`.
        pub platform: Option<String>,
        /// Published ports.
        pub ports: Vec<Port>,
        /// Commands run in a container after it started.
        pub post_start: Vec<Hook>,
        /// Commands run in containers of their own before the service starts.
        pub pre_start: Vec<Hook>,
        /// Commands run in a container before it is stopped.
        pub pre_stop: Vec<Hook>,
        /// Whether the containers have every right of the host's root.
        pub privileged: bool,
        /// Profiles of which one must be enabled; empty means always.
        pub profiles: Vec<String>,
        /// A program that provides the service instead of containers.
        pub provider: Option<Provider>,
        /// When to pull the image.
        pub pull_policy: Option<String>,
        /// How old a pulled image may get.
        pub pull_refresh_after: Option<String>,
        /// Whether the root file system is read-only.
        pub read_only: bool,
        /// `no`, `always`, `on-failure[:N]` or `unless-stopped`.
        pub restart: Option<String>,
        /// Container runtime.
        pub runtime: Option<String>,
        /// Number of containers.
        pub scale: Option<u32>,
        /// Secrets mounted into the containers.
        pub secrets: Vec<FileReference>,
        /// Security options, such as `no-new-privileges:true`.
        pub security_opt: Vec<String>,
        /// Size of `/dev/shm`.
        pub shm_size: Option<Bytes>,
        /// Whether standard input stays open.
        pub stdin_open: bool,
        /// How long a container may take to stop before it is killed.
        pub stop_grace_period: Option<Duration>,
        /// Signal that asks a container to stop.
        pub stop_signal: Option<String>,
        /// Storage driver options.
        pub storage_opt: BTreeMap<String, String>,
        /// Kernel parameters.
        pub sysctls: BTreeMap<String, String>,
        /// Temporary file systems, each as `path` or `path:options`.
        pub tmpfs: Vec<String>,
        /// Whether the container has a terminal.
        pub tty: bool,
        /// Resource limits of the processes.
        pub ulimits: BTreeMap<String, Ulimit>,
        /// Whether the engine's API is available inside.
        pub use_api_socket: bool,
        /// User and group, as names or ids: `user[:group]`.
        pub user: Option<String>,
        /// User namespace.
        pub userns_mode: Option<String>,
        /// UTS namespace.
        pub uts: Option<String>,
        /// Mounts.
        pub volumes: Vec<Mount>,
        /// Services or containers whose mounts are shared.
        pub volumes_from: Vec<String>,
        /// Working directory.
        pub working_dir: Option<String>,
        /// `x-` attributes of the service.
        #[serde(flatten)]
        pub extensions: Extensions,
    }
}
