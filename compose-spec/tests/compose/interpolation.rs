//! Variables: where they come from, where they are replaced, and files that set them.

use serde_json::json;

use crate::support::{check, findings, json_with, load_fixture, refused};

fn with_env(fixture: &str, env: &[(&str, &str)]) -> serde_json::Value {
    json_with(fixture, |request| {
        request.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    })
}

#[test]
fn the_caller_beats_the_file() {
    let fixture = "--- compose.yaml\nservices: {web: {image: '$A/$B'}}\n--- .env\nA=file\nB=file\n";
    assert_eq!(with_env(fixture, &[("A", "shell")])["services"]["web"]["image"], "shell/file");
    assert_eq!(with_env(fixture, &[("A", "")])["services"]["web"]["image"], "/file");
}

#[test]
fn values_are_replaced_but_keys_are_not() {
    let fixture = "services: {web: {image: a, labels: {'${K}': '${K}'}, environment: ['${K}=v']}}";
    let json = with_env(fixture, &[("K", "k")]);
    assert_eq!(json["services"]["web"]["labels"], json!({"$${K}": "k"}));
    assert_eq!(json["services"]["web"]["environment"], json!({"k": "v"}));
}

#[test]
fn values_of_variables_are_not_replaced_again() {
    let json = with_env("services: {web: {image: a, labels: {x: $A}}}", &[("A", "$B ${C")]);
    assert_eq!(json["services"]["web"]["labels"], json!({"x": "$$B $${C"}));
}

#[test]
fn text_of_variables_becomes_what_the_attribute_is() {
    let fixture = "services: {web: {image: a, scale: $N, privileged: $P, ports: ['$N:80'], cpus: $C}}";
    let json = with_env(fixture, &[("N", "2"), ("P", "true"), ("C", "1.5")]);
    let web = &json["services"]["web"];
    assert_eq!((&web["scale"], &web["privileged"], &web["cpus"]), (&json!(2), &json!(true), &json!(1.5)));
    assert_eq!(web["ports"][0]["published"], "2");
}

#[test]
fn a_dollar_is_doubled_in_the_output() {
    check("services: {web: {image: a, command: ['echo $$A']}}", "/services/web/command", json!(["echo $$A"]));
}

#[test]
fn the_project_name_is_a_variable() {
    check("services: {web: {image: '${COMPOSE_PROJECT_NAME}/x'}}", "/services/web/image", json!("shop/x"));
}

#[test]
fn a_missing_variable_is_empty_with_a_warning() {
    let text = findings("services:\n  web:\n    image: a${TAG}\n");
    assert!(text.starts_with("warning: variable `TAG` is not set"), "{text}");
    assert!(text.contains("compose.yaml:3:13"), "{text}");
}

#[test]
fn a_required_variable_stops_loading_even_in_a_disabled_service() {
    refused(
        "services: {web: {image: a, profiles: [x], hostname: '${H:?say which}'}}",
        "required variable `H` is not set: say which",
    );
}

#[test]
fn without_interpolation_the_document_stays() {
    let loaded = load_fixture(
        "services: {web: {image: '$A', scale: '${N}', ports: ['${P}:80', '90:90']}}",
        |request| {
            request.no_interpolate = true;
        },
    );
    let web = &loaded.to_json().unwrap()["services"]["web"];
    assert_eq!((&web["image"], &web["scale"]), (&json!("$A"), &json!("${N}")));
    assert_eq!((&web["ports"][0], &web["ports"][1]["published"]), (&json!("${P}:80"), &json!("90")));
    assert!(loaded.project.is_none());
}

#[test]
fn uses_of_variables_are_told() {
    let loaded = load_fixture("services: {web: {image: '${A:-x}${B:+y}$C', hostname: '${D-h}'}}", |_| {});
    let names: Vec<&str> = loaded.variables.keys().map(String::as_str).collect();
    assert_eq!(names, ["A", "B", "C", "D"]);
    assert_eq!(loaded.variables["A"].default.as_deref(), Some("x"));
    assert_eq!(loaded.variables["B"].alternative.as_deref(), Some("y"));
}

#[test]
fn without_interpolation_all_variables_are_told_whatever_they_lead_to() {
    let fixture = "services: {web: {image: '${A:?no}${B:-${C:+${D}}}', hostname: '${E', ports: ['$F']}}";
    let loaded = load_fixture(fixture, |request| request.no_interpolate = true);
    let names: String = loaded.variables.keys().map(String::as_str).collect();
    assert_eq!((names.as_str(), loaded.has_errors()), ("ABCDF", false));
    assert!(loaded.variables["A"].required && !loaded.variables["B"].required);
}

#[test]
fn variables_without_a_value_come_from_outside() {
    let fixture = "services: {web: {image: a, environment: [A, B, C], build: {context: ., args: [A, C]}}}";
    let json = with_env(fixture, &[("A", "1"), ("B", "")]);
    assert_eq!(json["services"]["web"]["environment"], json!({"A": "1", "B": "", "C": null}));
    assert_eq!(json["services"]["web"]["build"]["args"], json!({"A": "1"}));
}

#[test]
fn environment_files_of_a_service_are_folded_in() {
    let fixture = "--- compose.yaml\nservices:\n  web:\n    image: a\n    env_file: [a.env, b.env, {path: none.env, required: false}]\n    environment: {C: own, D: }\n\
                   --- a.env\nA=1\nB=1\nC=1\nD=1\n--- b.env\nB=${A}2\nE\n";
    let json = with_env(fixture, &[("E", "outside")]);
    let expect = json!({"A": "1", "B": "12", "C": "own", "D": null, "E": "outside"});
    assert_eq!(json["services"]["web"]["environment"], expect);
    assert_eq!(json["services"]["web"].get("env_file"), None);
}

#[test]
fn raw_environment_files_are_verbatim() {
    let fixture = "--- compose.yaml\nservices: {web: {image: a, env_file: [{path: a.env, format: raw}]}}\n--- a.env\nA=\"x\" # $Y\n";
    check(fixture, "/services/web/environment", json!({"A": "\"x\" # $$Y"}));
    refused("services: {web: {image: a, env_file: [{path: a.env, format: toml}]}}", "`toml` is not a format");
    refused("services: {web: {image: a, env_file: a.env}}", "cannot read the environment file a.env");
}

#[test]
fn label_files_are_folded_in_below_labels() {
    let fixture = "--- compose.yaml\nservices: {web: {image: a, label_file: l, labels: {b: own}}}\n--- l\na=1\nb=1\nc=$HOME\nHOME\n";
    check(fixture, "/services/web/labels", json!({"a": "1", "b": "own", "c": ""}));
}

#[test]
fn environment_files_of_the_call_replace_the_usual_one() {
    let fixture = "--- compose.yaml\nservices: {web: {image: '$A$B'}}\n--- .env\nA=usual\n--- x.env\nA=x\nB=x\n--- y.env\nB=${A}y\n";
    let json = json_with(fixture, |request| request.env_files = vec!["x.env".into(), "y.env".into()]);
    assert_eq!(json["services"]["web"]["image"], "xxy");
    let json = with_env(fixture, &[("COMPOSE_ENV_FILES", "x.env")]);
    assert_eq!(json["services"]["web"]["image"], "xx");
    let json = with_env(fixture, &[("COMPOSE_DISABLE_ENV_FILE", "1"), ("A", "shell")]);
    assert_eq!(json["services"]["web"]["image"], "shell");
}
