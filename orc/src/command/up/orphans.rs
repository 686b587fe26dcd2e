//! Services of a stack that its file does not name any more.

use std::collections::BTreeSet;

use cluster::view::{ServiceView, StackView};
use cluster::{PutStack, StackSpec, Timestamp};
use compose_spec::Loaded;

use crate::attach::now_ms;
use crate::client::Client;
use crate::failure::Outcome;
use crate::follow::{self, Aim};
use crate::output::Output;
use crate::settle::Goal;
use crate::watch::StackWatch;
use crate::{project, words};

/// Says that there are some and what they do, unless `COMPOSE_IGNORE_ORPHANS` is set.
pub(super) fn warn(view: Option<&StackView>, output: &Output) {
    let ignored = project::variable("COMPOSE_IGNORE_ORPHANS");
    if ignored.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes")) {
        return;
    }
    let Some(view) = view else { return };
    if let Some(text) = warning(view, Timestamp(now_ms())) {
        output.warning(&text);
    }
}

/// The orphans that are on their way out.
pub(super) fn leaving(view: Option<&StackView>) -> BTreeSet<String> {
    let services = view.into_iter().flat_map(|view| &view.services);
    services.filter(|(_, service)| service.removing).map(|(name, _)| name.clone()).collect()
}

/// Removes what there is of services that the file does not name, and nothing else.
pub(crate) async fn remove(
    loaded: &Loaded,
    client: &mut Client,
    watch: &mut StackWatch,
    output: &Output,
) -> Outcome {
    let orphan = |name: &str, service: &ServiceView| {
        service.spec.one_off.is_none() && !service.removing && !loaded.named.contains(name)
    };
    let Some(view) = watch.view() else { return Ok(()) };
    if !view.services.iter().any(|(name, service)| orphan(name, service)) {
        return Ok(());
    }
    let spec = StackSpec {
        name: view.name.clone(),
        services: Default::default(),
        networks: Default::default(),
        volumes: Default::default(),
    };
    let named = loaded.named.clone();
    let put = PutStack { partial: true, named, remove_orphans: true, ..PutStack::new(spec) };
    let version = client.apply(&put, false).await?.version;
    watch.reach(version).await?;
    let aim = Aim { leaving: leaving(watch.view()), ..Aim::new([], Goal::Started) };
    follow::settle(watch, &aim, output, "what the file does not name is still there").await
}

fn warning(view: &StackView, now: Timestamp) -> Option<String> {
    let staying = view.services.iter().filter(|(_, service)| service.orphan && !service.removing);
    let names: Vec<String> =
        staying.map(|(name, service)| format!("`{name}` ({})", states(service, now))).collect();
    match names.len() {
        0 => None,
        _ => Some(format!(
            "the file does not name {}; `--remove-orphans` removes what it does not name",
            names.join(", ")
        )),
    }
}

/// What its containers do: `running`, or `exited, running`.
fn states(service: &ServiceView, now: Timestamp) -> String {
    let states: BTreeSet<&str> =
        service.tasks.values().map(|task| words::describe(task, now).state).collect();
    if states.is_empty() {
        return "no container".to_owned();
    }
    states.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use cluster::{ContainerState, StackName, Version};

    use super::*;
    use crate::words::tests::{service, task};

    #[test]
    fn orphans_are_told_with_what_they_do() {
        let mut view = StackView {
            name: StackName("shop".into()),
            version: Version(1),
            removing: false,
            services: Default::default(),
            networks: Default::default(),
            volumes: Default::default(),
            config_files: Vec::new(),
        };
        let mut add = |name: &str, orphan: bool, removing: bool, state: Option<ContainerState>| {
            let tasks = state.map(|state| task(1, Some(state))).into_iter().collect();
            let service = ServiceView { orphan, removing, ..service(1, tasks) };
            view.services.insert(name.to_owned(), service);
            (warning(&view, Timestamp(0)), leaving(Some(&view)).into_iter().collect::<Vec<_>>())
        };
        let said = |text: &str| {
            Some(format!("the file does not name {text}; `--remove-orphans` removes what it does not name"))
        };
        assert_eq!(add("web", false, false, Some(ContainerState::Running)), (None, vec![]));
        assert_eq!(add("gone", true, true, Some(ContainerState::Running)), (None, vec!["gone".to_owned()]));
        assert_eq!(add("old", true, false, Some(ContainerState::Exited)).0, said("`old` (exited)"));
        assert_eq!(add("new", true, false, None).0, said("`new` (no container), `old` (exited)"));
    }
}
