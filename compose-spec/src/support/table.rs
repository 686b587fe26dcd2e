//! The status of every attribute: the one place to change when the engine learns something.

use super::Support::{self, Honoured, Needs, Refused, Requires};

/// The status of each attribute by its path, in which `*` stands for a name or an entry. An attribute that is not
/// listed has the status of the one above it.
pub(super) const TABLE: &[(&str, Support)] = &[
    ("configs.*", Honoured),
    ("configs.*.content", Honoured),
    ("configs.*.environment", Honoured),
    ("configs.*.external", Needs("a store of configs, which comes with clusters")),
    ("configs.*.labels", Honoured),
    ("configs.*.template_driver", Refused("contents are not expanded as templates")),
    ("include", Honoured),
    ("models", Needs("a model runner")),
    ("name", Honoured),
    ("networks.*", Honoured),
    ("networks.*.attachable", Honoured),
    ("networks.*.driver", Honoured),
    ("networks.*.driver_opts", Honoured),
    ("networks.*.enable_ipv4", Honoured),
    ("networks.*.enable_ipv6", Honoured),
    ("networks.*.external", Honoured),
    ("networks.*.internal", Honoured),
    ("networks.*.ipam", Honoured),
    ("networks.*.ipam.options", Refused("address management has no options here")),
    ("secrets.*", Honoured),
    ("secrets.*.driver", Refused("there are no secret drivers")),
    ("secrets.*.driver_opts", Refused("there are no secret drivers")),
    ("secrets.*.environment", Honoured),
    ("secrets.*.external", Needs("a store of secrets, which comes with clusters")),
    ("secrets.*.labels", Honoured),
    ("secrets.*.template_driver", Refused("contents are not expanded as templates")),
    ("services.*", Honoured),
    ("services.*.annotations", Honoured),
    ("services.*.attach", Honoured),
    ("services.*.blkio_config", Requires("a kernel with these limits")),
    ("services.*.build", Needs("building images")),
    ("services.*.cap_add", Honoured),
    ("services.*.cap_drop", Honoured),
    ("services.*.cgroup", Honoured),
    ("services.*.cgroup_parent", Honoured),
    ("services.*.command", Honoured),
    ("services.*.configs", Honoured),
    ("services.*.container_name", Honoured),
    ("services.*.cpu_count", Refused("it has a meaning on Windows only")),
    ("services.*.cpu_percent", Refused("it has a meaning on Windows only")),
    ("services.*.cpu_period", Honoured),
    ("services.*.cpu_quota", Honoured),
    ("services.*.cpu_rt_period", Requires("cgroup v1")),
    ("services.*.cpu_rt_runtime", Requires("cgroup v1")),
    ("services.*.cpu_shares", Honoured),
    ("services.*.cpus", Honoured),
    ("services.*.cpuset", Honoured),
    ("services.*.credential_spec", Refused("it has a meaning on Windows only")),
    ("services.*.depends_on", Honoured),
    ("services.*.deploy", Honoured),
    ("services.*.deploy.endpoint_mode", Honoured),
    ("services.*.deploy.labels", Honoured),
    ("services.*.deploy.mode", Honoured),
    ("services.*.deploy.placement", Honoured),
    ("services.*.deploy.replicas", Honoured),
    ("services.*.deploy.resources", Honoured),
    (
        "services.*.deploy.resources.reservations.devices",
        Requires("files that describe them in `/etc/cdi` or `/var/run/cdi`"),
    ),
    ("services.*.deploy.resources.reservations.devices.*.options", Refused(DEVICE_OPTIONS)),
    (
        "services.*.deploy.resources.reservations.generic_resources",
        Needs("resources of nodes that users name"),
    ),
    ("services.*.deploy.restart_policy", Honoured),
    ("services.*.deploy.rollback_config", Honoured),
    ("services.*.deploy.update_config", Honoured),
    ("services.*.develop", Needs("watching sources")),
    ("services.*.device_cgroup_rules", Honoured),
    ("services.*.devices", Honoured),
    ("services.*.dns", Honoured),
    ("services.*.dns_opt", Honoured),
    ("services.*.dns_search", Honoured),
    ("services.*.domainname", Honoured),
    ("services.*.entrypoint", Honoured),
    ("services.*.env_file", Honoured),
    ("services.*.environment", Honoured),
    ("services.*.expose", Honoured),
    ("services.*.extends", Honoured),
    ("services.*.external_links", Honoured),
    ("services.*.extra_hosts", Honoured),
    ("services.*.gpus", Requires("files that describe them in `/etc/cdi` or `/var/run/cdi`")),
    ("services.*.gpus.*.options", Refused(DEVICE_OPTIONS)),
    ("services.*.group_add", Honoured),
    ("services.*.healthcheck", Honoured),
    ("services.*.hostname", Honoured),
    ("services.*.image", Honoured),
    ("services.*.init", Honoured),
    ("services.*.ipc", Honoured),
    ("services.*.isolation", Refused("it has a meaning on Windows only")),
    ("services.*.label_file", Honoured),
    ("services.*.labels", Honoured),
    ("services.*.links", Honoured),
    ("services.*.logging", Honoured),
    ("services.*.mac_address", Honoured),
    ("services.*.mem_limit", Honoured),
    ("services.*.mem_reservation", Honoured),
    ("services.*.mem_swappiness", Requires("cgroup v1")),
    ("services.*.memswap_limit", Honoured),
    ("services.*.models", Needs("a model runner")),
    ("services.*.network_mode", Honoured),
    ("services.*.networks", Honoured),
    ("services.*.networks.*.aliases", Honoured),
    ("services.*.networks.*.driver_opts", Honoured),
    ("services.*.networks.*.gw_priority", Honoured),
    ("services.*.networks.*.interface_name", Honoured),
    ("services.*.networks.*.ipv4_address", Honoured),
    ("services.*.networks.*.ipv6_address", Honoured),
    ("services.*.networks.*.link_local_ips", Honoured),
    ("services.*.networks.*.mac_address", Honoured),
    ("services.*.networks.*.priority", Honoured),
    ("services.*.oom_kill_disable", Requires("cgroup v1")),
    ("services.*.oom_score_adj", Honoured),
    ("services.*.pid", Honoured),
    ("services.*.pids_limit", Honoured),
    ("services.*.platform", Honoured),
    ("services.*.ports", Honoured),
    ("services.*.post_start", Honoured),
    ("services.*.pre_start", Honoured),
    ("services.*.pre_stop", Honoured),
    ("services.*.privileged", Honoured),
    ("services.*.profiles", Honoured),
    ("services.*.provider", Requires("the provider's program")),
    ("services.*.pull_policy", Honoured),
    ("services.*.pull_refresh_after", Honoured),
    ("services.*.read_only", Honoured),
    ("services.*.restart", Honoured),
    ("services.*.runtime", Honoured),
    ("services.*.scale", Honoured),
    ("services.*.secrets", Honoured),
    ("services.*.security_opt", Honoured),
    ("services.*.shm_size", Honoured),
    ("services.*.stdin_open", Honoured),
    ("services.*.stop_grace_period", Honoured),
    ("services.*.stop_signal", Honoured),
    ("services.*.storage_opt", Requires("a file system with project quotas below the engine's folder")),
    ("services.*.sysctls", Honoured),
    ("services.*.tmpfs", Honoured),
    ("services.*.tty", Honoured),
    ("services.*.ulimits", Honoured),
    ("services.*.use_api_socket", Needs("the API inside of containers")),
    ("services.*.user", Honoured),
    ("services.*.userns_mode", Honoured),
    ("services.*.uts", Honoured),
    ("services.*.volumes", Honoured),
    ("services.*.volumes.*.bind.recursive", Honoured),
    ("services.*.volumes.*.consistency", Refused("it has a meaning on macOS only")),
    ("services.*.volumes.*.image", Honoured),
    ("services.*.volumes.*.volume.labels", Honoured),
    ("services.*.volumes.*.volume.subpath", Honoured),
    ("services.*.volumes_from", Honoured),
    ("services.*.working_dir", Honoured),
    ("volumes.*", Honoured),
    ("volumes.*.driver", Honoured),
    ("volumes.*.driver_opts", Honoured),
    ("volumes.*.external", Honoured),
];

/// Why options of a request for devices are refused.
const DEVICE_OPTIONS: &str = "the files that describe devices have no options";

/// What is otherwise on a cluster, in the same way.
pub(super) const CLUSTER: &[(&str, Support)] = &[
    ("services.*.build", Needs("images that every node can pull from a registry")),
    ("services.*.cgroup_parent", Requires("this cgroup on every node that may run the service")),
    ("services.*.cpuset", Requires("these CPUs on every node that may run the service")),
    ("services.*.devices", Requires("these devices on every node that may run the service")),
    ("services.*.gpus", Requires("GPUs on every node that may run the service")),
    (
        "services.*.networks.*.interface_name",
        Requires("names that are free on every node that may run the service"),
    ),
    ("services.*.ports.*.host_ip", Requires("this address on every node that may run the service")),
    ("services.*.provider", Refused("providers run on the machine of the caller")),
    ("services.*.runtime", Requires("this runtime on every node that may run the service")),
    ("services.*.use_api_socket", Refused("the socket belongs to one machine")),
    ("services.*.volumes_from", Refused("the services may run on different nodes")),
    ("volumes.*", Requires("a service that stays on its node: volumes do not move with it")),
];

/// Why there is nothing like the network that Docker's containers have in common.
const NO_COMMON_NETWORK: &str = "there is no network that all stacks have in common, each has its own";

/// Values of honoured attributes that the engine treats in another way.
pub(super) const VALUES: &[(&str, &str, Support)] = &[
    ("services.*.network_mode", "bridge", Refused(NO_COMMON_NETWORK)),
    ("services.*.network_mode", "default", Refused(NO_COMMON_NETWORK)),
    ("services.*.volumes.*.type", "cluster", Needs("volumes of a cluster's storage")),
    ("services.*.volumes.*.type", "npipe", Refused("it has a meaning on Windows only")),
    ("services.*.volumes.*.bind.propagation", "shared", Requires("a shared mount of the machine")),
    ("services.*.volumes.*.bind.propagation", "rshared", Requires("a shared mount of the machine")),
];

/// The same on a cluster.
pub(super) const CLUSTER_VALUES: &[(&str, &str, Support)] = &[
    ("services.*.ipc", "container", Refused("the containers may run on different nodes")),
    ("services.*.ipc", "service", Refused("the services may run on different nodes")),
    ("services.*.network_mode", "container", Refused("the containers may run on different nodes")),
    ("services.*.network_mode", "service", Refused("the services may run on different nodes")),
    ("services.*.pid", "container", Refused("the containers may run on different nodes")),
    ("services.*.pid", "service", Refused("the services may run on different nodes")),
    (
        "services.*.volumes.*.type",
        "bind",
        Requires("this file or folder on every node that may run the service"),
    ),
    ("services.*.deploy.mode", "global", Needs("a task on every node")),
    ("services.*.deploy.mode", "global-job", Needs("a task on every node")),
];

/// Attributes that the format takes any text for, the words that mean something (up to a `:`, and of `every_...` the
/// beginning), and what becomes of others.
pub(super) const ALLOWED: &[(&str, &[&str], Support)] = &[
    ("networks.*.driver", &["bridge"], Needs("other network drivers than `bridge`")),
    ("networks.*.ipam.driver", &["default"], Needs("other address management than orc's own")),
    ("services.*.cgroup", &["host", "private"], Refused("there is no such mode")),
    ("services.*.deploy.endpoint_mode", &["vip", "dnsrr"], Refused("there is no such mode")),
    (
        "services.*.deploy.mode",
        &["replicated", "global", "replicated-job", "global-job"],
        Refused("there is no such mode"),
    ),
    (
        "services.*.ipc",
        &["host", "private", "shareable", "none", "service", "container"],
        Refused("there is no such mode"),
    ),
    (
        "services.*.logging.driver",
        &["json-file", "local", "none", "syslog", "journald"],
        Needs("other log drivers"),
    ),
    (
        "services.*.network_mode",
        &["host", "none", "service", "container", "bridge", "default"],
        Needs("networks that are called by their names as modes"),
    ),
    ("services.*.pid", &["host", "service", "container"], Refused("there is no such mode")),
    ("services.*.ports.*.mode", &["ingress", "host"], Refused("there is no such mode")),
    ("services.*.ports.*.protocol", &["tcp", "udp"], Needs("other protocols than TCP and UDP")),
    (
        "services.*.pull_policy",
        &["always", "never", "missing", "if_not_present", "refresh", "daily", "weekly", "every_"],
        Needs("building images"),
    ),
    (
        "services.*.restart",
        &["no", "always", "on-failure", "unless-stopped"],
        Refused("there is no such policy"),
    ),
    ("services.*.userns_mode", &["host"], Refused("there is no such mode")),
    ("services.*.uts", &["host"], Refused("there is no such mode")),
    (
        "services.*.volumes.*.bind.recursive",
        &["enabled", "disabled", "writable", "readonly"],
        Refused("there is no such mode"),
    ),
    (
        "services.*.volumes.*.bind.propagation",
        &["private", "rprivate", "shared", "rshared", "slave", "rslave"],
        Refused("there is no such propagation"),
    ),
    ("volumes.*.driver", &["local"], Needs("other volume drivers than `local`")),
];

/// Attributes whose names are free, those that mean something, and what becomes of others.
pub(super) const KEYS: &[(&str, &[&str], Support)] = &[
    (
        "networks.*.driver_opts",
        &[
            "com.docker.network.driver.mtu",
            "com.docker.network.bridge.enable_icc",
            "com.docker.network.bridge.enable_ip_masquerade",
            "com.docker.network.bridge.gateway_mode_ipv4",
            "com.docker.network.bridge.gateway_mode_ipv6",
            "com.docker.network.bridge.host_binding_ipv4",
        ],
        Refused(
            "a bridge takes `com.docker.network.driver.mtu` and, behind `com.docker.network.bridge.`, `enable_icc`, \
             `enable_ip_masquerade`, `gateway_mode_ipv4`, `gateway_mode_ipv6` and `host_binding_ipv4`; its name is \
             the engine's, by which its rules know it",
        ),
    ),
    (
        "services.*.logging.options",
        &["max-size", "max-file", "tag", "syslog-address", "syslog-facility", "syslog-format"],
        Refused(
            "a log takes `max-size` and `max-file`, that of the machine also `tag`, `syslog-address`, \
             `syslog-facility` and `syslog-format`",
        ),
    ),
    (
        "services.*.networks.*.driver_opts",
        &["com.docker.network.endpoint.ifname", "com.docker.network.endpoint.sysctls"],
        Refused(
            "an interface takes `com.docker.network.endpoint.ifname` and `com.docker.network.endpoint.sysctls`",
        ),
    ),
    ("services.*.storage_opt", &["size"], Refused("what a container writes has one limit, `size`")),
    (
        "volumes.*.driver_opts",
        &["type", "o", "device"],
        Refused("the driver `local` takes `type`, `o` and `device`"),
    ),
];

/// Values of attributes that are not simply honoured, which mean what the engine does anyway.
pub(super) const SAME_AS_UNSET: &[(&str, &str)] = &[
    ("configs.*.external", "false"),
    ("secrets.*.external", "false"),
    ("services.*.oom_kill_disable", "false"),
    ("services.*.use_api_socket", "false"),
];

/// The options of `security_opt` that the engine honours.
pub(super) const SECURITY_OPTIONS: &[&str] = &[
    "no-new-privileges",
    "no-new-privileges:true",
    "no-new-privileges=true",
    "no-new-privileges:false",
    "no-new-privileges=false",
    "seccomp=unconfined",
    "seccomp:unconfined",
];
