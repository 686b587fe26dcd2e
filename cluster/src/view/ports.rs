//! Published ports: what a service's `ports` mean on the host.

use std::collections::BTreeSet;

use crate::view::PublishedPort;
use crate::{Run, Service};

/// A range of host ports as `published` writes it: one port or `FROM-TO`.
pub fn host_port_range(published: &str) -> Option<(u16, u16)> {
    match published.split_once('-') {
        Some((from, to)) => {
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            (0 < from && from <= to).then_some((from, to))
        }
        None => published.trim().parse().ok().filter(|port| *port > 0).map(|port| (port, port)),
    }
}

/// Who chooses the host port behind an entry of `ports`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// The file does.
    Fixed(u16),
    /// The engine, any free one; the same for all slots.
    Any,
    /// The engine, for each slot another one of this range.
    Range(u16, u16),
}

/// Who chooses the host port of `port`. A `published` that is no port leaves the choice to the engine;
/// compose-spec has refused it before.
#[must_use]
pub fn port_choice(port: &compose_spec::Port) -> PortChoice {
    match port.published.as_deref().filter(|text| !text.is_empty() && *text != "0").and_then(host_port_range)
    {
        None => PortChoice::Any,
        Some((from, to)) if from == to => PortChoice::Fixed(from),
        Some((from, to)) => PortChoice::Range(from, to),
    }
}

/// The key in [`Service::host_ports`] for an entry of `ports` and a slot (0: all slots).
#[must_use]
pub fn host_port_key(entry: usize, slot: u32) -> String {
    format!("{entry}/{slot}")
}

/// The slot of a key in [`Service::host_ports`].
#[must_use]
pub fn host_port_slot(key: &str) -> u32 {
    key.rsplit('/').next().and_then(|slot| slot.parse().ok()).unwrap_or_default()
}

impl Service {
    /// The host ports that lead to this service: the fixed ones, and the chosen ones as far as they are
    /// chosen. None while the service is on its way out or has no replicas, and no fixed ones while it is stopped,
    /// so that another one can have them.
    #[must_use]
    pub fn published_ports(&self) -> Vec<PublishedPort> {
        if self.removing || self.replicas == 0 {
            return Vec::new();
        }
        let mut ports = BTreeSet::new();
        for (entry, port) in self.spec.compose.ports.iter().enumerate() {
            let mut publish = |host_port: u16, slot: Option<u32>| {
                ports.extend(PublishedPort::of(port, host_port, slot));
            };
            match port_choice(port) {
                PortChoice::Fixed(host_port) if self.run == Run::Started => publish(host_port, None),
                PortChoice::Fixed(_) => {}
                PortChoice::Any => {
                    if let Some(host_port) = self.host_ports.get(&host_port_key(entry, 0)) {
                        publish(*host_port, None);
                    }
                }
                PortChoice::Range(..) => {
                    for slot in 1..=self.replicas {
                        if let Some(host_port) = self.host_ports.get(&host_port_key(entry, slot)) {
                            publish(*host_port, Some(slot));
                        }
                    }
                }
            }
        }
        ports.into_iter().collect()
    }
}

impl PublishedPort {
    /// What an entry of `ports` leads to from a host port; nothing, if it names a port that no container has.
    #[must_use]
    pub fn of(port: &compose_spec::Port, host_port: u16, slot: Option<u32>) -> Option<Self> {
        let target = u16::try_from(port.target).ok()?;
        Some(Self {
            host_ip: port.host_ip.as_deref().and_then(|ip| ip.parse().ok()),
            host_port,
            protocol: port.protocol.clone().unwrap_or_else(|| "tcp".to_owned()),
            target,
            slot,
        })
    }

    /// Whether both cannot be bound on one machine: same protocol and port, and addresses that overlap.
    #[must_use]
    pub fn collides_with(&self, other: &PublishedPort) -> bool {
        self.host_port == other.host_port
            && self.protocol == other.protocol
            && match (self.host_ip, other.host_ip) {
                (Some(a), Some(b)) => {
                    a == b || is_any(a) && same_family(a, b) || is_any(b) && same_family(a, b)
                }
                _ => true,
            }
    }
}

fn is_any(address: std::net::IpAddr) -> bool {
    address.is_unspecified()
}

fn same_family(a: std::net::IpAddr, b: std::net::IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}
