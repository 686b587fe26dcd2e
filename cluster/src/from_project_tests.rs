//! What a Compose file becomes.

use std::path::Path;

use compose_spec::{LoadRequest, MemoryFiles, load};

use super::*;

fn project(text: &str) -> Project {
    let files = MemoryFiles::fixture(Path::new("/shop"), text);
    let request = LoadRequest { working_dir: "/shop".into(), ..LoadRequest::default() };
    let loaded = load(&request, &files);
    loaded.project.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn stack(text: &str) -> StackSpec {
    let digest = |name: &str| (name.to_owned(), format!("digest of {name}"));
    let files =
        FileDigests { secrets: [digest("key")].into(), configs: [digest("conf"), digest("more")].into() };
    StackSpec::from_project(&project(text), &files).expect("a wish")
}

#[test]
fn full_names_are_those_of_docker_compose() {
    let stack = stack(
        "
         services:
           web:
             image: x
             networks: [front, back]
             volumes: ['data:/data', 'other:/other', '/srv:/srv']
             scale: 2
           lone: {image: x}
           fixed: {image: x, container_name: mine}
         networks: {front: {}, back: {name: spine}, unused: {}}
         volumes: {data: {}, other: {name: elsewhere}, unused: {}}",
    );
    let networks: Vec<(&str, &str)> =
        stack.networks.iter().map(|(key, spec)| (key.as_str(), spec.name.0.as_str())).collect();
    assert_eq!(networks, [("back", "spine"), ("default", "shop_default"), ("front", "shop_front")]);
    let volumes: Vec<(&str, &str)> =
        stack.volumes.iter().map(|(key, spec)| (key.as_str(), spec.name.0.as_str())).collect();
    assert_eq!(volumes, [("data", "shop_data"), ("other", "elsewhere")]);
    let name = |service: &str, slot| {
        stack.services[service].container_name(&crate::ServiceKey::new(&stack.name, service), slot)
    };
    assert_eq!(
        (name("web", 2), name("lone", 1), name("fixed", 1)),
        ("shop-web-2".to_owned(), "shop-lone-1".to_owned(), "mine".to_owned())
    );
    assert_eq!((stack.services["web"].replicas(), stack.services["lone"].replicas()), (2, 1));
}

#[test]
fn a_projects_own_volumes_are_those_that_it_declares_and_makes() {
    let project = project(
        "
         services: {web: {image: x, volumes: ['data:/data', 'theirs:/theirs', 'named:/named']}}
         volumes: {data: {}, theirs: {external: true}, named: {name: elsewhere}}",
    );
    let own: Vec<String> = own_volumes(&project).into_iter().map(|name| name.0).collect();
    assert_eq!(own, ["elsewhere", "shop_data"]);
}

#[test]
fn a_network_mode_means_no_networks() {
    let stack = stack("services: {web: {image: x, network_mode: host}}");
    assert!(stack.services["web"].networks.is_empty());
    assert!(stack.networks.is_empty());
}

#[test]
fn link_local_addresses_are_such_and_few() {
    let read = |list: &str| {
        let text =
            format!("services: {{web: {{image: x, networks: {{default: {{link_local_ips: {list}}}}}}}}}");
        let found = StackSpec::from_project(&project(&text), &FileDigests::default());
        let text = |ip: &IpAddr| ip.to_string();
        found
            .map(|stack| {
                stack.services["web"].networks.values().flat_map(|p| &p.link_local).map(text).collect()
            })
            .map_err(|error| error.to_string())
    };
    let words = |list: &[&str]| -> Vec<String> { list.iter().map(|&text| text.to_owned()).collect() };
    assert_eq!(read("[169.254.8.1, 'fe80::1']"), Ok(words(&["169.254.8.1", "fe80::1"])));
    for bad in ["10.0.0.1", "fd00::1", "nobody"] {
        let error = read(&format!("['{bad}']")).unwrap_err();
        assert!(error.contains(&format!("`{bad}` is no address of 169.254.0.0/16 or fe80::/10")), "{error}");
    }
    let many = "[169.254.8.1, 169.254.8.2, 169.254.8.3, 169.254.8.4, 169.254.8.5]";
    assert!(read(many).unwrap_err().contains("5 addresses are more than 4"));
}

#[test]
fn secrets_and_configs_have_their_places_and_rights() {
    let stack = stack(
        "
         services:
           web:
             image: x
             secrets: [key, {source: key, target: other}, {source: key, target: /abs, uid: '5', gid: '6', mode: 0400}]
             configs: [conf, {source: more, target: /etc/more}]
         secrets: {key: {file: ./key}}
         configs: {conf: {file: ./conf}, more: {file: ./more}}",
    );
    let files: Vec<String> = stack.services["web"]
        .files
        .iter()
        .map(|f| format!("{} {} {}:{} {:o}", f.target, f.digest, f.uid, f.gid, f.mode))
        .collect();
    assert_eq!(
        files,
        [
            "/run/secrets/key digest of key 0:0 444",
            "/run/secrets/other digest of key 0:0 444",
            "/abs digest of key 5:6 400",
            "/conf digest of conf 0:0 444",
            "/etc/more digest of more 0:0 444",
        ]
    );
}

#[test]
fn a_secret_whose_content_is_not_known_is_an_error() {
    let text = "services: {web: {image: x, secrets: [key]}}\nsecrets: {key: {file: ./key}}\n";
    let error = StackSpec::from_project(&project(text), &FileDigests::default()).unwrap_err();
    assert_eq!(error.to_string(), "service `web`: the content of secret `key` is not known");
}

/// Whether two files make other containers of `web`.
fn differs(one: &str, other: &str) -> bool {
    stack(one).services["web"].hash != stack(other).services["web"].hash
}

#[test]
fn the_hash_follows_what_makes_another_container() {
    let base = "services: {web: {image: x, labels: {a: b, c: d}}, db: {image: y}}";
    let cases = [
        (base, "services: {db: {image: y}, web: {labels: {c: d, a: b}, image: x}}", false),
        (base, "services: {web: {image: x, labels: {a: b, c: d}, scale: 3}, db: {image: z}}", false),
        (base, "services: {web: {image: x, labels: {a: b, c: d}, depends_on: [db]}, db: {image: y}}", false),
        (base, "services: {web: {image: other, labels: {a: b, c: d}}, db: {image: y}}", true),
        (base, "services: {web: {image: x, labels: {a: b}}, db: {image: y}}", true),
        (
            base,
            "services: {web: {image: x, labels: {a: b, c: d}}, db: {image: y}}\nnetworks: {default: {internal: true}}",
            true,
        ),
    ];
    for (one, other, expect) in cases {
        assert_eq!(differs(one, other), expect, "{other}");
    }
}

#[test]
fn the_hash_follows_the_content_of_secrets() {
    let text = "services: {web: {image: x, secrets: [key]}}\nsecrets: {key: {file: ./key}}\n";
    let hash = |content: &str| {
        let files =
            FileDigests { secrets: [("key".to_owned(), content.to_owned())].into(), ..Default::default() };
        StackSpec::from_project(&project(text), &files).unwrap().services["web"].hash.clone()
    };
    assert_ne!(hash("one"), hash("two"));
    assert_eq!(hash("one"), hash("one"));
}

#[test]
fn what_a_provider_makes_is_left_out_and_not_waited_for() {
    let text = "
         services:
           db: {provider: {type: cloud}}
           app: {image: x, depends_on: [db, cache]}
           cache: {image: x}";
    let spec = stack(text);
    assert_eq!(spec.services.keys().collect::<Vec<_>>(), ["app", "cache"]);
    assert_eq!(spec.services["app"].compose.depends_on.keys().collect::<Vec<_>>(), ["cache"]);
    let early = project(&text.replace("{type: cloud}", "{type: cloud}, depends_on: [cache]"));
    let refused =
        StackSpec::from_project(&early, &FileDigests::default()).expect_err("containers come later");
    assert!(refused.0[0].to_string().contains("cannot depend on `cache`"), "{refused:?}");
}

#[test]
fn networks_that_are_not_made_here_are_named_only_by_who_uses_them() {
    let stack = stack(
        "
         services: {open: {image: x, networks: [machine]}, plain: {image: x, networks: [theirs]}}
         networks: {machine: {name: host, external: true}, theirs: {external: true}}",
    );
    assert_eq!(stack.networks.keys().collect::<Vec<_>>(), ["theirs"]);
}
