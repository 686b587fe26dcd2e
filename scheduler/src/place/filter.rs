//! Which nodes cannot have a task, and for what reason.

use cluster::{Constraint, Node, NodeState, Service, ServiceKey, Task};

use crate::decide::Round;
use crate::place::host_mode_ports;

/// Why a node cannot have a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It has no session.
    Down,
    /// Its operating system or processor cannot run the image's.
    Platform(String),
    /// A condition of `deploy.placement.constraints` is not met.
    Constraint(String),
    /// The data of a volume are on another node.
    Volume(String),
    /// A host port is bound there already.
    HostPort(u16),
    /// It runs as many tasks of the service as it may.
    Enough(u64),
    /// Too little memory is left.
    Memory {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes left.
        free: u64,
        /// Bytes that the machine has.
        total: u64,
    },
    /// Too little processor time is left.
    Cpu {
        /// Thousand-millionths of a core asked for.
        wanted: u64,
        /// Left.
        free: u64,
        /// That the machine has.
        total: u64,
    },
}

/// What a task asks of its node, parsed once for all nodes.
pub(crate) struct Wish {
    pub(crate) cpu_nanos: u64,
    pub(crate) memory_bytes: u64,
    platform: Option<Platform>,
    constraints: Vec<Constraint>,
    per_node: Option<u64>,
}

/// What `platform` asks for.
struct Platform {
    os: String,
    architecture: Option<String>,
    variant: Option<String>,
}

impl Wish {
    pub(crate) fn of(service: &Service) -> Self {
        let compose = &service.spec.compose;
        let placement = compose.deploy.as_ref().and_then(|deploy| deploy.placement.as_ref());
        let (cpu_nanos, memory_bytes) = reservation(&service.spec);
        Self {
            cpu_nanos,
            memory_bytes,
            platform: compose.platform.as_deref().map(platform),
            // What cannot be read was refused with the wish.
            constraints: service.spec.constraints().unwrap_or_default(),
            per_node: placement.and_then(|placement| placement.max_replicas_per_node).filter(|max| *max > 0),
        }
    }
}

/// What a service reserves on a node for each task: thousand-millionths of a core, and bytes.
fn reservation(spec: &cluster::ServiceSpec) -> (u64, u64) {
    let resources = spec.compose.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref());
    let reserved = resources.and_then(|resources| resources.reservations.as_ref());
    let cpus = reserved.and_then(|reserved| reserved.cpus).unwrap_or(0.0).clamp(0.0, 1e6);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let cpu_nanos = (cpus * 1e9) as u64;
    let memory = reserved.and_then(|reserved| reserved.memory).or(spec.compose.mem_reservation);
    (cpu_nanos, memory.map_or(0, |bytes| u64::try_from(bytes.0).unwrap_or(0)))
}

/// `linux/arm64/v8` as operating system and processor; a single word is the one or the other.
fn platform(text: &str) -> Platform {
    let mut parts = text.split('/');
    let first = parts.next().unwrap_or_default().to_owned();
    let (os, processor) = match parts.next() {
        Some(processor) => (first, Some(architecture(processor))),
        None if matches!(first.as_str(), "linux" | "windows" | "darwin" | "freebsd") => (first, None),
        None => ("linux".to_owned(), Some(architecture(&first))),
    };
    Platform { os, architecture: processor, variant: parts.next().map(str::to_owned) }
}

/// Whether every processor of an architecture runs what is made for one of its variants. Without asking the
/// processor only that can be promised, and nothing else is ever pulled.
fn is_baseline(architecture: &str, variant: &str) -> bool {
    matches!((architecture, variant), ("amd64", "v1") | ("arm64", "v8") | (_, ""))
}

/// The name of a processor in image indexes.
fn architecture(name: &str) -> String {
    match name {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    }
}

/// Whether a node can have one more task of a service.
pub(crate) fn check(
    round: &Round<'_>,
    node: &Node,
    key: &ServiceKey,
    service: &Service,
    wish: &Wish,
) -> Result<(), Reason> {
    if node.state != NodeState::Ready {
        return Err(Reason::Down);
    }
    if let Some(platform) = &wish.platform
        && !runs(node, platform)
    {
        let found = format!("{}/{}", node.description.os, architecture(&node.description.architecture));
        return Err(Reason::Platform(found));
    }
    if let Some(constraint) = wish.constraints.iter().find(|constraint| !meets(node, constraint)) {
        return Err(Reason::Constraint(constraint.to_string()));
    }
    let elsewhere = |node_of: Option<cluster::NodeId>| node_of.is_some_and(|id| id != node.id);
    if let Some(volume) =
        service.spec.volumes.values().find(|volume| elsewhere(round.ledger.volume_node(volume)))
    {
        return Err(Reason::Volume(volume.0.clone()));
    }
    check_per_node(round, node, key, wish)?;
    check_host_ports(round, node, service)?;
    check_resources(round, node, wish)
}

fn runs(node: &Node, wished: &Platform) -> bool {
    let machine = architecture(&node.description.architecture);
    let variant = wished.variant.as_deref().unwrap_or_default();
    wished.os == node.description.os
        && wished.architecture.as_ref().is_none_or(|wished| *wished == machine)
        && is_baseline(&machine, variant)
}

fn meets(node: &Node, constraint: &Constraint) -> bool {
    let description = &node.description;
    let id = node.id.to_string();
    let value = match constraint.key.as_str() {
        "node.hostname" => Some(description.name.as_str()),
        "node.id" => Some(id.as_str()),
        // An engine is both, and there are no others yet.
        "node.role" => Some("manager"),
        "node.platform.os" => Some(description.os.as_str()),
        "node.platform.arch" => Some(description.architecture.as_str()),
        key => label(node, key),
    };
    (value == Some(constraint.value.as_str())) == constraint.equal
}

/// The value of a node's label by its name in constraints and preferences.
pub(super) fn label<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    let name = key.strip_prefix("node.labels.").or_else(|| key.strip_prefix("engine.labels."))?;
    node.description.labels.get(name).map(String::as_str)
}

fn holding<'a>(round: &'a Round<'_>, node: &Node) -> impl Iterator<Item = &'a Task> {
    round.state.tasks_on(node.id).filter(|task| task.holds_slot())
}

fn check_per_node(round: &Round<'_>, node: &Node, key: &ServiceKey, wish: &Wish) -> Result<(), Reason> {
    let Some(max) = wish.per_node else { return Ok(()) };
    let here = holding(round, node).filter(|task| task.service == *key).count();
    let new = round.ledger.placed(node.id).iter().filter(|placed| placed.service == *key).count();
    if u64::try_from(here + new).unwrap_or(u64::MAX) >= max { Err(Reason::Enough(max)) } else { Ok(()) }
}

fn check_host_ports(round: &Round<'_>, node: &Node, service: &Service) -> Result<(), Reason> {
    let wished = host_mode_ports(service);
    if wished.is_empty() {
        return Ok(());
    }
    let there = holding(round, node)
        .filter_map(|task| round.state.service(&task.service))
        .flat_map(host_mode_ports)
        .chain(round.ledger.placed(node.id).iter().flat_map(|placed| placed.host_mode_ports.clone()));
    let taken: Vec<_> = there.collect();
    match wished.iter().find(|wish| taken.iter().any(|other| other.collides_with(wish))) {
        Some(port) => Err(Reason::HostPort(port.host_port)),
        None => Ok(()),
    }
}

fn check_resources(round: &Round<'_>, node: &Node, wish: &Wish) -> Result<(), Reason> {
    if wish.cpu_nanos == 0 && wish.memory_bytes == 0 {
        return Ok(());
    }
    let (mut cpu, mut memory) = (0_u64, 0_u64);
    for (task_cpu, task_memory) in holding(round, node).map(|task| reservation(&task.spec)) {
        cpu = cpu.saturating_add(task_cpu);
        memory = memory.saturating_add(task_memory);
    }
    for placed in round.ledger.placed(node.id) {
        cpu = cpu.saturating_add(placed.cpu_nanos);
        memory = memory.saturating_add(placed.memory_bytes);
    }
    let free_memory = node.description.memory_bytes.saturating_sub(memory);
    if wish.memory_bytes > free_memory {
        let total = node.description.memory_bytes;
        return Err(Reason::Memory { wanted: wish.memory_bytes, free: free_memory, total });
    }
    let free_cpu = node.description.cpu_nanos.saturating_sub(cpu);
    if wish.cpu_nanos > free_cpu {
        let total = node.description.cpu_nanos;
        return Err(Reason::Cpu { wanted: wish.cpu_nanos, free: free_cpu, total });
    }
    Ok(())
}
