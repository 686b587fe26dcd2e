//! Which files, which name, which profiles, which services.

use compose_spec::{LoadRequest, MemoryFiles, load};
use serde_json::json;

use crate::support::{check, json, json_with, load_fixture, refused, request};

fn image(fixture: &str, change: impl FnOnce(&mut LoadRequest)) -> serde_json::Value {
    json_with(fixture, change)["services"]["web"]["image"].clone()
}

#[test]
fn the_best_name_is_found_with_its_override() {
    let fixture = "--- docker-compose.yml\nservices: {web: {image: old}}\n--- compose.yaml\nservices: {web: {image: new}}\n--- docker-compose.override.yaml\nservices: {web: {hostname: h}}\n";
    assert_eq!(image(fixture, |_| {}), "new");
    check(fixture, "/services/web/hostname", json!("h"));
}

#[test]
fn folders_above_are_searched_and_become_the_projects() {
    let json =
        json_with("services: {web: {build: .}}", |request| request.working_dir = "/work/shop/a/b".into());
    assert_eq!(json["services"]["web"]["build"]["context"], "/work/shop");
    assert_eq!(json["name"], "shop");
}

#[test]
fn files_can_be_named_by_flag_or_variable() {
    let fixture = "--- a.yaml\nservices: {web: {image: a}}\n--- b.yaml\nservices: {web: {image: b}}\n";
    assert_eq!(image(fixture, |request| request.files = vec!["a.yaml".into(), "b.yaml".into()]), "b");
    let variables = [
        ("COMPOSE_FILE".to_owned(), "b.yaml,a.yaml".to_owned()),
        ("COMPOSE_PATH_SEPARATOR".to_owned(), ",".to_owned()),
    ];
    assert_eq!(image(fixture, |request| request.env.extend(variables)), "a");
}

#[test]
fn standard_input_is_a_file() {
    let mut files = MemoryFiles::new();
    files.insert("-", "services: {web: {image: a, volumes: ['./x:/x']}}");
    let mut request = request();
    request.files = vec!["-".into()];
    let project = load(&request, &files).project.unwrap();
    assert_eq!(project.services["web"].volumes[0].source.as_deref(), Some("/work/shop/x"));
}

#[test]
fn without_a_file_there_is_no_project() {
    let loaded = load(&request(), &MemoryFiles::new());
    assert!(loaded.project.is_none());
    assert!(loaded.diagnostics[0].message.contains("no Compose file in /work/shop"));
}

#[test]
fn a_folder_instead_of_a_file_is_one_finding() {
    let mut files = MemoryFiles::new();
    files.insert("/work/shop/compose.yaml", "services: {}");
    for (named, shown) in [("/work/shop", "."), ("/work", "/work")] {
        let request = LoadRequest { files: vec![named.into()], ..request() };
        let loaded = load(&request, &files);
        let messages: Vec<&str> = loaded.diagnostics.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, [format!("cannot read the Compose file {shown}: it is a folder")]);
        assert_eq!(loaded.diagnostics[0].hint.as_deref(), Some("name the file in it"));
    }
}

#[test]
fn the_name_comes_from_the_caller_the_files_or_the_folder() {
    let fixture = "--- compose.yaml\nname: My.Shop${X:-1}\nservices: {}\n";
    assert_eq!(json(fixture)["name"], "myshop1");
    let named = |name: &str| json_with(fixture, |request| request.project_name = Some(name.to_owned()));
    assert_eq!(named("other")["name"], "other");
    let variable = ("COMPOSE_PROJECT_NAME".to_owned(), "env".to_owned());
    assert_eq!(json_with(fixture, |request| request.env.extend([variable]))["name"], "env");
    let loaded = load_fixture(fixture, |request| request.project_name = Some("Not Good".into()));
    assert!(loaded.diagnostics[0].message.contains("cannot be `Not Good`"));
}

#[test]
fn the_project_folder_can_be_chosen() {
    let json = json_with("services: {web: {build: .}}", |request| {
        request.files = vec!["compose.yaml".into()];
        request.project_directory = Some("elsewhere".into());
    });
    assert_eq!(json["name"], "elsewhere");
    assert_eq!(json["services"]["web"]["build"]["context"], "/work/shop/elsewhere");
}

const PROFILES: &str = "services:\n  web: {image: a}\n  debug: {image: b, profiles: [dev, test]}\n  tool: {image: c, profiles: [tools], depends_on: [debug]}\n";

#[test]
fn profiles_decide_which_services_take_part() {
    let names = |change: &dyn Fn(&mut LoadRequest)| {
        let loaded = load_fixture(PROFILES, change);
        let project = loaded.project.unwrap();
        project.services.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&|_| {}), "web");
    assert_eq!(names(&|request| request.profiles = vec!["test".into()]), "debug web");
    assert_eq!(names(&|request| request.profiles = vec!["*".into()]), "debug tool web");
    assert_eq!(names(&|request| request.services = vec!["debug".into()]), "debug");
    let variable = ("COMPOSE_PROFILES".to_owned(), "tools,dev".to_owned());
    assert_eq!(names(&|request| request.env.extend([variable.clone()])), "debug tool web");
    let loaded = load_fixture(PROFILES, |_| {});
    assert_eq!(loaded.disabled.iter().cloned().collect::<Vec<_>>(), ["debug", "tool"]);
    assert_eq!(loaded.profiles.len(), 3);
    let listed = |profiles: &str| {
        let profiles = ("COMPOSE_PROFILES".to_owned(), profiles.to_owned());
        names(&|request| drop(request.env.insert(profiles.0.clone(), profiles.1.clone())))
    };
    assert_eq!(listed("x, test"), "debug web", "spaces around names do not count");
    let unnamed = load_fixture("services: {web: {image: a, profiles: ['']}}", |_| {});
    assert_eq!(
        unnamed.project.unwrap().services.len(),
        1,
        "without a list, the profile without a name is on"
    );
}

#[test]
fn a_dependency_on_a_disabled_service_must_be_optional() {
    let loaded = load_fixture(PROFILES, |request| request.profiles = vec!["tools".into()]);
    assert!(loaded.diagnostics[0].message.contains("`debug`, whose profile is not enabled"));
    let optional = "services:\n  web: {image: a, depends_on: {x: {condition: service_started, required: false}}}\n  x: {image: b, profiles: [p]}\n";
    check(optional, "/services/web/image", json!("a"));
}

#[test]
fn named_services_come_with_what_they_depend_on() {
    let fixture = "services: {a: {image: i, depends_on: [b]}, b: {image: i}, c: {image: i, volumes: ['vol:/v']}}\nvolumes: {vol: }";
    let json = json_with(fixture, |request| request.services = vec!["a".into()]);
    let names: Vec<&String> = json["services"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(json.get("volumes"), None);
    let loaded = load_fixture(fixture, |request| request.services = vec!["zzz".into()]);
    assert!(loaded.diagnostics[0].message.contains("no such service: `zzz`"));
}

#[test]
fn unused_resources_are_left_out_and_used_ones_have_names() {
    let fixture = "services: {web: {image: a, networks: [n], volumes: ['vol:/v']}}\nnetworks: {n: , m: }\nvolumes: {vol: {name: real}, w: }\n";
    let json = json(fixture);
    assert_eq!(json["networks"], json!({"n": {"name": "shop_n"}}));
    assert_eq!(json["volumes"], json!({"vol": {"name": "real"}}));
}

#[test]
fn the_default_network_is_there_if_it_is_used() {
    check("services: {web: {image: a}}", "/networks", json!({"default": {"name": "shop_default"}}));
    check("services: {web: {image: a, network_mode: host}}", "/networks", json!(null));
    check("services: {web: {image: a, networks: {}}}", "/services/web/networks", json!({"default": null}));
}

#[test]
fn namespaces_links_and_mounts_imply_dependencies() {
    let fixture = "services: {a: {image: i, pid: 'service:b', links: ['c:x'], volumes_from: ['d:ro']}, b: {image: i}, c: {image: i}, d: {image: i}}";
    let with_restart = json!({"condition": "service_started", "required": true, "restart": true});
    let without = json!({"condition": "service_started", "required": true});
    check(fixture, "/services/a/depends_on", json!({"b": with_restart, "c": with_restart, "d": without}));
}

#[test]
fn extensions_stay_at_the_top() {
    check("x-a: {b: [1]}\nservices: {}", "/x-a", json!({"b": [1]}));
    refused("a: 1\nservices: {}", "`a` is not a known attribute");
}

#[test]
fn empty_files_are_no_projects() {
    for text in ["", "# nothing\n", "{}", "version: '3'\n"] {
        refused(text, "the Compose file is empty");
    }
    refused("- a\n", "must be a mapping at the top");
    check("services: {}", "/name", json!("shop"));
}
