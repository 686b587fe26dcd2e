//! Which attributes the engine honours: the one place that says so.

use crate::diagnostic::{Code, Diagnostic};
use crate::format::{PROJECT, Shape};
use crate::node::{Node, Value};
use crate::place::Place;
use crate::request::Loaded;
use crate::source::Span;

/// How the engine treats an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what the format says.
    Honoured,
    /// It will be honoured once the engine has what is named here.
    Needs(&'static str),
    /// It will not be honoured, for this reason.
    Refused(&'static str),
}

use Support::{Honoured, Needs, Refused};

/// The status of each attribute by its path, in which `*` stands for a name or an entry. An attribute that is not
/// listed has the status of the one above it.
const TABLE: &[(&str, Support)] = &[
    ("configs.*", Honoured),
    ("configs.*.content", Needs("inline content of configs")),
    ("configs.*.environment", Needs("content of configs from variables")),
    ("configs.*.external", Needs("external configs")),
    ("configs.*.labels", Honoured),
    ("configs.*.template_driver", Refused("contents are not expanded as templates")),
    ("include", Honoured),
    ("models", Needs("a model runner")),
    ("name", Honoured),
    ("networks.*", Honoured),
    ("networks.*.attachable", Needs("attaching containers from outside")),
    ("networks.*.driver", Needs("network drivers")),
    ("networks.*.driver_opts", Needs("network drivers")),
    ("networks.*.enable_ipv4", Needs("networks without IPv4")),
    ("networks.*.enable_ipv6", Needs("the choice of address families")),
    ("networks.*.external", Needs("external networks")),
    ("networks.*.internal", Needs("internal networks")),
    ("networks.*.ipam", Needs("chosen address pools")),
    ("secrets.*", Honoured),
    ("secrets.*.driver", Refused("there are no secret drivers")),
    ("secrets.*.driver_opts", Refused("there are no secret drivers")),
    ("secrets.*.environment", Needs("content of secrets from variables")),
    ("secrets.*.external", Needs("external secrets")),
    ("secrets.*.labels", Honoured),
    ("secrets.*.template_driver", Refused("contents are not expanded as templates")),
    ("services.*", Honoured),
    ("services.*.annotations", Needs("OCI annotations")),
    ("services.*.attach", Needs("the choice of attached services")),
    ("services.*.blkio_config", Needs("block I/O limits")),
    ("services.*.build", Needs("building images")),
    ("services.*.cap_add", Honoured),
    ("services.*.cap_drop", Honoured),
    ("services.*.cgroup", Needs("the choice of cgroup namespaces")),
    ("services.*.cgroup_parent", Needs("the choice of parent cgroups")),
    ("services.*.command", Honoured),
    ("services.*.configs", Honoured),
    ("services.*.container_name", Honoured),
    ("services.*.cpu_count", Refused("it has a meaning on Windows only")),
    ("services.*.cpu_percent", Refused("it has a meaning on Windows only")),
    ("services.*.cpu_period", Needs("CPU periods")),
    ("services.*.cpu_quota", Needs("CPU quotas")),
    ("services.*.cpu_rt_period", Needs("real-time scheduling")),
    ("services.*.cpu_rt_runtime", Needs("real-time scheduling")),
    ("services.*.cpu_shares", Needs("CPU weights")),
    ("services.*.cpus", Honoured),
    ("services.*.cpuset", Needs("CPU sets")),
    ("services.*.credential_spec", Refused("it has a meaning on Windows only")),
    ("services.*.depends_on", Honoured),
    ("services.*.deploy", Honoured),
    ("services.*.deploy.endpoint_mode", Honoured),
    ("services.*.deploy.labels", Needs("labels of services")),
    ("services.*.deploy.mode", Needs("modes of deployment")),
    ("services.*.deploy.placement", Needs("constraints of placement")),
    ("services.*.deploy.replicas", Honoured),
    ("services.*.deploy.resources", Needs("`deploy.resources`; `cpus`, `mem_limit` and `pids_limit` work")),
    ("services.*.deploy.restart_policy", Needs("`deploy.restart_policy`; `restart` works")),
    ("services.*.deploy.rollback_config", Needs("rolling updates")),
    ("services.*.deploy.update_config", Needs("rolling updates")),
    ("services.*.develop", Needs("watching sources")),
    ("services.*.device_cgroup_rules", Needs("device rules")),
    ("services.*.devices", Needs("host devices")),
    ("services.*.dns", Needs("the choice of DNS servers")),
    ("services.*.dns_opt", Needs("DNS options")),
    ("services.*.dns_search", Needs("DNS search domains")),
    ("services.*.domainname", Needs("NIS domain names")),
    ("services.*.entrypoint", Honoured),
    ("services.*.env_file", Honoured),
    ("services.*.environment", Honoured),
    ("services.*.expose", Honoured),
    ("services.*.extends", Honoured),
    ("services.*.external_links", Needs("links to other stacks")),
    ("services.*.extra_hosts", Honoured),
    ("services.*.gpus", Needs("GPUs")),
    ("services.*.group_add", Needs("additional groups")),
    ("services.*.healthcheck", Honoured),
    ("services.*.hostname", Honoured),
    ("services.*.image", Honoured),
    ("services.*.init", Honoured),
    ("services.*.ipc", Needs("shared IPC namespaces")),
    ("services.*.isolation", Refused("it has a meaning on Windows only")),
    ("services.*.label_file", Honoured),
    ("services.*.labels", Honoured),
    ("services.*.links", Needs("links")),
    ("services.*.logging", Needs("log drivers")),
    ("services.*.mac_address", Needs("chosen MAC addresses")),
    ("services.*.mem_limit", Honoured),
    ("services.*.mem_reservation", Needs("memory reservations")),
    ("services.*.mem_swappiness", Needs("swap control")),
    ("services.*.memswap_limit", Needs("swap control")),
    ("services.*.models", Needs("a model runner")),
    ("services.*.network_mode", Needs("modes of networking")),
    ("services.*.networks", Honoured),
    ("services.*.networks.*.aliases", Honoured),
    ("services.*.networks.*.driver_opts", Needs("network drivers")),
    ("services.*.networks.*.gw_priority", Needs("the choice of gateways")),
    ("services.*.networks.*.interface_name", Needs("chosen interface names")),
    ("services.*.networks.*.ipv4_address", Needs("chosen addresses")),
    ("services.*.networks.*.ipv6_address", Needs("chosen addresses")),
    ("services.*.networks.*.link_local_ips", Needs("link-local addresses")),
    ("services.*.networks.*.mac_address", Needs("chosen MAC addresses")),
    ("services.*.networks.*.priority", Needs("the order of networks")),
    ("services.*.oom_kill_disable", Needs("control of the OOM killer")),
    ("services.*.oom_score_adj", Needs("control of the OOM killer")),
    ("services.*.pid", Needs("shared PID namespaces")),
    ("services.*.pids_limit", Honoured),
    ("services.*.platform", Needs("the choice of platforms")),
    ("services.*.ports", Honoured),
    ("services.*.post_start", Needs("lifecycle hooks")),
    ("services.*.pre_start", Needs("lifecycle hooks")),
    ("services.*.pre_stop", Needs("lifecycle hooks")),
    ("services.*.privileged", Needs("privileged containers")),
    ("services.*.profiles", Honoured),
    ("services.*.provider", Needs("providers")),
    ("services.*.pull_policy", Needs("pull policies")),
    ("services.*.pull_refresh_after", Needs("pull policies")),
    ("services.*.read_only", Honoured),
    ("services.*.restart", Honoured),
    ("services.*.runtime", Needs("the choice of runtimes by service")),
    ("services.*.scale", Honoured),
    ("services.*.secrets", Honoured),
    ("services.*.security_opt", Honoured),
    ("services.*.shm_size", Needs("the size of `/dev/shm`")),
    ("services.*.stdin_open", Honoured),
    ("services.*.stop_grace_period", Honoured),
    ("services.*.stop_signal", Honoured),
    ("services.*.storage_opt", Needs("storage options")),
    ("services.*.sysctls", Honoured),
    ("services.*.tmpfs", Honoured),
    ("services.*.tty", Honoured),
    ("services.*.ulimits", Honoured),
    ("services.*.use_api_socket", Needs("the API inside of containers")),
    ("services.*.user", Honoured),
    ("services.*.userns_mode", Needs("user namespaces")),
    ("services.*.uts", Needs("shared UTS namespaces")),
    ("services.*.volumes", Honoured),
    ("services.*.volumes.*.consistency", Refused("it has a meaning on macOS only")),
    ("services.*.volumes.*.image", Needs("mounts of images")),
    ("services.*.volumes_from", Needs("shared mounts")),
    ("services.*.working_dir", Honoured),
    ("volumes.*", Honoured),
    ("volumes.*.driver", Needs("volume drivers")),
    ("volumes.*.driver_opts", Needs("volume drivers")),
    ("volumes.*.external", Needs("external volumes")),
];

/// Values of honoured attributes that the engine does not honour.
const VALUES: &[(&str, &str, Support)] = &[
    ("services.*.volumes.*.type", "cluster", Needs("volumes of a cluster's storage")),
    ("services.*.volumes.*.type", "npipe", Refused("it has a meaning on Windows only")),
    ("services.*.volumes.*.type", "image", Needs("mounts of images")),
    ("services.*.ports.*.protocol", "sctp", Needs("SCTP")),
];

/// Values of otherwise unsupported attributes that mean what the engine does anyway.
const SAME_AS_UNSET: &[(&str, &str)] = &[
    ("networks.*.driver", "bridge"),
    ("networks.*.external", "false"),
    ("networks.*.internal", "false"),
    ("networks.*.attachable", "false"),
    ("networks.*.enable_ipv4", "true"),
    ("volumes.*.driver", "local"),
    ("volumes.*.external", "false"),
    ("configs.*.external", "false"),
    ("secrets.*.external", "false"),
    ("services.*.attach", "true"),
    ("services.*.deploy.mode", "replicated"),
    ("services.*.privileged", "false"),
    ("services.*.oom_kill_disable", "false"),
    ("services.*.use_api_socket", "false"),
    ("services.*.pull_policy", "missing"),
    ("services.*.pull_policy", "if_not_present"),
];

/// The options of `security_opt` that the engine honours.
const SECURITY_OPTIONS: &[&str] = &[
    "no-new-privileges",
    "no-new-privileges:true",
    "no-new-privileges=true",
    "no-new-privileges:false",
    "no-new-privileges=false",
    "seccomp=unconfined",
    "seccomp:unconfined",
];

/// The status of an attribute by its path, such as `services.*.image`; `None` if the format has no such
/// attribute. The status covers what is below the attribute, unless that has a status of its own.
#[must_use]
pub fn support(path: &str) -> Option<Support> {
    let mut shape = &Shape::Object(&PROJECT);
    for step in path.split('.') {
        let rule = if step == "*" { any(shape) } else { shape.entry(step) };
        shape = &rule?.shape;
    }
    Some(status(path))
}

/// What a name or an entry leads to.
fn any(shape: &Shape) -> Option<&'static crate::format::Rule> {
    shape.entry("\u{0}").or_else(|| shape.item())
}

/// The status that is listed for a path or for the nearest one above it.
fn status(path: &str) -> Support {
    let mut path = path;
    loop {
        match (listed(path), path.rsplit_once('.')) {
            (Some(support), _) => return support,
            (None, Some((above, _))) => path = above,
            (None, None) => return Honoured,
        }
    }
}

/// The status that is listed for exactly this path.
fn listed(path: &str) -> Option<Support> {
    let index = TABLE.binary_search_by(|(listed, _)| (*listed).cmp(path)).ok()?;
    Some(TABLE[index].1)
}

/// An error for each attribute in the files that the engine does not honour, with its place. Disabled services
/// are looked at too, since a profile is no reason to accept less.
#[must_use]
pub fn check_support(loaded: &Loaded) -> Vec<Diagnostic> {
    loaded.unsupported.clone()
}

/// The same for a settled tree, before anything is added to it.
pub(crate) fn unsupported(tree: &Node) -> Vec<Diagnostic> {
    let mut walk = Walk { pattern: String::new(), findings: Vec::new() };
    walk.below(tree, &Shape::Object(&PROJECT), Honoured, &Place::TOP);
    walk.findings.sort_by_key(|finding| finding.span);
    walk.findings
}

/// A walk over a tree and the table of the format.
struct Walk {
    /// Where the walk is, with `*` for names and entries.
    pattern: String,
    findings: Vec<Diagnostic>,
}

impl Walk {
    fn below(&mut self, node: &Node, shape: &Shape, inherited: Support, place: &Place<'_>) {
        match &node.value {
            Value::Map(map) => {
                let object = shape.object();
                for (key, entry) in map.iter() {
                    let Some(rule) = shape.entry(key) else { continue };
                    let known = object.is_some_and(|object| object.field(key).is_some());
                    let step = if known { key } else { "*" };
                    self.step(step, (&entry.node, entry.key), &rule.shape, inherited, &place.key(key));
                }
            }
            Value::Seq(items) => {
                let Some(rule) = shape.item() else { return };
                for (index, item) in items.iter().enumerate() {
                    self.step("*", (item, item.span), &rule.shape, inherited, &place.index(index));
                }
            }
            _ => {}
        }
    }

    /// One attribute, name or entry, and where its key stands.
    fn step(
        &mut self,
        step: &str,
        (node, key): (&Node, Span),
        shape: &Shape,
        inherited: Support,
        place: &Place<'_>,
    ) {
        let length = self.pattern.len();
        if length > 0 {
            self.pattern.push('.');
        }
        self.pattern.push_str(step);
        let support = listed(&self.pattern).unwrap_or(inherited);
        match refused(node, &self.pattern, support, place, key) {
            Some(finding) => self.findings.push(finding),
            None => self.below(node, shape, support, place),
        }
        self.pattern.truncate(length);
    }
}

/// What is wrong with an attribute that is not honoured.
fn refused(node: &Node, pattern: &str, support: Support, place: &Place<'_>, key: Span) -> Option<Diagnostic> {
    let (support, at) = match by_value(node, pattern) {
        Some(support) => (support, node.span),
        None => (support, key),
    };
    if support == Honoured || node.is_null() || means_nothing(node, pattern) {
        return None;
    }
    let error = |message| Diagnostic::error(Code::Unsupported, at, message);
    match support {
        Honoured => None,
        Needs(what) => {
            Some(error(format!("`{place}` is not supported yet")).hint(format!("it needs {what}")))
        }
        Refused(why) => {
            Some(error(format!("`{place}` is not supported")).hint(format!("{why}; leave it out")))
        }
    }
}

fn by_value(node: &Node, pattern: &str) -> Option<Support> {
    let text = node.as_str()?;
    if pattern == "services.*.security_opt.*" && !SECURITY_OPTIONS.contains(&text) {
        return Some(Needs("this security option"));
    }
    VALUES.iter().find(|(path, value, _)| *path == pattern && *value == text).map(|(.., support)| *support)
}

fn means_nothing(node: &Node, pattern: &str) -> bool {
    let text = node.to_text().unwrap_or_default();
    SAME_AS_UNSET.contains(&(pattern, text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Object;

    fn join(prefix: &str, name: &str) -> String {
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
    }

    /// Every path of the format.
    fn paths(object: &'static Object, prefix: &str, out: &mut Vec<String>) {
        for (name, rule) in object.fields {
            let path = join(prefix, name);
            below(&rule.shape, &path, out);
            out.push(path);
        }
    }

    fn below(shape: &Shape, path: &str, out: &mut Vec<String>) {
        if let Some(object) = shape.object() {
            paths(object, path, out);
        } else if let Some(rule) = any(shape) {
            below(&rule.shape, &format!("{path}.*"), out);
        }
    }

    #[test]
    fn every_attribute_of_a_service_has_a_status_of_its_own() {
        let mut all = Vec::new();
        paths(&PROJECT, "", &mut all);
        for path in
            all.iter().filter(|path| path.starts_with("services.*.") && path.matches('.').count() == 2)
        {
            assert!(TABLE.iter().any(|(listed, _)| listed == path), "{path} has no status");
        }
    }

    #[test]
    fn the_table_is_sorted_so_that_paths_are_found() {
        assert!(TABLE.is_sorted_by_key(|(path, _)| *path));
    }

    #[test]
    fn every_listed_path_exists() {
        for path in TABLE.iter().map(|(path, _)| *path).chain(VALUES.iter().map(|(path, ..)| *path)) {
            assert!(support(path).is_some(), "{path}");
        }
    }
}
