//! Checks that references lead somewhere and that attributes agree with one another.

mod agreement;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Code, Diagnostic};
use crate::graph::DependencyGraph;
use crate::node::Node;
use crate::project::Project;
use crate::report::Report;
use service::Checker;

/// How many places of a circle are shown beside the first.
const SHOWN: usize = 5;

/// The names that the files define, also those whose definitions are faulty: a reference to such a one is no
/// second fault.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    names: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Declared {
    /// The names in a merged tree.
    pub(crate) fn of(tree: &Node) -> Self {
        let sections = ["services", "networks", "volumes", "secrets", "configs", "models"];
        let names = sections.map(|section| {
            let entries = tree.get(section).into_iter().flat_map(Node::entries);
            (section, entries.map(|(name, _)| name.to_owned()).collect())
        });
        Self { names: names.into_iter().collect() }
    }

    fn has(&self, section: &str, name: &str) -> bool {
        self.names.get(section).is_some_and(|names| names.contains(name))
    }
}

/// Checks the enabled services of a project; `tree` tells the places.
pub(crate) fn check(
    project: &Project,
    tree: &Node,
    declared: &Declared,
    disabled: &BTreeSet<String>,
    report: &mut Report,
) {
    // What a faulty attribute would have said is not known, so that nothing is said about its absence.
    let damaged = report.errors() > 0;
    for (name, service) in &project.services {
        let Some(node) = tree.get("services").and_then(|services| services.get(name)) else { continue };
        let mut checker = Checker { project, declared, disabled, name, service, node, tree, report };
        if !damaged {
            checker.image();
            checker.watch();
        }
        checker.networks();
        checker.shared_network();
        checker.without_network();
        checker.machines_name();
        checker.mount_options();
        checker.limits();
        checker.restarts();
        checker.dependencies();
        checker.references();
        checker.healthcheck();
        checker.pairs();
        checker.scale();
        checker.targets();
    }
    if !damaged {
        check_secrets(project, tree, report);
    }
    check_container_names(project, tree, report);
    check_cycle(project, tree, report);
}

/// A secret has a file or a variable, even if it has a driver.
fn check_secrets(project: &Project, tree: &Node, report: &mut Report) {
    for (name, secret) in &project.secrets {
        if secret.external || secret.file.is_some() || secret.environment.is_some() {
            continue;
        }
        let place = tree.get("secrets").and_then(Node::as_map).and_then(|secrets| secrets.get(name));
        report.add(
            Diagnostic::error(
                Code::Consistency,
                place.map(|entry| entry.key),
                format!("secret `{name}` has neither `file` nor `environment`"),
            )
            .hint("say where its content comes from"),
        );
    }
}

/// A container's name is unique on a machine.
fn check_container_names(project: &Project, tree: &Node, report: &mut Report) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, service) in &project.services {
        let Some(container) = service.container_name.as_deref() else { continue };
        if let Some(first) = taken.insert(container, name) {
            let place = |service: &str| {
                let node = tree.get("services")?.get(service)?.get("container_name")?;
                Some(node.span)
            };
            let message =
                format!("services `{first}` and `{name}` have the same `container_name` `{container}`");
            let finding = Diagnostic::error(Code::Consistency, place(name), message);
            report.add(match place(first) {
                Some(span) => finding.related(span, "the other one"),
                None => finding,
            });
        }
    }
}

fn check_cycle(project: &Project, tree: &Node, report: &mut Report) {
    let Some(cycle) = DependencyGraph::new(project).cycle() else { return };
    let place = |from: &str, to: &str| {
        let service = tree.get("services")?.get(from)?;
        let entry = service.get("depends_on").and_then(Node::as_map).and_then(|map| map.get(to));
        entry.map(|entry| entry.key)
    };
    let mut edges = cycle.0.windows(2).map(|pair| (pair, place(&pair[0], &pair[1])));
    let span = edges.next().and_then(|(_, span)| span);
    let mut finding = Diagnostic::error(Code::Consistency, span, cycle.to_string())
        .hint("remove one of these dependencies");
    for (pair, span) in edges.take(SHOWN) {
        if let Some(span) = span {
            finding = finding.related(span, format!("`{}` depends on `{}` here", pair[0], pair[1]));
        }
    }
    report.add(finding);
}
