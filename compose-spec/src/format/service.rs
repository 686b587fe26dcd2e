//! The shape of a service.

use super::build::BUILD;
use super::common::*;
use super::deploy::{DEPLOY, GPUS};
use super::parts::{
    BLKIO, CREDENTIAL_SPEC, DEPENDS_ON, DEVELOP, DEVICE, ENV_FILE, EXTENDS, HEALTHCHECK, HOOK, LOGGING,
    MODELS, MOUNT, NETWORKS, PORT, PRE_START_HOOK, PROVIDER,
};
use super::{Form, Identity, Keys, Merge, Object, Others, PathKind, Pattern, Rule, Shape, Types};
use crate::cast::Cast;

pub(crate) const SERVICE: Rule = Rule::new(Shape::Object(&OBJECT));

/// A number with a fraction is none.
const PORT_NUMBER: Rule = Rule::new(Shape::Scalar(INT_OR_TEXT)).form(Form::Digits);
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
        ("dns", SERVER_LIST.form(Form::Servers)),
        ("dns_opt", STRING_SET.merge(Merge::Sequence).unique(Identity::Key)),
        ("dns_search", SERVER_LIST),
        ("domainname", TEXT),
        ("entrypoint", COMMAND),
        ("env_file", ENV_FILE),
        ("environment", VARIABLES),
        ("expose", Rule::new(Shape::Set(&PORT_NUMBER)).unique(Identity::Expose)),
        ("extends", EXTENDS),
        ("external_links", STRING_SET),
        ("extra_hosts", EXTRA_HOSTS),
        ("gpus", GPUS),
        ("group_add", Rule::new(Shape::Set(&NUMBER.form(Form::Digits)))),
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
        (
            "storage_opt",
            Rule::new(Shape::Map(
                Keys::Any,
                &Rule::new(Shape::Scalar(INT_OR_TEXT.or(Types::NULL))).form(Form::Digits),
            )),
        ),
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
