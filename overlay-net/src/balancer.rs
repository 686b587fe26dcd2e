//! Remembers what is balanced, and turns a new wish into the entries that differ and the ports that change hands.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use tokio::runtime::Handle;

use crate::balance::{self, Slots};
use crate::ports::HeldPort;
use crate::spec::{Balance, Conflict, NetworkId, Published, Vip};
use crate::tables::Changes;
use crate::{Error, PortOwner, Protocol, Result, owner};

/// A published port that is in force.
#[derive(Debug)]
struct Held {
    published: Published,
    port: HeldPort,
    slots: Slots,
}

/// A VIP that is in force, with the bridge its elements name.
#[derive(Debug)]
struct Virtual {
    vip: Vip,
    bridge: String,
    slots: Slots,
}

/// What is to be done for a new wish.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) changes: Changes,
    /// Backends that left and may have UDP flows.
    pub(crate) departed: Vec<IpAddr>,
    /// Ports that others have.
    pub(crate) conflicts: Vec<Conflict>,
}

/// Networks and the names of their bridges.
pub(crate) type Bridges = BTreeMap<NetworkId, String>;

/// All VIPs and published ports of this engine.
#[derive(Debug)]
pub(crate) struct Balancer {
    vips: BTreeMap<IpAddr, Virtual>,
    held: BTreeMap<String, Held>,
    runtime: Handle,
}

impl Balancer {
    /// Proxies run on `runtime`.
    pub(crate) fn new(runtime: Handle) -> Balancer {
        Balancer { vips: BTreeMap::new(), held: BTreeMap::new(), runtime }
    }

    /// Brings itself to `wanted`; `bridges` are the networks' bridges. Looks closely only at what differs.
    pub(crate) fn change(&mut self, wanted: &Balance, bridges: &Bridges) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        for (ip, vip) in &wanted.vips {
            let Some(bridge) = bridges.get(&vip.network) else {
                let network = &vip.network;
                return Err(Error::Invalid(format!(
                    "the VIP {ip} is in the network {network}, which is not there"
                )));
            };
            self.change_vip(*ip, vip, bridge, &mut outcome);
        }
        self.vips.retain(|ip, former| {
            let stays = wanted.vips.contains_key(ip);
            if !stays {
                outcome.departed.extend(former.slots.all());
                outcome.changes.insert(balance::vip_owner(*ip), None);
            }
            stays
        });
        self.change_ports(&wanted.published, &mut outcome);
        Ok(outcome)
    }

    fn change_vip(&mut self, ip: IpAddr, vip: &Vip, bridge: &str, outcome: &mut Outcome) {
        let former = self.vips.get(&ip);
        if former.is_some_and(|former| former.vip == *vip && former.bridge == bridge) {
            return;
        }
        let former = former.map(|former| former.slots.clone()).unwrap_or_default();
        let slots = former.assign(&vip.backends);
        outcome.departed.extend(balance::departed(&former, &slots));
        outcome.changes.insert(balance::vip_owner(ip), Some(balance::vip_entry(ip, bridge, &slots)));
        self.vips.insert(ip, Virtual { vip: vip.clone(), bridge: bridge.to_owned(), slots });
    }

    fn change_ports(&mut self, wanted: &[Published], outcome: &mut Outcome) {
        let double = balance::duplicates(wanted);
        let mut former = std::mem::take(&mut self.held);
        let owners: Vec<_> = wanted.iter().map(balance::published_owner).collect();
        let stays: BTreeSet<_> = owners.iter().collect();
        // Everything that goes is let go before anything new is taken.
        former.retain(|owner, held| {
            let stays = stays.contains(owner);
            if !stays {
                outcome.departed.extend(held.slots.all());
                outcome.changes.insert(owner.clone(), None);
            }
            stays
        });
        for (index, (owner, published)) in owners.into_iter().zip(wanted).enumerate() {
            if double.contains(&index) {
                outcome.conflicts.push(conflict(published, None, "it is published twice".to_owned()));
                continue;
            }
            let held = match former.remove(&owner) {
                Some(held) if held.published == *published => {
                    self.held.insert(owner, held);
                    continue;
                }
                Some(held) => Ok((held.port, held.slots)),
                None => HeldPort::take(published, &self.runtime).map(|port| (port, Slots::default())),
            };
            match held {
                Ok((port, slots)) => self.change_port(owner, published, (port, slots), outcome),
                Err(error) => {
                    let process = owner::find(published.protocol, published.host_ip, published.host_port);
                    outcome.conflicts.push(conflict(published, process, error.to_string()));
                }
            }
        }
    }

    fn change_port(
        &mut self,
        owner: String,
        published: &Published,
        (port, former): (HeldPort, Slots),
        outcome: &mut Outcome,
    ) {
        let slots = former.assign(&published.backends);
        if published.protocol == Protocol::Udp {
            outcome.departed.extend(balance::departed(&former, &slots));
        }
        port.set_backends(published, &slots);
        outcome.changes.insert(owner.clone(), Some(balance::published_entry(published, &slots)));
        self.held.insert(owner, Held { published: published.clone(), port, slots });
    }

    /// The VIPs' entries anew, where a network's bridge got another name.
    pub(crate) fn renamed_bridges(&mut self, bridges: &Bridges) -> Changes {
        let mut changes = Changes::new();
        for (ip, known) in &mut self.vips {
            if let Some(name) = bridges.get(&known.vip.network).filter(|name| **name != known.bridge) {
                changes.insert(balance::vip_owner(*ip), Some(balance::vip_entry(*ip, name, &known.slots)));
                known.bridge.clone_from(name);
            }
        }
        changes
    }

    /// Lets all ports go.
    pub(crate) fn clear(&mut self) {
        self.vips.clear();
        self.held.clear();
    }
}

fn conflict(published: &Published, owner: Option<PortOwner>, reason: String) -> Conflict {
    let Published { protocol, host_ip, host_port, .. } = *published;
    Conflict { protocol, host_ip, host_port, owner, reason }
}
