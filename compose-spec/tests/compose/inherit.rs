//! `extends` and `include`.

use serde_json::json;

use crate::support::{check, json, refused};

#[test]
fn a_service_takes_over_what_another_says() {
    let fixture = "services:\n  base: {image: a, environment: {A: 1, B: 1}, command: [x], profiles: [p]}\n  web: {extends: base, environment: {B: 2}, command: [y], profiles: []}\n";
    let loaded = crate::support::json_with(fixture, |request| request.profiles = vec!["p".into()]);
    let expect = json!({"image": "a", "environment": {"A": "1", "B": "2"}, "command": ["y"], "networks": {"default": null}, "profiles": ["p"]});
    assert_eq!(loaded["services"]["web"], expect);
}

#[test]
fn chains_go_through_files_whose_paths_are_their_own() {
    let fixture = "--- compose.yaml\nservices: {web: {extends: {file: sub/a.yaml, service: x}, hostname: h}}\n\
                   --- sub/a.yaml\nservices: {x: {extends: {file: deep/b.yaml, service: y}, volumes: ['./a:/a']}}\n\
                   --- sub/deep/b.yaml\nservices: {y: {image: i, volumes: ['./b:/b'], env_file: e.env}}\n\
                   --- sub/deep/e.env\nE=1\n";
    let json = json(fixture);
    let web = &json["services"]["web"];
    assert_eq!((&web["image"], &web["hostname"]), (&json!("i"), &json!("h")));
    assert_eq!(web["volumes"][0]["source"], "/work/shop/sub/deep/b");
    assert_eq!(web["volumes"][1]["source"], "/work/shop/sub/a");
    assert_eq!(web["environment"], json!({"E": "1"}));
}

#[test]
fn tags_take_away_what_would_be_inherited() {
    let fixture = "services:\n  base: {image: a, ports: ['80'], labels: {a: 1, b: 1}}\n  web: {extends: {service: base}, ports: !reset [], labels: {a: !reset }}\n";
    check(fixture, "/services/web/ports", json!(null));
    check(fixture, "/services/web/labels", json!({"b": "1"}));
}

#[test]
fn faulty_extends_are_refused() {
    refused("services: {web: {extends: bace, image: a}, base: {image: a}}", "did you mean `base`?");
    refused("services: {web: {extends: web}}", "services extend one another in a circle: web -> web");
    refused("services: {a: {extends: b}, b: {extends: c}, c: {extends: a}}", "a -> b -> c -> a");
    refused("services: {web: {extends: {file: x.yaml, service: y}}}", "cannot read the extended file x.yaml");
    refused("services: {web: {extends: {file: x.yaml}, image: a}}", "extends");
}

#[test]
fn what_is_inherited_must_exist_here() {
    let fixture = "--- compose.yaml\nservices: {web: {extends: {file: b.yaml, service: x}}}\n--- b.yaml\nservices: {x: {image: a, networks: [n]}}\nnetworks: {n: }\n";
    refused(fixture, "is in network `n`, which is not defined");
}

#[test]
fn included_projects_keep_folder_and_variables() {
    let fixture = "--- compose.yaml\ninclude: [sub/compose.yaml]\nservices: {web: {image: '$V', depends_on: [db]}}\n--- .env\nV=outer\n\
                   --- sub/compose.yaml\nname: other\nservices: {db: {image: '$V$W', volumes: ['./d:/d'], environment: [W]}}\n--- sub/.env\nV=inner\nW=inner\n";
    let json = json(fixture);
    assert_eq!(json["name"], "shop");
    assert_eq!(json["services"]["web"]["image"], "outer");
    assert_eq!(json["services"]["db"]["image"], "outerinner");
    assert_eq!(json["services"]["db"]["environment"], json!({"W": "inner"}));
    assert_eq!(json["services"]["db"]["volumes"][0]["source"], "/work/shop/sub/d");
}

#[test]
fn includes_take_paths_folder_and_variables() {
    let fixture = "--- compose.yaml\ninclude:\n  - {path: [a/x.yaml, a/y.yaml], project_directory: b, env_file: v.env}\nservices: {}\n\
                   --- a/x.yaml\nservices: {db: {image: x, labels: {l: $L}, volumes: ['./d:/d']}}\n--- a/y.yaml\nservices: {db: {image: y}}\n--- v.env\nL=1\n";
    let json = json(fixture);
    let db = &json["services"]["db"];
    assert_eq!((&db["image"], &db["labels"]["l"]), (&json!("y"), &json!("1")));
    assert_eq!(db["volumes"][0]["source"], "/work/shop/b/d");
}

#[test]
fn what_includes_wins_over_what_is_included() {
    let fixture = "--- compose.yaml\ninclude: [i.yaml]\nservices: {db: {image: own}}\n--- i.yaml\nservices: {db: {image: included, hostname: h}}\n";
    check(fixture, "/services/db/image", json!("own"));
    check(fixture, "/services/db/hostname", json!("h"));
}

#[test]
fn files_may_not_include_one_another() {
    let fixture = "--- compose.yaml\ninclude: [a.yaml]\nservices: {}\n--- a.yaml\ninclude: [compose.yaml]\nservices: {}\n";
    refused(fixture, "files include one another in a circle: compose.yaml -> a.yaml -> compose.yaml");
    refused("include: [nope.yaml]\nservices: {}", "cannot read the included file nope.yaml");
}

#[test]
fn extended_and_included_files_are_found_from_the_projects_folder() {
    let folders = |fixture: &str, files: &[&str], project_directory: Option<&str>| {
        let json = crate::support::json_with(fixture, |request| {
            request.files = files.iter().map(Into::into).collect();
            request.project_directory = project_directory.map(Into::into);
        });
        json["services"]["web"]["build"]["context"].clone()
    };
    for over in ["services: {web: {extends: {file: x.yaml, service: web}}}", "include: [x.yaml]"] {
        let fixture = format!(
            "--- a/compose.yaml\nservices: {{db: {{image: d}}}}\n--- b/over.yaml\n{over}\n\
             --- a/x.yaml\nservices: {{web: {{build: .}}}}\n--- c/x.yaml\nservices: {{web: {{build: .}}}}\n"
        );
        let files = ["a/compose.yaml", "b/over.yaml"];
        assert_eq!(folders(&fixture, &files, None), "/work/shop/a", "{over}");
        assert_eq!(folders(&fixture, &files, Some("c")), "/work/shop/c", "{over}");
    }
    let nested = "--- compose.yaml\ninclude: [{path: a/i.yaml, project_directory: b}]\nservices: {}\n\
                  --- a/i.yaml\nservices: {web: {extends: {file: c/x.yaml, service: web}}}\n\
                  --- b/c/x.yaml\nservices: {web: {extends: {file: y.yaml, service: web}}}\n\
                  --- b/c/y.yaml\nservices: {web: {build: .}}\n";
    assert_eq!(folders(nested, &["compose.yaml"], None), "/work/shop/b/c");
}
