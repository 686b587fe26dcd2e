//! The one place where Compose becomes orc: from a resolved project to a wish.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use compose_spec::{FileReference, MountKind, Project};

use crate::hash::mix;
use crate::limits;
use crate::options::PlaceOptions;
use crate::{
    Attachment, FileMount, NetworkName, NetworkSpec, ServiceSpec, StackName, StackSpec, VolumeName,
    VolumeSpec,
};

/// The network of services that name none.
const DEFAULT_NETWORK: &str = "default";
/// The permission bits of secrets and configs that ask for none.
const DEFAULT_FILE_MODE: u32 = 0o444;

/// The contents of a project's secrets and configs, as SHA-256 in hexadecimal, by their key in the file.
/// Whoever loads the project reads and stores them first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDigests {
    /// Of secrets.
    pub secrets: BTreeMap<String, String>,
    /// Of configs.
    pub configs: BTreeMap<String, String>,
}

/// Why a service is none that can be wished for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("service `{service}`: {problem}")]
pub struct SpecError {
    /// The service.
    pub service: String,
    /// What is wrong with it.
    pub problem: String,
}

/// All that keeps a project from being a wish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SpecErrors(pub Vec<SpecError>);

impl StackSpec {
    /// The wish that a project states. Full names are those of docker compose: `name:` where given, else
    /// `PROJECT_KEY`. Networks and volumes that no service uses are left out, as docker compose does.
    ///
    /// # Errors
    /// A reference leads nowhere, or a value does not say what it should; `compose_spec::load` has already
    /// refused what it can know.
    pub fn from_project(project: &Project, files: &FileDigests) -> Result<Self, SpecErrors> {
        let names = Names { project };
        let mut services = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, service) in &project.services {
            if service.provider.is_some() {
                errors.extend(names.too_early(name, service));
                continue;
            }
            match service_spec(&names, name, service, files) {
                Ok(spec) => _ = services.insert(name.clone(), Arc::new(spec)),
                Err(problem) => errors.push(SpecError { service: name.clone(), problem }),
            }
        }
        if !errors.is_empty() {
            return Err(SpecErrors(errors));
        }
        let used_networks: BTreeSet<&NetworkName> =
            services.values().flat_map(|s| s.networks.keys()).collect();
        let networks = names
            .networks()
            // The loader leaves what is wanted though nobody uses it; the default one is for those who name none, and
            // others' are looked for only when they are used.
            .filter(|(key, spec)| {
                let own = !spec.compose.external && *key != DEFAULT_NETWORK;
                own || used_networks.contains(&spec.name)
            })
            .map(|(key, spec)| (key.to_owned(), spec))
            .collect();
        let volumes = names.volumes().map(|(key, spec)| (key.to_owned(), spec)).collect();
        Ok(Self { name: StackName(project.name.clone()), services, networks, volumes })
    }
}

/// The full names of the volumes that a project declares as its own, whether a service uses them or not.
#[must_use]
pub fn own_volumes(project: &Project) -> BTreeSet<VolumeName> {
    let names = Names { project };
    names.volumes().filter(|(_, spec)| !spec.compose.external).map(|(_, spec)| spec.name).collect()
}

/// Full names of what a project defines.
struct Names<'a> {
    project: &'a Project,
}

impl Names<'_> {
    /// Whether a service is made by a program of the caller, and no business of nodes.
    fn provided(&self, name: &str) -> bool {
        self.project.services.get(name).is_some_and(|service| service.provider.is_some())
    }

    /// A provided service that would have to wait for containers.
    fn too_early(&self, name: &str, service: &compose_spec::Service) -> Option<SpecError> {
        let needed = service.depends_on.keys().find(|other| !self.provided(other))?;
        let problem =
            format!("its provider is asked before containers start, so that it cannot depend on `{needed}`");
        Some(SpecError { service: name.to_owned(), problem })
    }

    fn full(&self, name: Option<&String>, key: &str) -> String {
        name.cloned().unwrap_or_else(|| format!("{}_{key}", self.project.name))
    }

    fn network(&self, key: &str) -> Option<NetworkSpec> {
        let compose = match self.project.networks.get(key) {
            Some(network) => network.clone(),
            None if key == DEFAULT_NETWORK => compose_spec::Network::default(),
            None => return None,
        };
        Some(NetworkSpec { name: NetworkName(self.full(compose.name.as_ref(), key)), compose })
    }

    fn networks(&self) -> impl Iterator<Item = (&str, NetworkSpec)> {
        let keys: BTreeSet<&str> =
            self.project.networks.keys().map(String::as_str).chain([DEFAULT_NETWORK]).collect();
        keys.into_iter().filter_map(|key| Some((key, self.network(key)?)))
    }

    fn volume(&self, key: &str) -> Option<VolumeSpec> {
        let compose = self.project.volumes.get(key)?.clone();
        Some(VolumeSpec { name: VolumeName(self.full(compose.name.as_ref(), key)), compose })
    }

    fn volumes(&self) -> impl Iterator<Item = (&str, VolumeSpec)> {
        self.project.volumes.keys().filter_map(|key| Some((key.as_str(), self.volume(key)?)))
    }
}

fn service_spec(
    names: &Names<'_>,
    name: &str,
    service: &compose_spec::Service,
    files: &FileDigests,
) -> Result<ServiceSpec, String> {
    let mut service = service.clone();
    service.depends_on.retain(|other, _| !names.provided(other));
    if let Some(mode) = machine_mode(names, &service)? {
        service.networks.clear();
        service.network_mode = Some(mode);
    }
    let service = &service;
    let networks = attachments(names, service)?;
    if let Some(port) = service.ports.iter().find(|port| u16::try_from(port.target).is_err()) {
        return Err(format!("no container has a port {}", port.target));
    }
    let (mut volumes, mut devices) = (BTreeMap::new(), Vec::new());
    for mount in service.volumes.iter().filter(|mount| mount.kind == MountKind::Volume) {
        if let Some(key) = &mount.source {
            let spec = names.volume(key).ok_or_else(|| format!("volume `{key}` is not defined"))?;
            if spec.device()?.is_some() {
                devices.push(serde_json::to_string(&spec.compose.driver_opts).unwrap_or_default());
            }
            volumes.insert(key.clone(), spec.name);
        }
    }
    let mut mounts = Vec::new();
    for reference in &service.secrets {
        mounts.push(file_mount("secret", reference, &files.secrets, "/run/secrets/")?);
    }
    for reference in &service.configs {
        mounts.push(file_mount("config", reference, &files.configs, "/")?);
    }
    let mut hash = names.project.service_hash(name).unwrap_or_default();
    for mount in &mounts {
        hash = mix(&hash, &[&mount.target, &mount.digest]);
    }
    // Those of a volume whose data are elsewhere now need other mounts.
    for device in &devices {
        hash = mix(&hash, &[device]);
    }
    // Containers of a network that is defined otherwise now need new interfaces.
    for spec in names.networks().map(|(_, spec)| spec).filter(|spec| networks.contains_key(&spec.name)) {
        if spec.compose != (compose_spec::Network { name: spec.compose.name.clone(), ..Default::default() }) {
            hash = mix(&hash, &[&spec.name.0, &serde_json::to_string(&spec.compose).unwrap_or_default()]);
        }
    }
    let mut spec =
        ServiceSpec { compose: service.clone(), networks, files: mounts, volumes, hash, one_off: None };
    bind_ports(names, &mut spec)?;
    spec.probe()?;
    spec.restarts_unhealthy()?;
    spec.check_deploy()?;
    service.pull_when()?;
    Ok(spec)
}

/// Ports that name no address of the machine are published at the one that the first network to name one says.
fn bind_ports(names: &Names<'_>, spec: &mut ServiceSpec) -> Result<(), String> {
    let mut binding = None;
    for (name, _) in spec.networks_in_order() {
        let known = names.networks().map(|(_, known)| known).find(|known| known.name == *name);
        binding = binding.or(known.map(|known| known.options()).transpose()?.and_then(|found| found.binding));
    }
    let Some(binding) = binding else { return Ok(()) };
    for port in spec.compose.ports.iter_mut().filter(|port| port.host_ip.is_none()) {
        port.host_ip = Some(binding.to_string());
    }
    Ok(())
}

/// Docker's own networks `host` and `none`, joined as external ones, are what `network_mode` calls so.
fn machine_mode(names: &Names<'_>, service: &compose_spec::Service) -> Result<Option<String>, String> {
    let joined = service.networks.keys().filter_map(|key| names.network(key));
    let own = |spec: &NetworkSpec| spec.compose.external && matches!(spec.name.0.as_str(), "host" | "none");
    match joined.into_iter().find(own) {
        Some(spec) if service.networks.len() > 1 => {
            Err(format!("network `{}` cannot be joined together with others", spec.name))
        }
        found => Ok(found.map(|spec| spec.name.0)),
    }
}

/// The networks of a service: those it names, else the default one; none when `network_mode` says how its
/// containers are connected.
fn attachments(
    names: &Names<'_>,
    service: &compose_spec::Service,
) -> Result<BTreeMap<NetworkName, Attachment>, String> {
    if service.network_mode.is_some() {
        return Ok(BTreeMap::new());
    }
    let default = BTreeMap::from([(DEFAULT_NETWORK.to_owned(), None)]);
    let wished = if service.networks.is_empty() { &default } else { &service.networks };
    let mut attachments = BTreeMap::new();
    for (key, place) in wished {
        let spec = names.network(key).ok_or_else(|| format!("network `{key}` is not defined"))?;
        let place = place.clone().unwrap_or_default();
        let options = PlaceOptions::read(&place.driver_opts)?;
        attachments.insert(
            spec.name,
            Attachment {
                aliases: place.aliases.iter().cloned().collect(),
                ipv4: address(place.ipv4_address.as_deref())?,
                ipv6: address(place.ipv6_address.as_deref())?,
                priority: place.priority.unwrap_or(0),
                gateway_priority: place.gw_priority.unwrap_or(0),
                mac: place.mac_address,
                interface: place.interface_name.or(options.interface),
                sysctls: options.sysctls,
                link_local: link_local(&place.link_local_ips)?,
            },
        );
    }
    Ok(attachments)
}

/// Addresses that routers pass on to nobody (RFC 3927, RFC 4291).
fn link_local(texts: &[String]) -> Result<BTreeSet<IpAddr>, String> {
    let of = |text: &String| {
        let found = text.parse().ok().filter(|ip| match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        });
        found
            .ok_or_else(|| format!("`link_local_ips`: `{text}` is no address of 169.254.0.0/16 or fe80::/10"))
    };
    if texts.len() > limits::LINK_LOCAL {
        return Err(format!(
            "`link_local_ips`: {} addresses are more than {}",
            texts.len(),
            limits::LINK_LOCAL
        ));
    }
    texts.iter().map(of).collect()
}

fn address(text: Option<&str>) -> Result<Option<IpAddr>, String> {
    text.map(|text| text.parse().map_err(|_| format!("`{text}` is no IP address"))).transpose()
}

fn file_mount(
    what: &str,
    reference: &FileReference,
    digests: &BTreeMap<String, String>,
    folder: &str,
) -> Result<FileMount, String> {
    let source = &reference.source;
    let digest =
        digests.get(source).ok_or_else(|| format!("the content of {what} `{source}` is not known"))?;
    let target = reference.target.as_deref().unwrap_or(source);
    let number = |text: &Option<String>, of: &str| match text.as_deref() {
        None | Some("") => Ok(0),
        Some(text) => text.parse().map_err(|_| format!("{what} `{source}`: {of} `{text}` is no number")),
    };
    Ok(FileMount {
        target: if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") },
        digest: digest.clone(),
        uid: number(&reference.uid, "uid")?,
        gid: number(&reference.gid, "gid")?,
        mode: reference.mode.map_or(DEFAULT_FILE_MODE, |mode| mode.0),
    })
}

#[cfg(test)]
#[path = "from_project_tests.rs"]
mod tests;
