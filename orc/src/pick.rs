//! Which tasks a command is about: those of the services named on the command line.

use std::collections::BTreeSet;

use cluster::view::{ServiceView, StackView, TaskView};

use crate::failure::{Failure, Outcome};
use crate::project::Stack;

/// The services with these names that are there; all of them (one-offs aside) if none is named. A name that
/// neither the file nor the engine knows is refused.
pub(crate) fn services<'a>(
    stack: &Stack,
    view: Option<&'a StackView>,
    names: &[String],
) -> Outcome<Vec<(&'a String, &'a ServiceView)>> {
    let there = |name: &String| view.is_some_and(|view| view.services.contains_key(name));
    if let Some(name) = names.iter().find(|name| !stack.declared.contains(*name) && !there(name)) {
        return Err(unknown(stack, view, name));
    }
    let wanted = |name: &String, service: &ServiceView| {
        if names.is_empty() { service.spec.one_off.is_none() } else { names.contains(name) }
    };
    let all = view.into_iter().flat_map(|view| &view.services);
    Ok(all.filter(|(name, service)| wanted(name, service)).collect())
}

/// As [`services`], with the one-offs of each (`orc run`), which can also be named by their containers' names.
pub(crate) fn with_one_offs<'a>(
    stack: &Stack,
    view: Option<&'a StackView>,
    names: &[String],
) -> Outcome<Vec<(&'a String, &'a ServiceView)>> {
    let one_off_named = |name: &&String| {
        view.and_then(|view| {
            view.services.iter().find(|(_, service)| {
                let mut tasks = service.tasks.values();
                service.spec.one_off.is_some() && tasks.any(|task| task.container_name == **name)
            })
        })
    };
    let (one_offs, names): (Vec<_>, Vec<_>) = names.iter().partition(|name| one_off_named(name).is_some());
    let mut found: Vec<_> = one_offs.iter().filter_map(one_off_named).collect();
    if names.is_empty() && !one_offs.is_empty() {
        return Ok(found);
    }
    let names: Vec<String> = names.into_iter().cloned().collect();
    found.extend(services(stack, view, &names)?);
    let of_these = |service: &ServiceView| {
        service.spec.one_off.as_ref().is_some_and(|one_off| names.is_empty() || names.contains(&one_off.of))
    };
    found.extend(view.into_iter().flat_map(|view| &view.services).filter(|(_, service)| of_these(service)));
    found.sort_by_key(|(name, _)| *name);
    found.dedup_by_key(|(name, _)| *name);
    Ok(found)
}

/// The running task of a service with an index (docker compose's `--index`: the slot), or its first one.
pub(crate) fn running<'a>(
    stack: &Stack,
    view: Option<&'a StackView>,
    service: &str,
    index: Option<u32>,
) -> Outcome<&'a TaskView> {
    let found = services(stack, view, &[service.to_owned()])?;
    let tasks = found.into_iter().flat_map(|(_, service)| service.tasks.values());
    let mut running: Vec<&TaskView> = tasks.filter(|task| task.task.is_alive()).collect();
    running.sort_by_key(|task| (task.task.slot, !task.current));
    let picked = running.into_iter().find(|task| index.is_none_or(|index| task.task.slot == index));
    picked.ok_or_else(|| {
        let which = index.map_or_else(String::new, |index| format!(" as number {index}"));
        Failure::new(format!("service `{service}` is not running{which}")).hint("`orc ps -a` says why")
    })
}

/// The task of a service with an index, or its first one, whether it runs or not. A container of `orc run` is
/// found by its name.
pub(crate) fn container<'a>(
    stack: &Stack,
    view: Option<&'a StackView>,
    service: &str,
    index: Option<u32>,
) -> Outcome<&'a TaskView> {
    let named = |task: &&TaskView| task.container_name == service && index.is_none();
    let mut all = view.into_iter().flat_map(|view| view.services.values()).flat_map(|s| s.tasks.values());
    if let Some(task) = all.find(named) {
        return Ok(task);
    }
    let found = services(stack, view, &[service.to_owned()])?;
    let tasks = found.into_iter().flat_map(|(_, service)| service.tasks.values());
    let mut tasks: Vec<&TaskView> = tasks.filter(|task| task.task.container().is_some()).collect();
    tasks.sort_by_key(|task| (task.task.slot, !task.current));
    let picked = tasks.into_iter().find(|task| index.is_none_or(|index| task.task.slot == index));
    picked.ok_or_else(|| {
        let which = index.map_or_else(String::new, |index| format!(" number {index}"));
        Failure::new(format!("service `{service}` has no container{which}")).hint("`orc ps -a` says why")
    })
}

/// These services and those that they need, directly or not, as far as they are there.
pub(crate) fn with_dependencies(view: &StackView, names: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = names.iter().collect();
    while let Some(name) = next.pop() {
        let Some(service) = view.services.get(name) else { continue };
        if found.insert(name.clone()) {
            let needed = service.spec.compose.depends_on.iter().filter(|(_, dependency)| dependency.required);
            next.extend(needed.map(|(name, _)| name));
        }
    }
    found
}

fn unknown(stack: &Stack, view: Option<&StackView>, name: &str) -> Failure {
    let services = view.into_iter().flat_map(|view| &view.services);
    let there = services.filter(|(_, service)| service.spec.one_off.is_none()).map(|(name, _)| name);
    let known: BTreeSet<&str> = stack.declared.iter().chain(there).map(String::as_str).collect();
    let failure = Failure::new(format!("stack `{}` has no service `{name}`", stack.name));
    if known.is_empty() {
        return failure.hint("nothing of this stack was started; `orc ls -a` lists the stacks there are");
    }
    failure.hint(compose_spec::defined("services", name, known))
}

#[cfg(test)]
mod tests {
    use cluster::{StackName, Version};

    use super::*;
    use crate::words::tests::service;

    fn view(services: &[(&str, &[&str])]) -> StackView {
        let services = services.iter().map(|(name, needs)| {
            let mut service = service(1, Vec::new());
            let mut spec = (*service.spec).clone();
            for need in *needs {
                spec.compose.depends_on.insert((*need).to_owned(), compose_spec::Dependency::default());
            }
            service.spec = spec.into();
            ((*name).to_owned(), service)
        });
        StackView {
            name: StackName("shop".into()),
            version: Version(1),
            removing: false,
            services: services.collect(),
            networks: Default::default(),
            volumes: Default::default(),
            config_files: Vec::new(),
        }
    }

    #[test]
    fn a_name_may_be_one_of_the_file_or_one_that_is_there() {
        let declared = ["web".to_owned(), "db".to_owned()].into();
        let stack = Stack { name: "shop".into(), declared, ..Stack::default() };
        let view = view(&[("web", &[]), ("old", &[])]);
        let check = |names: &[&str], expect: Result<&[&str], (&str, &str)>| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            match (services(&stack, Some(&view), &names), expect) {
                (Ok(found), Ok(expect)) => {
                    assert_eq!(found.into_iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expect);
                }
                (Err(Failure::Problem(problem)), Err((message, hint))) => {
                    assert_eq!((problem.message.as_str(), problem.hint.as_deref()), (message, Some(hint)));
                }
                (found, expect) => panic!("{names:?}: {found:?}, not {expect:?}"),
            }
        };
        check(&[], Ok(&["old", "web"]));
        check(&["web"], Ok(&["web"]));
        check(&["db"], Ok(&[]));
        check(
            &["wbe"],
            Err((
                "stack `shop` has no service `wbe`",
                "defined services are `db`, `old`, `web`; did you mean `web`?",
            )),
        );
    }

    #[test]
    fn what_is_needed_comes_along() {
        let view = view(&[("web", &["api", "gone"]), ("api", &["db"]), ("db", &[]), ("other", &["web"])]);
        let found = with_dependencies(&view, &["web".to_owned()]);
        assert_eq!(found, ["api", "db", "web"].map(str::to_owned).into());
    }
}
