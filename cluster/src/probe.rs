//! orc's own attributes of a service's health: `x-probe`, a check from outside that needs no program in the
//! image, and `x-on-unhealthy`, what follows when checks fail.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ServiceSpec;

/// A check from outside of the container. Written as `PORT` or `PORT/REST`, a colon before it or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// `http: 8080/healthz`: a GET that is answered with a status below 400.
    Http {
        /// The port in the container.
        port: u16,
        /// The path, with its slash.
        path: String,
    },
    /// `tcp: 5432`: a connection that is accepted.
    Tcp {
        /// The port in the container.
        port: u16,
    },
    /// `grpc: 50051/SERVICE`: `grpc.health.v1.Health/Check` says SERVING.
    Grpc {
        /// The port in the container.
        port: u16,
        /// The service asked for; empty means the whole server.
        service: String,
    },
}

impl ServiceSpec {
    /// `x-probe`.
    ///
    /// # Errors
    /// It is none, in words for a person.
    pub fn probe(&self) -> Result<Option<Probe>, String> {
        self.compose.extensions.0.get("x-probe").map(parse).transpose()
    }

    /// `x-on-unhealthy`: whether a container whose checks fail is restarted, as far as its restart policy goes.
    ///
    /// # Errors
    /// It is neither `restart` nor `none`.
    pub fn restarts_unhealthy(&self) -> Result<bool, String> {
        match self.compose.extensions.0.get("x-on-unhealthy").map(Value::as_str) {
            None | Some(Some("restart")) => Ok(true),
            Some(Some("none")) => Ok(false),
            Some(_) => Err("`x-on-unhealthy` is `restart` or `none`".to_owned()),
        }
    }
}

fn parse(value: &Value) -> Result<Probe, String> {
    let help = "`x-probe` is one of `http: PORT/PATH`, `tcp: PORT` and `grpc: PORT/SERVICE`";
    let map = value.as_object().filter(|map| map.len() == 1);
    let (kind, target) = map.and_then(|map| map.iter().next()).ok_or_else(|| help.to_owned())?;
    let text = match target {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Err(help.to_owned()),
    };
    let text = text.strip_prefix(':').unwrap_or(&text);
    let (port, rest) = text.split_once('/').unwrap_or((text, ""));
    let port = port.parse().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| format!("`x-probe`: `{text}` does not begin with a port"))?;
    match kind.as_str() {
        "http" if rest.contains(|c: char| c.is_control() || c == ' ') => {
            Err(format!("`x-probe`: `/{rest}` is not a path"))
        }
        "http" => Ok(Probe::Http { port, path: format!("/{rest}") }),
        "tcp" if rest.is_empty() => Ok(Probe::Tcp { port }),
        "grpc" => Ok(Probe::Grpc { port, service: rest.to_owned() }),
        _ => Err(help.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_probe_is_a_port_and_what_is_asked_there() {
        let http = |port, path: &str| Ok(Probe::Http { port, path: path.into() });
        for (value, expect) in [
            (json!({"http": 80}), http(80, "/")),
            (json!({"http": ":8080/a/b?c=d"}), http(8080, "/a/b?c=d")),
            (json!({"tcp": "5432"}), Ok(Probe::Tcp { port: 5432 })),
            (
                json!({"grpc": "50051/my.Service"}),
                Ok(Probe::Grpc { port: 50051, service: "my.Service".into() }),
            ),
            (json!({"http": "web/x"}), Err("`x-probe`: `web/x` does not begin with a port".into())),
            (json!({"http": "80/a b"}), Err("`x-probe`: `/a b` is not a path".into())),
        ] {
            assert_eq!(parse(&value), expect, "{value}");
        }
        for none in
            [json!(80), json!({}), json!({"udp": 53}), json!({"tcp": 1, "http": 1}), json!({"tcp": [1]})]
        {
            assert!(parse(&none).unwrap_err().contains("is one of"), "{none}");
        }
    }
}
