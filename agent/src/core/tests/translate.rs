//! From a task and its image to a container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cluster::{FileMount, Task};
use runtime::image::ImageConfig;
use runtime::{ContainerConfig, MountSource};
use serde_json::{Value, json};

use super::bench::{Bench, plain};
use crate::core::translate::{self, Devices, Parts, Volumes};

fn image(value: &Value) -> ImageConfig {
    let list = |name: &str| -> Vec<String> {
        value.get(name).map(|list| serde_json::from_value(list.clone()).unwrap()).unwrap_or_default()
    };
    let pair = |line: String| line.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    ImageConfig {
        entrypoint: list("entrypoint"),
        cmd: list("cmd"),
        env: list("env").into_iter().map(pair).collect(),
        volumes: list("volumes"),
        ..ImageConfig::default()
    }
}

fn task(compose: Value) -> Task {
    Bench::new().task("web", 1, compose).clone()
}

fn translate(task: &Task, image: &ImageConfig) -> Result<ContainerConfig, String> {
    let origin = translate::origin(task, "sha256:1", image)?;
    let named = [("shop_data".to_owned(), PathBuf::from("/volumes/shop_data"))];
    let own = origin.anonymous.values().map(|name| (name.clone(), Path::new("/volumes").join(name)));
    let volumes: Volumes = named.into_iter().chain(own).collect();
    let blobs = BTreeMap::from([("abc".to_owned(), b"secret".to_vec())]);
    let (devices, images) = (Devices::new(), BTreeMap::new());
    let parts = Parts {
        devices: &devices,
        images: &images,
        image,
        netns: Some(Path::new("/run/netns/1")),
        volumes: &volumes,
        blobs: &blobs,
        gateway: Some("10.0.0.1".parse().unwrap()),
    };
    translate::container(task, &origin, parts)
}

#[track_caller]
fn container(compose: Value, of_image: Value) -> ContainerConfig {
    let mut of_image = image(&of_image);
    if of_image.cmd.is_empty() {
        of_image.cmd = vec!["serve".into()];
    }
    translate(&task(compose), &of_image).expect("it can be made")
}

#[test]
fn entrypoint_and_command_are_joined_as_docker_does() {
    let of_image = json!({"entrypoint": ["/init"], "cmd": ["run", "fast"]});
    for (compose, expected) in [
        (json!({}), "/init run fast"),
        (json!({"command": ["other"]}), "/init other"),
        (json!({"command": []}), "/init"),
        (json!({"entrypoint": ["/mine"]}), "/mine"),
        (json!({"entrypoint": ["/mine"], "command": ["a", "b"]}), "/mine a b"),
        (json!({"entrypoint": []}), "run fast"),
        (json!({"entrypoint": [], "command": ["a"]}), "a"),
    ] {
        let config = translate(&task(compose.clone()), &image(&of_image)).unwrap();
        assert_eq!(config.args.join(" "), expected, "{compose}");
    }
    let nothing = translate(&task(json!({"command": []})), &image(&json!({})));
    let reason = "neither image `demo` nor the service says which command to run";
    assert_eq!(nothing.unwrap_err(), reason);
}

#[test]
fn the_services_variables_replace_the_images_in_their_places() {
    let config = container(
        json!({"environment": {"A": "own", "GONE": null, "NEW": "1", "UNSET": null}}),
        json!({"env": ["PATH=/bin", "A=image", "GONE=x"]}),
    );
    let env: Vec<String> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["PATH=/bin", "A=own", "NEW=1"]);
}

/// Target, source and options of each mount, a line each.
#[track_caller]
fn check_mounts(compose: Value, of_image: Value, expected: &str) {
    let config = container(compose, of_image);
    let line = |mount: &runtime::Mount| {
        let source = match &mount.source {
            MountSource::Bind { path, create, .. } => format!("bind {} create={create}", path.display()),
            MountSource::Image { image, .. } => format!("image {image}"),
            MountSource::Volume { path, copy_up, .. } => format!("volume {} copy={copy_up}", path.display()),
            MountSource::Tmpfs { size_bytes, mode, uid, .. } => {
                format!("tmpfs {size_bytes:?} {mode:?} {uid:?}")
            }
        };
        format!("{} {source}{}", mount.target, if mount.read_only { " ro" } else { "" })
    };
    let seen: Vec<String> = config.mounts.iter().map(line).collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn mounts_of_every_kind() {
    let volumes = json!([
        {"type": "volume", "source": "data", "target": "/data"},
        {"type": "volume", "source": "data", "target": "/raw", "read_only": true, "volume": {"nocopy": true}},
        {"type": "bind", "source": "/srv", "target": "/b", "bind": {}},
        {"type": "bind", "source": "/srv", "target": "/a"},
        {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1024", "mode": 511}},
    ]);
    check_mounts(
        json!({"volumes": volumes, "tmpfs": ["/run:size=1m,mode=755,uid=7", "/cache"]}),
        json!({}),
        "/a bind /srv create=false
         /b bind /srv create=true
         /cache tmpfs None None None
         /data volume /volumes/shop_data copy=true
         /raw volume /volumes/shop_data copy=false ro
         /run tmpfs Some(1048576) Some(493) Some(7)
         /t tmpfs Some(1024) Some(511) None",
    );
}

#[test]
fn an_images_volumes_are_the_slots_own_unless_something_is_mounted_there() {
    let of_image = json!({"volumes": ["/data/", "/log", "/tmp"]});
    let volumes = json!([{"type": "volume", "source": "data", "target": "/data"}]);
    let config = container(json!({"volumes": volumes, "tmpfs": ["/tmp"]}), of_image);
    let targets: Vec<&str> = config.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/data", "/log", "/tmp"]);
    let MountSource::Volume { path, copy_up: true, .. } = &config.mounts[1].source else {
        panic!("a volume")
    };
    assert!(path.starts_with("/volumes") && path.to_string_lossy().contains("shop.web.1."));
}

#[track_caller]
fn file(config: &ContainerConfig, target: &str) -> String {
    let file = config.files.iter().find(|file| file.target == target).expect("the file");
    String::from_utf8(file.content.clone()).expect("text")
}

#[test]
fn names_are_found_through_orcs_own_server() {
    let config = container(
        json!({"extra_hosts": ["db=10.1.1.1", "six=[fd00::1]", "up=host-gateway"], "domainname": "example.org",
               "dns_search": ["example.org"], "dns_opt": ["timeout:1"], "hostname": "front"}),
        json!({}),
    );
    assert_eq!(file(&config, "/etc/hostname"), "front\n");
    let resolver = "search example.org\nnameserver 127.0.0.11\noptions ndots:0 timeout:1\n";
    assert_eq!(file(&config, "/etc/resolv.conf"), resolver);
    let hosts = file(&config, "/etc/hosts");
    let own: Vec<&str> = hosts.lines().skip(6).collect();
    let expected = ["10.1.1.1\tdb", "fd00::1\tsix", "10.0.0.1\tup", "10.0.0.2\tfront.example.org front"];
    assert_eq!(own, expected);
}

#[test]
fn a_container_is_called_by_the_start_of_its_id() {
    assert_eq!(container(plain(), json!({})).hostname, "000000000000");
    assert_eq!(container(plain(), json!({})).name, "shop-web-1");
}

#[test]
fn secrets_come_with_owner_and_mode() {
    let mut task = task(json!({"command": ["x"]}));
    let spec = std::sync::Arc::make_mut(&mut task.spec);
    let mount =
        FileMount { target: "/run/secrets/key".into(), digest: "abc".into(), uid: 7, gid: 8, mode: 0o400 };
    spec.files = vec![mount.clone()];
    let config = translate(&task, &ImageConfig::default()).unwrap();
    let secret = config.files.last().unwrap();
    assert_eq!(
        (secret.content.as_slice(), secret.uid, secret.gid, secret.mode),
        (b"secret".as_slice(), 7, 8, 0o400)
    );
    std::sync::Arc::make_mut(&mut task.spec).files = vec![FileMount { digest: "other".into(), ..mount }];
    let missing = translate(&task, &ImageConfig::default()).unwrap_err();
    assert_eq!(missing, "the content of `/run/secrets/key` is not there");
}

#[test]
fn limits_come_from_either_place() {
    let deploy = json!({"resources": {"limits": {"cpus": 0.5, "memory": "64m", "pids": 10}}});
    for compose in [json!({"cpus": 0.5, "mem_limit": "64m", "pids_limit": 10}), json!({ "deploy": deploy })] {
        let resources = container(compose, json!({})).resources;
        assert_eq!(resources.cpu_nanos, Some(500_000_000));
        assert_eq!(resources.memory_bytes, Some(64 << 20));
        assert_eq!(resources.pids, Some(10));
    }
    let quota = container(json!({"cpu_quota": 25_000}), json!({})).resources;
    assert_eq!(quota.cpu_nanos, Some(250_000_000));
    let ulimits = container(json!({"ulimits": {"nofile": {"soft": 1, "hard": -1}}}), json!({})).ulimits;
    assert_eq!((ulimits[0].soft, ulimits[0].hard), (1, u64::MAX));
    let log = container(json!({"logging": {"options": {"max-size": "10k", "max-file": "5"}}}), json!({})).log;
    assert_eq!((log.max_bytes, log.files), (10 << 10, 5));
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    for (compose, reason) in [
        (json!({"stop_signal": "SIGFOO"}), "`SIGFOO` is not the name of a signal"),
        (json!({"security_opt": ["apparmor:special"]}), "`security_opt: apparmor:special` is not supported"),
        (
            json!({"tmpfs": ["/t:nr_inodes=5"]}),
            "`tmpfs: /t:nr_inodes=5`: option `nr_inodes=5` is not supported",
        ),
        (
            json!({"logging": {"options": {"max-size": "0"}}}),
            "`logging.options.max-size: 0` is not a size up to 1073741824",
        ),
    ] {
        let of_image = image(&json!({"cmd": ["serve"]}));
        assert_eq!(translate(&task(compose), &of_image).unwrap_err(), reason);
    }
}

#[test]
fn host_networking_takes_the_machines_own_names() {
    let mut all = json!({"dns_search": ["example.org"], "dns_opt": ["timeout:1"], "network_mode": "host",
                         "extra_hosts": ["db=10.1.1.1", "up=host-gateway"], "command": ["x"]});
    let check = |compose: &Value, expected: [(&str, &str, bool); 2]| {
        let mut task = task(compose.clone());
        task.endpoints.clear();
        let config = translate(&task, &ImageConfig::default()).unwrap();
        assert!(config.host_network);
        for (target, text, with_the_machines) in expected {
            let base = with_the_machines.then(|| PathBuf::from(target));
            let found = config.files.iter().find(|file| file.target == target).expect("the file");
            assert_eq!((file(&config, target).as_str(), &found.begins_with), (text, &base));
        }
    };
    let plain = json!({"network_mode": "host", "command": ["x"]});
    check(&plain, [("/etc/hosts", "", true), ("/etc/resolv.conf", "", true)]);
    let (hosts, resolver) = ("10.1.1.1\tdb\n127.0.0.1\tup\n", "search example.org\noptions timeout:1\n");
    check(&all, [("/etc/hosts", hosts, true), ("/etc/resolv.conf", resolver, true)]);
    all["dns"] = json!(["192.0.2.53"]);
    let resolver = "search example.org\nnameserver 192.0.2.53\noptions timeout:1\n";
    check(&all, [("/etc/hosts", hosts, true), ("/etc/resolv.conf", resolver, false)]);
}
