//! What is printed can be loaded again and says the same; and it survives serde.

use compose_spec::{MemoryFiles, Project, load};

use crate::support::{load_fixture, request};

const FIXTURES: &[&str] = &[
    "services: {web: {image: a, ports: ['80-82:80-82', '9000-9005:9000'], command: 'a \"b c\"'}}",
    "services: {web: {build: {context: ., args: {A: $$x}}, environment: [A=1, B], healthcheck: {test: x, interval: 90s}}}",
    "services: {web: {image: a, volumes: ['vol:/v', './b:/b:ro,z', {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0755}}]}}\nvolumes: {vol: {labels: [a=b]}}",
    "services: {web: {image: a, depends_on: {db: {condition: service_healthy, restart: true}}, links: ['db:x']}, db: {image: b, scale: 2}}",
    "services: {web: {image: a, deploy: {replicas: 2, resources: {limits: {cpus: 0.5, memory: 1g}}, update_config: {parallelism: 0, delay: 5s}}}}",
    "services: {web: {image: a, secrets: [{source: s, mode: 0400}], configs: [c], ulimits: {nproc: 3, nofile: {soft: 1, hard: 2}}}}\nsecrets: {s: {environment: S}}\nconfigs: {c: {content: $$x}}\nx-mine: {a: 1}",
    "services: {web: {image: a, gpus: all, blkio_config: {weight: 10}, x-own: {a: b}}}",
    "services: {web: {image: a, networks: {n: {aliases: [x], priority: 3}}, extra_hosts: ['h:1.1.1.1'], mem_limit: 5m}}\nnetworks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}",
];

#[test]
fn what_is_printed_loads_again_and_says_the_same() {
    for fixture in FIXTURES {
        let first = load_fixture(fixture, |_| {});
        let printed = first.to_json().unwrap_or_else(|| panic!("{fixture}: {:?}", first.diagnostics));
        let mut files = MemoryFiles::new();
        files.insert("/work/shop/compose.yaml", printed.to_string());
        let second = load(&request(), &files);
        assert_eq!(second.to_json(), Some(printed), "{fixture}: {:?}", second.diagnostics);
    }
}

#[test]
fn a_project_survives_its_canonical_json() {
    for fixture in FIXTURES {
        let project = load_fixture(fixture, |_| {}).project.unwrap();
        let text = serde_json::to_string(&project).unwrap();
        let back: Project =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{fixture}: {error}\n{text}"));
        assert_eq!(back, project, "{fixture}");
    }
}

#[test]
fn a_misspelt_attribute_does_not_survive() {
    let text = r#"{"name": "a", "services": {"web": {"imagee": "x"}}}"#;
    assert!(serde_json::from_str::<Project>(text).is_err());
}

#[test]
fn a_dollar_in_a_key_stays_what_it_is_when_printed_and_loaded_again() {
    let first = load_fixture("services: {web: {image: a, labels: {'${K}': w, '$$k': '$$v'}}}", |_| {});
    let printed = first.to_yaml_text().unwrap();
    let second = load_fixture(&printed, |_| {});
    assert_eq!(second.project, first.project, "{printed}");
}
