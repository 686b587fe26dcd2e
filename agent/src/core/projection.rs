//! Keeps names and balanced ports equal to what `project` says, one change of the balance at a time: whatever
//! happens while one is under way goes together into the next.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{NetworkName, Problem, ServiceKey, Timestamp};
use overlay_net::{Balance, Conflict, Zone};

use super::action::{ActionId, Failure, Outcome};
use super::project::Sight;
use super::restart::pause_ms;
use crate::limits::{RETRY_FIRST_MS, RETRY_LONGEST_MS};

/// What is in force, and what is on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Projection {
    /// Counts the projections made.
    made: u64,
    /// The last one in force.
    done: u64,
    flight: Option<(ActionId, u64)>,
    balance: Option<Balance>,
    zones: BTreeMap<NetworkName, Zone>,
    stale: bool,
    stale_zones: BTreeSet<NetworkName>,
    conflicts: Vec<Conflict>,
    failures: u32,
    retry_at: Option<Timestamp>,
}

/// What a projection changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Zones that differ.
    pub(crate) zones: Vec<(NetworkName, Option<Zone>)>,
    /// The balance, if it differs.
    pub(crate) balance: Option<Balance>,
}

impl Projection {
    /// Something in these networks changed, or in the ports of their services.
    pub(crate) fn touch(&mut self, networks: impl IntoIterator<Item = NetworkName>) {
        self.stale = true;
        self.stale_zones.extend(networks);
    }

    /// The last projection in force.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// The number of the first projection that sees what happens now.
    pub(crate) fn next(&self) -> u64 {
        self.made + 1
    }

    /// One projection was made so far.
    pub(crate) fn is_first(&self) -> bool {
        self.made == 1
    }

    /// Something changed since the last projection, and none is under way.
    pub(crate) fn is_due(&self) -> bool {
        self.stale && self.flight.is_none()
    }

    /// When a failed one is tried again.
    pub(crate) fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// The time of [`Projection::retry_at`] has come.
    pub(crate) fn retry(&mut self) {
        (self.balance, self.stale, self.retry_at) = (None, true, None);
    }

    /// Makes the next projection. What it changes is to be carried out; a changed balance by an action whose
    /// number is told to [`Projection::begin`].
    pub(crate) fn make(&mut self, sight: &Sight<'_>) -> Changes {
        self.made += 1;
        self.stale = false;
        let mut changes = Changes::default();
        for network in std::mem::take(&mut self.stale_zones) {
            let zone = sight.zone(&network);
            if self.zones.get(&network) != zone.as_ref() {
                match &zone {
                    Some(zone) => self.zones.insert(network.clone(), zone.clone()),
                    None => self.zones.remove(&network),
                };
                changes.zones.push((network, zone));
            }
        }
        let balance = sight.balance();
        if self.balance.as_ref() == Some(&balance) {
            self.done = self.made;
        } else {
            self.balance = Some(balance.clone());
            changes.balance = Some(balance);
        }
        changes
    }

    /// The changed balance is on its way.
    pub(crate) fn begin(&mut self, id: ActionId) {
        self.flight = Some((id, self.made));
    }

    /// The balance is in force, or could not be brought into force: then it is tried again, and who waits for
    /// it waits no longer, since a container that has to stop must not depend on it.
    pub(crate) fn finished(&mut self, id: ActionId, result: Result<Outcome, Failure>, now: Timestamp) {
        let Some((_, made)) = self.flight.take_if(|(flight, _)| *flight == id) else { return };
        self.done = made;
        self.conflicts = match result {
            Ok(Outcome::Balanced(conflicts)) => conflicts,
            Ok(_) | Err(_) => {
                self.retry_later(now);
                return;
            }
        };
        if self.conflicts.is_empty() {
            (self.failures, self.retry_at) = (0, None);
        } else {
            self.retry_later(now);
        }
    }

    fn retry_later(&mut self, now: Timestamp) {
        self.retry_at = Some(now.plus_ms(pause_ms(RETRY_FIRST_MS, RETRY_LONGEST_MS, self.failures)));
        self.failures = self.failures.saturating_add(1);
    }

    /// The host ports that could not be had, by the services that publish them.
    pub(crate) fn problems(&self, sight: &Sight<'_>) -> BTreeMap<ServiceKey, Problem> {
        let mut problems = BTreeMap::new();
        for conflict in &self.conflicts {
            let protocol = conflict.protocol.to_string();
            let owner = sight.assigned.services.iter().find(|(_, service)| {
                service.ports.iter().any(|port| {
                    (port.host_port, port.host_ip) == (conflict.host_port, conflict.host_ip)
                        && port.protocol == protocol
                })
            });
            if let Some((service, _)) = owner {
                let problem = Problem { message: words(conflict), retry_at: self.retry_at };
                problems.entry(service.clone()).or_insert(problem);
            }
        }
        problems
    }
}

fn words(conflict: &Conflict) -> String {
    let address = conflict.host_ip.map(|ip| format!("{ip}:")).unwrap_or_default();
    let port = format!("cannot publish port {address}{}/{}", conflict.host_port, conflict.protocol);
    match &conflict.owner {
        Some(owner) => format!("{port}: it is used by {owner}"),
        None => format!("{port}: {}", conflict.reason),
    }
}
