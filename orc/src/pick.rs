//! Which tasks a command is about: those of the services named on the command line.

use cluster::view::{ServiceView, StackView, TaskView};

use crate::failure::{Failure, Outcome};

/// The services with these names; all of them (one-offs aside) if none is named.
pub(crate) fn services<'a>(
    view: Option<&'a StackView>,
    names: &[String],
) -> Outcome<Vec<(&'a String, &'a ServiceView)>> {
    let Some(view) = view else {
        return match names.first() {
            None => Ok(Vec::new()),
            Some(name) => {
                Err(Failure::new(format!("there is no service `{name}`: nothing of this stack was started")))
            }
        };
    };
    for name in names {
        if !view.services.contains_key(name) {
            return Err(unknown(view, name));
        }
    }
    let wanted = |name: &String, service: &ServiceView| {
        if names.is_empty() { !service.spec.one_off } else { names.contains(name) }
    };
    Ok(view.services.iter().filter(|(name, service)| wanted(name, service)).collect())
}

/// The running task of a service with an index (docker compose's `--index`: the slot), or its first one.
pub(crate) fn running<'a>(
    view: Option<&'a StackView>,
    service: &str,
    index: Option<u32>,
) -> Outcome<&'a TaskView> {
    let found = services(view, &[service.to_owned()])?;
    let tasks = found.into_iter().flat_map(|(_, service)| service.tasks.values());
    let mut running: Vec<&TaskView> = tasks.filter(|task| task.task.is_running()).collect();
    running.sort_by_key(|task| (task.task.slot, !task.current));
    let picked = running.into_iter().find(|task| index.is_none_or(|index| task.task.slot == index));
    picked.ok_or_else(|| {
        let which = index.map_or_else(String::new, |index| format!(" as number {index}"));
        Failure::new(format!("service `{service}` is not running{which}")).hint("`orc ps -a` says why")
    })
}

fn unknown(view: &StackView, name: &str) -> Failure {
    let known: Vec<String> = view.services.keys().map(|name| format!("`{name}`")).collect();
    Failure::new(format!("stack `{}` has no service `{name}`", view.name))
        .hint(format!("its services are {}", known.join(", ")))
}
