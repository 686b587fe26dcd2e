//! The dependency graph of a loaded project.

use compose_spec::DependencyGraph;

use crate::support::load_fixture;

const SHOP: &str = "services:\n  web: {image: i, depends_on: [api, cache]}\n  api: {image: i, depends_on: {db: {condition: service_healthy}}}\n  cache: {image: i}\n  db: {image: i}\n";

#[test]
fn services_start_after_and_stop_before_what_they_depend_on() {
    let project = load_fixture(SHOP, |_| {}).project.unwrap();
    let graph = DependencyGraph::new(&project);
    assert_eq!(graph.start_order().unwrap(), ["cache", "db", "api", "web"]);
    assert_eq!(graph.stop_order().unwrap(), ["web", "api", "db", "cache"]);
    assert_eq!(graph.dependencies("web"), ["api", "cache"]);
    assert_eq!(graph.dependents("db"), ["api"]);
}

#[test]
fn circles_are_named_in_order() {
    let graph =
        DependencyGraph::from_edges(["a", "b", "c", "d"], [("d", "a"), ("a", "b"), ("b", "c"), ("c", "a")]);
    let cycle = graph.start_order().unwrap_err();
    assert_eq!(cycle.to_string(), "services depend on one another in a circle: a -> b -> c -> a");
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

#[test]
fn the_graph_can_be_drawn() {
    let graph = DependencyGraph::from_edges(
        ["web", "api", "db", "cache", "job"],
        [("web", "api"), ("api", "db"), ("web", "cache"), ("job", "api")],
    );
    assert_eq!(graph.tree(), "job\n└─ api\n   └─ db\nweb\n├─ api ...\n└─ cache\n");
    assert!(graph.dot().contains("  \"api\" -> \"db\"\n"));
    assert!(graph.mermaid().contains("  s0[\"api\"]\n") && graph.mermaid().contains("  s0 --> s2\n"));
}
