//! Merges a later tree into an earlier one, by the rules that the format's table gives each attribute.

use crate::diagnostic::{Code, Diagnostic};
use crate::format::{Merge, Rule};
use crate::node::{Entry, Map, Node, Tag, Value};
use crate::place::Place;
use crate::report::Report;

/// Merges `over` into `base`. Tags in `over` first take away what they say.
pub(crate) fn merge(
    mut base: Node,
    mut over: Node,
    rule: Option<&'static Rule>,
    place: &Place<'_>,
    report: &mut Report,
) -> Node {
    take_away(&mut base, &over);
    strip(&mut over);
    merge_node(base, over, rule, place, report)
}

/// Removes from `base` what `!reset` and `!override` in `over` stand on.
fn take_away(base: &mut Node, over: &Node) {
    let (Some(base), Some(over)) = (base.as_map_mut(), over.as_map()) else { return };
    for (key, entry) in over.iter() {
        if entry.node.tag == Tag::None {
            if let Some(below) = base.get_mut(key) {
                take_away(&mut below.node, &entry.node);
            }
        } else {
            base.remove(key);
        }
    }
}

/// Removes what is tagged `!reset`: it has done its work.
pub(crate) fn strip(node: &mut Node) {
    match &mut node.value {
        Value::Map(map) => {
            map.retain(|_, entry| entry.node.tag != Tag::Reset);
            map.iter_mut().for_each(|(_, entry)| strip(&mut entry.node));
        }
        Value::Seq(items) => {
            items.retain(|item| item.tag != Tag::Reset);
            items.iter_mut().for_each(strip);
        }
        _ => {}
    }
    node.tag = Tag::None;
}

fn merge_node(
    base: Node,
    over: Node,
    rule: Option<&'static Rule>,
    place: &Place<'_>,
    report: &mut Report,
) -> Node {
    match rule.map_or(Merge::Default, |rule| rule.merge) {
        Merge::Replace => over,
        _ if over.is_null() => base,
        _ if base.is_null() => over,
        merge if !takes(merge, &over) => {
            let message = format!("`{place}` is {} here, which changes nothing", over.kind());
            report.warning(over.span, message);
            base
        }
        Merge::Sequence => append(into_sequence(base), into_sequence(over)),
        Merge::ExtraHosts => append_new(into_sequence(base), into_sequence(over)),
        Merge::Names => merge_default(into_names(base), into_names(over), rule, place, report),
        Merge::DependsOn => {
            merge_default(into_dependencies(base), into_dependencies(over), rule, place, report)
        }
        Merge::Build => merge_default(into_build(base), into_build(over), rule, place, report),
        Merge::Logging if drivers_differ(&base, &over) => over,
        Merge::Ulimit if base.as_map().is_none() || over.as_map().is_none() => over,
        Merge::Pools => merge_pools(base, over, rule, place, report),
        Merge::Default | Merge::Logging | Merge::Ulimit => merge_default(base, over, rule, place, report),
    }
}

/// Whether a later value has a type that the attribute knows. What has not is passed over, as the reference does.
fn takes(merge: Merge, over: &Node) -> bool {
    match merge {
        Merge::Names | Merge::DependsOn => matches!(over.value, Value::Map(_) | Value::Seq(_)),
        Merge::Build => matches!(over.value, Value::Map(_) | Value::String(_)),
        _ => true,
    }
}

/// Mappings merge key by key, lists append, anything else is replaced.
fn merge_default(
    mut base: Node,
    over: Node,
    rule: Option<&'static Rule>,
    place: &Place<'_>,
    report: &mut Report,
) -> Node {
    match (&mut base.value, over.value) {
        (Value::Map(entries), Value::Map(later)) => {
            merge_maps(entries, later, rule, place, report);
            base
        }
        (Value::Seq(items), Value::Seq(later)) => {
            items.extend(later);
            base
        }
        (Value::Map(_) | Value::Seq(_), value) => {
            let over = Node { value, span: over.span, tag: over.tag };
            let message = format!("`{place}` is {} here but {} before", over.kind(), base.kind());
            report.add(
                Diagnostic::error(Code::Schema, over.span, message)
                    .related(base.span, "it was set here")
                    .hint("use `!override` to replace it"),
            );
            base
        }
        (_, value) => Node { value, span: over.span, tag: over.tag },
    }
}

fn merge_maps(
    entries: &mut Map,
    later: Map,
    rule: Option<&'static Rule>,
    place: &Place<'_>,
    report: &mut Report,
) {
    entries.merge(later, |key, base, over| {
        let rule = rule.and_then(|rule| rule.shape.entry(key));
        let node = merge_node(base.node, over.node, rule, &place.key(key), report);
        Entry { key: over.key, node }
    });
}

fn append(mut base: Node, over: Node) -> Node {
    if let (Some(items), Value::Seq(later)) = (base.as_seq_mut(), over.value) {
        items.extend(later);
    }
    base
}

fn append_new(mut base: Node, over: Node) -> Node {
    if let (Some(items), Value::Seq(later)) = (base.as_seq_mut(), over.value) {
        for item in later {
            if !items.contains(&item) {
                items.push(item);
            }
        }
    }
    base
}

/// A mapping becomes a list of `key=value`; one value becomes a list of one.
fn into_sequence(node: Node) -> Node {
    let span = node.span;
    let items = match node.value {
        Value::Seq(items) => items,
        Value::Map(map) => {
            map.into_entries().into_iter().flat_map(|(key, entry)| pairs(&key, entry.node)).collect()
        }
        _ => vec![node],
    };
    Node::new(Value::Seq(items), span)
}

fn pairs(key: &str, value: Node) -> Vec<Node> {
    match value.value {
        Value::Seq(items) => items.into_iter().flat_map(|item| pairs(key, item)).collect(),
        _ => {
            let text = match value.to_text() {
                Some(text) => format!("{key}={text}"),
                None => key.to_owned(),
            };
            vec![Node::text(text, value.span)]
        }
    }
}

/// A list of names becomes a mapping from them to nothing.
pub(crate) fn into_names(node: Node) -> Node {
    from_names(node, |span| Node::new(Value::Null, span))
}

/// A list of services becomes a mapping from them to the usual condition.
pub(crate) fn into_dependencies(node: Node) -> Node {
    from_names(node, |span| {
        let mut dependency = Node::empty_map(span);
        dependency.set("condition", Value::String("service_started".to_owned()));
        dependency.set("required", Value::Bool(true));
        dependency
    })
}

fn from_names(node: Node, value: impl Fn(crate::source::Span) -> Node) -> Node {
    let Value::Seq(items) = node.value else { return node };
    let entries = items.into_iter().filter_map(|item| match item.value {
        Value::String(name) => Some((name.into(), Entry { key: item.span, node: value(item.span) })),
        _ => None,
    });
    Node::new(Value::Map(Map::from_pairs(entries.collect())), node.span)
}

/// Text becomes a mapping with a context.
pub(crate) fn into_build(node: Node) -> Node {
    if node.as_str().is_none() {
        return node;
    }
    let span = node.span;
    let mut build = Node::empty_map(span);
    build.set("context", node.value);
    build
}

fn drivers_differ(base: &Node, over: &Node) -> bool {
    match (base.get("driver"), over.get("driver")) {
        (Some(base), Some(over)) => base != over,
        _ => false,
    }
}

/// Address pools of the same subnet merge, others are added.
fn merge_pools(
    mut base: Node,
    over: Node,
    rule: Option<&'static Rule>,
    place: &Place<'_>,
    report: &mut Report,
) -> Node {
    let item_rule = rule.and_then(|rule| rule.shape.item());
    if let (Some(pools), Value::Seq(later)) = (base.as_seq_mut(), over.value) {
        let mut earlier = std::mem::take(pools);
        for pool in later {
            let same = earlier.iter().position(|known| known.get("subnet") == pool.get("subnet"));
            pools.push(match same {
                Some(index) => merge_default(earlier.remove(index), pool, item_rule, place, report),
                None => pool,
            });
        }
        for dropped in earlier {
            report.warning(
                dropped.span,
                format!("this pool is dropped, since a later file sets `{place}` anew"),
            );
        }
    }
    base
}
