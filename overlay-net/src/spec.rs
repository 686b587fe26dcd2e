//! What a caller may ask of this crate: networks, endpoints, balanced addresses and names, as plain values.
//!
//! Nothing here knows why a backend is listed or a name exists; that is decided by the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use ipnet::{Ipv4Net, Ipv6Net};

/// Names a network; chosen by the caller, at most [`crate::limits::MAX_ID`] bytes.
pub type NetworkId = String;

/// Names a network namespace; chosen by the caller, at most [`crate::limits::MAX_ID`] bytes, a plain file name.
pub type NetnsId = String;

/// Where an engine keeps its namespaces, and the id that keeps it apart from other engines on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetConfig {
    /// Namespaces are bind-mounted at `<run_dir>/netns/<id>`.
    pub run_dir: PathBuf,
    /// Eight lower-case hexadecimal characters; part of the table's name and of every interface's name.
    pub engine_id: String,
}

/// One network on this machine: a routed bridge with a gateway address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The caller's name for it.
    pub id: NetworkId,
    /// Its IPv4 addresses; `None` makes an IPv6-only network.
    pub v4: Option<NetworkV4>,
    /// Its IPv6 addresses; `None` makes an IPv4-only network.
    pub v6: Option<NetworkV6>,
    /// An internal network has no way out of this machine.
    pub internal: bool,
    /// Bytes per packet; `None` keeps the kernel's 1,500.
    pub mtu: Option<u32>,
    /// Members reach one another directly; otherwise only published ports and balanced addresses lead to them.
    pub members_meet: bool,
    /// What leaves this machine gets the machine's address.
    pub masquerade: bool,
    /// What the outside has to do with its members' IPv4 addresses.
    pub reach4: Reach,
    /// The same for IPv6.
    pub reach6: Reach,
}

/// What the outside has to do with the addresses of a network's members, in one address family. Published ports of
/// this machine lead to them in any case, and an internal network has no outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nothing: what leaves this machine gets the machine's address, and nobody comes in.
    #[default]
    Published,
    /// The same, but whoever has a route reaches every port of every member.
    All,
    /// Members are seen at their own addresses, and whoever has a route reaches the ports that they open.
    Opened,
}

/// The IPv4 half of a [`NetworkSpec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkV4 {
    /// Addresses of containers and VIPs on this machine.
    pub subnet: Ipv4Net,
    /// The bridge's own address, inside `subnet`.
    pub gateway: Ipv4Addr,
}

/// The IPv6 half of a [`NetworkSpec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkV6 {
    /// Addresses of containers and VIPs on this machine.
    pub subnet: Ipv6Net,
    /// The bridge's own address, inside `subnet`.
    pub gateway: Ipv6Addr,
}

/// One interface of a namespace in one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSpec {
    /// The network it belongs to; must exist already.
    pub network: NetworkId,
    /// The interface's name inside the namespace, e.g. `eth0`.
    pub interface: String,
    /// Its address, inside the network's IPv4 subnet.
    pub addr4: Option<Ipv4Addr>,
    /// Its address, inside the network's IPv6 subnet.
    pub addr6: Option<Ipv6Addr>,
    /// Its hardware address; `None` derives one from its address, so it is stable over restarts.
    pub mac: Option<[u8; 6]>,
    /// The endpoint with the highest has the namespace's default route; among equals the first whose network
    /// leads out.
    pub gateway_priority: i64,
    /// Kernel parameters of the interface, as `net.ipv4.conf.IFNAME.log_martians`; `IFNAME` stands for its name.
    pub sysctls: BTreeMap<String, String>,
    /// Further addresses, of 169.254.0.0/16 and fe80::/10: those of other members are neighbours, and no route
    /// leads there. Where members do not meet, nobody answers.
    pub link_local: BTreeSet<IpAddr>,
    /// Its ports that are open to the outside where the network is [`Reach::Opened`].
    pub open: BTreeSet<(Protocol, u16)>,
}

impl EndpointSpec {
    /// Its addresses in the network's subnets, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [self.addr4.map(IpAddr::V4), self.addr6.map(IpAddr::V6)].into_iter().flatten()
    }
}

/// A transport protocol whose ports can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// Everything that shall be balanced on this machine; always given whole, only the difference is carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// Virtual addresses: every port of every protocol goes to the same port of one of the backends.
    pub vips: BTreeMap<IpAddr, Vip>,
    /// Ports of this machine and where they lead.
    pub published: Vec<Published>,
}

/// One virtual address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vip {
    /// Only members of this network reach it. The address must lie inside the network's subnet, because that
    /// is what a member of several networks has a route for.
    pub network: NetworkId,
    /// Each new connection goes to one of these with equal probability; those of the VIP's own address family
    /// count. None at all: connections are refused at once.
    pub backends: Vec<IpAddr>,
}

/// One port of this machine that leads to containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The address of this machine it listens at; `None` is all of them, IPv4 and IPv6.
    pub host_ip: Option<IpAddr>,
    /// The port on this machine.
    pub host_port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port in the container.
    pub target_port: u16,
    /// Each new connection goes to one of these with equal probability. None: refused at once.
    pub backends: Vec<IpAddr>,
}

/// The names that exist in one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Zone {
    /// Name (any case, no final dot; `web`, `tasks.web`, `web.shop.orc.internal`) to addresses of both families.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Address to the name a reverse lookup gives.
    pub reverse: BTreeMap<IpAddr, String>,
}

/// What one namespace may resolve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Zones whose names it sees; a name in several gives all its addresses, in this order before shuffling.
    pub networks: Vec<NetworkId>,
    /// Further names that only this namespace sees, and the names of its zones that they stand for.
    pub aliases: BTreeMap<String, String>,
    /// Who is asked about all other names; nobody means the resolvers of this machine.
    pub resolvers: Vec<IpAddr>,
}

/// A published port that could not be had; everything else of the [`Balance`] is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The port that is wanted.
    pub protocol: Protocol,
    /// The address it is wanted at; `None` is all.
    pub host_ip: Option<IpAddr>,
    /// The port number.
    pub host_port: u16,
    /// Who has it, when that can be found out.
    pub owner: Option<PortOwner>,
    /// What the kernel said.
    pub reason: String,
}

/// The process that has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOwner {
    /// Its process id.
    pub pid: u32,
    /// Its name, from `/proc/<pid>/comm`.
    pub command: String,
}

impl std::fmt::Display for PortOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` (pid {})", self.command, self.pid)
    }
}

/// What an engine of this id has on this machine, by the caller's ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Networks that have a bridge.
    pub networks: Vec<NetworkId>,
    /// Namespaces that are kept by a mount.
    pub netns: Vec<NetnsId>,
}
