//! Manifests and indexes, of OCI and of Docker (`v2s2`), which differ in their media types only.

use serde::Deserialize;

use super::platform::{self, Platform};
use crate::image::store::Blob;
use crate::image::{Digest, Error, Result, limits};

/// What registries are asked for.
pub(super) const ACCEPT: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// What a reference leads to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::image) enum Manifest {
    Image(ImageManifest),
    /// The digest of the entry for this machine.
    Index(Digest),
}

/// One image for one platform.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::image) struct ImageManifest {
    pub(in crate::image) config: Blob,
    /// From the bottom to the top.
    pub(in crate::image) layers: Vec<Blob>,
}

/// Reads a manifest or an index.
///
/// # Errors
/// [`Error::Malformed`] also for a document that could be read as both: scanners and runtimes would disagree
/// about what it is (CVE-2021-41190).
pub(in crate::image) fn parse(json: &[u8], architecture: &str) -> Result<Manifest> {
    if json.len() as u64 > limits::MANIFEST_BYTES {
        return Err(Error::Limit { what: "size of the manifest".into(), limit: limits::MANIFEST_BYTES });
    }
    let document: Document = serde_json::from_slice(json).map_err(|e| bad(e.to_string()))?;
    if document.schema_version != Some(2) {
        return Err(bad(
            "schema version 2 is needed; schema 1 images must be pushed again by a newer builder",
        ));
    }
    match (document.config, document.layers, document.manifests) {
        (None, None, Some(entries)) => index(entries, architecture).map(Manifest::Index),
        (Some(config), Some(layers), None) => image(config, layers).map(Manifest::Image),
        (None, None, None) => Err(bad("it is neither an image nor an index")),
        _ => Err(bad("it could be read as an image and as an index")),
    }
}

fn index(entries: Vec<Entry>, architecture: &str) -> Result<Digest> {
    if entries.len() > limits::INDEX_ENTRIES {
        return Err(Error::Limit {
            what: "entries of the index".into(),
            limit: limits::INDEX_ENTRIES as u64,
        });
    }
    let (digests, platforms): (Vec<_>, Vec<_>) = entries.into_iter().map(|e| (e.digest, e.platform)).unzip();
    let Some(position) = platform::choose(&platforms, architecture) else {
        let names = platform::names(&platforms);
        return Err(bad(format!("no image for linux/{architecture}; there are: {names}")));
    };
    digests[position].parse()
}

fn image(config: Descriptor, layers: Vec<Descriptor>) -> Result<ImageManifest> {
    if layers.len() > limits::LAYERS {
        return Err(Error::Limit { what: "number of layers".into(), limit: limits::LAYERS as u64 });
    }
    let config = config.check(limits::CONFIG_BYTES)?;
    let layers = layers.into_iter().map(|layer| layer.check(limits::BLOB_BYTES)).collect::<Result<_>>()?;
    Ok(ImageManifest { config, layers })
}

fn bad(reason: impl Into<String>) -> Error {
    Error::Malformed { what: "manifest".to_owned(), reason: reason.into() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u32>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    digest: String,
    platform: Option<Platform>,
}

/// `urls` is not read on purpose: blobs come from the registry that was asked, or not at all. The media type is
/// not read either: how a layer is compressed is seen from its first bytes.
#[derive(Deserialize)]
struct Descriptor {
    digest: Digest,
    size: u64,
}

impl Descriptor {
    fn check(self, limit: u64) -> Result<Blob> {
        if self.size > limit {
            return Err(Error::Limit { what: format!("size of {}", self.digest), limit });
        }
        Ok(Blob { digest: self.digest, size: self.size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(content: &str, size: u64) -> String {
        format!(r#"{{"mediaType": "m", "digest": "{}", "size": {size}}}"#, Digest::of(content.as_bytes()))
    }

    fn check(json: &str, expect: Result<Manifest, &str>) {
        match (parse(json.as_bytes(), "amd64"), expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect, "{json}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{json}: {error}"),
            (got, expect) => panic!("{json}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn images_and_indexes_are_told_apart() {
        let blob = |content: &str, size| Blob { digest: Digest::of(content.as_bytes()), size };
        let (config, layer) = (descriptor("c", 1), descriptor("l", 2));
        check(
            &format!(r#"{{"schemaVersion": 2, "config": {config}, "layers": [{layer}]}}"#),
            Ok(Manifest::Image(ImageManifest { config: blob("c", 1), layers: vec![blob("l", 2)] })),
        );
        let entry = |content: &str, platform: &str| {
            let digest = Digest::of(content.as_bytes());
            format!(
                r#"{{"digest": "{digest}", "platform": {{"os": "linux", "architecture": "{platform}"}}}}"#
            )
        };
        let entries = [entry("a", "arm64"), entry("b", "amd64")].join(",");
        check(
            &format!(r#"{{"schemaVersion": 2, "manifests": [{entries}]}}"#),
            Ok(Manifest::Index(Digest::of(b"b"))),
        );
        check(
            &format!(r#"{{"schemaVersion": 2, "manifests": [{}]}}"#, entry("a", "arm64")),
            Err("linux/arm64"),
        );
        check(
            &format!(r#"{{"schemaVersion": 2, "config": {config}, "layers": [], "manifests": []}}"#),
            Err("as an image and as an index"),
        );
    }

    #[test]
    fn bad_manifests_are_refused() {
        check("{}", Err("schema version"));
        check(r#"{"schemaVersion": 1, "fsLayers": []}"#, Err("schema version"));
        check(r#"{"schemaVersion": 2}"#, Err("neither"));
        check("[", Err("manifest"));
        let config = descriptor("c", 1);
        let big = descriptor("l", u64::MAX);
        check(&format!(r#"{{"schemaVersion": 2, "config": {config}, "layers": [{big}]}}"#), Err("exceeds"));
        let many = vec![descriptor("l", 1); limits::LAYERS + 1].join(",");
        check(
            &format!(r#"{{"schemaVersion": 2, "config": {config}, "layers": [{many}]}}"#),
            Err("number of layers"),
        );
        let negative = config.replace("\"size\": 1", "\"size\": -1");
        check(&format!(r#"{{"schemaVersion": 2, "config": {negative}, "layers": []}}"#), Err("manifest"));
    }
}
