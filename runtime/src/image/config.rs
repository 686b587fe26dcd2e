//! What an image says about how it wants to be run: the OCI configuration, with Docker's extensions.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Digest, Error, Result};

/// The part of an image's configuration that matters for running it.
///
/// Read from <https://github.com/opencontainers/image-spec/blob/main/config.md> with Docker's health check.
/// Fields that are `null` in the file are as good as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Empty when the image has none, or an empty one.
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// `NAME=value` in the image's order.
    pub env: Vec<(String, String)>,
    /// As in the image: `name`, `uid`, `uid:gid`, `name:group`. `None` means root.
    pub user: Option<String>,
    /// `None` means `/`.
    pub working_dir: Option<String>,
    /// As in the image: `80/tcp`, `53/udp`; a missing protocol is `tcp`. Sorted.
    pub exposed_ports: Vec<String>,
    /// Folders that want a volume. Sorted.
    pub volumes: Vec<String>,
    pub healthcheck: Option<HealthCheck>,
    /// A name such as `SIGQUIT`, or a number.
    pub stop_signal: Option<String>,
    pub labels: BTreeMap<String, String>,
}

/// `HEALTHCHECK` of a Dockerfile. Times are nanoseconds; 0 means the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// `["NONE"]`, `["CMD", program, arguments...]` or `["CMD-SHELL", script]`.
    pub test: Vec<String>,
    pub interval_nanos: u64,
    pub timeout_nanos: u64,
    pub start_period_nanos: u64,
    pub start_interval_nanos: u64,
    pub retries: u32,
}

/// What the store itself needs from a configuration, beside [`ImageConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) config: ImageConfig,
    /// Digests of the uncompressed layers, from the bottom to the top.
    pub(crate) diff_ids: Vec<Digest>,
    pub(crate) created: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) architecture: Option<String>,
}

/// Reads a configuration blob.
pub(crate) fn parse(json: &[u8]) -> Result<Parsed> {
    let file: File = serde_json::from_slice(json).map_err(|e| Error::malformed("image configuration", e))?;
    let raw = file.config.unwrap_or_default();
    let config =
        ImageConfig {
            entrypoint: raw.entrypoint.map(Words::into_vec).unwrap_or_default(),
            cmd: raw.cmd.map(Words::into_vec).unwrap_or_default(),
            env: raw.env.unwrap_or_default().iter().map(|line| split_env(line)).collect(),
            user: raw.user.filter(|user| !user.is_empty()),
            working_dir: raw.working_dir.filter(|dir| !dir.is_empty()),
            exposed_ports: keys(raw.exposed_ports, |port| {
                if port.contains('/') { port } else { format!("{port}/tcp") }
            }),
            volumes: keys(raw.volumes, |path| path),
            healthcheck: raw.healthcheck.and_then(health_check),
            stop_signal: raw.stop_signal.filter(|signal| !signal.is_empty()),
            labels: raw.labels.unwrap_or_default(),
        };
    let diff_ids = file.rootfs.and_then(|rootfs| rootfs.diff_ids).unwrap_or_default();
    Ok(Parsed { config, diff_ids, created: file.created, os: file.os, architecture: file.architecture })
}

fn split_env(line: &str) -> (String, String) {
    let (name, value) = line.split_once('=').unwrap_or((line, ""));
    (name.to_owned(), value.to_owned())
}

fn keys(map: Option<BTreeMap<String, serde_json::Value>>, fix: impl Fn(String) -> String) -> Vec<String> {
    map.unwrap_or_default().into_keys().map(fix).collect()
}

/// An empty test means "as the base image", which an image's own configuration has already resolved.
fn health_check(raw: RawHealth) -> Option<HealthCheck> {
    let test = raw.test.unwrap_or_default();
    let nanos = |value: Option<i64>| u64::try_from(value.unwrap_or(0)).unwrap_or(0);
    (!test.is_empty()).then(|| HealthCheck {
        test,
        interval_nanos: nanos(raw.interval),
        timeout_nanos: nanos(raw.timeout),
        start_period_nanos: nanos(raw.start_period),
        start_interval_nanos: nanos(raw.start_interval),
        retries: u32::try_from(raw.retries.unwrap_or(0)).unwrap_or(0),
    })
}

/// Old builders wrote a single string where the specification has a list; the kernel gets one argument.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

impl Words {
    fn into_vec(self) -> Vec<String> {
        match self {
            Words::One(word) => vec![word],
            Words::Many(words) => words,
        }
    }
}

#[derive(Deserialize)]
struct File {
    created: Option<String>,
    os: Option<String>,
    architecture: Option<String>,
    config: Option<RawConfig>,
    rootfs: Option<RawRootfs>,
}

#[derive(Deserialize)]
struct RawRootfs {
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawConfig {
    entrypoint: Option<Words>,
    cmd: Option<Words>,
    env: Option<Vec<String>>,
    user: Option<String>,
    working_dir: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
    healthcheck: Option<RawHealth>,
    stop_signal: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawHealth {
    test: Option<Vec<String>>,
    interval: Option<i64>,
    timeout: Option<i64>,
    start_period: Option<i64>,
    start_interval: Option<i64>,
    retries: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: ImageConfig) {
        assert_eq!(parse(json.as_bytes()).unwrap().config, expect, "{json}");
    }

    #[test]
    fn null_and_missing_are_the_same() {
        let nothing = ImageConfig::default();
        check("{}", nothing.clone());
        check(r#"{"config": null}"#, nothing.clone());
        check(
            r#"{"config": {"Env": null, "Cmd": null, "Entrypoint": null, "User": "", "WorkingDir": "",
                "ExposedPorts": null, "Volumes": null, "Healthcheck": null, "Labels": null}}"#,
            nothing,
        );
    }

    #[test]
    fn everything_that_matters_is_read() {
        let hour = 3_600_000_000_000;
        check(
            r#"{"config": {"Env": ["PATH=/bin", "A=b=c", "EMPTY="], "Cmd": "sh", "Entrypoint": ["/init"],
                "User": "redis", "WorkingDir": "/data", "ExposedPorts": {"443/udp": {}, "80": {}},
                "Volumes": {"/data": {}}, "StopSignal": "SIGINT", "Labels": {"a": "b"},
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 3600000000000, "Retries": 3}}}"#,
            ImageConfig {
                entrypoint: vec!["/init".into()],
                cmd: vec!["sh".into()],
                env: vec![
                    ("PATH".into(), "/bin".into()),
                    ("A".into(), "b=c".into()),
                    ("EMPTY".into(), String::new()),
                ],
                user: Some("redis".into()),
                working_dir: Some("/data".into()),
                exposed_ports: vec!["443/udp".into(), "80/tcp".into()],
                volumes: vec!["/data".into()],
                healthcheck: Some(HealthCheck {
                    test: vec!["CMD".into(), "true".into()],
                    interval_nanos: hour,
                    retries: 3,
                    ..HealthCheck::default()
                }),
                stop_signal: Some("SIGINT".into()),
                labels: BTreeMap::from([("a".into(), "b".into())]),
            },
        );
    }

    #[test]
    fn history_may_be_longer_than_the_layers() {
        let id = format!("sha256:{}", "a".repeat(64));
        let json = format!(
            r#"{{"rootfs": {{"type": "layers", "diff_ids": ["{id}", "{id}"]}}, "created": "2026-01-01T00:00:00Z",
                "history": [{{"empty_layer": true}}, {{}}, {{}}, {{"empty_layer": true}}]}}"#
        );
        let parsed = parse(json.as_bytes()).unwrap();
        assert_eq!(parsed.diff_ids.len(), 2);
        assert_eq!(parsed.created.as_deref(), Some("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn nonsense_is_an_error() {
        for bad in ["", "[]", r#"{"rootfs": {"diff_ids": ["../x"]}}"#, r#"{"config": {"Env": [1]}}"#] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
