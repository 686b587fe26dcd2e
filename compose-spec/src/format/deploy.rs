//! The shape of a service's `deploy` and of requests for devices.

use super::common::*;
use super::{Form, Object, Others, Rule, Shape, Types};
use crate::cast::Cast;

pub(super) const DEPLOY: Rule =
    Rule::new(Shape::OneOf(&[Shape::Object(&OBJECT), Shape::Scalar(Types::NULL)]));

const OBJECT: Object = Object {
    name: "deploy",
    fields: &[
        ("endpoint_mode", TEXT),
        ("labels", LABELS),
        ("mode", TEXT),
        ("placement", Rule::new(Shape::Object(&PLACEMENT))),
        ("replicas", COUNT),
        ("resources", Rule::new(Shape::Object(&RESOURCES))),
        ("restart_policy", Rule::new(Shape::Object(&RESTART_POLICY))),
        ("rollback_config", Rule::new(Shape::Object(&UPDATE))),
        ("update_config", Rule::new(Shape::Object(&UPDATE))),
    ],
    required: &[],
    others: Others::Extensions,
};

const PAUSE: Rule = TEXT.form(Form::Pause);

const UPDATE: Object = Object {
    name: "update",
    fields: &[
        ("delay", PAUSE),
        ("failure_action", TEXT),
        ("max_failure_ratio", Rule::new(Shape::Scalar(NUMBER_OR_TEXT)).cast(Cast::Float).form(Form::Number)),
        ("monitor", PAUSE),
        ("order", Rule::new(Shape::Word(&["start-first", "stop-first"]))),
        ("parallelism", COUNT),
    ],
    required: &[],
    others: Others::Extensions,
};

const RESTART_POLICY: Object = Object {
    name: "restart policy",
    fields: &[("condition", TEXT), ("delay", DURATION), ("max_attempts", COUNT), ("window", DURATION)],
    required: &[],
    others: Others::Extensions,
};

const PLACEMENT: Object = Object {
    name: "placement",
    fields: &[
        ("constraints", STRINGS),
        ("max_replicas_per_node", COUNT),
        (
            "preferences",
            Rule::new(Shape::List(&Rule::new(Shape::Object(&Object {
                name: "placement preference",
                fields: &[("spread", TEXT)],
                required: &[],
                others: Others::Extensions,
            })))),
        ),
    ],
    required: &[],
    others: Others::Extensions,
};

const CPUS: Rule = Rule::new(Shape::Scalar(NUMBER_OR_TEXT)).cast(Cast::Float).form(Form::Number);

const RESOURCES: Object = Object {
    name: "resources",
    fields: &[
        (
            "limits",
            Rule::new(Shape::Object(&Object {
                name: "limits",
                fields: &[("cpus", CPUS), ("memory", TEXT.form(Form::Bytes)), ("pids", INT)],
                required: &[],
                others: Others::Extensions,
            })),
        ),
        (
            "reservations",
            Rule::new(Shape::Object(&Object {
                name: "reservations",
                fields: &[
                    ("cpus", CPUS),
                    (
                        "devices",
                        Rule::new(Shape::List(
                            &Rule::new(Shape::Object(&Object {
                                name: "device request",
                                fields: DEVICE_FIELDS,
                                required: &["capabilities"],
                                others: Others::Extensions,
                            }))
                            .form(Form::DeviceRequest),
                        )),
                    ),
                    ("generic_resources", GENERIC_RESOURCES),
                    ("memory", TEXT.form(Form::Bytes)),
                ],
                required: &[],
                others: Others::Extensions,
            })),
        ),
    ],
    required: &[],
    others: Others::Extensions,
};

const DEVICE_FIELDS: &[(&str, Rule)] = &[
    ("capabilities", STRING_SET),
    ("count", Rule::new(Shape::Scalar(INT_OR_TEXT))),
    ("device_ids", STRING_SET),
    ("driver", TEXT),
    ("options", Rule::new(PAIRS).form(Form::Labels)),
];

const GENERIC_RESOURCES: Rule = Rule::new(Shape::List(&Rule::new(Shape::Object(&Object {
    name: "generic resource",
    fields: &[(
        "discrete_resource_spec",
        Rule::new(Shape::Object(&Object {
            name: "discrete resource",
            fields: &[("kind", TEXT), ("value", NUMBER.cast(Cast::Int).form(Form::Count))],
            required: &[],
            others: Others::Extensions,
        })),
    )],
    required: &[],
    others: Others::Extensions,
}))));

/// `gpus`: `all`, or requests that need not name capabilities.
pub(super) const GPUS: Rule = Rule::new(Shape::OneOf(&[
    Shape::Word(&["all"]),
    Shape::List(
        &Rule::new(Shape::Object(&Object {
            name: "device request",
            fields: DEVICE_FIELDS,
            required: &[],
            others: Others::Free,
        }))
        .form(Form::DeviceRequest),
    ),
]))
.form(Form::Gpus);
