//! The tree of a YAML text in which every value knows its place.

use std::collections::BTreeMap;

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
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
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

/// The entries of a mapping by key. The format gives their order no meaning.
pub(crate) type Map = BTreeMap<String, Entry>;

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where the key stands.
    pub(crate) key: Span,
    /// The value.
    pub(crate) node: Node,
}
