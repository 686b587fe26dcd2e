//! Several files, several documents, and the tags that steer how they meet.

use serde_json::{Value, json};

use crate::support::{check, json_with, refused};

/// Checks an attribute of `web` after a second file was merged over a first.
fn merged(base: &str, over: &str, attribute: &str, expect: Value) {
    let fixture = format!(
        "--- a.yaml\nservices: {{web: {{image: a, {base}}}}}\nvolumes: {{vol: , wol: }}\nnetworks: {{n: , m: }}\n\
         --- b.yaml\nservices: {{web: {{{over}}}}}\n"
    );
    let json = json_with(&fixture, |request| request.files = vec!["a.yaml".into(), "b.yaml".into()]);
    let found = json.pointer(&format!("/services/web/{attribute}")).unwrap_or(&Value::Null);
    assert_eq!(found, &expect, "{base} + {over}");
}

#[test]
fn scalars_are_replaced_and_mappings_merge() {
    merged("hostname: a", "hostname: b", "hostname", json!("b"));
    merged(
        "healthcheck: {retries: 1, timeout: 1s}",
        "healthcheck: {retries: 2}",
        "healthcheck",
        json!({"retries": 2, "timeout": "1s"}),
    );
}

#[test]
fn lists_append_without_repetition() {
    merged("cap_add: [A, B]", "cap_add: [B, C]", "cap_add", json!(["A", "B", "C"]));
    merged("dns: 1.1.1.1", "dns: [2.2.2.2]", "dns", json!(["1.1.1.1", "2.2.2.2"]));
    merged("expose: [80]", "expose: ['80', 81]", "expose", json!(["80", "81"]));
    merged(
        "extra_hosts: [h=1.1.1.1]",
        "extra_hosts: {h: 2.2.2.2}",
        "extra_hosts",
        json!(["h=1.1.1.1", "h=2.2.2.2"]),
    );
}

#[test]
fn commands_and_health_tests_are_replaced() {
    merged("command: [a, b]", "command: [c]", "command", json!(["c"]));
    merged("command: [a, b]", "command: ", "command", json!(null));
    merged(
        "healthcheck: {test: [CMD, a]}",
        "healthcheck: {test: b}",
        "healthcheck/test",
        json!(["CMD-SHELL", "b"]),
    );
}

#[test]
fn pairs_merge_by_key_in_either_form() {
    merged(
        "environment: [A=1, B=1]",
        "environment: {B: 2, C: 3}",
        "environment",
        json!({"A": "1", "B": "2", "C": "3"}),
    );
    merged("labels: {a: 1}", "labels: [a=2, b]", "labels", json!({"a": "2", "b": ""}));
}

#[test]
fn mounts_merge_by_target_and_ports_by_all_they_say() {
    merged("volumes: ['vol:/d/']", "volumes: ['wol:/d']", "volumes/0/source", json!("wol"));
    merged("ports: ['80:80', '81:81']", "ports: ['80:80', '90:80']", "ports/2/published", json!("90"));
    merged("ports: ['80:80', '81:81']", "ports: ['80:80', '90:80']", "ports/3", json!(null));
}

#[test]
fn lists_of_names_merge_with_mappings() {
    merged(
        "networks: [n]",
        "networks: {m: {aliases: [x]}}",
        "networks",
        json!({"n": null, "m": {"aliases": ["x"]}}),
    );
    merged(
        "networks: {n: {aliases: [x]}}",
        "networks: {n: {aliases: [y]}}",
        "networks/n/aliases",
        json!(["x", "y"]),
    );
}

#[test]
fn a_list_over_dependencies_resets_their_condition() {
    let fixture = "--- a.yaml\nservices:\n  db: {image: b}\n  web: {image: a, depends_on: {db: {condition: service_healthy, restart: true}}}\n--- b.yaml\nservices: {web: {depends_on: [db]}}\n";
    let json = json_with(fixture, |request| request.files = vec!["a.yaml".into(), "b.yaml".into()]);
    let expect = json!({"db": {"condition": "service_started", "required": true, "restart": true}});
    assert_eq!(json["services"]["web"]["depends_on"], expect);
}

#[test]
fn logging_options_merge_only_within_a_driver() {
    merged(
        "logging: {driver: x, options: {a: 1}}",
        "logging: {options: {b: 2}}",
        "logging",
        json!({"driver": "x", "options": {"a": "1", "b": "2"}}),
    );
    merged(
        "logging: {driver: x, options: {a: 1}}",
        "logging: {driver: y}",
        "logging",
        json!({"driver": "y"}),
    );
}

#[test]
fn limits_of_processes_are_replaced_or_merged() {
    merged(
        "ulimits: {nofile: 5}",
        "ulimits: {nofile: {soft: 1, hard: 2}}",
        "ulimits/nofile",
        json!({"soft": 1, "hard": 2}),
    );
    merged("ulimits: {nofile: {soft: 1, hard: 2}}", "ulimits: {nofile: 5}", "ulimits/nofile", json!(5));
}

#[test]
fn a_build_in_short_form_is_a_context() {
    merged(
        "build: ./a",
        "build: {target: x}",
        "build",
        json!({"context": "/work/shop/a", "dockerfile": "Dockerfile", "target": "x"}),
    );
}

#[test]
fn nothing_over_something_changes_nothing() {
    merged("ports: ['80']", "deploy: ", "ports/0/target", json!(80));
    merged("networks: {n: {aliases: [x]}}", "networks: {n: }", "networks/n/aliases", json!(["x"]));
}

#[test]
fn tags_take_away_or_replace() {
    merged("ports: ['80', '81']", "ports: !reset []", "ports", json!(null));
    merged("ports: ['80', '81']", "ports: !override ['82']", "ports/0/target", json!(82));
    merged("environment: {A: 1, B: 2}", "environment: {A: !reset }", "environment", json!({"B": "2"}));
    merged("environment: [A=1]", "environment: {A: !reset }", "environment", json!({"A": "1"}));
    merged("labels: {a: 1}", "labels: !override {b: 2}", "labels", json!({"b": "2"}));
    check("services: {web: {image: a, ports: !reset ['80']}}", "/services/web/ports", json!(null));
}

#[test]
fn documents_of_one_file_merge_in_turn() {
    let fixture =
        "services: {web: {image: a, ports: ['80']}}\n---\nservices: {web: {image: b, ports: !reset []}}\n";
    let expect = json!({"image": "b", "networks": {"default": null}});
    check(fixture, "/services/web", expect);
}

#[test]
fn paths_are_relative_to_the_first_file() {
    let fixture = "--- sub/a.yaml\nservices: {web: {image: a}}\n--- other/b.yaml\nservices: {web: {volumes: ['./x:/x']}}\n";
    let json = json_with(fixture, |request| request.files = vec!["sub/a.yaml".into(), "other/b.yaml".into()]);
    assert_eq!(json["services"]["web"]["volumes"][0]["source"], "/work/shop/sub/x");
}

#[test]
fn different_kinds_of_values_do_not_merge() {
    let fixture = "--- compose.yaml\nservices: {web: {image: a, ports: ['80']}}\n--- compose.override.yaml\nservices: {web: {ports: {a: b}}}\n";
    refused(fixture, "is a mapping here but a list before");
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let fixture = "x-a: &a {image: a, hostname: h}\nx-b: &b {hostname: i, tty: true}\nservices: {web: {<<: [*a, *b], image: c}}\n";
    let expect = json!({"image": "c", "hostname": "h", "tty": true, "networks": {"default": null}});
    check(fixture, "/services/web", expect);
    refused("services: {web: {image: a, image: b}}", "the key `image` is defined twice");
    refused("services: {web: {<<: 5, image: b}}", "`<<` takes a mapping");
    refused("services: {web: {9: x}}", "a key must be text");
}

#[test]
fn address_pools_merge_by_subnet() {
    let fixture = "--- compose.yaml\nservices: {web: {image: a, networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}\n--- compose.override.yaml\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.9}, {subnet: 10.1.0.0/24}]}}}\n";
    let expect = json!([{"subnet": "10.0.0.0/24", "gateway": "10.0.0.9"}, {"subnet": "10.1.0.0/24"}]);
    check(fixture, "/networks/n/ipam/config", expect);
}

#[test]
fn pools_that_a_later_file_does_not_name_are_dropped() {
    let fixture = "--- compose.yaml\nservices: {web: {image: a, networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}\n--- compose.override.yaml\nnetworks: {n: {ipam: {config: [{subnet: 10.1.0.0/24}]}}}\n";
    check(fixture, "/networks/n/ipam/config", serde_json::json!([{"subnet": "10.1.0.0/24"}]));
    assert!(crate::support::findings(fixture).contains("this pool is dropped"));
}

#[test]
fn a_fault_in_a_file_remains_one_whatever_a_later_file_says() {
    let refused_over = |base: &str, over: &str, reason: &str| {
        let fixture = format!("--- compose.yaml\n{base}\n--- compose.override.yaml\n{over}\n");
        refused(&fixture, reason);
    };
    refused_over(
        "services: {web: {image: a, ports: }}",
        "services: {web: {ports: ['80']}}",
        "`services.web.ports` must be a list",
    );
    refused_over("services: {web: {image: a}}", "services:", "`services` must be a mapping");
    refused(
        "--- compose.yaml\ninclude: [a.yaml]\nservices: {web: {image: a}}\n--- a.yaml\nservices: {web: }\n",
        "`services.web` must be a mapping",
    );
}

#[test]
fn resetting_a_key_beside_a_merge_key_leaves_what_the_merge_key_says() {
    let fixture = |ports: &str| {
        format!(
            "--- compose.yaml\nservices: {{web: {{image: a, ports: ['80']}}}}\n--- compose.override.yaml\n\
             x-own: &own {{ports: ['81']}}\nservices: {{web: {{<<: *own, ports: {ports}}}}}\n"
        )
    };
    let targets = |ports: &str| {
        let ports = crate::support::json(&fixture(ports))["services"]["web"]["ports"].take();
        ports.as_array().unwrap().iter().map(|port| port["target"].clone()).collect::<Value>()
    };
    assert_eq!(targets("!reset []"), json!([81]), "what the earlier file says is gone");
    assert_eq!(targets("['82']"), json!([80, 82]), "a value of its own hides the merge key's");
}

#[test]
fn what_is_reset_need_not_mean_anything() {
    merged("scale: 2", "scale: !reset ''", "scale", json!(null));
    merged("hostname: a", "hostname: !reset '${A:?is not set}'", "hostname", json!(null));
}

#[test]
fn a_value_of_no_known_type_leaves_mappings_and_builds_as_they_are() {
    merged("networks: [n]", "networks: ''", "networks", json!({"n": null}));
    let expect = json!({"context": "/work/shop/x", "dockerfile": "Dockerfile"});
    merged("build: x", "build: []", "build", expect);
}

#[test]
fn a_later_file_adds_to_all_gpus() {
    merged("gpus: all", "gpus: [{count: 2}]", "gpus", json!([{"count": -1}, {"count": 2}]));
}
