//! The Compose format as one table: for each attribute what may stand there, how text is cast, how two
//! files merge, what makes list entries equal, and whether it is a path.
//!
//! The phases of loading walk a tree and this table side by side, so each rule is stated once, next to the
//! attribute it is about. The shapes are those of the published JSON schema of the Compose specification.

mod build;
mod common;
mod deploy;
mod parts;
mod service;
mod top;

use std::cmp::Ordering;

use crate::cast::Cast;

pub(crate) use service::SERVICE;
pub(crate) use top::PROJECT;

/// Everything known about one attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// What may stand there.
    pub(crate) shape: Shape,
    /// What text is turned into after interpolation.
    pub(crate) cast: Option<Cast>,
    /// How a later file's value meets an earlier one's.
    pub(crate) merge: Merge,
    /// What makes two list entries the same, of which the later one stays.
    pub(crate) unique: Option<Identity>,
    /// Whether text is a path to be resolved.
    pub(crate) path: Option<PathKind>,
    /// What its canonical form is.
    pub(crate) form: Option<Form>,
}

/// What may stand at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A scalar of one of these types.
    Scalar(Types),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text with a condition.
    Text(Pattern),
    /// A whole number within bounds.
    Within(i64, i64),
    /// A mapping with known keys.
    Object(&'static Object),
    /// A mapping with free keys.
    Map(Keys, &'static Rule),
    /// A list.
    List(&'static Rule),
    /// A list without equal entries.
    Set(&'static Rule),
    /// Any of these.
    OneOf(&'static [Shape]),
}

/// A mapping with known keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// What messages call it.
    pub(crate) name: &'static str,
    /// Attributes, sorted by name.
    pub(crate) fields: &'static [(&'static str, Rule)],
    /// Attributes that must be there.
    pub(crate) required: &'static [&'static str],
    /// What becomes of other keys.
    pub(crate) others: Others,
}

/// What becomes of keys that an object does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// They are refused.
    Refused,
    /// They are refused, except `x-` ones.
    Extensions,
    /// They are accepted.
    Free,
}

/// Which keys a free mapping takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Any but the empty one.
    Any,
    /// Letters, digits, `.`, `_` and `-`; others are refused.
    Names,
    /// The same, but the values of others are not looked at.
    NamesLoosely,
    /// Lower-case letters; the values of others are not looked at.
    Lower,
}

/// Conditions on text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Contains two characters that may start and continue a container name.
    ContainerName,
    /// Contains one of the pull policies.
    PullPolicy,
}

/// A set of scalar types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOL: Self = Self(2);
    pub(crate) const INT: Self = Self(4);
    /// Numbers with a fraction; whole ones count as well.
    pub(crate) const NUMBER: Self = Self(4 | 8);
    pub(crate) const TEXT: Self = Self(16);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a later value meets an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Mappings merge key by key, lists append, anything else is replaced.
    Default,
    /// The later value replaces the earlier one.
    Replace,
    /// Both become lists of `key=value`, which append.
    Sequence,
    /// Both become mappings, whose entries merge.
    Names,
    /// As `Names`, with the condition `service_started`.
    DependsOn,
    /// Both become lists; entries that are there already are not repeated.
    ExtraHosts,
    /// Text is a context.
    Build,
    /// Options merge only if the driver stays the same.
    Logging,
    /// Mappings merge, numbers replace.
    Ulimit,
    /// Pools merge by subnet.
    Pools,
}

/// What makes two entries of a list the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The part before `=`.
    Key,
    /// The target path.
    Volume,
    /// The target path of a device.
    Device,
    /// The target path of a config.
    Config,
    /// The target path of a secret.
    Secret,
    /// The number.
    Expose,
    /// Address, both ports and protocol.
    Port,
    /// The path.
    EnvFile,
}

/// What kind of path a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// A file or folder.
    Plain,
    /// A build context, which may be a URL.
    Context,
    /// The value of a `name=context` pair or of a mapping from names.
    NamedContext,
}

/// The canonical form of an attribute that can be written in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text; numbers and booleans become text.
    Text,
    /// Text; whole numbers become text, other numbers are refused.
    Digits,
    /// A list of texts; one alone becomes a list.
    Texts,
    /// A whole number; a fraction is cut off.
    Whole,
    /// A whole number, not negative.
    Count,
    /// One limit, or a mapping with two; none at all is printed as an empty mapping.
    Ulimit,
    /// A number.
    Number,
    /// A span of time.
    Duration,
    /// A span of time; none is the same as one of length zero.
    Pause,
    /// A size in bytes, as text.
    Bytes,
    /// Permission bits, as octal text.
    Mode,
    /// A mapping from names to texts or nothing.
    Variables,
    /// A mapping from names to texts; nothing becomes empty text.
    Labels,
    /// A mapping from names to texts; in a list each entry needs its `=`.
    Contexts,
    /// The same, but `default` may stand alone.
    Keys,
    /// A list of texts in which empty ones do not count.
    Servers,
    /// A list of `name=address`.
    Hosts,
    /// A list of words.
    Command,
    /// A list that begins with `CMD`, `CMD-SHELL` or `NONE`.
    HealthTest,
    /// A mapping from names to details or nothing.
    Names,
    /// A mapping from services to conditions.
    Dependencies,
    /// A mapping with a context.
    Build,
    /// A list of mappings with a path.
    EnvFiles,
    /// A mapping with a source.
    Reference,
    /// A mapping with a service.
    Extends,
    /// A mapping with source, target and permissions.
    Device,
    /// A list of device requests.
    Gpus,
    /// One device request.
    DeviceRequest,
    /// A list of ports, ranges expanded.
    Ports,
    /// A mount in its long form.
    Mount,
    /// A flag, the old form with a name resolved.
    External,
    /// A mapping from names to lists of texts.
    Options,
    /// Read, but left out: the reference does nothing with it either.
    Unused,
}

impl Rule {
    pub(crate) const fn new(shape: Shape) -> Self {
        Self { shape, cast: None, merge: Merge::Default, unique: None, path: None, form: None }
    }

    const fn cast(mut self, cast: Cast) -> Self {
        self.cast = Some(cast);
        self
    }

    const fn merge(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    const fn unique(mut self, identity: Identity) -> Self {
        self.unique = Some(identity);
        self
    }

    const fn path(mut self, kind: PathKind) -> Self {
        self.path = Some(kind);
        self
    }

    const fn form(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }
}

impl Shape {
    /// The rule for a mapping's key, if a mapping may stand here and may have it.
    pub(crate) fn entry(&self, key: &str) -> Option<&'static Rule> {
        match self {
            Self::Object(object) => object.field(key),
            Self::Map(_, rule) => Some(rule),
            Self::OneOf(shapes) => shapes.iter().find_map(|shape| shape.entry(key)),
            _ => None,
        }
    }

    /// The rule for a list's entries, if a list may stand here.
    pub(crate) fn item(&self) -> Option<&'static Rule> {
        match self {
            Self::List(rule) | Self::Set(rule) => Some(rule),
            Self::OneOf(shapes) => shapes.iter().find_map(Self::item),
            _ => None,
        }
    }

    /// The object with known keys that may stand here.
    pub(crate) fn object(&self) -> Option<&'static Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::OneOf(shapes) => shapes.iter().find_map(Self::object),
            _ => None,
        }
    }
}

impl Object {
    /// The rule of an attribute.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Rule> {
        let fields = self.fields;
        let index = fields.binary_search_by(|(field, _)| order(field.as_bytes(), name.as_bytes())).ok()?;
        Some(&fields[index].1)
    }
}

/// The order of two names. Attribute names differ early, and this is asked for every attribute in every phase: a plain
/// loop is faster here than what the standard library has for texts of any length.
fn order(left: &[u8], right: &[u8]) -> Ordering {
    let mut at = 0;
    while at < left.len() && at < right.len() {
        if left[at] != right[at] {
            return left[at].cmp(&right[at]);
        }
        at += 1;
    }
    left.len().cmp(&right.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(shape: &Shape, visit: &mut dyn FnMut(&'static Object)) {
        match shape {
            Shape::Object(object) => {
                visit(object);
                for (_, rule) in object.fields {
                    objects(&rule.shape, visit);
                }
            }
            Shape::Map(_, rule) | Shape::List(rule) | Shape::Set(rule) => objects(&rule.shape, visit),
            Shape::OneOf(shapes) => shapes.iter().for_each(|shape| objects(shape, visit)),
            _ => {}
        }
    }

    #[test]
    fn fields_are_sorted_so_that_they_are_found() {
        let mut seen = 0;
        objects(&Shape::Object(&PROJECT), &mut |object| {
            assert!(object.fields.is_sorted_by_key(|(name, _)| *name), "{}", object.name);
            seen += object.fields.len();
        });
        assert!(seen > 200, "the walk must see the whole format, not {seen} attributes");
    }
}
