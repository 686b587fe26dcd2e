//! Every attribute has one canonical form, whatever way it is written.

use serde_json::json;

use crate::support::{check, refused, web, web_refused};

#[test]
fn commands_split_into_words() {
    web("command: npm run 'my start'", "command", json!(["npm", "run", "my start"]));
    web("command: [a, b]", "command", json!(["a", "b"]));
    web("command: ''", "command", json!([]));
    web("command: []", "command", json!([]));
    web("command: null", "command", json!(null));
    web("entrypoint: a\\ b", "entrypoint", json!(["a b"]));
    web_refused("command: 5", "must be text, nothing or a list");
    web_refused("command: [a, 5]", "`services.web.command[1]` must be text");
    web_refused("command: \"a 'b\"", "quote is not closed");
}

#[test]
fn environments_become_mappings() {
    web("environment: [A=1, B=, C]", "environment", json!({"A": "1", "B": "", "C": null}));
    web("environment: {A: 1, B: '', C: }", "environment", json!({"A": "1", "B": "", "C": null}));
    web(
        "environment: {A: true, B: 1.10, C: 0755}",
        "environment",
        json!({"A": "true", "B": "1.1", "C": "493"}),
    );
    web("environment: {A: yes, B: 12:30}", "environment", json!({"A": "yes", "B": "12:30"}));
    web("environment: [A=x=y]", "environment", json!({"A": "x=y"}));
    web("environment: [A=1, A=2]", "environment", json!({"A": "2"}));
    web_refused("environment: {A: [b]}", "`services.web.environment.A` must be");
    web_refused("environment: ['A = b']", "ends with a space");
}

#[test]
fn labels_without_a_value_are_empty() {
    web("labels: [a, b=1]", "labels", json!({"a": "", "b": "1"}));
    web("labels: {a: , b: 1}", "labels", json!({"a": "", "b": "1"}));
    web("annotations: [a=b]", "annotations", json!({"a": "b"}));
    web("sysctls: [net.core.somaxconn=1024]", "sysctls", json!({"net.core.somaxconn": "1024"}));
}

#[test]
fn ports_are_written_out() {
    let port = |published: &str, target: u16| json!({"mode": "ingress", "protocol": "tcp", "published": published, "target": target});
    web("ports: ['8080:80']", "ports", json!([port("8080", 80)]));
    web("ports: [80]", "ports", json!([{"mode": "ingress", "protocol": "tcp", "target": 80}]));
    web("ports: ['90-91:80-81']", "ports", json!([port("90", 80), port("91", 81)]));
    web("ports: ['8-10:9-11']", "ports", json!([port("9", 10), port("10", 11), port("8", 9)]));
    web("ports: ['8000-9000:80']", "ports", json!([port("8000-9000", 80)]));
    web("ports: [{target: '80', published: 8080}]", "ports", json!([port("8080", 80)]));
    web("ports: [22:22]", "ports", json!([port("22", 22)]));
    web(
        "ports: ['[::1]:53:53/udp']",
        "ports",
        json!([{"mode": "ingress", "host_ip": "::1", "protocol": "udp", "published": "53", "target": 53}]),
    );
    web("ports: ['80:80', '80:80']", "ports", json!([port("80", 80)]));
    web_refused("ports: '80:80'", "must be a list");
    web_refused("ports: ['::1:80:80']", "write IPv6 in brackets");
    web_refused("ports: [{published: 80}]", "needs `target`");
    web_refused("ports: [{target: 80, host_ip: wat}]", "`wat` is not an IP address");
    web_refused("ports: [{target: -5}]", "-5 is negative");
}

#[test]
fn mounts_are_written_out() {
    let with =
        |mount: &str| format!("services: {{web: {{image: a, volumes: [{mount}]}}}}\nvolumes: {{data: }}");
    let mount = |text: &str, expect| check(&with(text), "/services/web/volumes/0", expect);
    mount("data:/d", json!({"type": "volume", "source": "data", "target": "/d", "volume": {}}));
    mount("/d", json!({"type": "volume", "target": "/d", "volume": {}}));
    mount(
        "'./a:/d:ro,z'",
        json!({"type": "bind", "source": "/work/shop/a", "target": "/d", "read_only": true, "bind": {"selinux": "z"}}),
    );
    mount("~/a:/d/", json!({"type": "bind", "source": "/home/ann/a", "target": "/d", "bind": {}}));
    mount("v:/data", json!({"type": "volume", "target": "v:/data", "volume": {}}));
    mount(
        "{type: bind, source: ../a, target: /d}",
        json!({"type": "bind", "source": "/work/a", "target": "/d"}),
    );
    mount(
        "{type: tmpfs, target: /d, tmpfs: {size: 64m, mode: 0755}}",
        json!({"type": "tmpfs", "target": "/d", "tmpfs": {"size": "67108864", "mode": 493}}),
    );
    refused(&with("x/y:/d"), "mounts volume `x/y`, which is not defined");
    refused(&with("'data:'"), "a part between the colons is empty");
    refused(&with("{type: volume, source: data}"), "the path in the container (`target`) is missing");
    refused(&with("{type: bind, target: /d}"), "the path on the host (`source`) is missing");
    refused(&with("{type: wat, target: /d}"), "cannot be `wat`");
}

#[test]
fn sizes_are_bytes_in_text() {
    web("mem_limit: 1.5g", "mem_limit", json!("1610612736"));
    web("mem_limit: 1024", "mem_limit", json!("1024"));
    web("shm_size: 64 KiB", "shm_size", json!("65536"));
    web("memswap_limit: -1", "memswap_limit", json!("-1"));
    web("mem_limit: 0", "mem_limit", json!(null));
    web_refused("mem_limit: 1Mi", "there is no unit `Mi`");
    web_refused("mem_limit: '-1'", "negative");
}

#[test]
fn durations_are_written_as_go_does() {
    web("stop_grace_period: 1d12h", "stop_grace_period", json!("36h0m0s"));
    web("stop_grace_period: '0'", "stop_grace_period", json!("0s"));
    web_refused("stop_grace_period: 10", "must be text");
    web_refused("stop_grace_period: '10'", "the unit is missing");
}

#[test]
fn numbers_and_flags_may_be_texts() {
    web("scale: '2'", "scale", json!(2));
    web("privileged: 'yes'", "privileged", json!(true));
    web("cpus: '0.5'", "cpus", json!(0.5));
    web("pids_limit: '10'", "pids_limit", json!(10));
    web("init: off", "init", json!(false));
    web_refused("privileged: '1'", "must be `true` or `false`");
    web_refused("scale: two", "must be a whole number");
    web_refused("use_api_socket: 'true'", "must be a boolean");
    web_refused("blkio_config: {weight: '300'}", "expected a whole number");
}

#[test]
fn whole_numbers_keep_all_their_digits() {
    web("labels: {a: 18446744073709551615}", "labels/a", json!("18446744073709551615"));
    web("x-a: 18446744073709551615", "x-a", json!(u64::MAX));
    web("healthcheck: {test: x, retries: 5000000000}", "healthcheck/retries", json!(5_000_000_000_u64));
    web_refused("scale: 5000000000", "service `web`: 5000000000 is out of range");
    web_refused("expose: [18446744073709551615]", "so large, has no meaning here");
}

#[test]
fn lists_of_names_become_mappings() {
    let dependency = json!({"db": {"condition": "service_started", "required": true}});
    let fixture =
        |text: &str| format!("services: {{web: {{image: a, depends_on: {text}}}, db: {{image: b}}}}");
    check(&fixture("[db]"), "/services/web/depends_on", dependency);
    let healthy = "{db: {condition: service_healthy, restart: true, required: false}}";
    let expect = json!({"db": {"condition": "service_healthy", "restart": true, "required": false}});
    check(&fixture(healthy), "/services/web/depends_on", expect);
    refused(&fixture("{db: {restart: true}}"), "needs `condition`");
    refused(&fixture("[db, db]"), "contains `db` twice");
    let networks = "services: {web: {image: a, networks: [n]}}\nnetworks: {n: }";
    check(networks, "/services/web/networks", json!({"n": null}));
}

#[test]
fn health_tests_say_how_they_are_run() {
    web("healthcheck: {test: curl x}", "healthcheck/test", json!(["CMD-SHELL", "curl x"]));
    web("healthcheck: {test: [NONE]}", "healthcheck/test", json!(["NONE"]));
    web(
        "healthcheck: {retries: '3', timeout: 90s}",
        "healthcheck",
        json!({"retries": 3, "timeout": "1m30s"}),
    );
    web_refused("healthcheck: {test: [curl, x]}", "begins with `curl`");
}

#[test]
fn modes_are_octal() {
    let mode = |text: &str, expect| {
        let fixture = format!(
            "services: {{web: {{image: a, configs: [{{source: c, mode: {text}}}]}}}}\nconfigs: {{c: {{file: ./c}}}}"
        );
        check(&fixture, "/services/web/configs/0/mode", expect);
    };
    mode("440", json!("0670"));
    mode("0440", json!("0440"));
    mode("'0440'", json!("0440"));
    mode("0o440", json!("0440"));
}

#[test]
fn devices_hosts_and_limits_are_written_out() {
    web(
        "devices: ['/dev/a:/dev/b', '/dev/c']",
        "devices",
        json!([
            {"source": "/dev/a", "target": "/dev/b", "permissions": "rwm"},
            {"source": "/dev/c", "target": "/dev/c", "permissions": "rwm"},
        ]),
    );
    web("extra_hosts: ['h:1.1.1.1']", "extra_hosts", json!(["h=1.1.1.1"]));
    web("extra_hosts: {h: ['[::1]', 2.2.2.2]}", "extra_hosts", json!(["h=::1", "h=2.2.2.2"]));
    web(
        "ulimits: {nproc: 5, nofile: {soft: 1, hard: '2'}}",
        "ulimits",
        json!({"nproc": 5, "nofile": {"soft": 1, "hard": 2}}),
    );
    web("gpus: all", "gpus", json!([{"count": -1}]));
    web("dns: 8.8.8.8", "dns", json!(["8.8.8.8"]));
    web("tmpfs: /run", "tmpfs", json!(["/run"]));
    web("group_add: [mail, 1000]", "group_add", json!(["mail", "1000"]));
    web("logging: {options: {max-file: 3, x: }}", "logging/options", json!({"max-file": "3", "x": ""}));
    web_refused("extra_hosts: [h]", "`h` has no address");
    web_refused("devices: ['a:b:c:d']", "too many colons");
    web_refused("ulimits: {nofile: {soft: 1}}", "needs `hard`");
}

#[test]
fn deploy_always_has_resources_and_placement() {
    web("deploy: {replicas: 2}", "deploy", json!({"replicas": 2, "resources": {}, "placement": {}}));
    web("scale: 3, deploy: {mode: wat}", "deploy/replicas", json!(3));
    let devices = "deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}";
    web(devices, "deploy/resources/reservations/devices/0/count", json!(-1));
    web_refused("deploy: {update_config: {order: wat}}", "expected `start-first` or `stop-first`");
    web_refused("deploy: {wat: 1}", "`services.web.deploy.wat` is not a known attribute");
}

#[test]
fn builds_have_a_context_and_a_dockerfile() {
    let expect = json!({"context": "/work/shop/src", "dockerfile": "Dockerfile"});
    check("services: {web: {build: ./src}}", "/services/web/build", expect);
    let fixture =
        "services: {web: {build: {dockerfile_inline: FROM x, args: [A=1, B], ulimits: {nproc: 3}}}}";
    let expect = json!({"context": "/work/shop", "dockerfile_inline": "FROM x", "args": {"A": "1"}, "ulimits": {"nproc": 3}});
    check(fixture, "/services/web/build", expect);
    let remote =
        "services: {web: {build: {context: 'https://a/b.git', additional_contexts: [x=docker-image://y]}}}";
    check(remote, "/services/web/build/context", json!("https://a/b.git"));
    check(remote, "/services/web/build/additional_contexts", json!({"x": "docker-image://y"}));
    web_refused("build: {context: ., additional_contexts: ['']}", "`` has no value; expected `name=value`");
}

#[test]
fn external_may_be_written_the_old_way() {
    let fixture = |text: &str| {
        format!("services: {{web: {{image: a, volumes: ['vol:/v']}}}}\nvolumes: {{vol: {text}}}")
    };
    let expect = json!({"vol": {"external": true, "name": "x"}});
    check(&fixture("{external: {name: x}}"), "/volumes", expect.clone());
    check(&fixture("{external: 'true', name: x}"), "/volumes", expect);
    check(&fixture("{external: true}"), "/volumes", json!({"vol": {"external": true, "name": "vol"}}));
    refused(&fixture("{external: true, driver: x}"), "`driver` conflicts with `external`");
    refused(&fixture("{external: {name: x}, name: y}"), "has two names");
}

#[test]
fn secrets_have_a_target_and_configs_have_none() {
    let fixture = "services: {web: {image: a, secrets: [s], configs: [c]}}\nsecrets: {s: {file: ./s}}\nconfigs: {c: {content: x}}";
    check(fixture, "/services/web/secrets", json!([{"source": "s", "target": "/run/secrets/s"}]));
    check(fixture, "/services/web/configs", json!([{"source": "c"}]));
    check(fixture, "/secrets/s", json!({"file": "/work/shop/s", "name": "shop_s"}));
    refused(
        "services: {}\nsecrets: {s: {file: a, environment: B}}",
        "`file` and `environment` exclude one another",
    );
    refused("services: {}\nsecrets: {s: {}}", "says not where its content comes from");
    refused("services: {}\nsecrets: {s: {content: x}}", "`secrets.s.content` is not a known attribute");
}

#[test]
fn hooks_watches_models_and_providers_are_understood() {
    web("post_start: [{command: a b}]", "post_start", json!([{"command": ["a", "b"]}]));
    web("pre_start: [{command: [x]}]", "pre_start", json!([{"command": ["x"], "image": "a"}]));
    web(
        "develop: {watch: [{path: ./src, action: sync, target: /app, ignore: x}]}",
        "develop/watch/0",
        json!({"action": "sync", "exec": {}, "ignore": ["x"], "path": "/work/shop/src", "target": "/app"}),
    );
    web(
        "provider: {type: x, options: {a: 1, b: [true]}}",
        "provider",
        json!({"type": "x", "options": {"a": ["1"], "b": ["true"]}}),
    );
    let models = "services: {web: {image: a, models: [llm]}}\nmodels: {llm: {model: ai/x}}";
    check(models, "/services/web/models", json!({"llm": null}));
    web_refused("post_start: [{user: a}]", "needs `command`");
    web_refused("develop: {watch: [{path: ./src, action: sync}]}", "needs a `target`");
}

#[test]
fn empty_and_zero_mean_the_same_as_absent() {
    for attribute in ["hostname: ''", "cpu_shares: 0", "cap_add: []", "labels: {}", "tty: false"] {
        let name = attribute.split(':').next().unwrap();
        web(attribute, name, json!(null));
    }
    web("scale: 0", "scale", json!(0));
}
