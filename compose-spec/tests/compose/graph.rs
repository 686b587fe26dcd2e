//! The dependency graph of a loaded project.

use compose_spec::{Dependency, DependencyGraph};

use crate::support::load_fixture;

const SHOP: &str = "services:\n  web: {image: i, depends_on: [api, cache]}\n  api: {image: i, depends_on: {db: {condition: service_healthy}}}\n  cache: {image: i}\n  db: {image: i}\n";

fn graph(fixture: &str) -> DependencyGraph {
    DependencyGraph::new(&load_fixture(fixture, |_| {}).project.expect("a fixture without faults"))
}

#[test]
fn services_start_after_and_stop_before_what_they_depend_on() {
    let graph = graph(SHOP);
    assert_eq!(graph.start_order().unwrap(), ["cache", "db", "api", "web"]);
    assert_eq!(graph.stop_order().unwrap(), ["web", "api", "db", "cache"]);
    assert_eq!(graph.dependencies("web"), ["api", "cache"]);
    assert_eq!(graph.dependents("db"), ["api"]);
}

#[test]
fn circles_are_named_in_order() {
    let edges = [("d", "a"), ("a", "b"), ("b", "c"), ("c", "a")];
    let graph = DependencyGraph::from_edges(
        ["a", "b", "c", "d"],
        edges.map(|(from, to)| (from, to, Dependency::default())),
    );
    let cycle = graph.start_order().unwrap_err();
    assert_eq!(cycle.to_string(), "services depend on one another in a circle: a -> b -> c -> a");
    // A drawing shows the circle instead of following it.
    assert!(graph.tree().starts_with(
        "d\n└─ a (started)\n   └─ b (started)\n      └─ c (started)\n         └─ a (started) ...\n"
    ));
}

#[test]
fn fingerprints_ignore_order_and_what_makes_no_other_container() {
    let hash = |text: &str| load_fixture(text, |_| {}).project.unwrap().service_hash("web").unwrap();
    let base = hash("services: {web: {image: a, environment: {A: 1, B: 2}}}");
    assert_eq!(base, hash("services: {web: {environment: [B=2, A=1], image: a}}"));
    assert_eq!(
        base,
        hash("services: {web: {image: a, scale: 3, environment: {A: 1, B: 2}, pull_policy: always}}")
    );
    assert_ne!(base, hash("services: {web: {image: b, environment: {A: 1, B: 2}}}"));
    assert_ne!(base, hash("services: {web: {image: a, environment: {A: 1, B: 3}}}"));
}

const EVERY_KIND: &str = "\
services:
  web:
    image: i
    depends_on:
      api: {condition: service_healthy}
      cache: {condition: service_started, required: false}
    links: ['db:database']
  api:
    image: i
    depends_on:
      migration: {condition: service_completed_successfully, restart: true}
    network_mode: service:vpn
    volumes_from: [db:ro]
  debug: {image: i, pid: 'service:api', ipc: 'service:db'}
  migration: {image: i}
  cache: {image: i}
  db: {image: i}
  vpn: {image: i}
";

#[test]
fn implied_dependencies_are_edges_too() {
    let graph = graph(EVERY_KIND);
    let edges: Vec<_> = graph.edges().map(|(from, to, _)| format!("{from}-{to}")).collect();
    let expect =
        ["api-db", "api-migration", "api-vpn", "debug-api", "debug-db", "web-api", "web-cache", "web-db"];
    assert_eq!(edges, expect);
}

#[test]
fn drawings_say_what_is_waited_for() {
    let graph = graph(EVERY_KIND);
    let tree = "\
debug
├─ api (started, restart)
│  ├─ db (started)
│  ├─ migration (completed, restart)
│  └─ vpn (started, restart)
└─ db (started, restart)
web
├─ api (healthy) ...
├─ cache (started, optional)
└─ db (started, restart)
";
    assert_eq!(graph.tree(), tree);
    let dot = graph.dot();
    assert!(dot.contains("  \"web\" -> \"api\" [label=\"healthy\"]\n"), "{dot}");
    assert!(dot.contains("  \"web\" -> \"cache\" [label=\"started, optional\", style=dashed]\n"), "{dot}");
    let mermaid = graph.mermaid();
    assert!(mermaid.contains("  s0[\"api\"]\n") && mermaid.contains("  s6 -->|healthy| s0\n"), "{mermaid}");
    assert!(mermaid.contains("  s6 -.->|started, optional| s1\n"), "{mermaid}");
}
