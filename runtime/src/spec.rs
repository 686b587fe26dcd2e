//! The OCI `config.json` of a container: a plain function of its configuration.
//!
//! For the built-in runtime the process is left unconfined here, because [`crate::confine`] does that as the
//! last step. `crun` and `runc` get everything in this file.

pub(crate) mod mounts;

use serde_json::{Value, json};

use crate::bundle::{Bundle, Kind};
use crate::config::{ContainerConfig, Resources};
use crate::confine::{Process, seccomp};
use crate::device::{self, Devices};
use crate::limits;

/// What lies behind these could harm or describe the machine: Docker's and Podman's lists together.
const MASKED: [&str; 14] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where the init comes from inside the container. `/dev` is a tmpfs of the container's own, so this works with
/// a read-only root and never meets a file of the image.
pub(crate) const INIT_PATH: &str = "/dev/orc-init";

/// The arguments the first process really gets.
pub(crate) fn args(config: &ContainerConfig) -> Vec<String> {
    let init = [INIT_PATH, "init", "--"].map(str::to_owned);
    config.init.then_some(init).into_iter().flatten().chain(config.args.iter().cloned()).collect()
}

/// `process` is what will run; `external` says that the runtime confines it by itself.
pub(crate) fn oci(bundle: &Bundle, process: &Process, devices: &Devices, external: bool) -> Value {
    let config = &bundle.config;
    let folders = bundle.folders();
    let mut linux = json!({
        "namespaces": namespaces(bundle),
        "cgroupsPath": bundle.cgroup,
        "resources": resources(config, devices),
        "sysctl": sysctls(bundle),
        "rootfsPropagation": mounts::propagation(config),
    });
    if !config.privileged {
        linux["maskedPaths"] = json!(MASKED);
        linux["readonlyPaths"] = json!(READ_ONLY);
    }
    if external && process.filter.is_some() {
        linux["seccomp"] = seccomp::as_oci(process.caps);
    }
    if !devices.nodes.is_empty() {
        linux["devices"] = device_nodes(devices);
    }
    let mut spec = json!({
        "ociVersion": "1.0.2",
        "root": { "path": folders.rootfs(), "readonly": config.read_only },
        "mounts": mounts::all(bundle, devices),
        "process": process_section(config, process, external),
        "linux": linux,
        "annotations": config.annotations,
    });
    if !devices.hooks.is_empty() {
        spec["hooks"] = json!(devices.hooks);
    }
    // The machine's own names are not the container's to change.
    if !config.host.uts {
        spec["hostname"] = json!(config.hostname);
        if let Some(domain) = &config.domainname {
            spec["domainname"] = json!(domain);
        }
    }
    spec
}

fn process_section(config: &ContainerConfig, process: &Process, external: bool) -> Value {
    let env: Vec<String> = process.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut section = json!({
        "terminal": config.tty,
        "user": { "uid": 0, "gid": 0 },
        "args": process.args,
        "env": env,
        "cwd": "/",
    });
    if external {
        let caps: Vec<String> = process.caps.names().iter().map(|name| format!("CAP_{name}")).collect();
        let own = if process.user.uid == 0 { caps.clone() } else { Vec::new() };
        section["user"] = json!({
            "uid": process.user.uid, "gid": process.user.gid, "additionalGids": process.user.groups,
        });
        section["cwd"] = json!(process.cwd);
        section["capabilities"] = json!({ "bounding": caps, "effective": own, "permitted": own });
        section["oomScoreAdj"] = json!(process.oom_score_adj);
        let rlimit = |u: &crate::config::Ulimit| json!({ "type": format!("RLIMIT_{}", u.name.to_uppercase()), "soft": u.soft, "hard": u.hard });
        section["rlimits"] = process.ulimits.iter().map(rlimit).collect();
        // Written out as false it makes libcontainer and others load the filter too late; so only as true.
        if process.no_new_privileges {
            section["noNewPrivileges"] = json!(true);
        }
    }
    section
}

fn namespaces(bundle: &Bundle) -> Value {
    let config = &bundle.config;
    let host = config.host;
    let network = config.netns.clone().or_else(|| bundle.joined(Kind::Network));
    let all = [
        ("pid", host.pid, bundle.joined(Kind::Pid)),
        ("ipc", host.ipc, bundle.joined(Kind::Ipc)),
        ("uts", host.uts, None),
        ("mount", false, None),
        ("cgroup", host.cgroup, None),
        ("network", config.host_network, network),
    ];
    let own = all.into_iter().filter(|(_, host, _)| !host);
    own.map(|(kind, _, path)| match path {
        Some(path) => json!({ "type": kind, "path": path }),
        None => json!({ "type": kind }),
    })
    .collect()
}

/// A network namespace that others made has its settings from them; a fresh one gets them here, so that
/// without capabilities one can ping and listen on port 80.
fn sysctls(bundle: &Bundle) -> Value {
    let config = &bundle.config;
    let mut all = config.sysctls.clone();
    if config.netns.is_none() && !config.host_network && bundle.joined(Kind::Network).is_none() {
        for (name, value) in
            [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")]
        {
            all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    json!(all)
}

fn resources(config: &ContainerConfig, devices: &Devices) -> Value {
    let Resources { memory_bytes, memory_swap_bytes, memory_reservation_bytes, .. } = config.resources;
    let mut memory = json!({});
    if let Some(limit) = memory_bytes {
        memory["limit"] = json!(limit);
        // Without this the kernel would let the container use as much swap again: Docker allows that, and a
        // limit that is doubled silently is none. Compose's `memswap_limit` is the sum of both.
        memory["swap"] = json!(memory_swap_bytes.unwrap_or_else(|| i64::try_from(limit).unwrap_or(i64::MAX)));
    }
    if let Some(reservation) = memory_reservation_bytes {
        memory["reservation"] = json!(reservation);
    }
    if let Some(swappiness) = config.resources.memory_swappiness {
        memory["swappiness"] = json!(swappiness);
    }
    let mut cpu = json!({});
    if let Some(nanos) = config.resources.cpu_nanos {
        let period = config.resources.cpu_period_us.unwrap_or(limits::DEFAULT_CPU_PERIOD_US);
        let quota = u128::from(nanos) * u128::from(period) / 1_000_000_000;
        cpu["period"] = json!(period);
        // The kernel takes no quota below a millisecond.
        cpu["quota"] = json!(u64::try_from(quota).unwrap_or(u64::MAX).max(1_000));
    }
    if let Some(shares) = config.resources.cpu_shares {
        cpu["shares"] = json!(shares);
    }
    if let Some(cpus) = &config.resources.cpuset {
        cpu["cpus"] = json!(cpus);
    }
    if let Some(time) = config.resources.realtime_us {
        cpu["realtimeRuntime"] = json!(time);
    }
    if let Some(period) = config.resources.realtime_period_us {
        cpu["realtimePeriod"] = json!(period);
    }
    let mut all = json!({
        "memory": memory,
        "cpu": cpu,
        "pids": { "limit": config.resources.pids.unwrap_or(limits::DEFAULT_PIDS) },
        "devices": device_rules(config.privileged, devices),
    });
    if !devices.block_io.is_null() {
        all["blockIO"] = devices.block_io.clone();
    }
    all
}

fn device_nodes(devices: &Devices) -> Value {
    let node = |node: &device::Node| {
        json!({
            "path": node.path, "type": letter(Some(node.kind)), "major": node.major, "minor": node.minor,
            "fileMode": node.mode, "uid": node.uid, "gid": node.gid,
        })
    };
    devices.nodes.iter().map(node).collect()
}

/// What the devices cgroup allows. The runtimes add what every container may use.
fn device_rules(privileged: bool, devices: &Devices) -> Value {
    let mut all = vec![json!({ "allow": privileged, "access": "rwm" })];
    for rule in &devices.rules {
        let mut allowed =
            json!({ "allow": true, "type": letter(rule.kind), "access": rule.access.letters() });
        for (name, number) in [("major", rule.major), ("minor", rule.minor)] {
            if let Some(number) = number {
                allowed[name] = json!(number);
            }
        }
        all.push(allowed);
    }
    all.into()
}

fn letter(kind: Option<device::Kind>) -> &'static str {
    match kind {
        None => "a",
        Some(device::Kind::Block) => "b",
        Some(device::Kind::Character) => "c",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mount, MountSource, Propagation, Recursive};
    use crate::confine::caps;
    use crate::snapshot::OverlayMount;
    use crate::user::Ids;

    fn spec(external: bool, change: impl Fn(&mut ContainerConfig)) -> Value {
        let mut config = ContainerConfig {
            id: "c".into(),
            args: vec!["run".into()],
            hostname: "box".into(),
            ..ContainerConfig::default()
        };
        change(&mut config);
        let caps = caps::resolve(config.privileged, &config.cap_add, &config.cap_drop).unwrap();
        let process = Process {
            args: args(&config),
            env: vec![("A".into(), "1".into())],
            cwd: "/srv".into(),
            user: Ids { uid: 7, gid: 8, groups: vec![8], home: "/".into() },
            caps,
            filter: Some(seccomp::Filter::default()),
            no_new_privileges: config.no_new_privileges,
            ulimits: Vec::new(),
            oom_score_adj: 100,
            init: None,
        };
        let bundle = Bundle {
            config,
            joined: Vec::new(),
            root: OverlayMount { lower: Vec::new(), upper: "/u".into(), work: "/w".into() },
            durable: "/data/c".into(),
            logs: "/data/c/log".into(),
            run: "/run/c".into(),
            cgroup: "/orc/e/c".into(),
            program: "/bin/orc".into(),
            images: Vec::new(),
            oci_runtime: None,
        };
        oci(&bundle, &process, &Devices::default(), external)
    }

    #[test]
    fn the_built_in_runtime_is_told_nothing_that_the_last_step_does() {
        let spec = spec(false, |c| c.no_new_privileges = true);
        for absent in ["capabilities", "rlimits", "noNewPrivileges", "oomScoreAdj"] {
            assert_eq!(spec["process"][absent], Value::Null, "{absent}");
        }
        assert_eq!(spec["linux"]["seccomp"], Value::Null);
        assert_eq!((&spec["process"]["user"]["uid"], &spec["process"]["cwd"]), (&json!(0), &json!("/")));
        assert_eq!(spec["linux"]["cgroupsPath"], "/orc/e/c");
    }

    #[test]
    fn another_runtime_is_told_everything() {
        let all = spec(true, |_| {});
        assert_eq!(all["process"]["user"], json!({ "uid": 7, "gid": 8, "additionalGids": [8] }));
        assert_eq!(all["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 11);
        assert_eq!(all["process"]["capabilities"]["effective"], json!([]));
        assert_eq!(all["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
        // Never written as false: libcontainer only looks whether it is there.
        assert_eq!(all["process"]["noNewPrivileges"], Value::Null);
        assert_eq!(spec(true, |c| c.no_new_privileges = true)["process"]["noNewPrivileges"], true);
    }

    #[test]
    fn mounts_come_after_those_above_them_and_private() {
        let tmpfs = || MountSource::Tmpfs { size_bytes: Some(5), mode: None, uid: None, gid: None };
        let spec = spec(false, |c| {
            let bind = MountSource::Bind {
                path: "/x".into(),
                create: false,
                propagation: Propagation::RPrivate,
                recursive: Recursive::All,
            };
            c.mounts = vec![
                Mount { source: tmpfs(), target: "/a/b/c".into(), read_only: false },
                Mount { source: bind, target: "/a".into(), read_only: true },
            ];
            c.init = true;
        });
        let mounts = spec["mounts"].as_array().unwrap();
        let last: Vec<_> = mounts[7..].iter().map(|m| (&m["destination"], &m["options"])).collect();
        assert_eq!(
            last,
            [
                (&json!(INIT_PATH), &json!(["rbind", "rprivate", "ro", "rro"])),
                (&json!("/a"), &json!(["rbind", "rprivate", "ro", "rro"])),
                (&json!("/a/b/c"), &json!(["nosuid", "nodev", "rw", "mode=1777", "size=5"])),
            ]
        );
        assert_eq!(spec["process"]["args"], json!([INIT_PATH, "init", "--", "run"]));
    }

    #[test]
    fn limits_and_namespaces_are_as_configured() {
        let spec = spec(false, |c| {
            c.resources.memory_bytes = Some(1000);
            c.resources.cpu_nanos = Some(500_000_000);
            c.netns = Some("/run/netns/x".into());
        });
        let resources = &spec["linux"]["resources"];
        assert_eq!(resources["memory"], json!({ "limit": 1000, "swap": 1000 }));
        assert_eq!(resources["cpu"], json!({ "period": 100_000, "quota": 50_000 }));
        assert_eq!(resources["pids"]["limit"], 4096);
        assert_eq!(resources["devices"], json!([{ "allow": false, "access": "rwm" }]));
        assert_eq!(spec["linux"]["sysctl"], json!({}), "that namespace has its settings already");
        let namespaces = spec["linux"]["namespaces"].as_array().unwrap();
        assert_eq!(namespaces.last(), Some(&json!({ "type": "network", "path": "/run/netns/x" })));
        assert_eq!(namespaces.len(), 6);
    }
}
