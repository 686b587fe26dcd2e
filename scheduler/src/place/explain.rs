//! Why no node can have a task, in words: `no node fits: 2 without disk=ssd, 1 has 64 MiB of 512 MiB free`.

use std::collections::BTreeMap;

use crate::place::filter::Reason;
use crate::replicas::No;

/// Sums up why no node fits for one of so many replicas.
pub(crate) fn no_node(reasons: &[Reason], replicas: u64) -> No {
    if reasons.is_empty() {
        return No::not_now("no node has joined yet".to_owned());
    }
    if reasons.iter().all(|reason| *reason == Reason::Down) {
        return No::not_now(format!("no node is ready: {} down", reasons.len()));
    }
    let mut groups: BTreeMap<String, Vec<&Reason>> = BTreeMap::new();
    for reason in reasons {
        groups.entry(group(reason)).or_default().push(reason);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group[0].clone()));
    let words: Vec<String> = groups.iter().map(|group| describe(group)).collect();
    let text = format!("no node fits: {}", words.join(", "));
    let share = replicas.div_ceil(reasons.len() as u64);
    if reasons.iter().all(|reason| is_permanent(reason, share)) { No::never(text) } else { No::not_now(text) }
}

/// Whether only another wish, or another machine, could help. `share` is how many replicas some node must have.
fn is_permanent(reason: &Reason, share: u64) -> bool {
    match reason {
        Reason::Platform(_) | Reason::Constraint(_) => true,
        Reason::Memory { wanted, total, .. } | Reason::Cpu { wanted, total, .. } => wanted > total,
        Reason::Enough(most) => *most < share,
        Reason::Down | Reason::Volume(_) | Reason::HostPort(_) => false,
    }
}

/// Reasons with the same key are told together.
fn group(reason: &Reason) -> String {
    match reason {
        Reason::Memory { .. } => "memory".to_owned(),
        Reason::Cpu { .. } => "cpu".to_owned(),
        other => format!("{other:?}"),
    }
}

fn describe(group: &[&Reason]) -> String {
    let count = group.len();
    let has = if count == 1 { "has" } else { "have at most" };
    match group[0] {
        Reason::Down => format!("{count} down"),
        Reason::Platform(found) => format!("{count} of platform {found}"),
        Reason::Constraint(text) => format!("{count} without `{text}`"),
        Reason::Volume(name) => format!("{count} without the data of volume `{name}`"),
        Reason::HostPort(port) => format!("{count} with host port {port} taken"),
        Reason::Enough(max) => format!("{count} with {max} of its tasks already"),
        Reason::Memory { wanted, .. } => {
            let free = group.iter().filter_map(|reason| match reason {
                Reason::Memory { free, .. } => Some(*free),
                _ => None,
            });
            format!("{count} {has} {} of {} free", bytes(free.max().unwrap_or(0)), bytes(*wanted))
        }
        Reason::Cpu { wanted, .. } => {
            let free = group.iter().filter_map(|reason| match reason {
                Reason::Cpu { free, .. } => Some(*free),
                _ => None,
            });
            format!("{count} {has} {} of {} cores free", cores(free.max().unwrap_or(0)), cores(*wanted))
        }
    }
}

/// A size with the largest binary unit that leaves a whole number.
fn bytes(n: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| n >= *unit && n.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", n / unit),
        None if n >= 1 << 20 => format!("{} MiB", n >> 20),
        None => format!("{n} bytes"),
    }
}

/// Thousand-millionths of a core as a number with up to two decimals.
fn cores(nanos: u64) -> String {
    let hundredths = nanos / 10_000_000;
    match hundredths % 100 {
        0 => format!("{}", hundredths / 100),
        rest => format!("{}.{rest:02}", hundredths / 100),
    }
}
