//! Pulls from a registry that is part of the test, and archives, from end to end through the store.

mod archives;
mod pulls;
mod server;

use std::sync::Mutex;

use tar::{EntryType, Header};
use tempfile::TempDir;

use super::*;

/// A store in a folder of its own, and what pulls reported.
struct World {
    dir: TempDir,
    store: ImageStore,
    seen: Mutex<Vec<PullProgress>>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        World { dir, store, seen: Mutex::default() }
    }

    fn pull(&self, reference: &str) -> Result<Image> {
        self.pull_as(reference, PullPolicy::Missing, &Credentials::default())
    }

    fn pull_as(&self, reference: &str, policy: PullPolicy, credentials: &Credentials) -> Result<Image> {
        let seen = |event| self.seen.lock().unwrap().push(event);
        runtime().block_on(self.store.ensure(reference, policy, credentials, seen))
    }

    fn retries(&self) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|event| matches!(event, PullProgress::Retrying { .. }))
            .count()
    }

    fn read(&self, image: &Image, layer: usize, path: &str) -> String {
        std::fs::read_to_string(image.layers[layer].join(path)).unwrap()
    }

    /// Names of the files in a folder of the store.
    fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("images").join(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The archive of a layer with these files.
fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Bytes that do not compress, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

/// A configuration for layers whose plain archives are these.
fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = serde_json::json!({
        "os": "linux",
        "config": {"Env": null, "Cmd": ["sh"], "ExposedPorts": {"443/udp": {}}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"empty_layer": true}, {}, {}, {}],
    });
    config.to_string().into_bytes()
}
