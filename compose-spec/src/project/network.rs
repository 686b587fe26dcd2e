//! Networks, a service's place in them, and published ports.

use std::collections::BTreeMap;

use super::record;

record! {
    /// A network.
    #[serde(deny_unknown_fields)]
    pub struct Network {
        /// Real name; `project_key` unless given.
        pub name: Option<String>,
        /// Whether containers outside the project may attach.
        pub attachable: bool,
        /// Driver; unset means the engine's default.
        pub driver: Option<String>,
        /// Driver options.
        pub driver_opts: BTreeMap<String, String>,
        /// Whether it has IPv4 addresses.
        pub enable_ipv4: Option<bool>,
        /// Whether it has IPv6 addresses.
        pub enable_ipv6: Option<bool>,
        /// Whether it exists outside the project.
        pub external: bool,
        /// Whether the outside is out of reach.
        pub internal: bool,
        /// Address management.
        pub ipam: Option<Ipam>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
    }
}

record! {
    /// Address management of a network.
    #[serde(deny_unknown_fields)]
    pub struct Ipam {
        /// Driver.
        pub driver: Option<String>,
        /// Address pools.
        pub config: Vec<IpamPool>,
    }
}

record! {
    /// One address pool.
    #[serde(deny_unknown_fields)]
    pub struct IpamPool {
        /// Subnet in CIDR notation.
        pub subnet: Option<String>,
        /// Part of the subnet that addresses come from.
        pub ip_range: Option<String>,
        /// Gateway.
        pub gateway: Option<String>,
        /// Addresses that are taken, by host name.
        pub aux_addresses: BTreeMap<String, String>,
    }
}

record! {
    /// A service's place in one network.
    #[serde(deny_unknown_fields)]
    pub struct ServiceNetwork {
        /// Additional names.
        pub aliases: Vec<String>,
        /// Driver options.
        pub driver_opts: BTreeMap<String, String>,
        /// The network with the highest number has the default gateway.
        pub gw_priority: Option<i64>,
        /// Name of the interface in the container.
        pub interface_name: Option<String>,
        /// Fixed IPv4 address.
        pub ipv4_address: Option<String>,
        /// Fixed IPv6 address.
        pub ipv6_address: Option<String>,
        /// Link-local addresses.
        pub link_local_ips: Vec<String>,
        /// MAC address.
        pub mac_address: Option<String>,
        /// Networks with a higher number are joined first.
        pub priority: Option<i64>,
    }
}

record! {
    /// A published port.
    #[serde(deny_unknown_fields)]
    pub struct Port {
        /// A name for people.
        pub name: Option<String>,
        /// `ingress` or `host`.
        pub mode: Option<String>,
        /// Host address to listen on; unset means every one.
        pub host_ip: Option<String>,
        /// Port in the container. The format takes any number here; `up` refuses those beyond 65535, which exist nowhere.
        pub target: u32,
        /// Host port, or a range `8000-8010` of which one is taken; unset means any free one.
        pub published: Option<String>,
        /// `tcp` or `udp`.
        pub protocol: Option<String>,
        /// Protocol of the application, such as `http`; for people and tools.
        pub app_protocol: Option<String>,
    }
}
