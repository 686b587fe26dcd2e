//! References must lead somewhere, and attributes must agree.

use crate::support::{refused, web_refused};

#[test]
fn references_must_lead_somewhere() {
    web_refused("depends_on: [db]", "depends on `db`, which is not defined");
    web_refused("networks: [n]", "is in network `n`, which is not defined");
    web_refused("volumes: ['vol:/v']", "mounts volume `vol`, which is not defined");
    web_refused("secrets: [s]", "uses secret `s`, which is not defined");
    web_refused("configs: [c]", "uses config `c`, which is not defined");
    web_refused("models: [m]", "uses model `m`, which is not defined");
    web_refused("links: [db]", "depends on `db`, which is not defined");
    web_refused("network_mode: 'service:db'", "depends on `db`, which is not defined");
}

#[test]
fn services_need_something_to_run() {
    refused("services: {web: {hostname: a}}", "has neither `image` nor `build`");
}

#[test]
fn circles_are_refused() {
    refused("services: {a: {image: i, depends_on: [a]}}", "in a circle: a -> a");
    refused(
        "services: {a: {image: i, links: [b]}, b: {image: i, network_mode: 'service:c'}, c: {image: i, volumes_from: [a]}}",
        "in a circle: a -> b -> c -> a",
    );
}

#[test]
fn attributes_that_say_the_same_must_agree() {
    web_refused("scale: 2, deploy: {replicas: 3}", "`scale` is 2, but `deploy.replicas` is 3");
    web_refused("cpus: 1, deploy: {resources: {limits: {cpus: 2}}}", "`cpus` is 1");
    web_refused("mem_limit: 1k, deploy: {resources: {limits: {memory: 2k}}}", "`mem_limit` is 1024");
    web_refused("pids_limit: 1, deploy: {resources: {limits: {pids: 2}}}", "`pids_limit` is 1");
    web_refused("network_mode: host, networks: [default]", "exclude one another");
    web_refused("network_mode: 'container:x', ports: ['80:80']", "`ports` and `network_mode: container:x`");
    web_refused("network_mode: 'container:x', hostname: a", "`hostname` and `network_mode: container:x`");
    web_refused("uts: host, hostname: a", "`hostname` and `uts: host` exclude one another");
    web_refused("container_name: one, scale: 2", "cannot share one `container_name`");
}

#[test]
fn what_has_no_effect_without_a_network_is_told() {
    for (mode, instead) in [("host", "the machine's network"), ("none", "nothing but its own loopback")] {
        let web =
            format!("{{image: i, network_mode: {mode}, ports: ['80:80'], mac_address: '02:42:ac:11:00:02'}}");
        let text = crate::support::findings(&format!("services: {{web: {web}}}"));
        for attribute in ["ports", "mac_address"] {
            let expected =
                format!("warning: service `web`: `{attribute}` has no effect with `network_mode: {mode}`");
            assert!(text.contains(&expected) && text.contains(instead) && !text.contains("error:"), "{text}");
        }
    }
}

#[test]
fn what_has_no_effect_beside_something_else_is_told() {
    let check = |web: &str, expected: &str| {
        let text = crate::support::findings(&format!("services: {{web: {{image: i, {web}}}}}"));
        assert_eq!(text.contains("warning:"), !expected.is_empty(), "{text}");
        assert!(text.contains(expected) && !text.contains("error:"), "{text}");
    };
    check(
        "volumes: [{type: bind, source: ., target: /v, volume: {subpath: a}}]",
        "`volume` has no effect on the mount at `/v`",
    );
    check(
        "volumes: [{type: tmpfs, target: /v, bind: {propagation: rslave}}]",
        "`bind` has no effect on the mount at `/v`",
    );
    check("volumes: [{type: tmpfs, target: /v, tmpfs: {size: 1m}}, .:/w]", "");
    check("memswap_limit: 1g", "`memswap_limit` has no effect without `mem_limit`");
    check("memswap_limit: 1g, deploy: {resources: {limits: {memory: 1g}}}", "");
    check("memswap_limit: -1", "");
    check(
        "restart: always, deploy: {restart_policy: {condition: none}}",
        "`restart: always` has no effect beside",
    );
    check("restart: 'on-failure:3', deploy: {restart_policy: {condition: on-failure}}", "");
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    web_refused("mem_limit: 64m, memswap_limit: 32m", "below the limit of memory, 67108864 bytes");
    web_refused(
        "ulimits: {nofile: {soft: 5, hard: 4}}",
        "the soft limit of `nofile` is above its hard limit, 4",
    );
    web_refused(
        "ulimits: {nofile: {soft: -1, hard: 4}}",
        "the soft limit of `nofile` is above its hard limit, 4",
    );
}

#[test]
fn names_and_targets_are_unique() {
    refused(
        "services: {a: {image: i, container_name: cc}, b: {image: i, container_name: cc}}",
        "have the same `container_name`",
    );
    web_refused("tmpfs: [/t], volumes: [/t]", "mounts two things at `/t`");
}

#[test]
fn builds_must_make_sense() {
    refused("services: {web: {build: {dockerfile: a, dockerfile_inline: b}}}", "exclude one another");
    refused(
        "services: {web: {platform: linux/arm64, build: {platforms: [linux/amd64]}}}",
        "does not contain `linux/arm64`",
    );
    refused(
        "services: {web: {build: {additional_contexts: {x: 'service:y'}}}}",
        "needs `y`, which is not built",
    );
}

#[test]
fn a_faulty_definition_is_no_reason_to_complain_about_its_users() {
    let text =
        crate::support::findings("services: {web: {image: a, volumes: ['vol:/v']}}\nvolumes: {vol: 5}");
    assert_eq!(text.matches("error:").count(), 1, "{text}");
}

#[test]
fn a_service_alone_can_depend_on_nothing() {
    refused("services: {web: {image: a, depends_on: [db]}}", "no other service is defined");
}
