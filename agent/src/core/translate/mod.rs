//! From a task and its image to the container that runs it: Docker's rules of what comes from where.

mod devices;
mod files;
mod limits;
mod logging;
mod mounts;

use std::collections::BTreeMap;
use std::path::Path;

use ::core::net::IpAddr;
use cluster::compose_spec::{Hook, Port, PullWhen};
use cluster::{NetworkName, Task};
use overlay_net::{EndpointSpec, Protocol};
use runtime::image::{ImageConfig, PullPolicy};
use runtime::{Before, ContainerConfig, ExecConfig, HostNamespaces, Joined, Seccomp};

pub(super) use files::files;
pub(super) use mounts::{Devices, Volumes, mounted_images, volume_labels};

use super::health::Check;
use super::record::{ORIGIN_LABEL, Origin};
use super::restart::duration_ms;
use super::stop::{SIGTERM, signal_number};
use crate::limits::STOP_GRACE_MS;

/// What a container is made from besides its task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// The image's part.
    pub image: &'a ImageConfig,
    /// Its network namespace; `None` when it shares the machine's or another container's.
    pub netns: Option<&'a Path>,
    /// Where its volumes are.
    pub volumes: &'a Volumes,
    /// What is mounted there, by the volumes' names.
    pub devices: &'a Devices,
    /// The ids of the images that it mounts, by their references.
    pub images: &'a BTreeMap<String, String>,
    /// Contents of its secrets and configs, by digest.
    pub blobs: &'a BTreeMap<String, Vec<u8>>,
    /// What `host-gateway` stands for: the gateway of its first network.
    pub gateway: Option<IpAddr>,
}

/// The image that a task asks for, and whether the registry is asked.
///
/// # Errors
/// The service names no image, or does not say when it is pulled.
pub(super) fn image_of(task: &Task) -> Result<(String, PullPolicy), String> {
    let compose = &task.spec.compose;
    let reference =
        compose.image.clone().ok_or_else(|| format!("service `{}` names no image", task.service.service))?;
    Ok((reference, pull_policy(task)?))
}

/// When the registry is asked for the images of a task.
///
/// # Errors
/// The service does not say it as it should.
pub(super) fn pull_policy(task: &Task) -> Result<PullPolicy, String> {
    let policy = match task.spec.compose.pull_when()? {
        PullWhen::Always => PullPolicy::Always,
        PullWhen::Never => PullPolicy::Never,
        PullWhen::Missing => PullPolicy::Missing,
        PullWhen::OlderThan(age) => PullPolicy::OlderThan { ms: duration_ms(age) },
    };
    Ok(policy)
}

/// The task shares the machine's own network.
#[must_use]
pub(super) fn uses_host_network(task: &Task) -> bool {
    task.spec.compose.network_mode.as_deref() == Some("host")
}

/// The task's network has nothing but loopback.
#[must_use]
pub(super) fn is_isolated(task: &Task) -> bool {
    task.spec.compose.network_mode.as_deref() == Some("none")
}

/// The task shares the network of another container.
#[must_use]
fn shares_network(task: &Task) -> bool {
    task.spec.compose.network_mode.as_deref().is_some_and(|mode| mode.contains(':'))
}

/// The interfaces of a task, `eth0` first. A hardware address that the service names without a network is that
/// of the first.
///
/// # Errors
/// A hardware address is none, or several replicas would have the same.
pub(super) fn endpoints(task: &Task) -> Result<Vec<EndpointSpec>, String> {
    let compose = &task.spec.compose;
    let mut specs = Vec::with_capacity(task.endpoints.len());
    for (index, endpoint) in task.endpoints.iter().enumerate() {
        let asked = task.spec.networks.get(&endpoint.network);
        let own = asked.and_then(|attachment| attachment.mac.as_ref());
        let mac = own.or(compose.mac_address.as_ref().filter(|_| index == 0));
        if mac.is_some() && task.slot > 1 {
            return Err("replicas cannot share one `mac_address`".to_owned());
        }
        specs.push(EndpointSpec {
            network: endpoint.network.0.clone(),
            interface: asked
                .and_then(|attachment| attachment.interface.clone())
                .unwrap_or_else(|| format!("eth{index}")),
            addr4: endpoint.v4,
            addr6: endpoint.v6,
            mac: mac.map(|text| hardware_address(text)).transpose()?,
            gateway_priority: asked.map_or(0, |attachment| attachment.gateway_priority),
            sysctls: asked.map(|attachment| attachment.sysctls.clone()).unwrap_or_default(),
            link_local: asked.map(|attachment| attachment.link_local.clone()).unwrap_or_default(),
            open: compose.ports.iter().filter_map(open_port).collect(),
        });
    }
    Ok(specs)
}

/// A port of the container that is published, by whatever host port.
fn open_port(port: &Port) -> Option<(Protocol, u16)> {
    Some((protocol(port.protocol.as_deref().unwrap_or("tcp"))?, u16::try_from(port.target).ok()?))
}

/// A protocol by its name; the specification refuses any other where ports are published.
pub(super) fn protocol(name: &str) -> Option<Protocol> {
    match name {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

/// Six bytes in hexadecimal, as `02:42:ac:11:00:02`; those of a group of machines are no address of one.
fn hardware_address(text: &str) -> Result<[u8; 6], String> {
    let bytes: Vec<u8> = text.split([':', '-']).map_while(|part| u8::from_str_radix(part, 16).ok()).collect();
    match <[u8; 6]>::try_from(bytes) {
        Ok(address) if address[0] & 1 == 0 && text.len() == 17 => Ok(address),
        _ => Err(format!("`mac_address: {text}` is not the hardware address of one interface")),
    }
}

/// What has to be known of a container for as long as it exists.
///
/// # Errors
/// A value of the service cannot be honoured.
pub(super) fn origin(task: &Task, image: &str, config: &ImageConfig) -> Result<Origin, String> {
    let compose = &task.spec.compose;
    let stop_signal = match compose.stop_signal.as_ref().or(config.stop_signal.as_ref()) {
        None => SIGTERM,
        Some(text) => signal_number(text).ok_or_else(|| format!("`{text}` is not the name of a signal"))?,
    };
    Ok(Origin {
        service: task.service.clone(),
        slot: task.slot,
        generation: task.generation,
        image: image.to_owned(),
        check: Check::of(&task.spec, config.healthcheck.as_ref()),
        restarts_unhealthy: task.spec.restarts_unhealthy()?,
        post_start: compose.post_start.clone(),
        pre_stop: compose.pre_stop.clone(),
        stop_signal,
        grace_ms: compose.stop_grace_period.map_or(STOP_GRACE_MS, duration_ms),
        volumes_renewed: task.volumes_renewed,
        anonymous: mounts::anonymous(task, config),
        volumes: mounts::named(task),
        networks: networks(task),
    })
}

/// The process of a hook in its container. `timeout_ms`: after so long it is killed.
#[must_use]
pub(super) fn hook(hook: &Hook, timeout_ms: Option<u64>) -> ExecConfig {
    let value = |(name, value): (&String, &Option<String>)| Some((name.clone(), value.clone()?));
    ExecConfig {
        args: hook.command.clone().unwrap_or_default(),
        env: hook.environment.iter().filter_map(value).collect(),
        user: hook.user.clone(),
        working_dir: hook.working_dir.clone(),
        privileged: hook.privileged,
        timeout_ms,
        ..ExecConfig::default()
    }
}

/// A step of `pre_start`: a command in its image, with what the service says where the step says nothing.
///
/// # Errors
/// Neither the step nor its image says which command to run.
pub(super) fn before(task: &Task, step: &Hook, id: &str, image: &ImageConfig) -> Result<Before, String> {
    let compose = &task.spec.compose;
    let command = step.command.as_ref().unwrap_or(&image.cmd);
    let args: Vec<String> = image.entrypoint.iter().chain(command).cloned().collect();
    if args.is_empty() {
        return Err("a step of `pre_start` has no command, and its image has none".to_owned());
    }
    let mut own = compose.environment.clone();
    own.extend(step.environment.clone());
    let of_service = |own: &Option<String>, service: &Option<String>, image: &Option<String>| {
        own.clone().or_else(|| service.clone()).or_else(|| image.clone())
    };
    Ok(Before {
        image: id.to_owned(),
        args,
        env: env(image, &own),
        user: of_service(&step.user, &compose.user, &image.user),
        working_dir: of_service(&step.working_dir, &compose.working_dir, &image.working_dir),
        privileged: step.privileged,
    })
}

/// The networks that a task is in.
#[must_use]
pub(super) fn networks(task: &Task) -> Vec<NetworkName> {
    task.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect()
}

/// The container of a task.
///
/// # Errors
/// A value of the service cannot be honoured, in words for a person.
pub(super) fn container(task: &Task, origin: &Origin, parts: Parts<'_>) -> Result<ContainerConfig, String> {
    let compose = &task.spec.compose;
    let image = parts.image;
    let mut labels = compose.labels.clone();
    labels.insert(ORIGIN_LABEL.to_owned(), origin.to_label());
    let (no_new_privileges, seccomp) = security(&compose.security_opt)?;
    if let Some(server) = compose.dns.iter().find(|server| server.parse::<IpAddr>().is_err()) {
        return Err(format!("`dns: {server}` is not an IP address"));
    }
    Ok(ContainerConfig {
        id: task.id.to_string(),
        name: task.container_name(),
        image: origin.image.clone(),
        runtime: compose.runtime.clone(),
        args: args(task, image)?,
        env: env(image, &compose.environment),
        working_dir: compose.working_dir.clone().or_else(|| image.working_dir.clone()),
        user: compose.user.clone().or_else(|| image.user.clone()),
        groups: compose.group_add.clone(),
        hostname: hostname(task),
        domainname: compose.domainname.clone(),
        netns: parts.netns.map(Path::to_owned),
        host_network: uses_host_network(task),
        mounts: mounts::mounts(task, origin, &parts)?,
        files: files(task, parts.blobs, parts.gateway)?,
        host: HostNamespaces {
            cgroup: is_host(compose.cgroup.as_deref()),
            ipc: is_host(compose.ipc.as_deref()),
            pid: is_host(compose.pid.as_deref()),
            uts: is_host(compose.uts.as_deref()),
        },
        resources: limits::resources(compose)?,
        cgroup_parent: compose.cgroup_parent.clone(),
        devices: devices::by_path(compose),
        device_names: devices::by_name(compose)?,
        device_rules: compose.device_cgroup_rules.clone(),
        annotations: compose.annotations.clone(),
        cap_add: compose.cap_add.clone(),
        cap_drop: compose.cap_drop.clone(),
        privileged: compose.privileged,
        no_new_privileges,
        seccomp,
        read_only: compose.read_only,
        ulimits: limits::ulimits(compose),
        sysctls: compose.sysctls.clone(),
        init: compose.init.unwrap_or(false),
        tty: compose.tty,
        stdin_open: compose.stdin_open,
        stop_signal: Some(origin.stop_signal.to_string()),
        log: logging::log(task, &origin.image)?,
        labels,
        // What it has of other containers is nothing that its task alone could say.
        joined: Joined::default(),
        mounts_of: Vec::new(),
    })
}

/// The host name: what the service says, or the start of the container's id, as in Docker.
#[must_use]
pub(super) fn hostname(task: &Task) -> String {
    task.spec.compose.hostname.clone().unwrap_or_else(|| short_id(task.id))
}

/// The start of a container's id, by which it is known in its networks.
#[must_use]
pub(super) fn short_id(task: cluster::TaskId) -> String {
    let mut id = task.to_string();
    id.truncate(12);
    id
}

/// A service's entrypoint makes the image's command void; an empty list stands for none at all.
fn args(task: &Task, image: &ImageConfig) -> Result<Vec<String>, String> {
    let compose = &task.spec.compose;
    let (entrypoint, inherited) = match &compose.entrypoint {
        Some(own) if own.is_empty() => (&[] as &[String], image.cmd.as_slice()),
        Some(own) => (own.as_slice(), &[] as &[String]),
        None => (image.entrypoint.as_slice(), image.cmd.as_slice()),
    };
    let command = compose.command.as_deref().unwrap_or(inherited);
    let args: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    if args.is_empty() {
        let image = compose.image.as_deref().unwrap_or_default();
        return Err(format!("neither image `{image}` nor the service says which command to run"));
    }
    Ok(args)
}

/// The image's variables in their order, with the service's values in their places, then the service's own.
/// A variable without a value is taken out.
fn env(image: &ImageConfig, own: &BTreeMap<String, Option<String>>) -> Vec<(String, String)> {
    let mut list = Vec::with_capacity(image.env.len() + own.len());
    for (name, value) in &image.env {
        match own.get(name) {
            None => list.push((name.clone(), value.clone())),
            Some(Some(value)) => list.push((name.clone(), value.clone())),
            Some(None) => {}
        }
    }
    for (name, value) in own {
        if let Some(value) = value
            && !image.env.iter().any(|(inherited, _)| inherited == name)
        {
            list.push((name.clone(), value.clone()));
        }
    }
    list
}

fn is_host(mode: Option<&str>) -> bool {
    mode == Some("host")
}

/// `security_opt`: the options that have a meaning here; others are refused, never ignored.
fn security(options: &[String]) -> Result<(bool, Seccomp), String> {
    let mut no_new_privileges = false;
    let mut seccomp = Seccomp::Default;
    for option in options {
        match option.replacen('=', ":", 1).as_str() {
            "no-new-privileges" | "no-new-privileges:true" => no_new_privileges = true,
            "no-new-privileges:false" => no_new_privileges = false,
            "seccomp:unconfined" => seccomp = Seccomp::Unconfined,
            // Neither confines anything here yet, so this asks for what is.
            "apparmor:unconfined" | "label:disable" => {}
            _ => return Err(format!("`security_opt: {option}` is not supported")),
        }
    }
    Ok((no_new_privileges, seccomp))
}
