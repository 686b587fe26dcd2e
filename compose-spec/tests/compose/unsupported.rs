//! What the engine does not honour is refused with its place, and nothing is passed over in silence.

use compose_spec::{check_support, render};

use crate::support::load_fixture;

fn unsupported(fixture: &str) -> String {
    let loaded = load_fixture(fixture, |_| {});
    assert!(!loaded.has_errors(), "{}", render(&loaded.diagnostics, &loaded.sources, false));
    render(&check_support(&loaded), &loaded.sources, false)
}

#[test]
fn what_is_honoured_passes() {
    let text = unsupported(
        "services:\n  web:\n    image: a\n    command: x\n    ports: ['80:80']\n    networks: {n: {aliases: [x]}}\n    healthcheck: {test: x}\n    deploy: {replicas: 2, endpoint_mode: vip}\n    security_opt: ['no-new-privileges:true', seccomp=unconfined]\n    volumes: ['vol:/v', './b:/b:ro']\n    x-mine: 1\nnetworks: {n: {driver: bridge}}\nvolumes: {vol: }\n",
    );
    assert_eq!(text, "");
}

#[test]
fn what_is_not_honoured_is_refused_with_its_place() {
    let text = unsupported(
        "services:\n  web:\n    image: a\n    dns: 8.8.8.8\n    security_opt: [apparmor=x]\n    networks:\n      n: {ipv4_address: 10.0.0.2}\nnetworks:\n  n:\n    internal: true\n",
    );
    let places: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    assert_eq!(places, ["compose.yaml:4:5", "compose.yaml:5:20", "compose.yaml:7:11", "compose.yaml:10:5"]);
    assert!(text.contains("`services.web.dns` is not supported yet"), "{text}");
}

#[test]
fn the_table_of_attributes_can_be_printed() {
    let table = compose_spec::support_markdown();
    assert!(table.contains("| `services.*.image` | honoured |\n"), "{table}");
    assert!(table.contains("| `services.*.build` | not yet: needs building images |\n"), "{table}");
}

#[test]
fn what_does_not_run_is_not_looked_at() {
    assert_eq!(unsupported("services: {web: {image: a}, tool: {build: ., profiles: [dev]}}"), "");
}

#[test]
fn a_value_that_means_nothing_is_no_fault() {
    assert_eq!(unsupported("services: {web: {image: a, privileged: false, deploy: {mode: replicated}}}"), "");
}
