//! Checks one service: its references and the attributes that must agree.

use std::collections::{BTreeMap, BTreeSet};

use super::Declared;
use crate::diagnostic::{Code, Diagnostic};
use crate::node::Node;
use crate::project::{Bytes, MountKind, Project, Service};
use crate::report::Report;
use crate::source::Span;
use crate::suggest;

/// Checks one service; the tree tells the places.
pub(super) struct Checker<'a> {
    pub(super) project: &'a Project,
    pub(super) declared: &'a Declared,
    pub(super) disabled: &'a BTreeSet<String>,
    pub(super) name: &'a str,
    pub(super) service: &'a Service,
    pub(super) node: &'a Node,
    pub(super) tree: &'a Node,
    pub(super) report: &'a mut Report,
}

impl Checker<'_> {
    /// Where an attribute stands; the service itself if it was not written.
    pub(super) fn place(&self, attribute: &str) -> Span {
        let entry = self.node.as_map().and_then(|map| map.get(attribute));
        entry.map_or_else(|| self.whole(), |entry| entry.key)
    }

    fn whole(&self) -> Span {
        let services = self.tree.get("services").and_then(Node::as_map);
        services.and_then(|services| services.get(self.name)).map_or(self.node.span, |entry| entry.key)
    }

    /// Where an entry of a mapping below an attribute stands.
    pub(super) fn entry(&self, attribute: &str, key: &str) -> Span {
        let map = self.node.get(attribute).and_then(Node::as_map);
        map.and_then(|map| map.get(key)).map_or_else(|| self.place(attribute), |entry| entry.key)
    }

    /// Where an item of a list below an attribute stands, or a part of that item.
    pub(super) fn item(&self, attribute: &str, index: usize, part: &str) -> Span {
        let item = self.node.get(attribute).and_then(Node::as_seq).and_then(|items| items.get(index));
        item.map_or_else(|| self.place(attribute), |item| item.get(part).map_or(item.span, |node| node.span))
    }

    fn error(&mut self, span: Span, message: String) {
        self.report.error(Code::Consistency, span, message);
    }

    pub(super) fn image(&mut self) {
        let (name, service) = (self.name, self.service);
        if service.image.is_none() && service.build.is_none() && service.provider.is_none() {
            self.report.add(
                Diagnostic::error(
                    Code::Consistency,
                    self.whole(),
                    format!("service `{name}` has neither `image` nor `build`"),
                )
                .hint("say which image its containers are made of"),
            );
        }
        let Some(build) = &service.build else { return };
        if build.dockerfile.is_some() && build.dockerfile_inline.is_some() {
            let span = self.place("build");
            self.error(
                span,
                format!("service `{name}`: `dockerfile` and `dockerfile_inline` exclude one another"),
            );
        }
        if let Some(platform) = &service.platform
            && !build.platforms.is_empty()
            && !build.platforms.contains(platform)
        {
            let span = self.place("platform");
            self.error(span, format!("service `{name}`: `build.platforms` does not contain `{platform}`"));
        }
        for (key, context) in &build.additional_contexts {
            if let Some(target) = context.strip_prefix("service:") {
                let built = self.project.services.get(target).is_some_and(|service| service.build.is_some());
                if !built {
                    let span = self.place("build");
                    self.error(
                        span,
                        format!(
                            "service `{name}`: the build context `{key}` needs `{target}`, which is not built"
                        ),
                    );
                }
            }
        }
    }

    pub(super) fn networks(&mut self) {
        let (name, service) = (self.name, self.service);
        if service.network_mode.is_some() && !service.networks.is_empty() {
            let finding = Diagnostic::error(
                Code::Consistency,
                self.place("networks"),
                format!("service `{name}`: `networks` and `network_mode` exclude one another"),
            )
            .related(self.place("network_mode"), "the mode is set here");
            self.report.add(finding);
            return;
        }
        for network in service.networks.keys() {
            if !self.project.networks.contains_key(network) {
                let span = self.entry("networks", network);
                self.undefined(span, "is in network", network, "networks", self.project.networks.keys());
            }
        }
    }

    fn undefined<'k>(
        &mut self,
        span: Span,
        verb: &str,
        target: &str,
        kind: &str,
        known: impl Iterator<Item = &'k String> + Clone,
    ) {
        if self.declared.has(kind, target) {
            return;
        }
        let message = format!("service `{}` {verb} `{target}`, which is not defined", self.name);
        let known = known.map(String::as_str).filter(|known| *known != self.name || kind != "services");
        if self.report.is_full() {
            self.error(span, message);
            return;
        }
        let alone = kind == "services" && known.clone().next().is_none();
        let hint = match alone {
            true => "no other service is defined".to_owned(),
            false => suggest::defined(kind, target, known),
        };
        self.report.add(Diagnostic::error(Code::Consistency, span, message).hint(hint));
    }

    pub(super) fn dependencies(&mut self) {
        for (target, dependency) in &self.service.depends_on {
            if self.project.services.contains_key(target) {
                continue;
            }
            let span = self.entry("depends_on", target);
            if !self.disabled.contains(target) {
                self.undefined(span, "depends on", target, "services", self.project.services.keys());
            } else if dependency.required {
                let message =
                    format!("service `{}` depends on `{target}`, whose profile is not enabled", self.name);
                self.report.add(
                    Diagnostic::error(Code::Consistency, span, message)
                        .hint("enable one of its profiles, or add `required: false`"),
                );
            }
        }
    }

    pub(super) fn references(&mut self) {
        let (project, service) = (self.project, self.service);
        for (index, mount) in service.volumes.iter().enumerate() {
            if let (MountKind::Volume, Some(source)) = (mount.kind, &mount.source)
                && !project.volumes.contains_key(source)
            {
                let span = self.item("volumes", index, "source");
                self.undefined(span, "mounts volume", source, "volumes", project.volumes.keys());
            }
        }
        for (index, reference) in service.secrets.iter().enumerate() {
            if !project.secrets.contains_key(&reference.source) {
                let span = self.item("secrets", index, "source");
                self.undefined(span, "uses secret", &reference.source, "secrets", project.secrets.keys());
            }
        }
        for (index, reference) in service.configs.iter().enumerate() {
            if !project.configs.contains_key(&reference.source) {
                let span = self.item("configs", index, "source");
                self.undefined(span, "uses config", &reference.source, "configs", project.configs.keys());
            }
        }
        for model in service.models.keys() {
            if !project.models.contains_key(model) {
                let span = self.entry("models", model);
                self.undefined(span, "uses model", model, "models", project.models.keys());
            }
        }
        for reference in service.build.iter().flat_map(|build| &build.secrets) {
            if !project.secrets.contains_key(&reference.source) {
                let span = self.place("build");
                self.undefined(
                    span,
                    "builds with secret",
                    &reference.source,
                    "secrets",
                    project.secrets.keys(),
                );
            }
        }
    }

    pub(super) fn healthcheck(&mut self) {
        let Some(check) = &self.service.healthcheck else { return };
        if let Some(kind) = check.test.first()
            && !matches!(kind.as_str(), "CMD" | "CMD-SHELL" | "NONE")
        {
            let test = self.node.get("healthcheck").and_then(|check| check.get("test"));
            let span = test.map_or_else(|| self.place("healthcheck"), |test| test.span);
            self.report.add(
                Diagnostic::error(
                    Code::Consistency,
                    span,
                    format!("service `{}`: `healthcheck.test` begins with `{kind}`", self.name),
                )
                .hint("expected `CMD`, `CMD-SHELL` or `NONE` first"),
            );
        }
    }

    /// Attributes that exist twice must say the same.
    pub(super) fn pairs(&mut self) {
        let service = self.service;
        let Some(deploy) = &service.deploy else { return };
        let limits = deploy.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        let reservations = deploy.resources.as_ref().and_then(|resources| resources.reservations.as_ref());
        let number = |value: Option<i64>| value.map(|value| value.to_string());
        let bytes = |value: Option<Bytes>| value.map(|Bytes(value)| value.to_string());
        let cpus = |value: Option<f64>| value.map(|value| value.to_string());
        let pairs = [
            (
                "scale",
                number(service.scale.map(i64::from)),
                "deploy.replicas",
                number(deploy.replicas.map(i64::from)),
            ),
            ("cpus", cpus(service.cpus), "deploy.resources.limits.cpus", cpus(limits.and_then(|l| l.cpus))),
            (
                "mem_limit",
                bytes(service.mem_limit),
                "deploy.resources.limits.memory",
                bytes(limits.and_then(|l| l.memory)),
            ),
            (
                "pids_limit",
                number(service.pids_limit),
                "deploy.resources.limits.pids",
                number(limits.and_then(|l| l.pids)),
            ),
            (
                "mem_reservation",
                bytes(service.mem_reservation),
                "deploy.resources.reservations.memory",
                bytes(reservations.and_then(|r| r.memory)),
            ),
        ];
        for (attribute, value, other, other_value) in pairs {
            if let (Some(value), Some(other_value)) = (value, other_value)
                && value != other_value
            {
                let finding = Diagnostic::error(
                    Code::Consistency,
                    self.place(attribute),
                    format!(
                        "service `{}`: `{attribute}` is {value}, but `{other}` is {other_value}",
                        self.name
                    ),
                )
                .related(self.place("deploy"), format!("`{other}` is set here"))
                .hint("leave one of them out");
                self.report.add(finding);
            }
        }
    }

    pub(super) fn scale(&mut self) {
        let service = self.service;
        let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
        let count = service.scale.or(replicas).unwrap_or(1);
        if count > 1 && service.container_name.is_some() {
            let span = self.place("container_name");
            let message = format!(
                "service `{}` has {count} containers, which cannot share one `container_name`",
                self.name
            );
            self.error(span, message);
        }
    }

    pub(super) fn watch(&mut self) {
        for rule in self.service.develop.iter().flat_map(|develop| &develop.watch) {
            if rule.target.is_none() && !matches!(rule.action.as_str(), "rebuild" | "restart") {
                let span = self.place("develop");
                let message =
                    format!("service `{}`: watching `{}` needs a `target` to copy to", self.name, rule.path);
                self.error(span, message);
            }
        }
    }

    /// Each path in the container is mounted once.
    pub(super) fn targets(&mut self) {
        let mut taken: BTreeMap<&str, Span> = BTreeMap::new();
        let mut found = Vec::new();
        for (index, mount) in self.service.tmpfs.iter().enumerate() {
            let target = mount.split_once(':').map_or(mount.as_str(), |(target, _)| target);
            found.push((target, self.item("tmpfs", index, "")));
        }
        for (index, mount) in self.service.volumes.iter().enumerate() {
            found.push((mount.target.as_str(), self.item("volumes", index, "target")));
        }
        for (target, span) in found {
            if let Some(first) = taken.insert(target, span) {
                let message = format!("service `{}` mounts two things at `{target}`", self.name);
                self.report.add(
                    Diagnostic::error(Code::Consistency, span, message).related(first, "the first mount"),
                );
            }
        }
    }
}
