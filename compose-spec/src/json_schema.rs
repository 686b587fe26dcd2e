//! The format as JSON Schema, for editors: what may be written (short forms included) comes from the format's
//! table, the descriptions from the documentation of the typed project.

use schemars::schema_for;
use serde_json::{Map, Value, json};

use crate::format::{Keys, Object, Others, PROJECT, Pattern, Rule, Shape, Types};
use crate::project::Project;

/// Descriptions of attributes that the typed project has not, or has in another form: by object and attribute.
const UNTYPED: &[(&str, &str, &str)] = &[
    ("device limit", "path", "Device file."),
    ("device limit", "rate", "Bytes or operations per second."),
    ("device weight", "path", "Device file."),
    ("device weight", "weight", "Relative weight, 10 to 1000."),
    ("external", "name", "Obsolete: write `name` beside `external: true`."),
    ("include", "env_file", "Variables for interpolation in the included files (default: their own `.env`)."),
    ("include", "path", "The included file; several are merged in order."),
    ("include", "project_directory", "What the included files' relative paths are relative to."),
    ("ipam", "options", "Options of the driver; nothing reads them."),
    ("project", "include", "Other projects, whose resources join this one."),
    ("project", "version", "Obsolete and ignored."),
    ("ulimit", "hard", "The bound that only root may raise; -1 means no limit."),
    ("ulimit", "soft", "The bound that processes may raise up to the hard one; -1 means no limit."),
];

/// The JSON Schema (draft 2020-12) of Compose files, with descriptions.
#[must_use]
pub fn json_schema() -> Value {
    let typed = schema_for!(Project).to_value();
    let described = Described { root: &typed, node: &typed };
    let mut schema = object(&PROJECT, described);
    if let Some(map) = schema.as_object_mut() {
        map.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".to_owned(), json!("Compose file"));
    }
    schema
}

/// A place in the schema of the typed project, which knows the descriptions.
#[derive(Clone, Copy)]
struct Described<'a> {
    root: &'a Value,
    node: &'a Value,
}

impl<'a> Described<'a> {
    fn at(self, node: &'a Value) -> Self {
        Self { node, ..self }
    }

    /// What is meant by `$ref`, and by the alternative to nothing in `anyOf`.
    fn resolved(self) -> Self {
        if let Some(target) = self.node.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(self, |node| self.at(node).resolved());
        }
        let choices = self.node.get("anyOf").and_then(Value::as_array);
        let choice = choices.and_then(|choices| choices.iter().find(|choice| choice.get("$ref").is_some()));
        choice.map_or(self, |node| self.at(node).resolved())
    }

    fn property(self, name: &str) -> Self {
        let found = self.resolved().node.get("properties").and_then(|properties| properties.get(name));
        self.at(found.unwrap_or(&Value::Null))
    }

    /// The entries of a mapping or of a list.
    fn entry(self, key: &str) -> Self {
        let found = self.resolved().node.get(key);
        self.at(found.unwrap_or(&Value::Null))
    }

    fn description(self) -> Option<&'a str> {
        self.node.get("description").and_then(Value::as_str)
    }
}

fn rule(rule: &Rule, described: Described<'_>) -> Value {
    let mut schema = shape(&rule.shape, described);
    if let (Some(text), Some(map)) = (described.description(), schema.as_object_mut()) {
        map.insert("description".to_owned(), json!(text));
    }
    schema
}

fn shape(shape: &Shape, described: Described<'_>) -> Value {
    match shape {
        Shape::Scalar(types) => scalar(*types),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Text(Pattern::ContainerName) => {
            json!({ "type": "string", "pattern": "[a-zA-Z0-9][a-zA-Z0-9_.-]+" })
        }
        Shape::Text(Pattern::PullPolicy) => json!({
            "type": "string",
            "pattern": "always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+",
        }),
        Shape::Within(low, high) if *high == i64::MAX => json!({ "type": "integer", "minimum": low }),
        Shape::Within(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Shape::Object(inner) => object(inner, described),
        Shape::Map(keys, inner) => mapping(*keys, inner, described),
        Shape::List(inner) => json!({ "type": "array", "items": rule(inner, described.entry("items")) }),
        Shape::Set(inner) => {
            json!({ "type": "array", "items": rule(inner, described.entry("items")), "uniqueItems": true })
        }
        Shape::OneOf(shapes) => {
            let choices: Vec<Value> = shapes.iter().map(|choice| self::shape(choice, described)).collect();
            json!({ "anyOf": choices })
        }
    }
}

fn scalar(types: Types) -> Value {
    let mut names = Vec::new();
    for (part, name) in
        [(Types::TEXT, "string"), (Types::NUMBER, "number"), (Types::BOOL, "boolean"), (Types::NULL, "null")]
    {
        if types.has(part) {
            names.push(name);
        }
    }
    if types.has(Types::INT) && !types.has(Types::NUMBER) {
        names.push("integer");
    }
    match names.as_slice() {
        [only] => json!({ "type": only }),
        _ => json!({ "type": names }),
    }
}

fn object(object: &Object, described: Described<'_>) -> Value {
    let properties: Map<String, Value> = object
        .fields
        .iter()
        .map(|(name, field)| {
            let mut schema = rule(field, described.property(name));
            let untyped = UNTYPED.iter().find(|(of, attribute, _)| *of == object.name && attribute == name);
            if let (Some((.., text)), Some(map)) = (untyped, schema.as_object_mut()) {
                map.insert("description".to_owned(), json!(text));
            }
            ((*name).to_owned(), schema)
        })
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if let Some(map) = schema.as_object_mut() {
        if !object.required.is_empty() {
            map.insert("required".to_owned(), json!(object.required));
        }
        if object.others == Others::Extensions {
            map.insert("patternProperties".to_owned(), json!({ "^x-": {} }));
        }
        if object.others != Others::Free {
            map.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    schema
}

fn mapping(keys: Keys, inner: &Rule, described: Described<'_>) -> Value {
    let (pattern, strict) = match keys {
        Keys::Any => ("^.+$", true),
        Keys::Names => ("^[a-zA-Z0-9._-]+$", true),
        Keys::NamesLoosely => ("^[a-zA-Z0-9._-]+$", false),
        Keys::Lower => ("^[a-z]+$", false),
    };
    let value = rule(inner, described.entry("additionalProperties"));
    let mut schema = json!({ "type": "object", "patternProperties": { pattern: value } });
    if let Some(map) = schema.as_object_mut()
        && strict
    {
        map.insert("additionalProperties".to_owned(), json!(false));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_and_descriptions_are_there() {
        let schema = json_schema();
        let service = &schema["properties"]["services"]["patternProperties"]["^[a-zA-Z0-9._-]+$"];
        let properties = &service["properties"];
        assert_eq!(properties["image"], json!({ "type": "string", "description": "Image reference." }));
        assert_eq!(properties["ports"]["items"]["anyOf"][0]["type"], json!(["string", "number"]));
        let interval = &properties["healthcheck"]["properties"]["interval"];
        assert_eq!(interval["description"], "Pause between checks.");
        assert_eq!(service["additionalProperties"], json!(false));
    }

    /// Every property, however deep, and whether it is described.
    fn properties(schema: &Value, path: &str, found: &mut Vec<(String, bool)>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            found.push((path.clone(), property.get("description").is_some()));
            properties(property, &path, found);
        }
        let choices = schema["anyOf"].as_array().into_iter().flatten();
        let values = schema["patternProperties"].as_object().into_iter().flatten().map(|(_, value)| value);
        for inner in choices.chain(values).chain(schema.get("items")) {
            properties(inner, path, found);
        }
    }

    #[test]
    fn every_attribute_is_described() {
        let mut found = Vec::new();
        properties(&json_schema(), "", &mut found);
        assert!(found.len() > 300, "the walk must see the whole format, not {} attributes", found.len());
        let bare: Vec<_> = found.iter().filter(|(_, described)| !described).collect();
        assert!(bare.is_empty(), "{bare:?}");
    }
}
