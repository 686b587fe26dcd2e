//! Finds the attributes of a settled tree that are not simply honoured.

use super::table::{ALLOWED, CLUSTER_VALUES, KEYS, SAME_AS_UNSET, SECURITY_OPTIONS, VALUES};
use super::{Requirement, Support, Target, listed};
use crate::format::{PROJECT, Shape};
use crate::node::{Node, Value};
use crate::place::Place;
use crate::source::Span;

/// How a `pull_policy` begins that names an age.
const EVERY: &str = "every_";

/// All of them by place, for a tree without disabled services. What normalisation added to it is honoured.
pub(crate) fn requirements(tree: &Node, target: Target) -> Vec<Requirement> {
    let mut walk = Walk { pattern: String::new(), target, found: Vec::new() };
    walk.below(tree, &Shape::Object(&PROJECT), Support::Honoured, &Place::TOP);
    walk.found.sort_by_key(|requirement| requirement.span);
    walk.found
}

/// A walk over a tree and the table of the format.
struct Walk {
    /// Where the walk is, with `*` for names and entries.
    pattern: String,
    target: Target,
    found: Vec<Requirement>,
}

impl Walk {
    fn below(&mut self, node: &Node, shape: &Shape, inherited: Support, place: &Place<'_>) {
        match &node.value {
            Value::Map(map) => {
                let object = shape.object();
                for (key, entry) in map.iter() {
                    let known = object.and_then(|object| object.field(key));
                    let Some(rule) = known.or_else(|| shape.entry(key)) else { continue };
                    if let Some(support) = by_key(key, &self.pattern) {
                        let attribute = place.key(key).to_string();
                        self.found.push(Requirement { attribute, span: entry.key, support });
                        continue;
                    }
                    let step = if known.is_some() { key } else { "*" };
                    self.step(step, (&entry.node, entry.key), &rule.shape, inherited, &place.key(key));
                }
            }
            Value::Seq(items) => {
                let Some(rule) = shape.item() else { return };
                for (index, item) in items.iter().enumerate() {
                    self.step("*", (item, item.span), &rule.shape, inherited, &place.index(index));
                }
            }
            _ => {}
        }
    }

    /// One attribute, name or entry, and where its key stands.
    fn step(
        &mut self,
        step: &str,
        (node, key): (&Node, Span),
        shape: &Shape,
        inherited: Support,
        place: &Place<'_>,
    ) {
        let length = self.pattern.len();
        if length > 0 {
            self.pattern.push('.');
        }
        self.pattern.push_str(step);
        let own = listed(&self.pattern, self.target);
        let support = own.unwrap_or(inherited);
        let (meant, span) = match by_value(node, &self.pattern, self.target) {
            Some(support) => (support, node.span),
            // What is inherited was said above already.
            None if own.is_none() && !support.is_refused() => (Support::Honoured, key),
            None => (support, key),
        };
        let matters = meant != Support::Honoured && !node.is_null() && !means_nothing(node, &self.pattern);
        if matters {
            self.found.push(Requirement { attribute: place.to_string(), span, support: meant });
        }
        if !(meant.is_refused() && matters) {
            self.below(node, shape, support, place);
        }
        self.pattern.truncate(length);
    }
}

/// What becomes of a name that means nothing here.
fn by_key(key: &str, pattern: &str) -> Option<Support> {
    let (_, known, otherwise) = KEYS.iter().find(|(path, ..)| *path == pattern)?;
    (!known.contains(&key)).then_some(*otherwise)
}

/// What a value itself asks for that the attribute in general does not.
fn by_value(node: &Node, pattern: &str, target: Target) -> Option<Support> {
    match &node.value {
        Value::Int(port) if pattern == "services.*.ports.*.target" && u16::try_from(*port).is_err() => {
            Some(Support::Refused("ports end at 65535"))
        }
        Value::String(text) if !text.is_empty() => by_text(text, pattern, target),
        _ => None,
    }
}

fn by_text(text: &str, pattern: &str, target: Target) -> Option<Support> {
    let fits = match pattern {
        "services.*.security_opt.*" => SECURITY_OPTIONS.contains(&text),
        "services.*.ports.*.published" => crate::short::port_range(text).is_ok(),
        "services.*.restart" => {
            text.strip_prefix("on-failure:").is_none_or(|count| count.parse::<u32>().is_ok())
        }
        "services.*.pull_policy" => text.strip_prefix(EVERY).is_none_or(is_pause),
        "services.*.pull_refresh_after" => is_pause(text),
        "services.*.network_mode" | "services.*.ipc" | "services.*.pid" => match text.split_once(':') {
            Some((whose, name)) => matches!(whose, "service" | "container") && !name.is_empty(),
            None => !matches!(text, "service" | "container"),
        },
        _ => true,
    };
    if !fits {
        return Some(match pattern {
            "services.*.security_opt.*" => Support::Needs("this security option"),
            "services.*.network_mode" | "services.*.ipc" | "services.*.pid" => {
                Support::Refused("it names no container")
            }
            "services.*.restart" => Support::Refused("a number of attempts must follow `on-failure:`"),
            "services.*.pull_policy" => Support::Refused("a duration such as `12h` must follow `every_`"),
            "services.*.pull_refresh_after" => Support::Refused("it is no duration such as `12h`"),
            _ => Support::Refused("it is neither a port nor a range of ports"),
        });
    }
    let word = text.split_once(':').map_or(text, |(word, _)| word);
    let word = if word.starts_with(EVERY) { EVERY } else { word };
    let words = ALLOWED.iter().find(|(path, ..)| *path == pattern);
    if let Some((_, words, otherwise)) = words
        && !words.contains(&word)
    {
        return Some(*otherwise);
    }
    let listed = |table: &[(&str, &str, Support)]| {
        table.iter().find(|(path, value, _)| *path == pattern && *value == word).map(|(.., support)| *support)
    };
    match target {
        Target::Cluster => listed(VALUES).or_else(|| listed(CLUSTER_VALUES)),
        Target::Node => listed(VALUES),
    }
}

/// Whether a text is a duration that is longer than none.
fn is_pause(text: &str) -> bool {
    crate::scalar::parse_duration(text).is_ok_and(|nanos| nanos > 0)
}

/// Whether a value says what is done anyway.
fn means_nothing(node: &Node, pattern: &str) -> bool {
    let empty = match &node.value {
        Value::Seq(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    };
    let text = node.to_text().unwrap_or_default();
    empty || SAME_AS_UNSET.contains(&(pattern, text.as_str()))
}
