//! What the engine does not honour is refused with its place, and nothing is passed over in silence.

use compose_spec::{Support, Target, check_support, render, support};

use crate::support::load_fixture;

fn unsupported(fixture: &str, target: Target) -> String {
    let loaded = load_fixture(fixture, |request| request.target = target);
    assert!(!loaded.has_errors(), "{}", render(&loaded.diagnostics, &loaded.sources, false));
    render(&check_support(&loaded), &loaded.sources, false)
}

fn places(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect()
}

#[test]
fn what_is_honoured_passes() {
    let text = unsupported(
        "services:\n  web:\n    image: a\n    command: x\n    ports: ['80:80']\n    networks: {n: {aliases: [x]}}\n    healthcheck: {test: x}\n    deploy: {replicas: 2, endpoint_mode: vip}\n    security_opt: ['no-new-privileges:true', seccomp=unconfined]\n    volumes: ['vol:/v', './b:/b:ro']\n    x-mine: 1\nnetworks: {n: {driver: bridge}}\nvolumes: {vol: }\n",
        Target::Node,
    );
    assert_eq!(text, "");
}

#[test]
fn what_is_not_honoured_is_refused_with_its_place() {
    let text = unsupported(
        "services:\n  web:\n    image: a\n    isolation: hyperv\n    security_opt: [apparmor=x]\n    credential_spec: {file: x}\n",
        Target::Node,
    );
    assert_eq!(places(&text), ["compose.yaml:4:5", "compose.yaml:5:20", "compose.yaml:6:5"]);
    assert!(text.contains("`services.web.isolation` is not supported"), "{text}");
}

#[test]
fn values_that_mean_nothing_to_the_engine_are_refused() {
    let text = unsupported(
        "services:\n  web:\n    image: a\n    restart: wat\n    deploy:\n      endpoint_mode: wat\n    ports:\n      - target: 70000\n      - {target: 80, protocol: icmp}\n      - {target: 81, mode: wat}\n      - {target: 82, published: wat}\n",
        Target::Node,
    );
    let lines = ["4:14", "6:22", "8:17", "9:32", "10:28", "11:33"].map(|at| format!("compose.yaml:{at}"));
    assert_eq!(places(&text), lines);
}

#[test]
fn a_cluster_asks_for_more_than_a_node() {
    let fixture = "services:\n  web:\n    image: a\n    build: .\n    volumes: [./conf:/conf, data:/data]\nvolumes:\n  data:\n";
    let loaded = load_fixture(fixture, |request| request.target = Target::Cluster);
    let found: Vec<_> = loaded
        .requirements
        .iter()
        .map(|found| (found.attribute.as_str(), found.support.is_refused()))
        .collect();
    let expect =
        [("services.web.build", true), ("services.web.volumes[0].type", false), ("volumes.data", false)];
    assert_eq!(found, expect);
    assert!(matches!(support("services.*.image", Target::Cluster), Some(Support::Honoured)));
    assert_eq!(support("services.*.wat", Target::Node), None);
}

#[test]
fn what_does_not_run_is_not_looked_at() {
    let fixture = "services: {web: {image: a}, tool: {image: a, isolation: x, profiles: [dev]}}";
    assert_eq!(unsupported(fixture, Target::Node), "");
}

#[test]
fn a_value_that_means_nothing_is_no_fault() {
    let fixture =
        "services: {web: {image: a, privileged: false, deploy: {mode: replicated}, storage_opt: {}}}";
    assert_eq!(unsupported(fixture, Target::Node), "");
}
