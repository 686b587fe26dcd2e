//! The shape of a service.

use super::build::BUILD;
use super::deploy::{DEPLOY, GPUS};
use super::{
    BOOL, COMMAND, COUNT, DRIVER_OPTS, DURATION, EXTRA_HOSTS, FILE_REFERENCE, Form, INT_OR_TEXT, Identity,
    Keys, LABELS, Merge, NUMBER, NUMBER_OR_TEXT, Object, Others, PAIRS, PathKind, Pattern, Rule, SIZE,
    STRING_OR_SET, STRING_SET, Shape, TEXT, TEXTUAL, Types, ULIMITS, VARIABLES,
};
use crate::cast::Cast;

pub(crate) const SERVICE: Rule = Rule::new(Shape::Object(&OBJECT));

const WHOLE: Rule = NUMBER.cast(Cast::Int).form(Form::Whole);
const CONTEXTUAL_SET: Rule = STRING_SET.unique(Identity::Key);
const SERVER_LIST: Rule = STRING_OR_SET.merge(Merge::Sequence).unique(Identity::Key);

const OBJECT: Object = Object {
    name: "service",
    fields: &[
        ("annotations", LABELS),
        ("attach", BOOL),
        ("blkio_config", Rule::new(Shape::Object(&BLKIO))),
        ("build", BUILD),
        ("cap_add", CONTEXTUAL_SET),
        ("cap_drop", CONTEXTUAL_SET),
        ("cgroup", Rule::new(Shape::Word(&["host", "private"]))),
        ("cgroup_parent", TEXT),
        ("command", COMMAND),
        ("configs", Rule::new(Shape::List(&FILE_REFERENCE)).unique(Identity::Config)),
        ("container_name", Rule::new(Shape::Text(Pattern::ContainerName))),
        ("cpu_count", bounded(&[Shape::Scalar(Types::TEXT), Shape::Within(0, i64::MAX)])),
        (
            "cpu_percent",
            Rule::new(Shape::OneOf(&[Shape::Scalar(Types::TEXT), Shape::Within(0, 100)]))
                .cast(Cast::Float)
                .form(Form::Number),
        ),
        ("cpu_period", WHOLE),
        ("cpu_quota", WHOLE),
        ("cpu_rt_period", WHOLE),
        ("cpu_rt_runtime", WHOLE),
        ("cpu_shares", WHOLE),
        ("cpus", NUMBER.cast(Cast::Float).form(Form::Number)),
        ("cpuset", TEXT),
        ("credential_spec", Rule::new(Shape::Object(&CREDENTIAL_SPEC))),
        ("depends_on", DEPENDS_ON),
        ("deploy", DEPLOY),
        ("develop", DEVELOP),
        ("device_cgroup_rules", STRING_SET),
        ("devices", Rule::new(Shape::List(&DEVICE)).unique(Identity::Device)),
        ("dns", SERVER_LIST),
        ("dns_opt", STRING_SET.merge(Merge::Sequence).unique(Identity::Key)),
        ("dns_search", SERVER_LIST),
        ("domainname", TEXT),
        ("entrypoint", COMMAND),
        ("env_file", ENV_FILE),
        ("environment", VARIABLES),
        ("expose", Rule::new(Shape::Set(&TEXTUAL)).unique(Identity::Expose)),
        ("extends", EXTENDS),
        ("external_links", STRING_SET),
        ("extra_hosts", EXTRA_HOSTS),
        ("gpus", GPUS),
        ("group_add", Rule::new(Shape::Set(&TEXTUAL))),
        ("healthcheck", Rule::new(Shape::Object(&HEALTHCHECK))),
        ("hostname", TEXT),
        ("image", TEXT),
        ("init", BOOL),
        ("ipc", TEXT),
        ("isolation", TEXT),
        (
            "label_file",
            Rule::new(Shape::OneOf(&[Shape::Scalar(Types::TEXT), Shape::List(&TEXT.path(PathKind::Plain))]))
                .merge(Merge::Sequence)
                .path(PathKind::Plain)
                .form(Form::Texts),
        ),
        ("labels", LABELS),
        ("links", STRING_SET.unique(Identity::Key)),
        ("logging", Rule::new(Shape::Object(&LOGGING)).merge(Merge::Logging)),
        ("mac_address", TEXT),
        ("mem_limit", SIZE),
        ("mem_reservation", Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Bytes)),
        ("mem_swappiness", Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Bytes)),
        ("memswap_limit", SIZE),
        ("models", MODELS),
        ("network_mode", TEXT),
        ("networks", NETWORKS),
        ("oom_kill_disable", BOOL),
        ("oom_score_adj", bounded(&[Shape::Scalar(Types::TEXT), Shape::Within(-1000, 1000)])),
        ("pid", Rule::new(Shape::Scalar(Types::TEXT.or(Types::NULL)))),
        ("pids_limit", WHOLE),
        ("platform", TEXT),
        ("ports", Rule::new(Shape::Set(&PORT)).unique(Identity::Port).form(Form::Ports)),
        ("post_start", Rule::new(Shape::List(&HOOK))),
        ("pre_start", Rule::new(Shape::List(&PRE_START_HOOK))),
        ("pre_stop", Rule::new(Shape::List(&HOOK))),
        ("privileged", BOOL),
        ("profiles", STRING_SET.unique(Identity::Key)),
        ("provider", Rule::new(Shape::Object(&PROVIDER))),
        ("pull_policy", Rule::new(Shape::Text(Pattern::PullPolicy))),
        ("pull_refresh_after", TEXT),
        ("read_only", BOOL),
        ("restart", TEXT),
        ("runtime", TEXT),
        ("scale", COUNT),
        ("secrets", Rule::new(Shape::List(&FILE_REFERENCE)).unique(Identity::Secret)),
        ("security_opt", STRING_SET),
        ("shm_size", SIZE),
        ("stdin_open", BOOL),
        ("stop_grace_period", DURATION),
        ("stop_signal", TEXT),
        ("storage_opt", Rule::new(Shape::Map(Keys::Any, &Rule::new(Shape::Any).form(Form::Text)))),
        ("sysctls", LABELS),
        ("tmpfs", SERVER_LIST),
        ("tty", BOOL),
        ("ulimits", ULIMITS),
        ("use_api_socket", Rule::new(Shape::Scalar(Types::BOOL))),
        ("user", TEXT),
        ("userns_mode", TEXT),
        ("uts", TEXT),
        ("volumes", Rule::new(Shape::Set(&MOUNT)).unique(Identity::Volume)),
        ("volumes_from", STRING_SET),
        ("working_dir", TEXT),
    ],
    required: &[],
    others: Others::Extensions,
};

const fn bounded(shapes: &'static [Shape]) -> Rule {
    Rule::new(Shape::OneOf(shapes)).cast(Cast::Int).form(Form::Whole)
}

const fn object(object: &'static Object) -> Rule {
    Rule::new(Shape::Object(object))
}

const LIMITS: Rule = Rule::new(Shape::List(&object(&Object {
    name: "device limit",
    fields: &[("path", TEXT), ("rate", Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Bytes))],
    required: &[],
    others: Others::Refused,
})));

/// Text has the right type, but is refused as a value.
const WEIGHT: Rule = Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Count);

const BLKIO: Object = Object {
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

const CREDENTIAL_SPEC: Object = Object {
    name: "credential_spec",
    fields: &[("config", TEXT), ("file", TEXT), ("registry", TEXT)],
    required: &[],
    others: Others::Extensions,
};

const DEPENDS_ON: Rule = Rule::new(Shape::OneOf(&[
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

const DEVICE: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT),
    Shape::Object(&Object {
        name: "device",
        fields: &[("permissions", TEXT), ("source", TEXT), ("target", TEXT)],
        required: &["source"],
        others: Others::Extensions,
    }),
]))
.form(Form::Device);

const ENV_FILE: Rule = Rule::new(Shape::OneOf(&[
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

const EXTENDS: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(Types::TEXT),
    Shape::Object(&Object {
        name: "extends",
        fields: &[("file", TEXT.path(PathKind::Plain)), ("service", TEXT)],
        required: &["service"],
        others: Others::Refused,
    }),
]));

const HEALTHCHECK: Object = Object {
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

const LOGGING: Object = Object {
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

const MODELS: Rule = Rule::new(Shape::OneOf(&[
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

const NETWORKS: Rule = Rule::new(Shape::OneOf(&[
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

const PORT: Rule = Rule::new(Shape::OneOf(&[
    Shape::Scalar(NUMBER_OR_TEXT),
    Shape::Object(&Object {
        name: "port",
        fields: &[
            ("app_protocol", TEXT),
            ("host_ip", TEXT),
            ("mode", TEXT),
            ("name", TEXT),
            ("protocol", TEXT),
            ("published", Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Text)),
            ("target", COUNT),
        ],
        required: &[],
        others: Others::Extensions,
    }),
]));

const HOOK: Rule = object(&Object {
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

const PRE_START_HOOK: Rule = object(&Object {
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

const OPTION_VALUE: Rule = Rule::new(Shape::Scalar(NUMBER_OR_TEXT.or(Types::BOOL)));

const PROVIDER: Object = Object {
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

const DEVELOP: Rule = Rule::new(Shape::OneOf(&[
    Shape::Object(&Object {
        name: "develop",
        fields: &[("watch", Rule::new(Shape::List(&object(&WATCH))))],
        required: &[],
        others: Others::Extensions,
    }),
    Shape::Scalar(Types::NULL),
]));

const WATCH: Object = Object {
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

const MOUNT: Rule = Rule::new(Shape::OneOf(&[
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
                        ("mode", WHOLE),
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

const BIND: Object = Object {
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
