//! Every attribute of the format, one after the other and in mixtures: none is passed over in silence, and what is
//! printed loads again and says the same.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::format::{Form, Object, PROJECT, Rule, Shape, Types};
use crate::support::attributes;
use crate::{LoadRequest, Loaded, MemoryFiles, Support, Target, check_support, load, render, support};

/// Attributes that change nothing, and about which a warning says so.
const WARNED_ABOUT: &[&str] = &["version"];
/// Attributes of which any two make a project that is refused.
const EXCLUSIVE: &[&[&str]] = &[
    &["services.*.network_mode", "services.*.networks"],
    &["services.*.build.dockerfile", "services.*.build.dockerfile_inline"],
    &["services.*.scale", "services.*.deploy.replicas", "services.*.container_name"],
    &["services.*.mem_limit", "services.*.deploy.resources.limits.memory"],
    &["services.*.mem_reservation", "services.*.deploy.resources.reservations.memory"],
    &["services.*.cpus", "services.*.deploy.resources.limits.cpus"],
    &["services.*.pids_limit", "services.*.deploy.resources.limits.pids"],
    &["services.*.platform", "services.*.build.platforms"],
    &["services.*.gpus.*.count", "services.*.gpus.*.device_ids"],
    &["devices.*.count", "devices.*.device_ids"],
];

fn request() -> LoadRequest {
    LoadRequest { working_dir: "/shop".into(), ..LoadRequest::default() }
}

fn load_text(text: &str) -> Loaded {
    let mut files = MemoryFiles::fixture(Path::new("/shop"), text);
    files.insert("/shop/vars.env", "FROM_FILE=yes\n");
    files.insert("/shop/inc.yaml", "services: {included: {image: some, labels: {included: 'yes'}}}\n");
    load(&request(), &files)
}

fn said(loaded: &Loaded) -> String {
    render(&loaded.diagnostics, &loaded.sources, false)
}

/// A project in which every section is used.
fn base() -> Value {
    json!({
        "services": {
            "main": {
                "image": "some",
                "networks": ["net"],
                "volumes": ["data:/data"],
                "secrets": ["key"],
                "configs": ["conf"],
                "models": ["model"],
            },
            "other": {"image": "some", "labels": {"inherited": "yes"}},
        },
        "networks": {"net": {}},
        "volumes": {"data": {}},
        "secrets": {"key": {"file": "./key"}, "spare": {"file": "./spare"}},
        "configs": {"conf": {"file": "./conf"}, "spare": {"file": "./spare"}},
        "models": {"model": {"model": "some"}},
    })
}

/// The base with one attribute set, and with what that needs beside it.
fn document(path: &str) -> Value {
    let steps: Vec<&str> = path.split('.').collect();
    let mut document = base();
    let set = below(&Shape::Object(&PROJECT), "", &steps, None);
    if path.starts_with("services.*.network_mode") {
        remove(&mut document, &["services", "main", "networks"]);
    }
    for (prefix, key) in [("secrets", "key"), ("configs", "conf")] {
        let content = ["content", "environment", "external"].map(|name| format!("{prefix}.*.{name}"));
        if content.iter().any(|exclusive| path.starts_with(exclusive.as_str())) {
            remove(&mut document, &[prefix, key, "file"]);
        }
    }
    merge(&mut document, set);
    document
}

fn remove(value: &mut Value, path: &[&str]) {
    match path {
        [] => {}
        [last] => drop(value.as_object_mut().and_then(|map| map.remove(*last))),
        [first, rest @ ..] => {
            if let Some(inner) = value.get_mut(*first) {
                remove(inner, rest);
            }
        }
    }
}

/// Mappings merge, anything else is replaced.
fn merge(value: &mut Value, over: Value) {
    match (value, over) {
        (Value::Object(map), Value::Object(over)) => {
            for (key, inner) in over {
                match map.get_mut(&key) {
                    Some(known) => merge(known, inner),
                    None => drop(map.insert(key, inner)),
                }
            }
        }
        (value, over) => *value = over,
    }
}

/// What leads to the attribute, from here on.
fn below(shape: &Shape, prefix: &str, steps: &[&str], rule: Option<&Rule>) -> Value {
    let Some((step, rest)) = steps.split_first() else {
        return sample(prefix, shape, rule);
    };
    let path = if prefix.is_empty() { (*step).to_owned() } else { format!("{prefix}.{step}") };
    if *step != "*" {
        let field = shape.entry(step).unwrap_or_else(|| panic!("{path} is an attribute"));
        let mut map = companions(prefix, step);
        map.insert((*step).to_owned(), below(&field.shape, &path, rest, Some(field)));
        return Value::Object(map);
    }
    match shape.entry("\u{0}") {
        Some(rule) => json!({ name_below(prefix): below(&rule.shape, &path, rest, Some(rule)) }),
        None => {
            let rule = shape.item().unwrap_or_else(|| panic!("{path} is an entry"));
            json!([below(&rule.shape, &path, rest, Some(rule))])
        }
    }
}

fn name_below(prefix: &str) -> &'static str {
    match prefix.rsplit('.').next().unwrap_or_default() {
        "services" => "main",
        "networks" => "net",
        "volumes" => "data",
        "secrets" => "key",
        "configs" => "conf",
        "models" => "model",
        "depends_on" => "other",
        "ulimits" => "nofile",
        _ => "some",
    }
}

/// What an attribute needs beside it.
fn companions(prefix: &str, step: &str) -> Map<String, Value> {
    let last: Vec<&str> = prefix.rsplitn(3, '.').collect();
    let value = match (last.as_slice(), step) {
        (["build", ..], _) => json!({"context": "."}),
        (["healthcheck", ..], "disable") => json!({}),
        (["healthcheck", ..], _) => json!({"test": "some"}),
        (["provider", ..], _) => json!({"type": "some"}),
        (["extends", ..], "file") => json!({"service": "included"}),
        (["extends", ..], _) => json!({"service": "other"}),
        (["exec", ..] | ["*", "post_start" | "pre_stop" | "pre_start", ..], _) => {
            json!({"command": ["some"]})
        }
        (["*", "volumes", "services.*"], "bind") => {
            json!({"type": "bind", "source": "/some", "target": "/t"})
        }
        (["*", "volumes", "services.*"], "image") => {
            json!({"type": "image", "source": "some", "target": "/t"})
        }
        (["*", "volumes", "services.*"], "tmpfs") => json!({"type": "tmpfs", "target": "/t"}),
        (["*", "volumes", "services.*"], _) => json!({"type": "volume", "source": "data", "target": "/t"}),
        (["*", "ports", ..], _) => json!({"target": 80}),
        (["*", "depends_on", ..], _) => json!({"condition": "service_started"}),
        (["*", "env_file", "services.*"], _) => json!({"path": "vars.env"}),
        (["*", "devices", "services.*"], _) => json!({"source": "/dev/some", "target": "/dev/some"}),
        (["*", "devices" | "gpus", ..], _) => json!({"capabilities": ["gpu"]}),
        (["*", "watch", ..], _) => json!({"path": "/some", "action": "sync", "target": "/some"}),
        (["*", "secrets", _], _) => json!({"source": "key"}),
        (["*", "configs", _], _) => json!({"source": "conf"}),
        (["*", "ulimits", ..], _) => json!({"soft": 1, "hard": 8}),
        (["*", "include", ..], _) => json!({"path": "inc.yaml"}),
        (["discrete_resource_spec", ..], _) => json!({"kind": "some", "value": 1}),
        (["*", "weight_device", ..], _) => json!({"path": "/dev/some", "weight": 10}),
        (["*", limit, ..], _) if limit.starts_with("device_") => json!({"path": "/dev/some", "rate": 1}),
        _ => json!({}),
    };
    value.as_object().cloned().unwrap_or_default()
}

/// A value that says something: never the default.
fn sample(path: &str, shape: &Shape, rule: Option<&Rule>) -> Value {
    let name = path.rsplit('.').next().unwrap_or_default();
    match name {
        "name" if path == "name" => return json!("some"),
        "include" if path == "include" => return json!(["inc.yaml"]),
        "path" if path.starts_with("include") => return json!(["inc.yaml"]),
        "project_directory" => return json!("sub"),
        "env_file" | "label_file" => return json!("vars.env"),
        "path" if path.contains("env_file") => return json!("vars.env"),
        "create_host_path" | "required" | "attach" | "enable_ipv4" => return json!(false),
        "network_mode" | "ipc" | "pid" | "uts" => return json!("host"),
        "extends" | "service" => return json!("other"),
        "links" | "volumes_from" => return json!(["other"]),
        "depends_on" => return json!(["other"]),
        "condition" if path.contains("depends_on") => return json!("service_healthy"),
        "networks" | "volumes" | "secrets" | "configs" | "models" if path.starts_with("services") => {
            return by_reference(name, path);
        }
        "networks" | "volumes" => return json!({name_below(name): {"labels": {"a": "b"}}}),
        "secrets" => return json!({"key": {"labels": {"a": "b"}}}),
        "configs" => return json!({"conf": {"labels": {"a": "b"}}}),
        "models" => return json!({"model": {"model": "else"}}),
        "services" => return json!({"main": {"user": "some"}}),
        "ports" => return json!(["8080:80"]),
        "expose" => return json!(["80"]),
        "devices" if path == "services.*.devices" => return json!(["/dev/some:/dev/some"]),
        "gpus" => return json!("all"),
        "scale" | "replicas" => return json!(2),
        "type" if path.contains("volumes") => return json!("tmpfs"),
        "additional_contexts" => return json!({"some": "/some"}),
        "ssh" => return json!(["default"]),
        "restart" if path == "services.*.restart" => return json!("always"),
        "pull_policy" => return json!("always"),
        "container_name" => return json!("some-name"),
        "device_cgroup_rules" => return json!(["c 1:3 r"]),
        "host_ip" => return json!("127.0.0.1"),
        "published" => return json!("8080"),
        "target" if path.contains("ports") => return json!(81),
        "target" => return json!("/else"),
        "cpu_count" | "cpu_percent" | "oom_score_adj" => return json!(7),
        "image" if path == "services.*.image" => return json!("else"),
        "source" if path.contains("secrets") || path.contains("configs") => return json!("spare"),
        "source" if path.contains("volumes") => return json!("data"),
        "format" => return json!("raw"),
        "file" if path.contains("extends") => return json!("inc.yaml"),
        "test" => return json!(["CMD", "some"]),
        "protocol" => return json!("udp"),
        "mode" if path.contains("ports") => return json!("host"),
        "platform" => return json!("linux/amd64"),
        "platforms" => return json!(["linux/amd64"]),
        _ => {}
    }
    match rule.and_then(|rule| rule.form) {
        Some(Form::Duration | Form::Pause) => json!("7s"),
        Some(Form::Bytes) => json!("7m"),
        Some(Form::Mode) => json!("0404"),
        Some(Form::Text | Form::Digits) => json!("7"),
        Some(Form::Hosts) => json!({"some": "10.0.0.7"}),
        _ => by_shape(path, shape),
    }
}

/// The attributes of services that name resources.
fn by_reference(name: &str, path: &str) -> Value {
    match name {
        _ if path.contains("build") => json!(["key"]),
        "networks" => json!({"net": {"aliases": ["some"]}}),
        "volumes" => json!(["data:/else"]),
        "models" => json!({"model": {"model_var": "SOME"}}),
        _ => json!([{"source": name_below(name), "mode": "0404"}]),
    }
}

fn by_shape(path: &str, shape: &Shape) -> Value {
    match shape {
        Shape::Scalar(types)
            if types.has(Types::TEXT) && !types.has(Types::NUMBER) && !types.has(Types::INT) =>
        {
            if types.has(Types::BOOL) { json!(true) } else { json!("some") }
        }
        Shape::Scalar(types) if types.has(Types::INT) => json!(7),
        Shape::Scalar(_) => json!(true),
        Shape::Word(words) => json!(words.last()),
        Shape::Text(_) => json!("some"),
        Shape::Within(low, _) => json!(low.max(&7)),
        Shape::Object(object) => first_field(path, object),
        Shape::Map(_, rule) => {
            json!({name_below(path): sample(&format!("{path}.*"), &rule.shape, Some(rule))})
        }
        Shape::List(rule) | Shape::Set(rule) => {
            json!([sample(&format!("{path}.*"), &rule.shape, Some(rule))])
        }
        Shape::OneOf(shapes) => {
            // The fullest form says the most.
            let fullest = shapes.iter().find(|shape| shape.object().is_some() || shape.item().is_some());
            by_shape(path, fullest.unwrap_or(&shapes[0]))
        }
    }
}

fn first_field(path: &str, object: &'static Object) -> Value {
    let required = object.required.first().copied();
    let name = required.or(object.fields.first().map(|(name, _)| *name)).unwrap_or_default();
    let mut map = companions(path, name);
    if let Some(rule) = object.field(name) {
        let path = format!("{path}.{name}");
        map.entry(name).or_insert_with(|| sample(&path, &rule.shape, Some(rule)));
    }
    Value::Object(map)
}

#[test]
fn no_attribute_is_passed_over_in_silence() {
    let plain = load_text(&base().to_string());
    let plain = plain.project.as_ref().unwrap_or_else(|| panic!("{}", said(&plain)));
    let mut wrong = Vec::new();
    for path in attributes() {
        let document = document(&path);
        let loaded = load_text(&serde_json::to_string_pretty(&document).unwrap());
        let Some(project) = &loaded.project else {
            wrong.push(format!("{path} cannot be set:\n{document}\n{}", said(&loaded)));
            continue;
        };
        let refused = support(&path, Target::Node).is_some_and(Support::is_refused);
        let findings = check_support(&loaded);
        if refused && !findings.iter().any(|finding| finding.is_error() && finding.span.is_some()) {
            wrong.push(format!("{path} is not honoured, but nothing refuses {document}"));
        }
        let warned = WARNED_ABOUT.contains(&path.as_str()) && !loaded.diagnostics.is_empty();
        if !refused && !warned && project == plain {
            wrong.push(format!("{path} changes nothing:\n{document}\n{}", said(&loaded)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attributes().len(), wrong.join("\n"));
}

/// Loads what was printed, as JSON and as YAML. The JSON has peculiarities of the reference's that cannot be loaded:
/// models are missing, devices with limits have a capital `Path`, and watched files an empty `exec`.
fn check_fixpoint(name: &str, first: &Loaded) {
    let (json, yaml) = (first.to_json_text().unwrap(), first.to_yaml_text().unwrap());
    let second = load_text(&yaml);
    assert_eq!(second.project, first.project, "{name}\n{yaml}\n{}", said(&second));
    assert_eq!(second.to_yaml_text().as_ref(), Some(&yaml), "{name}");
    let peculiar = ["\"models\"", "\"Path\"", "\"exec\": {}"].iter().any(|part| json.contains(part));
    if !peculiar {
        let second = load_text(&json);
        assert_eq!(second.to_json_text().as_ref(), Some(&json), "{name}\n{}", said(&second));
    }
}

#[test]
fn what_is_printed_loads_again_for_every_attribute() {
    for path in attributes() {
        // A printed project has nothing of this left, so that there is nothing to load again.
        check_fixpoint(&path, &load_text(&document(&path).to_string()));
    }
}

/// Numbers that look random, the same each time (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

fn exclude_one_another(paths: &[&String]) -> bool {
    EXCLUSIVE.iter().any(|group| {
        group.iter().filter(|exclusive| paths.iter().any(|path| path.contains(*exclusive))).count() > 1
    })
}

#[test]
fn what_is_printed_loads_again_for_mixtures() {
    const PROJECTS: usize = 400;
    let all = attributes();
    let mut loaded = 0;
    for seed in 1..=PROJECTS {
        let mut numbers = Numbers((seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let count = 2 + numbers.below(7);
        let chosen: Vec<&String> = (0..count).map(|_| &all[numbers.below(all.len())]).collect();
        if exclude_one_another(&chosen) {
            continue;
        }
        let mut mixture = base();
        for path in &chosen {
            merge(&mut mixture, document(path));
        }
        let first = load_text(&mixture.to_string());
        if first.project.is_some() {
            loaded += 1;
            check_fixpoint(&format!("project {seed}: {chosen:?}"), &first);
        }
    }
    assert!(loaded > PROJECTS / 2, "only {loaded} of {PROJECTS} mixtures are projects");
}
