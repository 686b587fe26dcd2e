//! What a service says about itself that cannot be true at once, or has no effect beside something else it says.

use super::service::Checker;
use crate::diagnostic::{Code, Diagnostic};
use crate::project::{Bytes, MountKind};

impl Checker<'_> {
    /// Who is in another container's network has its names and interfaces, and can have none of its own: Docker
    /// refuses the same attributes.
    pub(super) fn shared_network(&mut self) {
        let (name, service) = (self.name, self.service);
        let Some(mode) = service.network_mode.as_deref().filter(|mode| mode.contains(':')) else { return };
        let own = [
            ("dns", !service.dns.is_empty()),
            ("dns_opt", !service.dns_opt.is_empty()),
            ("dns_search", !service.dns_search.is_empty()),
            ("domainname", service.domainname.is_some()),
            ("expose", !service.expose.is_empty()),
            ("external_links", !service.external_links.is_empty()),
            ("extra_hosts", !service.extra_hosts.is_empty()),
            ("hostname", service.hostname.is_some()),
            ("links", !service.links.is_empty()),
            ("mac_address", service.mac_address.is_some()),
            ("ports", !service.ports.is_empty()),
        ];
        for (attribute, _) in own.into_iter().filter(|(_, wished)| *wished) {
            let message =
                format!("service `{name}`: `{attribute}` and `network_mode: {mode}` exclude one another");
            let owner = mode.split_once(':').map_or(mode, |(_, owner)| owner);
            let finding = Diagnostic::error(Code::Consistency, self.place(attribute), message)
                .related(self.place("network_mode"), "the mode is set here")
                .hint(format!("it has the network of `{owner}`: say it there"));
            self.report.add(finding);
        }
    }

    /// What a service without a network of its own says about it is lost. Docker discards the ports too; people
    /// have them in their files, so it is no error.
    pub(super) fn without_network(&mut self) {
        let (name, service) = (self.name, self.service);
        let mode = service.network_mode.as_deref().unwrap_or_default();
        let instead = match mode {
            "host" => "it has the machine's network; what it listens on is a port of the machine",
            "none" => "it has nothing but its own loopback",
            _ => return,
        };
        let lost = [
            ("external_links", !service.external_links.is_empty()),
            ("links", !service.links.is_empty()),
            ("mac_address", service.mac_address.is_some()),
            ("ports", !service.ports.is_empty()),
        ];
        for (attribute, _) in lost.into_iter().filter(|(_, wished)| *wished) {
            let message =
                format!("service `{name}`: `{attribute}` has no effect with `network_mode: {mode}`");
            let finding = Diagnostic::warning(Code::Suspicious, self.place(attribute), message);
            self.report.add(finding.hint(instead));
        }
    }

    /// Who shares the machine's name would change it for all: Docker refuses that too.
    pub(super) fn machines_name(&mut self) {
        let (name, service) = (self.name, self.service);
        if service.uts.as_deref() != Some("host") {
            return;
        }
        let own = [("domainname", service.domainname.is_some()), ("hostname", service.hostname.is_some())];
        for (attribute, _) in own.into_iter().filter(|(_, wished)| *wished) {
            let message = format!("service `{name}`: `{attribute}` and `uts: host` exclude one another");
            let finding = Diagnostic::error(Code::Consistency, self.place(attribute), message)
                .related(self.place("uts"), "it has the machine's own name");
            self.report.add(finding);
        }
    }

    /// Options of a mount of another type are lost.
    pub(super) fn mount_options(&mut self) {
        let name = self.name;
        for (index, mount) in self.service.volumes.iter().enumerate() {
            let (own, kind) = match mount.kind {
                MountKind::Bind => ("bind", "a folder of the machine"),
                MountKind::Volume => ("volume", "a volume"),
                MountKind::Tmpfs => ("tmpfs", "a tmpfs"),
                MountKind::Image => ("image", "an image"),
                _ => continue,
            };
            let options = [
                ("bind", mount.bind.is_some()),
                ("volume", mount.volume.is_some()),
                ("tmpfs", mount.tmpfs.is_some()),
                ("image", mount.image.is_some()),
            ];
            for (other, _) in options.into_iter().filter(|(other, given)| *given && *other != own) {
                let message =
                    format!("service `{name}`: `{other}` has no effect on the mount at `{}`", mount.target);
                let finding =
                    Diagnostic::warning(Code::Suspicious, self.item("volumes", index, other), message);
                self.report
                    .add(finding.hint(format!("{kind} is mounted there: its options are those of `{own}`")));
            }
        }
    }

    /// Limits that no kernel could keep. Docker refuses them when it makes the container.
    pub(super) fn limits(&mut self) {
        let (name, service) = (self.name, self.service);
        let of_deploy = service.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref());
        let of_deploy = of_deploy.and_then(|resources| resources.limits.as_ref()?.memory);
        let memory = service.mem_limit.or(of_deploy).filter(|Bytes(limit)| *limit > 0);
        let swap = service.memswap_limit.filter(|Bytes(limit)| *limit > 0);
        match (swap, memory) {
            (Some(_), None) => {
                let message = format!("service `{name}`: `memswap_limit` has no effect without `mem_limit`");
                let finding = Diagnostic::warning(Code::Suspicious, self.place("memswap_limit"), message);
                self.report.add(finding.hint("it is the limit of memory and swap together"));
            }
            (Some(Bytes(swap)), Some(Bytes(memory))) if swap < memory => {
                let message =
                    format!("service `{name}`: `memswap_limit` is below the limit of memory, {memory} bytes");
                let finding = Diagnostic::error(Code::Consistency, self.place("memswap_limit"), message);
                self.report.add(finding.hint("it is the limit of memory and swap together"));
            }
            _ => {}
        }
        for (limit, value) in &service.ulimits {
            let (soft, hard) = (value.soft(), value.hard());
            if hard >= 0 && (soft > hard || soft < 0) {
                let message =
                    format!("service `{name}`: the soft limit of `{limit}` is above its hard limit, {hard}");
                let finding = Diagnostic::error(Code::Consistency, self.entry("ulimits", limit), message);
                self.report.add(finding);
            }
        }
    }

    /// Both say when a container is started again; Docker goes by the second one, and so does orc.
    pub(super) fn restarts(&mut self) {
        let (name, service) = (self.name, self.service);
        let policy = service.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
        let (Some(restart), Some(policy)) = (&service.restart, policy) else { return };
        let same = match restart.as_str() {
            "no" => "none",
            "always" | "unless-stopped" => "any",
            _ => "on-failure",
        };
        let condition = policy.condition.as_deref().unwrap_or("any");
        if condition != same {
            let message = format!(
                "service `{name}`: `restart: {restart}` has no effect beside `deploy.restart_policy`"
            );
            let finding = Diagnostic::warning(Code::Suspicious, self.place("restart"), message)
                .related(self.place("deploy"), format!("its condition is `{condition}`"));
            self.report.add(finding.hint("leave one of them out"));
        }
    }
}
