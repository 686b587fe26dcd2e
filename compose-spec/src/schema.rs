//! Checks a tree against the format's table. What does not fit is reported and taken out, so that later
//! phases meet only what they know and can report more findings.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic};
use crate::format::{Keys, Object, Others, Pattern, Rule, Shape, Types};
use crate::node::{Node, Value};
use crate::place::Place;
use crate::report::Report;
use crate::source::Span;
use crate::suggest;

/// Checks a node that belongs to a key standing at `key`; says whether it may stay.
pub(crate) fn check(node: &mut Node, rule: &Rule, place: &Place<'_>, key: Span, report: &mut Report) -> bool {
    let Some(shape) = pick(&rule.shape, node) else {
        report.add(wrong_type(node, &rule.shape, place, key));
        return false;
    };
    match shape {
        Shape::Object(object) => check_object(node, object, place, key, report),
        Shape::Map(keys, rule) => check_map(node, *keys, rule, place, report),
        Shape::List(rule) | Shape::Set(rule) => {
            check_list(node, rule, matches!(shape, Shape::Set(_)), place, report);
            true
        }
        Shape::Word(words) => check_word(node, words, place, report),
        Shape::Text(pattern) => check_pattern(node, *pattern, place, report),
        Shape::Within(low, high) => check_bounds(node, *low, *high, place, report),
        Shape::Scalar(_) | Shape::OneOf(_) => true,
    }
}

/// The alternative whose type the node has.
fn pick<'a>(shape: &'a Shape, node: &Node) -> Option<&'a Shape> {
    let fits = match shape {
        Shape::OneOf(shapes) => return shapes.iter().find_map(|shape| pick(shape, node)),
        Shape::Scalar(types) => scalar_type(node).is_some_and(|found| types.has(found)),
        Shape::Word(_) | Shape::Text(_) => matches!(node.value, Value::String(_)),
        Shape::Within(..) => scalar_type(node) == Some(Types::INT),
        Shape::Object(_) | Shape::Map(..) => matches!(node.value, Value::Map(_)),
        Shape::List(_) | Shape::Set(_) => matches!(node.value, Value::Seq(_)),
    };
    fits.then_some(shape)
}

fn scalar_type(node: &Node) -> Option<Types> {
    match node.value {
        Value::Null => Some(Types::NULL),
        Value::Bool(_) => Some(Types::BOOL),
        Value::Int(_) | Value::Large(_) => Some(Types::INT),
        Value::Float(value) if value.fract() == 0.0 && value.is_finite() => Some(Types::INT),
        Value::Float(_) => Some(Types::NUMBER),
        Value::String(_) => Some(Types::TEXT),
        Value::Seq(_) | Value::Map(_) => None,
    }
}

fn check_object(
    node: &mut Node,
    object: &'static Object,
    place: &Place<'_>,
    key: Span,
    report: &mut Report,
) -> bool {
    let span = node.span;
    let Some(map) = node.as_map_mut() else { return true };
    let mut complete = true;
    for required in object.required {
        if !map.contains_key(required) {
            complete = false;
            let at = if key.length > 0 { key } else { span };
            let message = format!("`{place}` needs `{required}`");
            report.error(Code::Schema, at, message);
        }
    }
    map.retain(|name, entry| match object.field(name) {
        Some(rule) => check(&mut entry.node, rule, &place.key(name), entry.key, report),
        None if name.starts_with("x-") && object.others != Others::Refused => true,
        None if object.others == Others::Free => true,
        None => {
            report.add(unknown_key(name, object, place, entry.key, report.is_full()));
            false
        }
    });
    complete
}

fn unknown_key(name: &str, object: &Object, place: &Place<'_>, key: Span, terse: bool) -> Diagnostic {
    let here = place.key(name);
    let finding = Diagnostic::error(Code::Schema, key, format!("`{here}` is not a known attribute"));
    if terse {
        return finding;
    }
    let known = object.fields.iter().map(|(name, _)| *name);
    match suggest::nearest(name, known.clone()) {
        Some(near) => finding.hint(format!("did you mean `{near}`?")),
        None if let Some(deeper) = deeper(name, object) => finding.hint(format!("did you mean `{deeper}`?")),
        None if object.fields.len() <= 12 => {
            finding.hint(format!("attributes of a {} are {}", object.name, suggest::listed(known)))
        }
        None if object.others == Others::Extensions => {
            finding.hint("attributes of your own must begin with `x-`")
        }
        None => finding,
    }
}

/// Where an attribute belongs that stands one level too high.
fn deeper(name: &str, object: &Object) -> Option<String> {
    let (outer, _) = object
        .fields
        .iter()
        .find(|(_, rule)| rule.shape.object().is_some_and(|inner| inner.field(name).is_some()))?;
    Some(format!("{outer}.{name}"))
}

fn check_map(node: &mut Node, keys: Keys, rule: &Rule, place: &Place<'_>, report: &mut Report) -> bool {
    let Some(map) = node.as_map_mut() else { return true };
    map.retain(|name, entry| {
        if keys_fit(keys, name) {
            return check(&mut entry.node, rule, &place.key(name), entry.key, report);
        }
        if matches!(keys, Keys::Lower | Keys::NamesLoosely) {
            return true;
        }
        let message = format!("`{name}` cannot be a name in `{place}`");
        report.add(Diagnostic::error(Code::Schema, entry.key, message).hint(match keys {
            Keys::Any => "give it a name",
            _ => "names consist of letters, digits, `.`, `_` and `-`",
        }));
        false
    });
    true
}

fn keys_fit(keys: Keys, name: &str) -> bool {
    match keys {
        Keys::Any => !name.is_empty(),
        Keys::Names | Keys::NamesLoosely => {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        }
        Keys::Lower => !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()),
    }
}

fn check_list(node: &mut Node, rule: &Rule, distinct: bool, place: &Place<'_>, report: &mut Report) {
    let key = node.span;
    let Some(items) = node.as_seq_mut() else { return };
    let mut index = 0;
    let mut seen = BTreeSet::new();
    items.retain_mut(|item| {
        let here = place.index(index);
        index += 1;
        if distinct && !seen.insert(identity(item)) {
            let message = match item.to_text() {
                Some(text) => format!("`{place}` contains `{text}` twice"),
                None => format!("`{place}` contains the same entry twice"),
            };
            report.add(Diagnostic::error(Code::Schema, item.span, message).hint("leave one of them out"));
            return false;
        }
        let at = if item.span.length > 0 { item.span } else { key };
        check(item, rule, &here, at, report)
    });
}

/// A text that is equal for equal nodes only.
fn identity(node: &Node) -> String {
    match &node.value {
        Value::String(text) => format!("s{text}"),
        Value::Seq(items) => items.iter().fold(String::from("["), |mut text, item| {
            let part = identity(item);
            text.push_str(&format!("{}:{part}", part.len()));
            text
        }),
        Value::Map(map) => map.iter().fold(String::from("{"), |mut text, (key, entry)| {
            let part = identity(&entry.node);
            text.push_str(&format!("{}:{key}{}:{part}", key.len(), part.len()));
            text
        }),
        scalar => format!("{scalar:?}"),
    }
}

fn check_word(node: &Node, words: &[&str], place: &Place<'_>, report: &mut Report) -> bool {
    let text = node.as_str().unwrap_or_default();
    if words.contains(&text) {
        return true;
    }
    let finding = Diagnostic::error(Code::Schema, node.span, format!("`{place}` cannot be `{text}`"));
    let expected = format!("expected {}", one_of(words));
    report.add(match suggest::nearest(text, words.iter().copied()) {
        Some(near) => finding.hint(format!("{expected}; did you mean `{near}`?")),
        None => finding.hint(expected),
    });
    false
}

fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [start @ .., last] => format!("{} or `{last}`", suggest::listed(start.iter().copied())),
    }
}

fn check_pattern(node: &Node, pattern: Pattern, place: &Place<'_>, report: &mut Report) -> bool {
    let text = node.as_str().unwrap_or_default();
    let (fits, hint) = match pattern {
        Pattern::ContainerName => (
            text.as_bytes().windows(2).any(|pair| {
                pair[0].is_ascii_alphanumeric()
                    && (pair[1].is_ascii_alphanumeric() || matches!(pair[1], b'_' | b'.' | b'-'))
            }),
            "expected at least two of letters, digits, `_`, `.` and `-`",
        ),
        Pattern::PullPolicy => (
            is_pull_policy(text),
            "expected `always`, `never`, `missing`, `build`, `daily`, `weekly` or `every_<duration>`",
        ),
    };
    if !fits {
        let message = format!("`{place}` cannot be `{text}`");
        report.add(Diagnostic::error(Code::Schema, node.span, message).hint(hint));
    }
    fits
}

/// Whether a policy stands anywhere in the text; the published pattern has no anchors.
fn is_pull_policy(text: &str) -> bool {
    const POLICIES: &[&str] =
        &["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];
    POLICIES.iter().any(|policy| text.contains(policy))
        || text.match_indices("every_").any(|(at, found)| {
            let rest = &text[at + found.len()..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            digits > 0 && rest[digits..].starts_with(['w', 'd', 'h', 'm', 's'])
        })
}

fn check_bounds(node: &Node, low: i64, high: i64, place: &Place<'_>, report: &mut Report) -> bool {
    let fits = match node.value {
        Value::Int(value) => (low..=high).contains(&value),
        Value::Large(_) => high == i64::MAX,
        #[expect(clippy::cast_precision_loss, reason = "bounds are small where they matter")]
        Value::Float(value) => (low as f64..=high as f64).contains(&value),
        _ => true,
    };
    if !fits {
        let bounds =
            if high == i64::MAX { format!("at least {low}") } else { format!("from {low} to {high}") };
        report.error(Code::Schema, node.span, format!("`{place}` must be {bounds}"));
    }
    fits
}

fn wrong_type(node: &Node, shape: &Shape, place: &Place<'_>, key: Span) -> Diagnostic {
    let scalar = !matches!(node.value, Value::Seq(_) | Value::Map(_) | Value::Null);
    let at = if scalar { node.span } else { key };
    let mut expected = Vec::new();
    describe(shape, &mut expected);
    let expected = match expected.as_slice() {
        [start @ .., last] if !start.is_empty() => format!("{} or {last}", start.join(", ")),
        _ => expected.concat(),
    };
    let message = if place.name().is_empty() {
        format!("the file must be {expected}, not {}", node.kind())
    } else {
        format!("`{place}` must be {expected}, not {}", node.kind())
    };
    let finding = Diagnostic::error(Code::Schema, at, message);
    match type_hint(node, shape, place) {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

/// What to write instead, where that is clear.
fn type_hint(node: &Node, shape: &Shape, place: &Place<'_>) -> Option<String> {
    let name = place.name();
    let takes_text = pick(shape, &Node::text("", node.span)).is_some();
    match &node.value {
        Value::Bool(_) | Value::Int(_) | Value::Large(_) | Value::Float(_) if takes_text => {
            Some(format!("put it in quotes: \"{}\"", node.to_text()?))
        }
        Value::String(text) if shape.item().is_some() => Some(format!("write `{name}: [{text}]`")),
        Value::Map(_) if shape.item().is_some() => Some("begin each entry with `- `".to_owned()),
        Value::Null => Some(format!("give `{name}` a value or leave it out")),
        _ => None,
    }
}

fn describe(shape: &Shape, out: &mut Vec<&'static str>) {
    let mut add = |text| {
        if !out.contains(&text) {
            out.push(text);
        }
    };
    match shape {
        Shape::Word(_) | Shape::Text(_) => add("text"),
        Shape::Within(..) => add("a whole number"),
        Shape::Object(_) | Shape::Map(..) => add("a mapping"),
        Shape::List(_) | Shape::Set(_) => add("a list"),
        Shape::OneOf(shapes) => shapes.iter().for_each(|shape| describe(shape, out)),
        Shape::Scalar(types) => {
            for (part, name) in [
                (Types::BOOL, "a boolean"),
                (Types::NUMBER, "a number"),
                (Types::TEXT, "text"),
                (Types::NULL, "nothing"),
            ] {
                if types.has(part) {
                    add(name);
                }
            }
            if types.has(Types::INT) && !types.has(Types::NUMBER) {
                add("a whole number");
            }
        }
    }
}
