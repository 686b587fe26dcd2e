//! Why a container is replaced or removed, in words.

use std::collections::BTreeSet;

use cluster::{Service, ServiceKey, State, Task, compose_spec};
use serde_json::Value;

/// What differs between what a task runs and what is wished for.
pub(super) fn of_replacement(task: &Task, service: &Service) -> String {
    let (old, new) = (&task.spec, &service.spec);
    if old.hash == new.hash {
        let cause = if service.newer_image { "its image has a new digest" } else { "asked for anew" };
        return cause.to_owned();
    }
    let mut differs = differing_attributes(&old.compose, &new.compose);
    if old.files != new.files {
        differs.insert("content of secrets or configs".to_owned());
    }
    match differs.into_iter().collect::<Vec<_>>().as_slice() {
        [] => "network changed".to_owned(),
        [one] => format!("{one} changed"),
        [first @ .., last] => format!("{} and {last} changed", first.join(", ")),
    }
}

/// The names of the attributes that differ, as in the file.
fn differing_attributes(old: &compose_spec::Service, new: &compose_spec::Service) -> BTreeSet<String> {
    let (old, new) = (attributes(old), attributes(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

/// The attributes that make another container.
fn attributes(service: &compose_spec::Service) -> serde_json::Map<String, Value> {
    // A service is a record of strings, numbers and maps with string keys: it cannot fail to be an object.
    let Ok(Value::Object(mut attributes)) = serde_json::to_value(service) else { return Default::default() };
    for name in ["depends_on", "scale", "build", "pull_policy", "profiles"] {
        attributes.remove(name);
    }
    if let Some(Value::Object(deploy)) = attributes.get_mut("deploy") {
        for name in ["replicas", "update_config", "rollback_config"] {
            deploy.remove(name);
        }
    }
    attributes
}

/// Why a slot is not wished for any more.
pub(super) fn of_removal(state: &State, key: &ServiceKey, service: &Service) -> &'static str {
    let stack_goes = state.stacks.get(&key.stack).is_some_and(|stack| stack.removing);
    match (service.removing, stack_goes, service.orphan) {
        (true, true, _) => "the stack is removed",
        (true, false, true) => "not in the file any more",
        (true, false, false) => "removed",
        (false, _, _) => "scaled down",
    }
}
