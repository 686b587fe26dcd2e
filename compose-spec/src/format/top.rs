//! The shape of a whole file, and of everything in it but services.

use super::common::*;
use super::{Form, Keys, Merge, Object, Others, PathKind, Rule, SERVICE, Shape, Types};
use crate::cast::Cast;

pub(crate) const PROJECT: Object = Object {
    name: "project",
    fields: &[
        ("configs", Rule::new(Shape::Map(Keys::Names, &Rule::new(Shape::Object(&CONFIG))))),
        ("include", Rule::new(Shape::List(&INCLUDE))),
        ("models", Rule::new(Shape::Map(Keys::NamesLoosely, &Rule::new(Shape::Object(&MODEL))))),
        ("name", TEXT),
        ("networks", Rule::new(Shape::Map(Keys::NamesLoosely, &NETWORK))),
        ("secrets", Rule::new(Shape::Map(Keys::Names, &Rule::new(Shape::Object(&SECRET))))),
        ("services", Rule::new(Shape::Map(Keys::Names, &SERVICE))),
        ("version", TEXT),
        ("volumes", Rule::new(Shape::Map(Keys::Names, &VOLUME))),
    ],
    required: &[],
    others: Others::Extensions,
};

/// What the reference takes here is not in its schema: also nothing, repetitions and keys of any name.
const INCLUDE: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT.or(Types::NULL)),
    Shape::Object(&Object {
        name: "include",
        fields: &[("env_file", INCLUDED), ("path", INCLUDED), ("project_directory", SCALAR)],
        required: &[],
        others: Others::Free,
    }),
]));
const INCLUDED: Rule =
    Rule::new(Shape::OneOf(&[Shape::Scalar(Types::TEXT.or(Types::NULL)), Shape::List(&TEXT)]))
        .form(Form::Texts);

/// `external`: a flag, or the old form with a name.
const EXTERNAL: Rule = external(Others::Extensions);
const EXTERNAL_LOOSE: Rule = external(Others::Free);

const fn external(others: Others) -> Rule {
    const STRICT: Shape = Shape::Object(&Object {
        name: "external",
        fields: &[("name", TEXT)],
        required: &[],
        others: Others::Extensions,
    });
    const LOOSE: Shape = Shape::Object(&Object {
        name: "external",
        fields: &[("name", TEXT)],
        required: &[],
        others: Others::Free,
    });
    let shape = match others {
        Others::Free => Shape::OneOf(&[Shape::Scalar(BOOL_OR_TEXT), LOOSE]),
        _ => Shape::OneOf(&[Shape::Scalar(BOOL_OR_TEXT), STRICT]),
    };
    Rule::new(shape).cast(Cast::Bool).form(Form::External)
}

const NETWORK: Rule = Rule::new(Shape::OneOf(&[
    Shape::Object(&Object {
        name: "network",
        fields: &[
            ("attachable", BOOL),
            ("driver", TEXT),
            ("driver_opts", DRIVER_OPTS),
            ("enable_ipv4", BOOL),
            ("enable_ipv6", BOOL),
            ("external", EXTERNAL),
            ("internal", BOOL),
            ("ipam", Rule::new(Shape::Object(&IPAM))),
            ("labels", LABELS),
            ("name", TEXT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
    Shape::Scalar(Types::NULL),
]));

const IPAM: Object = Object {
    name: "ipam",
    fields: &[
        (
            "config",
            Rule::new(Shape::List(&Rule::new(Shape::Object(&Object {
                name: "address pool",
                fields: &[
                    ("aux_addresses", Rule::new(Shape::Map(Keys::Any, &TEXT))),
                    ("gateway", TEXT),
                    ("ip_range", TEXT),
                    ("subnet", TEXT),
                ],
                required: &[],
                others: Others::Extensions,
            }))))
            .merge(Merge::Pools),
        ),
        ("driver", TEXT),
        ("options", Rule::new(Shape::Map(Keys::Any, &TEXT)).form(Form::Unused)),
    ],
    required: &[],
    others: Others::Extensions,
};

const VOLUME: Rule = Rule::new(Shape::OneOf(&[
    Shape::Object(&Object {
        name: "volume",
        fields: &[
            ("driver", TEXT),
            ("driver_opts", DRIVER_OPTS),
            ("external", EXTERNAL),
            ("labels", Rule::new(PAIRS).merge(Merge::Sequence).form(Form::Labels)),
            ("name", TEXT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
    Shape::Scalar(Types::NULL),
]));

const SECRET: Object = Object {
    name: "secret",
    fields: &[
        ("driver", TEXT),
        ("driver_opts", DRIVER_OPTS),
        ("environment", TEXT),
        ("external", EXTERNAL_LOOSE),
        ("file", TEXT.path(PathKind::Plain)),
        ("labels", Rule::new(PAIRS).form(Form::Labels)),
        ("name", TEXT),
        ("template_driver", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
};

const CONFIG: Object = Object {
    name: "config",
    fields: &[
        ("content", TEXT),
        ("environment", TEXT),
        ("external", EXTERNAL_LOOSE),
        ("file", TEXT.path(PathKind::Plain)),
        ("labels", Rule::new(PAIRS).form(Form::Labels)),
        ("name", TEXT),
        ("template_driver", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
};

const MODEL: Object = Object {
    name: "model",
    fields: &[
        ("context_size", Rule::new(Shape::Scalar(Types::INT)).form(Form::Whole)),
        ("model", TEXT),
        ("name", TEXT),
        ("runtime_flags", STRINGS),
    ],
    required: &["model"],
    others: Others::Extensions,
};
