//! The shapes of a service's attributes that have attributes of their own.

use super::common::*;
use super::{Form, Identity, Keys, Merge, Object, Others, PathKind, Rule, Shape, Types};
use crate::cast::Cast;

const fn object(object: &'static Object) -> Rule {
    Rule::new(Shape::Object(object))
}

pub(super) const LIMITS: Rule = Rule::new(Shape::List(&object(&Object {
    name: "device limit",
    fields: &[("path", TEXT), ("rate", Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Bytes))],
    required: &[],
    others: Others::Refused,
})));

/// Text has the right type, but is refused as a value.
pub(super) const WEIGHT: Rule = Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Count);

pub(super) const BLKIO: Object = Object {
    name: "blkio_config",
    fields: &[
        ("device_read_bps", LIMITS),
        ("device_read_iops", LIMITS),
        ("device_write_bps", LIMITS),
        ("device_write_iops", LIMITS),
        ("weight", WEIGHT),
        (
            "weight_device",
            Rule::new(Shape::List(&object(&Object {
                name: "device weight",
                fields: &[("path", TEXT), ("weight", WEIGHT)],
                required: &[],
                others: Others::Refused,
            }))),
        ),
    ],
    required: &[],
    others: Others::Refused,
};

pub(super) const CREDENTIAL_SPEC: Object = Object {
    name: "credential_spec",
    fields: &[("config", TEXT), ("file", TEXT), ("registry", TEXT)],
    required: &[],
    others: Others::Extensions,
};

pub(super) const DEPENDS_ON: Rule = Rule::new(Shape::OneOf(&[
    Shape::Set(&TEXT),
    Shape::Map(
        Keys::Names,
        &object(&Object {
            name: "dependency",
            fields: &[
                (
                    "condition",
                    Rule::new(Shape::Word(&[
                        "service_started",
                        "service_healthy",
                        "service_completed_successfully",
                    ])),
                ),
                ("required", Rule::new(Shape::Scalar(Types::BOOL)).cast(Cast::Bool)),
                ("restart", BOOL),
            ],
            required: &["condition"],
            others: Others::Extensions,
        }),
    ),
]))
.merge(Merge::DependsOn)
.form(Form::Dependencies);

pub(super) const DEVICE: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT),
    Shape::Object(&Object {
        name: "device",
        fields: &[("permissions", TEXT), ("source", TEXT), ("target", TEXT)],
        required: &["source"],
        others: Others::Extensions,
    }),
]))
.form(Form::Device);

pub(super) const ENV_FILE: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT),
    Shape::List(
        &Rule::new(Shape::OneOf(&[
            Shape::Scalar(Types::TEXT),
            Shape::Object(&Object {
                name: "env_file",
                fields: &[("format", TEXT), ("path", TEXT.path(PathKind::Plain)), ("required", BOOL)],
                required: &["path"],
                others: Others::Refused,
            }),
        ]))
        .path(PathKind::Plain),
    ),
]))
.merge(Merge::Sequence)
.unique(Identity::EnvFile)
.path(PathKind::Plain)
.form(Form::EnvFiles);

pub(super) const EXTENDS: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT),
    Shape::Object(&Object {
        name: "extends",
        fields: &[("file", TEXT.path(PathKind::Plain)), ("service", TEXT)],
        required: &["service"],
        others: Others::Refused,
    }),
]))
.form(Form::Extends);

pub(super) const HEALTHCHECK: Object = Object {
    name: "healthcheck",
    fields: &[
        ("disable", BOOL),
        ("interval", DURATION),
        ("retries", WHOLE.form(Form::Count)),
        ("start_interval", DURATION),
        ("start_period", DURATION),
        (
            "test",
            Rule::new(Shape::OneOf(&[Shape::Scalar(Types::TEXT), Shape::List(&TEXT)]))
                .merge(Merge::Replace)
                .form(Form::HealthTest),
        ),
        ("timeout", DURATION),
    ],
    required: &[],
    others: Others::Extensions,
};

pub(super) const LOGGING: Object = Object {
    name: "logging",
    fields: &[
        ("driver", TEXT),
        (
            "options",
            Rule::new(Shape::Map(
                Keys::Any,
                &Rule::new(Shape::Scalar(NUMBER_OR_TEXT.or(Types::NULL))).form(Form::Text),
            )),
        ),
    ],
    required: &[],
    others: Others::Extensions,
};

pub(super) const MODELS: Rule = Rule::new(Shape::OneOf(&[
    Shape::Set(&TEXT),
    Shape::Map(
        Keys::NamesLoosely,
        &Rule::new(Shape::OneOf(&[
            Shape::Object(&Object {
                name: "model",
                fields: &[("endpoint_var", TEXT), ("model_var", TEXT)],
                required: &[],
                others: Others::Extensions,
            }),
            Shape::Scalar(Types::NULL),
        ])),
    ),
]))
.merge(Merge::Names)
.form(Form::Names);

pub(super) const NETWORKS: Rule = Rule::new(Shape::OneOf(&[
    Shape::Set(&TEXT),
    Shape::Map(
        Keys::Names,
        &Rule::new(Shape::OneOf(&[
            Shape::Object(&Object {
                name: "network",
                fields: &[
                    ("aliases", STRING_SET.unique(Identity::Key)),
                    ("driver_opts", DRIVER_OPTS),
                    ("gw_priority", Rule::new(Shape::Scalar(Types::NUMBER)).form(Form::Whole)),
                    ("interface_name", TEXT),
                    ("ipv4_address", TEXT),
                    ("ipv6_address", TEXT),
                    ("link_local_ips", STRING_SET.unique(Identity::Key)),
                    ("mac_address", TEXT),
                    ("priority", Rule::new(Shape::Scalar(Types::NUMBER)).form(Form::Whole)),
                ],
                required: &[],
                others: Others::Extensions,
            }),
            Shape::Scalar(Types::NULL),
        ])),
    ),
]))
.merge(Merge::Names)
.form(Form::Names);

pub(super) const PORT: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(NUMBER_OR_TEXT),
    Shape::Object(&Object {
        name: "port",
        fields: &[
            ("app_protocol", TEXT),
            ("host_ip", TEXT),
            ("mode", TEXT),
            ("name", TEXT),
            ("protocol", TEXT),
            ("published", Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Digits)),
            ("target", COUNT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]));

pub(super) const HOOK: Rule = object(&Object {
    name: "hook",
    fields: &[
        ("command", COMMAND),
        ("environment", Rule::new(PAIRS).form(Form::Variables)),
        ("privileged", BOOL),
        ("user", TEXT),
        ("working_dir", TEXT),
    ],
    required: &["command"],
    others: Others::Extensions,
});

pub(super) const PRE_START_HOOK: Rule = object(&Object {
    name: "hook",
    fields: &[
        ("command", COMMAND),
        ("environment", Rule::new(PAIRS).form(Form::Variables)),
        ("image", TEXT),
        ("per_replica", BOOL),
        ("privileged", BOOL),
        ("user", TEXT),
        ("working_dir", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
});

pub(super) const OPTION_VALUE: Rule = Rule::new(Shape::Scalar(NUMBER_OR_TEXT.or(Types::BOOL)));

pub(super) const PROVIDER: Object = Object {
    name: "provider",
    fields: &[
        (
            "options",
            Rule::new(Shape::Map(
                Keys::Any,
                &Rule::new(Shape::OneOf(&[
                    Shape::Scalar(NUMBER_OR_TEXT.or(Types::BOOL)),
                    Shape::List(&OPTION_VALUE),
                ])),
            ))
            .form(Form::Options),
        ),
        ("type", TEXT),
    ],
    required: &["type"],
    others: Others::Extensions,
};

pub(super) const DEVELOP: Rule = Rule::new(Shape::OneOf(&[
    Shape::Object(&Object {
        name: "develop",
        fields: &[("watch", Rule::new(Shape::List(&object(&WATCH))))],
        required: &[],
        others: Others::Extensions,
    }),
    Shape::Scalar(Types::NULL),
]));

pub(super) const WATCH: Object = Object {
    name: "watch",
    fields: &[
        ("action", Rule::new(Shape::Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]))),
        ("exec", HOOK),
        ("ignore", STRING_OR_SET),
        ("include", STRING_OR_SET),
        ("initial_sync", Rule::new(Shape::Scalar(Types::BOOL))),
        ("path", TEXT.path(PathKind::Plain)),
        ("target", TEXT),
    ],
    required: &["path", "action"],
    others: Others::Extensions,
};

pub(super) const MOUNT: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT),
    Shape::Object(&Object {
        name: "mount",
        fields: &[
            ("bind", object(&BIND)),
            ("consistency", TEXT),
            (
                "image",
                object(&Object {
                    name: "image mount",
                    fields: &[("subpath", TEXT)],
                    required: &[],
                    others: Others::Extensions,
                }),
            ),
            ("read_only", BOOL),
            ("source", TEXT),
            ("target", TEXT),
            (
                "tmpfs",
                object(&Object {
                    name: "tmpfs",
                    fields: &[
                        ("mode", Rule::new(Shape::Scalar(NUMBER_OR_TEXT)).form(Form::Whole)),
                        (
                            "size",
                            Rule::new(Shape::OneOf(&[
                                Shape::Within(0, i64::MAX),
                                Shape::Scalar(Types::TEXT),
                            ]))
                            .form(Form::Bytes),
                        ),
                    ],
                    required: &[],
                    others: Others::Extensions,
                }),
            ),
            ("type", Rule::new(Shape::Word(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]))),
            (
                "volume",
                object(&Object {
                    name: "volume mount",
                    fields: &[
                        ("labels", Rule::new(PAIRS).form(Form::Labels)),
                        ("nocopy", BOOL),
                        ("subpath", TEXT),
                    ],
                    required: &[],
                    others: Others::Extensions,
                }),
            ),
        ],
        required: &["type"],
        others: Others::Extensions,
    }),
]))
.form(Form::Mount);

pub(super) const BIND: Object = Object {
    name: "bind",
    fields: &[
        ("create_host_path", BOOL),
        ("propagation", TEXT),
        ("recursive", Rule::new(Shape::Word(&["enabled", "disabled", "writable", "readonly"]))),
        ("selinux", Rule::new(Shape::Word(&["z", "Z"]))),
    ],
    required: &[],
    others: Others::Extensions,
};
