//! Trees as untyped JSON.

use serde_json::{Map, Number, Value as Json};

use crate::diagnostic::Code;
use crate::node::{Node, Value};
use crate::report::Report;

/// The tree as it stands.
pub(crate) fn to_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number((*value).into()),
        Value::Large(value) => Json::Number((*value).into()),
        // JSON has no infinite numbers.
        Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::String(text) => Json::String(text.clone()),
        Value::Seq(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(map) => Json::Object(
            map.iter().map(|(key, entry)| (key.to_owned(), to_json(&entry.node))).collect::<Map<_, _>>(),
        ),
    }
}

/// Reports numbers that JSON cannot express.
pub(crate) fn check_numbers(node: &Node, report: &mut Report) {
    match &node.value {
        Value::Float(value) if !value.is_finite() => {
            report.error(Code::Value, node.span, "a number that is not finite cannot be printed as JSON");
        }
        Value::Seq(items) => items.iter().for_each(|item| check_numbers(item, report)),
        Value::Map(map) => map.iter().for_each(|(_, entry)| check_numbers(&entry.node, report)),
        _ => {}
    }
}
