//! Saving and loading.

use std::io::Write;

use serde_json::{Value, json};

use super::*;

/// An archive of files and symbolic links, as other programs write them.
fn archive(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(layer(files));
    // The builder above has written the archive's end, which a second one must replace.
    let mut bytes = tar.get_mut().clone();
    bytes.truncate(bytes.len() - 1024);
    for (path, target) in links {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        header.set_path(path).unwrap();
        header.set_link_name(target).unwrap();
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// What `docker save` writes for one image of two layers, the same one twice.
fn docker_archive() -> (Vec<u8>, Vec<u8>) {
    let plain = layer(&[("f", b"content")]);
    let config = config(&[&plain, &plain]);
    let manifest = json!([{"Config": "c.json", "RepoTags": ["app:1", "host.io/app:2"],
        "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let manifest = manifest.to_string();
    let files: [(&str, &[u8]); 3] =
        [("c.json", &config), ("1/layer.tar", &plain), ("manifest.json", manifest.as_bytes())];
    (archive(&files, &[("2/layer.tar", "../1/layer.tar")]), config)
}

#[test]
fn docker_archives_are_loaded_plain_and_compressed() {
    let (plain, config) = docker_archive();
    for blob in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let world = World::new();
        assert_eq!(world.store.load(&blob[..]).unwrap(), ["app:1", "host.io/app:2"]);
        let image = world.store.get("app:1").unwrap().unwrap();
        assert_eq!((image.id, image.layers.len()), (Digest::of(&config).to_string(), 2));
        assert_eq!(std::fs::read_to_string(image.layers[1].join("f")).unwrap(), "content");
        assert!(world.files("tmp").is_empty());
    }
}

#[test]
fn what_is_saved_can_be_loaded_by_both_kinds_of_readers() {
    let source = World::new();
    source.store.load(&docker_archive().0[..]).unwrap();
    source.store.tag("app:1", "third").unwrap();
    let mut saved = Vec::new();
    source.store.save(&["app:1".into(), "third".into()], &mut saved).unwrap();
    let mut again = Vec::new();
    source.store.save(&["app:1".into(), "third".into()], &mut again).unwrap();
    assert!(saved == again, "the same images give the same archive");
    let id = source.store.get("app:1").unwrap().unwrap().id;
    // Without Docker's table of contents it is an OCI layout.
    for table in ["manifest.json", "index.json"] {
        let world = World::new();
        let mut names = world.store.load(&without(&saved, table)[..]).unwrap();
        names.sort();
        assert_eq!(names, ["app:1", "third:latest"], "without {table}");
        assert_eq!(world.store.get("third").unwrap().unwrap().id, id);
    }
    let world = World::new();
    let mut by_id = Vec::new();
    source.store.save(std::slice::from_ref(&id), &mut by_id).unwrap();
    assert_eq!(world.store.load(&by_id[..]).unwrap(), [id]);
}

/// The archive without one of its files.
fn without(archive: &[u8], name: &str) -> Vec<u8> {
    let mut reader = tar::Archive::new(archive);
    let mut writer = tar::Builder::new(Vec::new());
    for entry in reader.entries().unwrap() {
        let entry = entry.unwrap();
        if entry.path().unwrap().as_ref() != std::path::Path::new(name) {
            writer.append(&entry.header().clone(), entry).unwrap();
        }
    }
    writer.into_inner().unwrap()
}

#[test]
fn bad_archives_say_what_is_missing() {
    let check = |files: &[(&str, &[u8])], expect: &str| {
        let world = World::new();
        let error = crate::error::chain(&world.store.load(&archive(files, &[])[..]).unwrap_err());
        assert!(error.contains(expect), "{error}");
        assert!(world.store.list().unwrap().is_empty() && world.files("tmp").is_empty());
        assert!(world.files("layers").is_empty());
    };
    let manifest = |layers: Value| json!([{"Config": "c", "RepoTags": null, "Layers": layers}]).to_string();
    let plain = layer(&[("f", b"content")]);
    let config = config(&[&plain]);
    check(&[("readme", b"")], "neither `manifest.json`");
    check(&[("manifest.json", b"{")], "image archive");
    check(&[("manifest.json", manifest(json!([])).as_bytes())], "`c` is not in it");
    check(
        &[("manifest.json", manifest(json!([])).as_bytes()), ("c", &config)],
        "1 layers in the configuration, 0",
    );
    let outside = manifest(json!(["../../etc/passwd"]));
    check(&[("manifest.json", outside.as_bytes()), ("c", &config)], "leads out of it");
    let wrong = manifest(json!(["c"]));
    check(&[("manifest.json", wrong.as_bytes()), ("c", &config)], "layer sha256:");
    let index = json!({"manifests": [{"digest": Digest::of(b"x")}]}).to_string();
    let named = format!("blobs/sha256/{}", Digest::of(b"x").hex());
    check(&[("index.json", index.as_bytes()), (&named, b"y")], "digest of a blob");
    let many: Vec<String> = (0..=limits::LAYERS).map(|number| number.to_string()).collect();
    check(&[("manifest.json", manifest(json!(many)).as_bytes())], "number of layers");
}

#[test]
fn links_of_an_archive_lead_nowhere() {
    let manifest = json!([{"Config": "c", "RepoTags": null, "Layers": []}]).to_string();
    for target in ["/etc/passwd", "c", "d"] {
        let world = World::new();
        let bytes = archive(&[("manifest.json", manifest.as_bytes())], &[("c", target), ("d", "c")]);
        let error = world.store.load(&bytes[..]).unwrap_err().to_string();
        assert!(error.contains("is not in it"), "{target}: {error}");
    }
}

#[test]
fn the_built_in_image_is_not_saved() {
    let world = World::new();
    let program = world.dir.path().join("program");
    std::fs::File::create(&program).unwrap().write_all(b"x").unwrap();
    let store = world.store.clone().with_demo(&program);
    world.pull("orc/demo").unwrap();
    let error = store.save(&["orc/demo".into()], Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "image `orc/demo:latest` is built in and has no archive to be saved");
}
