//! Containers in docker's words: the fields and columns of `docker compose ps`, for programs and people that
//! read those. Pure: the time is an argument.

use std::net::IpAddr;

use cluster::view::{PublishedPort, StackView};
use cluster::{ContainerState, Health, Timestamp};
use serde_json::{Value, json};

use super::{Row, row_ports};
use crate::output::table::{Table, cut};

/// Characters of a command, and of the name of a mount, unless all is asked for.
const COMMAND_WIDTH: usize = 20;
const MOUNT_WIDTH: usize = 15;

/// What all rows of a listing have in common.
pub(super) struct About<'a> {
    pub(super) stack: Option<&'a StackView>,
    pub(super) now: Timestamp,
    /// Long texts are not cut.
    pub(super) whole: bool,
}

impl About<'_> {
    /// The JSON object of a container.
    pub(super) fn object(&self, row: &Row<'_>) -> Value {
        let task = &row.task.task;
        let container = task.container();
        let ended = container.filter(|container| !container.is_alive());
        let addresses: serde_json::Map<String, Value> = task
            .endpoints
            .iter()
            .filter_map(|endpoint| {
                Some((endpoint.network.0.clone(), endpoint.addresses().each().next()?.to_string().into()))
            })
            .collect();
        let networks: Vec<&str> = task.endpoints.iter().map(|endpoint| endpoint.network.0.as_str()).collect();
        let (mounts, volumes) = self.mounts(row);
        json!({
            "ID": task.id.to_string(),
            "Name": row.task.container_name,
            "Names": row.task.container_name,
            "Project": task.service.stack.0,
            "Service": row.service,
            "Image": task.spec.compose.image.clone().unwrap_or_default(),
            "Command": self.command(row),
            "State": row.words.state,
            "Status": status(row, self.now),
            "Health": health(row),
            "ExitCode": ended.and_then(|container| container.exit.as_ref()).map_or(0, |exit| exit.code),
            "Publishers": publishers(row),
            "Ports": ports(row),
            "Networks": networks.join(","),
            "Mounts": mounts,
            "LocalVolumes": volumes.to_string(),
            "Size": "0B",
            "CreatedAt": time(task.created_at),
            "RunningFor": format!("{} ago", ago(self.now, task.created_at)),
            "Labels": self.labels(row),
            // What docker compose does not say.
            "Slot": task.slot,
            "Node": task.node.to_string(),
            "Pid": container.and_then(|container| container.pid),
            "Restarts": container.map_or(0, |container| container.restarts),
            "Addresses": addresses,
            "Current": row.task.current,
            "ServiceLabels": self.service_labels(row),
            "Detail": row.words.detail,
        })
    }

    /// The columns of docker compose.
    pub(super) fn table(&self, rows: &[Row<'_>]) -> Table {
        let mut table = Table::new(&["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]);
        for row in rows {
            table.row([
                row.task.container_name.clone(),
                row.task.task.spec.compose.image.clone().unwrap_or_default(),
                self.command(row),
                row.service.to_owned(),
                format!("{} ago", ago(self.now, row.task.task.created_at)),
                status(row, self.now),
                ports(row),
            ]);
        }
        table
    }

    /// What is run, in quotes. What the file leaves to the image is not known here.
    fn command(&self, row: &Row<'_>) -> String {
        let compose = &row.task.task.spec.compose;
        let words = compose.entrypoint.iter().chain(&compose.command).flatten();
        let text = words.map(String::as_str).collect::<Vec<_>>().join(" ");
        format!("\"{}\"", self.cut(text, COMMAND_WIDTH))
    }

    /// What is mounted, and how many of it are volumes.
    fn mounts(&self, row: &Row<'_>) -> (String, usize) {
        let spec = &row.task.task.spec;
        let mut volumes = 0;
        let mut names = Vec::new();
        for mount in &spec.compose.volumes {
            let source = mount.source.clone().unwrap_or_default();
            let name = match mount.kind {
                compose_spec::MountKind::Volume => {
                    volumes += 1;
                    spec.volumes.get(&source).map_or(source, |name| name.0.clone())
                }
                compose_spec::MountKind::Bind => source,
                _ => continue,
            };
            // An anonymous volume has no name that anybody could use.
            if !name.is_empty() {
                names.push(self.cut(name, MOUNT_WIDTH));
            }
        }
        (names.join(","), volumes)
    }

    /// The labels of the file and those by which docker compose knows its containers, as `NAME=VALUE`.
    fn labels(&self, row: &Row<'_>) -> String {
        let task = &row.task.task;
        let compose = &task.spec.compose;
        let own = |name: &str, value: String| (format!("com.docker.compose.{name}"), value);
        let mut labels: Vec<(String, String)> =
            compose.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let depends: Vec<&str> = compose.depends_on.keys().map(String::as_str).collect();
        let one_off = if task.spec.one_off.is_some() { "True" } else { "False" };
        labels.extend([
            own("project", task.service.stack.0.clone()),
            own("service", row.service.to_owned()),
            own("container-number", task.slot.to_string()),
            own("oneoff", one_off.to_owned()),
            own("config-hash", task.spec.hash.clone()),
            own("depends_on", depends.join(",")),
            own("image", task.container().map_or_else(String::new, |container| container.image.clone())),
        ]);
        if let Some(stack) = self.stack.filter(|stack| !stack.config_files.is_empty()) {
            labels.push(own("project.config_files", stack.config_files.join(",")));
        }
        labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }

    /// The labels of the service itself (`deploy.labels`), as it is wished for now.
    fn service_labels(&self, row: &Row<'_>) -> Value {
        let service = self.stack.and_then(|stack| stack.services.get(row.service));
        let deploy = service.and_then(|service| service.spec.compose.deploy.as_ref());
        deploy.map_or_else(|| json!({}), |deploy| json!(deploy.labels))
    }

    fn cut(&self, text: String, width: usize) -> String {
        if self.whole { text } else { cut(&text, width) }
    }
}

/// `Up 3 seconds (healthy)`.
fn status(row: &Row<'_>, now: Timestamp) -> String {
    let task = &row.task.task;
    if row.words.state == "removing" {
        return "Removal In Progress".to_owned();
    }
    let Some(container) = task.container() else { return "Created".to_owned() };
    let up = || format!("Up {}", ago(now, container.started_at.unwrap_or(now)));
    let ended = |word: &str| {
        let (code, at) = container.exit.as_ref().map_or((0, now), |exit| (exit.code, exit.at));
        format!("{word} ({code}) {} ago", ago(now, at))
    };
    match container.state {
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Running | ContainerState::Stopping => match container.health {
            Health::None => up(),
            Health::Starting => format!("{} (health: starting)", up()),
            Health::Healthy => format!("{} (healthy)", up()),
            Health::Unhealthy { .. } => format!("{} (unhealthy)", up()),
        },
        ContainerState::Paused => format!("{} (Paused)", up()),
        ContainerState::Restarting { .. } => ended("Restarting"),
        ContainerState::Exited => ended("Exited"),
    }
}

fn health(row: &Row<'_>) -> &'static str {
    match row.task.task.container().map(|container| &container.health) {
        Some(Health::Starting) => "starting",
        Some(Health::Healthy) => "healthy",
        Some(Health::Unhealthy { .. }) => "unhealthy",
        Some(Health::None) | None => "",
    }
}

/// The addresses at which a published port is reached: all of the host's are two, one of each family.
fn hosts(port: &PublishedPort) -> Vec<IpAddr> {
    match port.host_ip {
        Some(ip) => vec![ip],
        None => vec![std::net::Ipv4Addr::UNSPECIFIED.into(), std::net::Ipv6Addr::UNSPECIFIED.into()],
    }
}

/// The ports that the file names for other containers only: number and protocol.
fn exposed<'a>(row: &'a Row<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let published = |target: &str| row_ports(row).any(|port| port.target.to_string() == target);
    let entries = row.task.task.spec.compose.expose.iter().filter(|_| row.task.task.is_running());
    entries
        .map(|entry| entry.split_once('/').unwrap_or((entry, "tcp")))
        .filter(move |(port, _)| !published(port))
}

fn publishers(row: &Row<'_>) -> Vec<Value> {
    let published = row_ports(row).flat_map(|port| {
        hosts(port).into_iter().map(|host| {
            json!({
                "URL": host.to_string(), "TargetPort": port.target,
                "PublishedPort": port.host_port, "Protocol": port.protocol,
            })
        })
    });
    let exposed = exposed(row).filter_map(|(port, protocol)| {
        let port: u16 = port.parse().ok()?;
        Some(json!({"URL": "", "TargetPort": port, "PublishedPort": 0, "Protocol": protocol}))
    });
    published.chain(exposed).collect()
}

/// `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 5432/tcp`.
fn ports(row: &Row<'_>) -> String {
    let published = row_ports(row).flat_map(|port| {
        hosts(port).into_iter().map(|host| {
            let host = std::net::SocketAddr::new(host, port.host_port);
            format!("{host}->{}/{}", port.target, port.protocol)
        })
    });
    let exposed = exposed(row).map(|(port, protocol)| format!("{port}/{protocol}"));
    published.chain(exposed).collect::<Vec<_>>().join(", ")
}

/// How long something is ago, as docker says it: `Less than a second`, `About a minute`, `3 weeks`.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.ms_since(then) / 1000;
    let minutes = seconds / 60;
    // Hours are rounded, all else is cut.
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        (.., 48..336) => format!("{} days", hours / 24),
        (.., 336..1440) => format!("{} weeks", hours / 24 / 7),
        (.., 1440..8760) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// A point in time as docker prints it, in the caller's time zone: `2026-11-21 02:35:02 +0000 UTC`.
pub(crate) fn time(at: Timestamp) -> String {
    let point = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    point.map_or_else(String::new, |point| {
        point.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
    })
}

#[cfg(test)]
mod tests {
    use cluster::Exit;

    use super::*;
    use crate::words::describe;
    use crate::words::tests::{service, task};

    #[test]
    fn spans_are_those_of_docker() {
        let check = |seconds: u64, expect: &str| {
            assert_eq!(ago(Timestamp(seconds * 1000 + 999), Timestamp(0)), expect, "{seconds}");
        };
        check(0, "Less than a second");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "About a minute");
        check(120, "2 minutes");
        check(3599, "59 minutes");
        check(3600, "About an hour");
        check(5400, "2 hours");
        check(47 * 3600, "47 hours");
        check(48 * 3600, "2 days");
        check(14 * 86_400, "2 weeks");
        check(60 * 86_400, "2 months");
        check(800 * 86_400, "2 years");
    }

    #[test]
    fn a_container_says_what_docker_would_say() {
        let now = Timestamp(61_000);
        let about = About { stack: None, now, whole: false };
        let check = |change: fn(&mut cluster::ContainerStatus),
                     state: Option<ContainerState>,
                     expect: &str| {
            let mut view = task(1, state);
            view.task.status.container.iter_mut().for_each(change);
            let service = service(1, Vec::new());
            let row =
                Row { service: "web", name: "web", view: &service, task: &view, words: describe(&view, now) };
            assert_eq!(about.object(&row)["Status"], expect);
        };
        let exit = |container: &mut cluster::ContainerStatus| {
            container.exit =
                Some(Exit { code: 3, oom: false, error: None, unhealthy: false, at: Timestamp(59_000) });
        };
        check(|_| {}, None, "Created");
        check(|_| {}, Some(ContainerState::Running), "Up About a minute");
        check(
            |c| c.health = Health::Starting,
            Some(ContainerState::Running),
            "Up About a minute (health: starting)",
        );
        check(|c| c.health = Health::Healthy, Some(ContainerState::Running), "Up About a minute (healthy)");
        check(|_| {}, Some(ContainerState::Paused), "Up About a minute (Paused)");
        check(exit, Some(ContainerState::Exited), "Exited (3) 2 seconds ago");
        check(exit, Some(ContainerState::Restarting { at: now }), "Restarting (3) 2 seconds ago");
    }

    #[test]
    fn a_container_has_the_fields_of_docker_compose() {
        let mut view = task(1, Some(ContainerState::Running));
        let spec: cluster::ServiceSpec = serde_json::from_value(json!({
            "compose": {
                "image": "db:1", "command": ["postgres", "-c", "max_connections=1000"], "expose": ["5432"],
                "labels": {"a": "b"},
                "volumes": [
                    {"type": "volume", "source": "data", "target": "/data"},
                    {"type": "volume", "target": "/anonymous"},
                    {"type": "bind", "source": "/srv/very/long/path", "target": "/x"},
                ],
            },
            "networks": {}, "files": [], "volumes": {"data": "shop_data"}, "hash": "h",
        }))
        .unwrap();
        view.task.spec = spec.into();
        let mut service = service(1, Vec::new());
        service.ports = vec![PublishedPort {
            host_ip: None,
            host_port: 8080,
            protocol: "tcp".into(),
            target: 80,
            slot: None,
        }];
        let row = Row {
            service: "web",
            name: "web",
            view: &service,
            task: &view,
            words: describe(&view, Timestamp(0)),
        };
        let object = About { stack: None, now: Timestamp(4_000), whole: false }.object(&row);
        let check = |field: &str, expect: Value| assert_eq!(object[field], expect, "{field}");
        check("Command", json!("\"postgres -c max_con…\""));
        check("Mounts", json!("shop_data,/srv/very/long…"));
        check("LocalVolumes", json!("2"));
        check("Ports", json!("0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 5432/tcp"));
        check("RunningFor", json!("3 seconds ago"));
        check("ExitCode", json!(0));
        assert_eq!(object["Publishers"][1]["URL"], "::");
        assert_eq!(
            object["Publishers"][2],
            json!({"URL": "", "TargetPort": 5432, "PublishedPort": 0, "Protocol": "tcp"})
        );
        let labels = object["Labels"].as_str().unwrap();
        assert!(
            labels.starts_with("a=b,com.docker.compose.project=shop,com.docker.compose.service=web,"),
            "{labels}"
        );
        let created = object["CreatedAt"].as_str().unwrap();
        assert_eq!(created.split(' ').count(), 4, "{created}");
    }
}
