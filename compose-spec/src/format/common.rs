//! The shapes and rules that many attributes share.

use super::{Form, Identity, Keys, Merge, Object, Others, Rule, Shape, Types};
use crate::cast::Cast;

pub(super) const NUMBER_OR_TEXT: Types = Types::NUMBER.or(Types::TEXT);
pub(super) const INT_OR_TEXT: Types = Types::INT.or(Types::TEXT);
pub(super) const BOOL_OR_TEXT: Types = Types::BOOL.or(Types::TEXT);

pub(super) const TEXT: Rule = Rule::new(Shape::Scalar(Types::TEXT));
pub(super) const INT: Rule = Rule::new(Shape::Scalar(INT_OR_TEXT)).cast(Cast::Int).form(Form::Whole);
pub(super) const COUNT: Rule = INT.form(Form::Count);
pub(super) const DURATION: Rule = TEXT.form(Form::Duration);
/// A whole number that may also be written with a fraction.
pub(super) const WHOLE: Rule = NUMBER.cast(Cast::Int).form(Form::Whole);
pub(super) const NUMBER: Rule = Rule::new(Shape::Scalar(NUMBER_OR_TEXT));
pub(super) const SIZE: Rule = Rule::new(Shape::Scalar(NUMBER_OR_TEXT)).form(Form::Bytes);
pub(super) const TEXTUAL: Rule = NUMBER.form(Form::Text);
pub(super) const BOOL: Rule = Rule::new(Shape::Scalar(BOOL_OR_TEXT)).cast(Cast::Bool);
pub(super) const STRINGS: Rule = Rule::new(Shape::List(&TEXT));
pub(super) const STRING_SET: Rule = Rule::new(Shape::Set(&TEXT));
pub(super) const STRING_OR_SET: Rule =
    Rule::new(Shape::OneOf(&[Shape::Scalar(Types::TEXT), Shape::Set(&TEXT)])).form(Form::Texts);
pub(super) const SCALAR: Rule =
    Rule::new(Shape::Scalar(Types::TEXT.or(Types::NUMBER).or(Types::BOOL).or(Types::NULL)));
/// A mapping, or a list of `key=value`.
pub(super) const PAIRS: Shape = Shape::OneOf(&[Shape::Map(Keys::Any, &SCALAR), Shape::Set(&TEXT)]);
/// Pairs that become lists when merged, the last of a key counting.
pub(super) const MERGED_PAIRS: Rule = Rule::new(PAIRS).merge(Merge::Sequence).unique(Identity::Key);
pub(super) const VARIABLES: Rule = MERGED_PAIRS.form(Form::Variables);
pub(super) const LABELS: Rule = MERGED_PAIRS.form(Form::Labels);
pub(super) const DRIVER_OPTS: Rule = Rule::new(Shape::Map(Keys::Any, &TEXTUAL));
pub(super) const COMMAND: Rule =
    Rule::new(Shape::OneOf(&[Shape::Scalar(Types::NULL.or(Types::TEXT)), Shape::List(&TEXT)]))
        .merge(Merge::Replace)
        .form(Form::Command);
pub(super) const EXTRA_HOSTS: Rule = Rule::new(Shape::OneOf(&[
    Shape::Map(Keys::Any, &Rule::new(Shape::OneOf(&[Shape::Scalar(Types::TEXT), Shape::List(&TEXT)]))),
    Shape::Set(&TEXT),
]))
.merge(Merge::ExtraHosts)
.form(Form::Hosts);
pub(super) const ULIMITS: Rule = Rule::new(Shape::Map(
    Keys::Lower,
    &Rule::new(Shape::OneOf(&[
        Shape::Scalar(INT_OR_TEXT),
        Shape::Object(&Object {
            name: "ulimit",
            fields: &[("hard", INT), ("soft", INT)],
            required: &["hard", "soft"],
            others: Others::Extensions,
        }),
    ]))
    .cast(Cast::Int)
    .merge(Merge::Ulimit)
    .form(Form::Ulimit),
));
pub(super) const FILE_REFERENCE: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT),
    Shape::Object(&Object {
        name: "reference",
        fields: &[
            ("gid", TEXT),
            ("mode", NUMBER.form(Form::Mode)),
            ("source", TEXT),
            ("target", TEXT),
            ("uid", TEXT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]))
.form(Form::Reference);
