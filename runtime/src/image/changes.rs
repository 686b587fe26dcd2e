//! An image made of another and of what a container wrote: `orc commit`.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::digest::copy_hashed;
use super::store::{Blob, chain_ids};
use super::{Digest, Error, ImageStore, Reference, Result, config, limits};
use crate::copy::{Packing, Tree};

/// What a new image shall be.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The image that the container was made from.
    pub parent: String,
    /// Its name; `None` leaves it with its id alone.
    pub reference: Option<String>,
    /// RFC 3339.
    pub created: String,
    pub author: String,
    pub message: String,
    /// What replaces or adds to the `config` of the parent, in the words of the OCI's image specification.
    pub config: Map<String, Value>,
}

impl ImageStore {
    /// Makes an image of the parent's layers and of `upper`, the writable layer of a container that stands still.
    /// Gives its id. Blocking.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Reference`], [`Error::Limit`], or a failure of the disk.
    pub fn commit_changes(&self, upper: &Path, changes: &Changes) -> Result<String> {
        let name = changes.reference.as_deref().map(str::parse::<Reference>).transpose()?;
        let _arriving = self.arriving();
        let (parent, record) = self.record(&changes.parent)?;
        let blob = self.pack_layer(upper)?;
        let json = self.blobs().read(&parent, limits::CONFIG_BYTES)?;
        let malformed = |error: serde_json::Error| Error::malformed("image configuration", error);
        let mut config: Value = serde_json::from_slice(&json).map_err(malformed)?;
        change(&mut config, changes, &blob.digest);
        let config = config.to_string().into_bytes();
        let parsed = config::parse(&config)?;
        if parsed.diff_ids.len() > limits::LAYERS {
            let what = "number of layers".to_owned();
            return Err(Error::Limit { what, limit: limits::LAYERS as u64 });
        }
        let layer = self.unpack(&blob, &blob.digest, &chain_ids(&parsed.diff_ids))?;
        let id = self.blobs().write(&config)?;
        let layers = record.layers.into_iter().chain([layer]).collect();
        let names: Vec<_> = name.into_iter().map(|name| (name, None)).collect();
        self.commit(&id, layers, &names)?;
        Ok(id.to_string())
    }

    /// The layer is not compressed, so that its digest is that of its content.
    fn pack_layer(&self, upper: &Path) -> Result<Blob> {
        let failed = Error::io("cannot pack what the container wrote");
        let file = tempfile::Builder::new().prefix("commit-").tempfile_in(self.tmp());
        let mut file = file.map_err(Error::file("cannot create a file in", self.tmp()))?;
        let packing = Packing { layer: true, ..Packing::default() };
        Tree::open(upper)
            .and_then(|tree| tree.pack(Path::new("."), packing, file.as_file_mut()))
            .map_err(|error| Error::malformed("what the container wrote", crate::error::chain(&error)))?;
        let content: &mut File = file.as_file_mut();
        let hashed = content
            .seek(SeekFrom::Start(0))
            .and_then(|_| copy_hashed(content, &mut std::io::sink(), limits::LAYER_BYTES));
        let (digest, size) = hashed.map_err(failed)?;
        self.blobs().adopt(file.path(), &digest)?;
        Ok(Blob { digest, size })
    }
}

/// Enters the changes into a configuration.
fn change(config: &mut Value, changes: &Changes, diff_id: &Digest) {
    let Some(image) = config.as_object_mut() else { return };
    image.insert("created".to_owned(), json!(changes.created));
    if !changes.author.is_empty() {
        image.insert("author".to_owned(), json!(changes.author));
    }
    if let Some(own) = image.entry("config").or_insert_with(|| json!({})).as_object_mut() {
        own.extend(changes.config.clone());
    }
    let diff_ids = image.get_mut("rootfs").and_then(|rootfs| rootfs.get_mut("diff_ids"));
    if let Some(diff_ids) = diff_ids.and_then(Value::as_array_mut) {
        diff_ids.push(json!(diff_id));
    }
    let step = json!({"created": changes.created, "author": changes.author, "comment": changes.message});
    if let Some(history) = image.entry("history").or_insert_with(|| json!([])).as_array_mut() {
        history.push(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_keeps_what_is_not_changed() {
        let mut config = json!({
            "os": "linux", "config": {"Env": ["A=b"], "User": "x"}, "rootfs": {"type": "layers", "diff_ids": []},
        });
        let own = json!({"User": "y", "Cmd": ["run"]});
        let changes = Changes {
            created: "2026-01-02T03:04:05Z".to_owned(),
            message: "why".to_owned(),
            config: own.as_object().cloned().unwrap_or_default(),
            ..Changes::default()
        };
        let diff_id = Digest::of(b"layer");
        change(&mut config, &changes, &diff_id);
        assert_eq!(config["config"], json!({"Env": ["A=b"], "User": "y", "Cmd": ["run"]}));
        assert_eq!(config["rootfs"]["diff_ids"], json!([diff_id]));
        assert_eq!(config["history"][0]["comment"], "why");
        assert!(config.get("author").is_none());
    }
}
