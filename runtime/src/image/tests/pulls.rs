//! Pulling from registries that work, that fail for a while, and that lie.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use super::server::{CA, Content, Request, Response, Server};
use super::*;

/// Three layers, sent in three ways, and the tag they have.
fn three_layers() -> (Content, Digest) {
    let (a, b, c) = (layer(&[("a", b"plain")]), layer(&[("b", b"gzip")]), layer(&[("c", b"zstd")]));
    let mut content = Content::default();
    let digest = content.image("1", &[(&a, &a), (&b, &gzip(&b)), (&c, &zstd(&c))]);
    (content, digest)
}

/// One layer of half a megabyte; its digest as it is sent.
fn big_layer() -> (Content, Digest) {
    let plain = layer(&[("big", &noise(500_000))]);
    let mut content = Content::default();
    content.image("1", &[(&plain, &plain)]);
    (content, Digest::of(&plain))
}

fn is_blob(request: &Request, digest: &Digest) -> bool {
    request.path.ends_with(&digest.to_string())
}

fn failure(world: &World, reference: &str) -> String {
    world.pull(reference).unwrap_err().to_string()
}

#[test]
fn an_image_is_pulled_once() {
    let (content, digest) = three_layers();
    let server = Server::honest(content);
    let world = World::new();
    let reference = server.reference("team/app:1");
    let image = world.pull(&reference).unwrap();
    assert_eq!(
        (image.reference.as_str(), image.digest.clone()),
        (reference.as_str(), Some(digest.to_string()))
    );
    assert_eq!(image.config.cmd, ["sh"]);
    for (number, (path, content)) in [("a", "plain"), ("b", "gzip"), ("c", "zstd")].iter().enumerate() {
        assert_eq!(world.read(&image, number, path), *content);
    }
    let asked = server.requests("").len();
    assert_eq!(world.pull(&reference).unwrap().id, image.id);
    assert_eq!(server.requests("").len(), asked, "the second time nobody is asked");
    let again = world.pull_as(&reference, PullPolicy::Always, &Credentials::default()).unwrap();
    assert_eq!(
        (again.id, server.requests("/blobs/").len()),
        (image.id.clone(), 4),
        "a tag that has not moved"
    );
    let pinned = world.pull(&server.reference(&format!("team/app@{digest}"))).unwrap();
    assert_eq!((pinned.id, server.requests("/blobs/").len()), (image.id, 4));
    assert!(world.files("blobs/partial").is_empty());
}

#[test]
fn a_name_is_resolved_without_a_pull() {
    let (mut content, image) = three_layers();
    // An index counts as it is, even with nothing in it for this machine.
    let index = content.manifest("2", &json!({"schemaVersion": 2, "manifests": []}));
    let server = Server::honest(content);
    let world = World::new();
    let resolve = |reference: &str| {
        runtime().block_on(world.store.resolve(reference, &Credentials::default())).map(|r| r.to_string())
    };
    for (tag, digest) in [("1", image), ("2", index)] {
        let reference = server.reference(&format!("app:{tag}"));
        assert_eq!(resolve(&reference).unwrap(), format!("{reference}@{digest}"));
    }
    let error = resolve(&server.reference("app:3")).unwrap_err().to_string();
    assert!(error.contains(&server.reference("app:3")), "{error}");
    assert!(server.requests("/blobs/").is_empty() && world.store.list().unwrap().is_empty());
}

#[test]
fn layers_that_are_wanted_at_once_are_fetched_once() {
    let (content, _) = three_layers();
    let server = Server::honest(content);
    let world = World::new();
    let (first, second) = (server.reference("app:1"), server.reference("other:1"));
    let creds = Credentials::default();
    let ensure = |reference| world.store.ensure(reference, PullPolicy::Missing, &creds, |_| {});
    let (a, b, c) = runtime().block_on(async {
        futures_util::future::join3(ensure(&first), ensure(&second), ensure(&first)).await
    });
    assert_eq!((a.unwrap().id, c.unwrap().id.len()), (b.unwrap().id, 71));
    assert_eq!(server.requests("/blobs/").len(), 4);
    assert_eq!(server.requests("app/manifests").len(), 1);
}

#[test]
fn the_machines_image_is_found_behind_an_attestation() {
    let (mut content, image) = three_layers();
    let attestation = Digest::of(b"attestation");
    let entry = |digest: &Digest, os: &str, arch: &str| json!({"mediaType": "m", "digest": digest, "size": 1, "platform": {"os": os, "architecture": arch}});
    let here = super::registry::platform::ARCHITECTURE;
    let entries = [entry(&attestation, "unknown", "unknown"), entry(&image, "linux", here)];
    let index = content.manifest("multi", &json!({"schemaVersion": 2, "manifests": entries}));
    content.manifest(
        "other",
        &json!({"schemaVersion": 2, "manifests": [entry(&attestation, "linux", "s390x")]}),
    );
    let server = Server::honest(content);
    let world = World::new();
    assert_eq!(world.pull(&server.reference("app:multi")).unwrap().digest, Some(index.to_string()));
    let error = failure(&world, &server.reference("app:other"));
    assert!(error.contains("no image for linux/") && error.contains("there are: linux/s390x"), "{error}");
}

#[test]
fn a_cut_download_goes_on_where_it_was_cut() {
    let (content, blob) = big_layer();
    let of = blob.clone();
    let server = Server::start(content, move |request, response| {
        if is_blob(request, &of) && request.before < 8 { response.cut(60_000) } else { response }
    });
    let world = World::new();
    let image = world.pull(&server.reference("app:1")).unwrap();
    assert_eq!(std::fs::read(image.layers[0].join("big")).unwrap(), noise(500_000));
    let requests = server.requests(&blob.to_string());
    assert_eq!(requests.len(), 9, "more cuts than attempts, but each brought something");
    assert!(requests[1].ends_with("bytes=60000-") && requests[8].ends_with("bytes=480000-"), "{requests:?}");
}

#[test]
fn a_later_pull_goes_on_where_an_earlier_one_gave_up() {
    let (content, blob) = big_layer();
    let of = blob.clone();
    let server = Server::start(content, move |request, response| match request.before {
        _ if !is_blob(request, &of) => response,
        0 => response.cut(200_000),
        1 => Response::status(404),
        _ => response,
    });
    let world = World::new();
    failure(&world, &server.reference("app:1"));
    assert_eq!(world.files("blobs/partial"), [blob.hex()]);
    world.pull(&server.reference("app:1")).unwrap();
    assert!(server.requests(&blob.to_string())[2].ends_with("bytes=200000-"));
    assert!(world.files("blobs/partial").is_empty());
}

#[test]
fn a_spoiled_partial_download_is_begun_again() {
    let (content, blob) = big_layer();
    let server = Server::honest(content);
    let world = World::new();
    let partial = world.dir.path().join("images/blobs/partial").join(blob.hex());
    std::fs::write(partial, "not what the registry sent").unwrap();
    world.pull(&server.reference("app:1")).unwrap();
    assert_eq!(server.requests(&blob.to_string()).len(), 2);
}

#[test]
fn busy_registries_are_asked_again() {
    let (content, _) = three_layers();
    let server = Server::start(content, |request, response| {
        match (request.before, request.path.contains("/v2/app")) {
            (0, true) => Response::status(503),
            (1, true) => Response::status(429)
                .body(r#"{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}"#),
            _ => response,
        }
    });
    let world = World::new();
    world.pull(&server.reference("app:1")).unwrap();
    assert!(world.retries() >= 4, "{:?}", world.seen);
}

#[test]
fn registries_that_stay_broken_are_given_up() {
    let (content, _) = three_layers();
    let server = Server::start(content, |request, response| {
        if request.path == "/v2/" { response } else { Response::status(500).body("out of order") }
    });
    let world = World::new();
    let error = failure(&world, &server.reference("app:1"));
    let registry = server.reference("");
    let expect =
        format!("from {}: HTTP status 500: out of order (after 5 attempts)", registry.trim_end_matches('/'));
    assert!(error.starts_with("cannot pull `127.0.0.1:") && error.ends_with(&expect), "{error}");
}

#[test]
fn errors_say_what_the_registry_said() {
    let world = World::new();
    let server = Server::honest(Content::default());
    let error = failure(&world, &server.reference("none:1"));
    assert!(error.contains("none:1") && error.contains("manifest unknown"), "{error}");
    assert_eq!(world.retries(), 0, "asking again would not help");
}

#[test]
fn an_unreachable_registry_fails_in_bounded_time() {
    let world = World::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    let error = failure(&world, &format!("{free}/app:1"));
    assert!(error.contains("refused"), "{error}");
    assert!(began.elapsed() < limits::CONNECT_TIMEOUT + Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn basic_credentials_come_from_the_docker_config() {
    // `user:pass` in base64, as clients send it and as the file keeps it.
    const BASIC: &str = "dXNlcjpwYXNz";
    let (content, _) = three_layers();
    let server = Server::start(content, |request, response| {
        let known = request.headers.get("authorization").is_some_and(|value| value.ends_with(BASIC));
        let ask = || Response::status(401).header("www-authenticate", "Basic realm=\"test\"");
        if known { response } else { ask() }
    });
    let world = World::new();
    let reference = server.reference("app:1");
    let error = failure(&world, &reference);
    assert!(error.contains("not authorized"), "{error}");
    let file = world.dir.path().join("config.json");
    let registry = reference.split('/').next().unwrap();
    std::fs::write(&file, json!({"auths": {registry: {"auth": BASIC}}}).to_string()).unwrap();
    let credentials = Credentials { docker_config: Some(file), ..Credentials::default() };
    world.pull_as(&reference, PullPolicy::Missing, &credentials).unwrap();
}

#[test]
fn tokens_are_fetched_and_renewed() {
    let (content, blob) = big_layer();
    let server = Server::start(content, move |request, response| {
        let host = request.headers.get("host").cloned().unwrap_or_default();
        if request.path.starts_with("/token") {
            return Response::status(200).body(format!(r#"{{"token": "t{}"}}"#, request.before));
        }
        let token = request.headers.get("authorization").cloned().unwrap_or_default();
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="test""#);
        let ask = Response::status(401).header("www-authenticate", challenge);
        match token.as_str() {
            // The first token runs out in the middle of the layer.
            "Bearer t0" if is_blob(request, &blob) && request.before == 0 => response.cut(100_000),
            "Bearer t0" if is_blob(request, &blob) => ask,
            "Bearer t0" | "Bearer t1" => response,
            _ => ask,
        }
    });
    let world = World::new();
    world.pull(&server.reference("app:1")).unwrap();
    assert_eq!(server.requests("/token").len(), 2);
}

#[test]
fn passwords_become_tokens_but_are_not_sent_just_anywhere() {
    const BASIC: &str = "dXNlcjpwYXNz";
    let pull = |realm: &'static str| {
        let (content, _) = three_layers();
        let server = Server::start(content, move |request, response| {
            let host = request.headers.get("host").cloned().unwrap_or_default();
            let authorization = request.headers.get("authorization").cloned().unwrap_or_default();
            if request.path.starts_with("/token") {
                let known = authorization == format!("Basic {BASIC}");
                return if known {
                    Response::status(200).body(r#"{"access_token": "t"}"#)
                } else {
                    Response::status(401)
                };
            }
            let challenge = format!(r#"Bearer realm="{}",service="test""#, realm.replace("HOST", &host));
            let ask = || Response::status(401).header("www-authenticate", challenge);
            if authorization == "Bearer t" { response } else { ask() }
        });
        let world = World::new();
        let reference = server.reference("app:1");
        let file = world.dir.path().join("config.json");
        let registry = reference.split('/').next().unwrap();
        std::fs::write(&file, json!({"auths": {registry: {"auth": BASIC}}}).to_string()).unwrap();
        let credentials = Credentials { docker_config: Some(file), ..Credentials::default() };
        world
            .pull_as(&reference, PullPolicy::Missing, &credentials)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(pull("http://HOST/token"), Ok(()));
    let error = pull("http://192.0.2.1/token").unwrap_err();
    assert!(error.contains("http://192.0.2.1/token") && error.contains("others could read it"), "{error}");
}

#[test]
fn a_registry_with_a_certificate_of_its_own_is_believed_when_its_folder_says_so() {
    const BASIC: &str = "dXNlcjpwYXNz";
    let (content, _) = three_layers();
    let server = Server::secure(content, |request, response| {
        let known = request.headers.get("authorization").is_some_and(|value| value.ends_with(BASIC));
        let ask = || Response::status(401).header("www-authenticate", "Basic realm=\"test\"");
        if known { response } else { ask() }
    });
    let world = World::new();
    let reference = server.reference("app:1");
    let registry = reference.split('/').next().unwrap();
    let (config, certs) = (world.dir.path().join("config.json"), world.dir.path().join("certs.d"));
    std::fs::write(&config, json!({"auths": {registry: {"auth": BASIC}}}).to_string()).unwrap();
    std::fs::create_dir_all(certs.join(registry)).unwrap();
    let credentials = Credentials {
        docker_config: Some(config),
        docker_certs: Some(certs.clone()),
        ..Credentials::default()
    };
    let error = world.pull_as(&reference, PullPolicy::Missing, &credentials).unwrap_err().to_string();
    assert!(error.contains("certificate"), "nobody vouches for it yet: {error}");
    assert!(server.requests("").is_empty(), "and nothing was asked of it");
    std::fs::write(certs.join(registry).join("ca.crt"), CA).unwrap();
    world.pull_as(&reference, PullPolicy::Missing, &credentials).unwrap();
}

#[test]
fn a_mirror_that_answers_spares_docker_hub() {
    let (content, _) = three_layers();
    let server = Server::honest(content);
    let world = World::new();
    let daemon = world.dir.path().join("daemon.json");
    // The first one is not there.
    let mirrors =
        json!({"registry-mirrors": ["http://127.0.0.1:1", format!("http://{}", server.reference(""))]});
    std::fs::write(&daemon, mirrors.to_string()).unwrap();
    let credentials = Credentials { docker_daemon: Some(daemon), ..Credentials::default() };
    world.pull_as("app:1", PullPolicy::Missing, &credentials).unwrap();
    assert_eq!(world.store.list().unwrap()[0].references, ["docker.io/library/app:1"]);
    assert!(!server.requests("/v2/library/app/manifests/1").is_empty());
}

#[test]
fn lies_are_found_out() {
    let plain = layer(&[("f", b"content")]);
    let other = layer(&[("f", b"CONTENT")]);
    let check = |spoil: &dyn Fn(&mut Content), expect: &str| {
        let mut content = Content::default();
        content.image("1", &[(&plain, &plain)]);
        spoil(&mut content);
        let server = Server::honest(content);
        let world = World::new();
        let error = world.pull(&server.reference("app:1")).unwrap_err();
        let text = crate::error::chain(&error);
        assert!(text.contains(expect), "{text}");
        assert!(world.store.list().unwrap().is_empty());
        assert!(world.files("layers").is_empty() && world.files("tmp").is_empty());
    };
    let digest = Digest::of(&plain);
    check(&|content| content.corrupt(&digest, &other), "digest of a blob");
    check(
        &|content| content.corrupt(&digest, &[&plain[..], &[0; 512]].concat()),
        "is larger than its manifest",
    );
    check(&|content| content.corrupt(&digest, &plain[..1000]), "1000 of");
    // The configuration promises another layer than the manifest.
    check(&|content| drop(content.image("1", &[(&other, &plain)])), "digest of an unpacked layer");
    // More layers in one than in the other.
    let config = config(&[]);
    let lying = json!({"schemaVersion": 2,
        "config": {"digest": Digest::of(&config), "size": config.len()},
        "layers": [{"digest": digest, "size": plain.len()}]});
    check(
        &|content| {
            content.blob(&config);
            content.manifest("1", &lying);
        },
        "0 layers in the configuration, 1 in the manifest",
    );
}

#[test]
fn a_hostile_layer_is_refused_and_named() {
    let mut tar = layer(&[("aa/secret", b"x")]);
    tar[..2].copy_from_slice(b"..");
    let mut header = Header::from_byte_slice(&tar[..512]).clone();
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    let mut content = Content::default();
    content.image("1", &[(&tar, &tar)]);
    let server = Server::honest(content);
    let world = World::new();
    let error = failure(&world, &server.reference("app:1"));
    let expect = format!("layer {} is refused: `../secret`: the path leads upwards", Digest::of(&tar));
    assert_eq!(error, expect);
    assert!(world.files("layers").is_empty());
}
