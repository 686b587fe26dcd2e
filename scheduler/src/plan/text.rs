//! A decision as text, a change a line: for tests, and for those who trace a manager.

use std::fmt::Write;

use cluster::{ChangeKind, Desired, Forgotten, Gate, State, TaskId, UpdateStep};

use crate::decide::Decision;

impl Decision {
    /// Its changes, and what waits. The state is the one that was decided on.
    #[must_use]
    pub fn to_text(&self, state: &State) -> String {
        let mut text = String::new();
        for change in &self.changes {
            text.push_str(&line(state, change));
            text.push('\n');
        }
        for blocked in self.blocked.values().flatten() {
            let mark = if blocked.wait.hopeless { " (hopeless)" } else { "" };
            // Writing to a string cannot fail.
            let _ =
                writeln!(text, "{}.{}: {}{mark}", blocked.service.service, blocked.slot, blocked.wait.reason);
        }
        text
    }
}

fn line(state: &State, change: &ChangeKind) -> String {
    let task = |id: &TaskId| {
        state
            .tasks
            .get(id)
            .map_or_else(|| id.to_string(), |task| format!("{}.{}", task.service.service, task.slot))
    };
    match change {
        ChangeKind::PutNetwork(network) => {
            format!("network {} gets {}", network.spec.name, network.subnets_text())
        }
        ChangeKind::Allocate { service, addresses, vips, host_ports, .. } => {
            let mut parts = Vec::new();
            for (slot, addresses) in addresses {
                let each = addresses.iter().filter_map(|(network, a)| Some((network, a.each().next()?)));
                parts.extend(each.map(|(network, ip)| format!("{slot}={ip} in {network}")));
            }
            parts.extend(vips.iter().map(|(network, vip)| format!("vip {vip} in {network}")));
            parts.extend(host_ports.iter().map(|(key, port)| format!("port {key}={port}")));
            format!("{} gets {}", service.service, parts.join(", "))
        }
        ChangeKind::CreateTask { service, slot, node, gate, beside, .. } => {
            let node = state.nodes.get(node).map_or("?", |node| node.description.name.as_str());
            let held = if *gate == Gate::Held { ", held" } else { "" };
            let first = if beside.is_some() { ", before the old one stops" } else { "" };
            format!("create {}.{slot} on {node}{held}{first}", service.service)
        }
        ChangeKind::Update { service, step, .. } => match step {
            UpdateStep::Fail { why, .. } => format!("update of {}: {why}", service.service),
            UpdateStep::Pause(_) => format!("pause update of {}", service.service),
            UpdateStep::RollBack(_) => format!("roll {} back", service.service),
            UpdateStep::Finish => format!("finish update of {}", service.service),
        },
        ChangeKind::OpenGate { task: id, .. } => format!("open {}", task(id)),
        ChangeKind::SetDesired { task: id, desired, .. } => {
            let verb = match desired {
                Desired::Run => "run",
                Desired::Stop(_) => "stop",
                Desired::Remove(_) => "remove",
            };
            format!("{verb} {}", task(id))
        }
        ChangeKind::Forget(what) => match what {
            Forgotten::Task(id) => format!("forget task {}", task(id)),
            Forgotten::Slot(service, slot) => format!("forget slot {}.{slot}", service.service),
            Forgotten::Service(service) => format!("forget service {}", service.service),
            Forgotten::Network(name) => format!("forget network {name}"),
            Forgotten::Volume(name) => format!("forget volume {name}"),
            Forgotten::Stack(name) => format!("forget stack {name}"),
        },
        // The scheduler decides nothing else.
        other => format!("{other:?}"),
    }
}
