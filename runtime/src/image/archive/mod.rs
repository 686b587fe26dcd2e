//! Images as one file: `docker save`'s archive and the OCI layout as tar.
//!
//! Written archives are both at once, as Docker's are since version 25; read is what is there.

mod load;
mod save;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Docker's table of contents, a list with one of these per image.
const DOCKER_MANIFEST: &str = "manifest.json";
/// The OCI layout's table of contents and its mark.
const OCI_INDEX: &str = "index.json";
const OCI_LAYOUT: &str = "oci-layout";
const OCI_LAYOUT_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The name that containerd and Docker give an image in an index; the full reference.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The specification's name, which is a tag with some writers and a full reference with others.
const OCI_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct OciIndex {
    manifests: Vec<OciEntry>,
}

#[derive(Debug, Deserialize)]
struct OciEntry {
    digest: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// Where a blob lies in an OCI layout.
fn blob_path(digest: &super::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
