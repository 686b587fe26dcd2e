//! What users wish for: a stack and its services, made from a resolved Compose project.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{NetworkName, StackName, StopHow, Timestamp, Update, Version, VolumeName};

/// A wish: all that one Compose project asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackSpec {
    /// The project's name.
    pub name: StackName,
    /// Its services, those of disabled profiles left out.
    pub services: BTreeMap<String, Arc<ServiceSpec>>,
    /// The networks that its services use, by their key in the file.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// Its named volumes, by their key in the file.
    pub volumes: BTreeMap<String, VolumeSpec>,
}

/// A service as the engine runs it. The Compose vocabulary is not repeated: `compose` is the resolved service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The service as compose-spec resolved it.
    pub compose: compose_spec::Service,
    /// The full names of its networks in the order of attachment, with the aliases it has there.
    pub networks: BTreeMap<NetworkName, Attachment>,
    /// Secrets and configs, by content.
    pub files: Vec<FileMount>,
    /// The full names behind the named volumes of `compose.volumes`, by their key in the file.
    pub volumes: BTreeMap<String, VolumeName>,
    /// What makes one container differ from another: a change of it replaces the tasks. Made by
    /// `compose_spec`, with the contents of `files` mixed in.
    pub hash: String,
    /// A one-off (`orc run`): not part of the file, never an orphan, removed with the stack.
    #[serde(default)]
    pub one_off: Option<OneOff>,
}

/// What is said of a one-off besides what it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOff {
    /// The service of the file that it is another container of.
    pub of: String,
    /// It goes when its container ends (`--rm`).
    pub fleeting: bool,
}

/// How a service takes part in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Further names of the service in this network.
    pub aliases: BTreeSet<String>,
    /// A fixed IPv4 address asked for.
    pub ipv4: Option<IpAddr>,
    /// A fixed IPv6 address asked for.
    pub ipv6: Option<IpAddr>,
    /// Decides which network becomes `eth0`: higher first, then by name.
    pub priority: i64,
    /// Decides which network has the default route: the highest, else the first that leads out.
    #[serde(default)]
    pub gateway_priority: i64,
    /// The hardware address asked for.
    #[serde(default)]
    pub mac: Option<String>,
    /// The name of the interface asked for; `eth0`, `eth1`, ... otherwise.
    #[serde(default)]
    pub interface: Option<String>,
    /// Kernel parameters of the interface, with `IFNAME` where its name belongs.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// Further addresses, that mean something on this network only.
    #[serde(default)]
    pub link_local: BTreeSet<IpAddr>,
}

/// A secret or config in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMount {
    /// The absolute path in the container.
    pub target: String,
    /// SHA-256 of the content, in hexadecimal; the content itself is a blob beside the log.
    pub digest: String,
    /// The owner in the container.
    pub uid: u32,
    /// The group in the container.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
}

/// A network wished for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its full name.
    pub name: NetworkName,
    /// What the file says of it.
    pub compose: compose_spec::Network,
}

/// A named volume wished for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its full name.
    pub name: VolumeName,
    /// What the file says of it.
    pub compose: compose_spec::Volume,
}

/// A stack in the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Its services, one-offs and not yet removed orphans included.
    pub services: BTreeMap<String, Service>,
    /// The networks wished for, by their key in the file.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// The named volumes wished for, by their key in the file.
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// `orc down` was said: it disappears when nothing of it is left.
    pub removing: bool,
    /// The last `orc up` or `orc down` that changed it.
    pub version: Version,
    /// When it was first wished for.
    pub created_at: Timestamp,
    /// The Compose files of the last `orc up`.
    #[serde(default)]
    pub config_files: Vec<String>,
}

impl Stack {
    /// A stack of nothing yet.
    pub(crate) fn new(version: Version, created_at: Timestamp) -> Self {
        let (services, networks, volumes) = Default::default();
        Self { services, networks, volumes, removing: false, version, created_at, config_files: Vec::new() }
    }
}

/// A service in the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// What to run.
    pub spec: Arc<ServiceSpec>,
    /// How many slots should exist.
    pub replicas: u32,
    /// Whether its tasks should run.
    pub run: Run,
    /// Grows when its tasks must be replaced although the spec did not change (`--force-recreate`).
    pub forced: u64,
    /// The last of these times its image was the reason: its name means another image now.
    #[serde(default)]
    pub newer_image: bool,
    /// Grows when its next tasks must not find the anonymous volumes of those before them.
    #[serde(default)]
    pub volumes_renewed: u64,
    /// What each slot owns as long as it exists: it survives the replacement of its task.
    pub slots: BTreeMap<u32, Slot>,
    /// Its virtual address in each network, for `endpoint_mode: vip`.
    pub vips: BTreeMap<NetworkName, IpAddr>,
    /// The host ports behind the `ports` of the spec that leave the choice to the engine:
    /// `INDEX/SLOT` (index in `spec.compose.ports`; slot 0 stands for all) to port.
    pub host_ports: BTreeMap<String, u16>,
    /// The service was taken out of the file, or the stack is going: it disappears with its last task.
    pub removing: bool,
    /// How tasks that are replaced or removed are stopped.
    pub how: StopHow,
    /// The file does not name it any more, and nobody asked to remove such services.
    pub orphan: bool,
    /// The replacement of its tasks, while it goes on or when it did not go well.
    #[serde(default)]
    pub update: Option<Update>,
    /// When the user last changed it.
    pub changed_at: Timestamp,
    /// The last change that touched it.
    pub version: Version,
}

/// Whether a service's tasks should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// They should.
    Started,
    /// `orc stop` or `orc kill` was said: containers are kept, stopped.
    Stopped(StopHow),
    /// `orc rm` was said: there are no containers until the next `orc up`.
    Absent,
}

/// What a slot owns over the lives of its tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its addresses, by network. Clients cache them, so a replacement keeps them.
    pub addresses: BTreeMap<NetworkName, Addresses>,
}

/// The addresses of a slot in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// IPv4, unless the network is without.
    pub v4: Option<std::net::Ipv4Addr>,
    /// IPv6, where the network has it.
    pub v6: Option<std::net::Ipv6Addr>,
}

impl Service {
    /// What its tasks run or may come to run: the spec, and what an update could go back to.
    pub fn specs(&self) -> impl Iterator<Item = &Arc<ServiceSpec>> {
        std::iter::once(&self.spec).chain(self.update.as_ref().map(|update| &update.other))
    }
}

impl Addresses {
    /// Both, as far as there are both.
    pub fn each(&self) -> impl Iterator<Item = IpAddr> + use<> {
        [self.v4.map(IpAddr::V4), self.v6.map(IpAddr::V6)].into_iter().flatten()
    }
}

impl NetworkSpec {
    /// Its members have IPv4 addresses.
    #[must_use]
    pub fn has_ipv4(&self) -> bool {
        self.compose.enable_ipv4.unwrap_or(true)
    }

    /// Its members have IPv6 addresses.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.compose.enable_ipv6.unwrap_or(false)
    }

    /// The subnets that the file asks for.
    pub fn subnets(&self) -> impl Iterator<Item = &str> {
        let pools = self.compose.ipam.iter().flat_map(|ipam| &ipam.config);
        pools.filter_map(|pool| pool.subnet.as_deref())
    }
}

impl ServiceSpec {
    /// Its networks in the order in which they become `eth0`, `eth1`, ...
    #[must_use]
    pub fn networks_in_order(&self) -> Vec<(&NetworkName, &Attachment)> {
        let mut networks: Vec<_> = self.networks.iter().collect();
        networks.sort_by_key(|(name, attachment)| (std::cmp::Reverse(attachment.priority), (*name).clone()));
        networks
    }
}
