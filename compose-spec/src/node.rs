//! The tree of a YAML text in which every value knows its place.

pub(crate) use crate::map::{Entry, Key, Map};
use crate::source::Span;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) value: Value,
    /// Where it stands.
    pub(crate) span: Span,
    /// What its tag asks of merging.
    pub(crate) tag: Tag,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number beyond the range of `Int`.
    Large(u64),
    Float(f64),
    String(String),
    Seq(Vec<Node>),
    Map(Map),
}

/// Compose's tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tag {
    #[default]
    None,
    /// `!reset`: takes away what was there.
    Reset,
    /// `!override`: replaces what was there instead of merging with it.
    Override,
}

impl PartialEq for Node {
    /// Compares what nodes mean, not where they stand.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    /// An untagged node.
    pub(crate) fn new(value: Value, span: Span) -> Self {
        Self { value, span, tag: Tag::None }
    }

    /// A string.
    pub(crate) fn text(text: impl Into<String>, span: Span) -> Self {
        Self::new(Value::String(text.into()), span)
    }

    /// A mapping without entries.
    pub(crate) fn empty_map(span: Span) -> Self {
        Self::new(Value::Map(Map::new()), span)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_seq_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a mapping's key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.as_map()?.get(key)?.node)
    }

    /// The value of a mapping's key.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        Some(&mut self.as_map_mut()?.get_mut(key)?.node)
    }

    /// The text of a mapping's key.
    pub(crate) fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Whether a mapping has a key with a value other than null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|node| !node.is_null())
    }

    /// Sets a mapping's key; the place is this node's own. Does nothing to other nodes.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        let span = self.span;
        if let Some(map) = self.as_map_mut() {
            map.insert(key, Entry { key: span, node: Node::new(value, span) });
        }
    }

    /// The same, unless the key is there already.
    pub(crate) fn set_default(&mut self, key: &str, value: Value) {
        if !self.has(key) {
            self.set(key, value);
        }
    }

    /// Takes a key out of a mapping.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        Some(self.as_map_mut()?.remove(key)?.node)
    }

    /// The entries of a mapping; none for other nodes.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.as_map().into_iter().flat_map(Map::iter)
    }

    /// The entries of a mapping; none for other nodes.
    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = (&str, &mut Entry)> {
        self.as_map_mut().into_iter().flat_map(Map::iter_mut)
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Large(_) | Value::Float(_) => "a number",
            Value::String(_) => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// A scalar as text, printed as the reference does; `None` for null, lists and mappings.
    pub(crate) fn to_text(&self) -> Option<String> {
        match &self.value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Large(value) => Some(value.to_string()),
            Value::Float(value) => Some(crate::scalar::format_float(*value)),
            Value::Null | Value::Seq(_) | Value::Map(_) => None,
        }
    }
}
