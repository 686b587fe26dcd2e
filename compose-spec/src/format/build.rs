//! The shape of a service's `build`.

use super::common::*;
use super::{Form, Identity, Merge, Object, Others, PathKind, Rule, Shape, Types};

pub(super) const BUILD: Rule = Rule::new(Shape::OneOf(&[Shape::Scalar(Types::TEXT), Shape::Object(&OBJECT)]))
    .merge(Merge::Build)
    .form(Form::Build);

const FLAG_OR_TEXT: Rule = Rule::new(Shape::Scalar(BOOL_OR_TEXT)).form(Form::Text);

const OBJECT: Object = Object {
    name: "build",
    fields: &[
        ("additional_contexts", LABELS.form(Form::Contexts).path(PathKind::NamedContext)),
        ("args", VARIABLES),
        ("cache_from", STRINGS),
        ("cache_to", STRINGS),
        ("context", TEXT.path(PathKind::Context)),
        ("dockerfile", TEXT),
        ("dockerfile_inline", TEXT),
        ("entitlements", STRINGS),
        ("extra_hosts", EXTRA_HOSTS),
        ("isolation", TEXT),
        ("labels", LABELS),
        ("network", TEXT),
        ("no_cache", BOOL),
        ("no_cache_filter", STRING_OR_SET),
        ("platforms", STRINGS),
        ("privileged", BOOL),
        ("provenance", FLAG_OR_TEXT),
        ("pull", BOOL),
        ("sbom", FLAG_OR_TEXT),
        ("secrets", Rule::new(Shape::List(&FILE_REFERENCE))),
        ("shm_size", Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Bytes)),
        ("ssh", Rule::new(PAIRS).form(Form::Keys)),
        ("tags", STRINGS.unique(Identity::Key)),
        ("target", TEXT),
        ("ulimits", ULIMITS),
    ],
    required: &[],
    others: Others::Extensions,
};
