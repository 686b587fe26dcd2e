//! May a task be stopped? What depends on its service and is going as well stops first.

use std::collections::BTreeSet;

use cluster::{Desired, Run, Service, ServiceKey, State};

/// The service that has to stop before this one may: it depends on it, is on its way out (or to be stopped)
/// like it, and still lives. `None` when nothing is in the way.
pub(crate) fn stops_first<'a>(
    state: &'a State,
    key: &ServiceKey,
    service: &Service,
) -> Option<&'a ServiceKey> {
    let going =
        |other: &Service| other.removing || (!service.removing && matches!(other.run, Run::Stopped(_)));
    let (first, _) =
        state.dependents(key).find(|(other, value)| *other != key && going(value) && lives(state, other))?;
    (!depends_on_itself(state, key)).then_some(first)
}

/// Whether a service has a container that runs, or may still come to run, on a node that can be reached.
fn lives(state: &State, key: &ServiceKey) -> bool {
    state.tasks_of(key).any(|task| {
        let may_start = match task.desired {
            Desired::Run => task.finished().is_none(),
            // It may have been on its way to its start.
            Desired::Stop(_) => !task.rests(),
            Desired::Remove(_) => false,
        };
        state.is_ready(task.node)
            && task.status.phase != cluster::Phase::Removed
            && (task.is_alive() || may_start)
    })
}

/// Whether a service is on a circle of dependencies. One file cannot have that, but services of different
/// states of a file can; they are stopped in no order then, rather than never.
fn depends_on_itself(state: &State, key: &ServiceKey) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&ServiceKey> = state.dependents(key).map(|(dependent, _)| dependent).collect();
    while let Some(dependent) = next.pop() {
        if dependent == key {
            return true;
        }
        if seen.insert(dependent) {
            next.extend(state.dependents(dependent).map(|(further, _)| further));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use cluster::{ChangeKind, RunAction, StackName, StopHow};
    use serde_json::json;

    use super::*;
    use crate::testing::{Bench, wish};

    /// A container that was never started may be on its way to that when it is told to stop.
    #[test]
    fn what_is_depended_on_stops_when_its_dependents_rest() {
        let mut bench = Bench::with_nodes(1);
        let services = json!({
            "web": {"image": "x", "depends_on": {"store": {"condition": "service_started"}}},
            "store": {"image": "x"},
        });
        bench.up(wish(json!({"name": "shop", "services": services}))).unwrap();
        bench.decide();
        let stack = StackName("shop".into());
        let services = ["store", "web"].map(|name| ServiceKey::new(&stack, name)).into();
        bench.apply(ChangeKind::SetRun { services, action: RunAction::Stop(StopHow::default()) }).unwrap();
        assert_eq!(bench.decide().0, "stop web.1\n");
        assert_eq!(bench.waits(), "store.1: waits for `web` to stop");
        bench.report("web", 1, |status| status.rests = Some(1));
        assert_eq!(bench.decide().0, "stop store.1\n");
    }
}
