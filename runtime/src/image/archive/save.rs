//! Writing images as one archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::{
    CONTAINERD_NAME, DOCKER_MANIFEST, DockerImage, OCI_INDEX, OCI_LAYOUT, OCI_LAYOUT_CONTENT, OCI_NAME,
    blob_path,
};
use crate::image::store::{Blob, Record};
use crate::image::{Digest, Error, ImageStore, Reference, Result, limits};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

impl ImageStore {
    /// Writes images, by name or id, as one archive that both `docker load` and OCI tools read. Blocking.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NoArchive`] for the built-in image.
    pub fn save(&self, references: &[String], archive: impl Write) -> Result<()> {
        let images = self.wanted(references)?;
        let mut writer = Writer { tar: Builder::new(archive), written: BTreeSet::new() };
        writer.bytes(OCI_LAYOUT, OCI_LAYOUT_CONTENT.as_bytes())?;
        let (mut docker, mut oci) = (Vec::new(), Vec::new());
        for (id, (record, names)) in &images {
            let config = self.blobs().read(id, limits::CONFIG_BYTES)?;
            writer.blob_bytes(id, &config)?;
            let mut layers = Vec::new();
            for layer in &record.layers {
                let shown = || names.first().map_or_else(|| id.to_string(), Reference::familiar);
                let blob = layer.blob.as_ref().ok_or_else(|| Error::NoArchive { reference: shown() })?;
                layers.push(self.write_layer(&mut writer, blob)?);
            }
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": {"mediaType": CONFIG_TYPE, "digest": id, "size": config.len()},
                "layers": layers,
            });
            let manifest = manifest.to_string();
            let digest = Digest::of(manifest.as_bytes());
            writer.blob_bytes(&digest, manifest.as_bytes())?;
            oci.extend(entries(&digest, manifest.len(), names));
            docker.push(DockerImage {
                config: blob_path(id),
                repo_tags: Some(names.iter().map(Reference::familiar).collect()),
                layers: record
                    .layers
                    .iter()
                    .filter_map(|l| l.blob.as_ref())
                    .map(|b| blob_path(&b.digest))
                    .collect(),
            });
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": oci});
        writer.bytes(OCI_INDEX, index.to_string().as_bytes())?;
        let docker = serde_json::to_vec(&docker).map_err(|e| Error::malformed(DOCKER_MANIFEST, e))?;
        writer.bytes(DOCKER_MANIFEST, &docker)?;
        writer.finish()
    }

    /// Each image once, with the names it was asked for by.
    fn wanted(&self, references: &[String]) -> Result<BTreeMap<Digest, (Record, Vec<Reference>)>> {
        let mut images: BTreeMap<Digest, (Record, Vec<Reference>)> = BTreeMap::new();
        for text in references {
            let (id, record) = self.record(text)?;
            let (_, names) = images.entry(id).or_insert_with(|| (record, Vec::new()));
            // An id is not written as a name, though some ids could be one.
            if let Ok(name) = text.parse::<Reference>()
                && self.named(&name)?.is_some()
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        Ok(images)
    }

    /// Writes a layer's blob unless another image had it; its descriptor.
    fn write_layer<W: Write>(&self, writer: &mut Writer<W>, blob: &Blob) -> Result<Value> {
        let (mut content, size) = self.blobs().open_blob(&blob.digest)?;
        let compression =
            compression(std::io::BufRead::fill_buf(&mut content).map_err(Error::io("cannot read a layer"))?);
        if writer.written.insert(blob.digest.clone()) {
            writer.entry(&blob_path(&blob.digest), size, &mut content)?;
        }
        Ok(json!({"mediaType": format!("{LAYER_TYPE}{compression}"), "digest": blob.digest, "size": size}))
    }
}

/// One entry per name, or one without a name.
fn entries(digest: &Digest, size: usize, names: &[Reference]) -> Vec<Value> {
    let entry = |annotations: Value| json!({"mediaType": MANIFEST_TYPE, "digest": digest, "size": size, "annotations": annotations});
    if names.is_empty() {
        return vec![json!({"mediaType": MANIFEST_TYPE, "digest": digest, "size": size})];
    }
    let annotations = |name: &Reference| json!({CONTAINERD_NAME: name.to_string(), OCI_NAME: name.tag()});
    names.iter().map(|name| entry(annotations(name))).collect()
}

/// The suffix of a layer's media type.
fn compression(start: &[u8]) -> &'static str {
    match start {
        [0x1f, 0x8b, ..] => "+gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "+zstd",
        _ => "",
    }
}

struct Writer<W: Write> {
    tar: Builder<W>,
    written: BTreeSet<Digest>,
}

impl<W: Write> Writer<W> {
    fn bytes(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, content.len() as u64, &mut &*content)
    }

    fn blob_bytes(&mut self, digest: &Digest, content: &[u8]) -> Result<()> {
        if self.written.insert(digest.clone()) {
            self.bytes(&blob_path(digest), content)?;
        }
        Ok(())
    }

    /// Headers say nothing about when or by whom: the same images give the same archive.
    fn entry(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.tar.append_data(&mut header, name, content).map_err(Error::io("cannot write the archive"))
    }

    fn finish(self) -> Result<()> {
        let mut output = self.tar.into_inner().map_err(Error::io("cannot write the archive"))?;
        output.flush().map_err(Error::io("cannot write the archive"))
    }
}
