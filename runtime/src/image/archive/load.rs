//! Reading an archive of images that nobody vouches for.
//!
//! Files of the archive are spooled under names of our own; what it calls them is only ever compared, so no name
//! in it can point anywhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use tar::EntryType;
use tempfile::TempDir;

use super::{CONTAINERD_NAME, DOCKER_MANIFEST, DockerImage, OCI_INDEX, OCI_NAME, OciIndex, blob_path};
use crate::image::digest::copy_hashed;
use crate::image::pull::check_layers;
use crate::image::registry::manifest::{self, ImageManifest, Manifest};
use crate::image::registry::platform::ARCHITECTURE;
use crate::image::store::Blob;
use crate::image::unpack::{decoder, tarball};
use crate::image::{Digest, Error, ImageStore, Reference, Result, config, limits};

impl ImageStore {
    /// Reads an archive of `docker save` or an OCI layout as tar, plain or compressed by gzip or zstd. Gives the
    /// names that came with it, and ids of images that came without. Blocking.
    ///
    /// # Errors
    /// When the archive is neither, or an image in it is bad. Images before the bad one are kept.
    pub fn load(&self, archive: impl Read + Send) -> Result<Vec<String>> {
        let _arriving = self.arriving();
        let spool = Spool::fill(self, archive)?;
        let mut loaded = Vec::new();
        for image in spool.images()? {
            let id = self.install(&spool, &image)?;
            if image.names.is_empty() {
                loaded.push(id.to_string());
            }
            loaded.extend(image.names.iter().map(Reference::familiar));
        }
        Ok(loaded)
    }

    fn install(&self, spool: &Spool, image: &Found) -> Result<Digest> {
        let config = spool.read(&image.config, limits::CONFIG_BYTES)?;
        let parsed = config::parse(&config)?;
        let mut blobs = Vec::new();
        for name in &image.layers {
            let file = spool.file(name)?;
            self.blobs().adopt(&file.path, &file.digest)?;
            blobs.push(Blob { digest: file.digest.clone(), size: file.size });
        }
        let chains = check_layers(&parsed, &blobs)?;
        let mut layers = Vec::new();
        for (position, blob) in blobs.iter().enumerate() {
            layers.push(self.unpack(blob, &parsed.diff_ids[position], &chains[..=position])?);
        }
        let id = self.blobs().write(&config)?;
        let names: Vec<_> = image.names.iter().map(|name| (name.clone(), image.digest.clone())).collect();
        self.commit(&id, layers, &names)?;
        Ok(id)
    }
}

/// An image of the archive, by names of files in it.
struct Found {
    config: String,
    layers: Vec<String>,
    names: Vec<Reference>,
    /// Of the manifest, in an OCI layout.
    digest: Option<Digest>,
}

/// The files of an archive on our disk.
struct Spool {
    // Removes the files when it is dropped.
    _dir: TempDir,
    files: BTreeMap<String, Spooled>,
    links: BTreeMap<String, String>,
}

struct Spooled {
    path: PathBuf,
    digest: Digest,
    size: u64,
}

impl Spool {
    fn fill(store: &ImageStore, archive: impl Read) -> Result<Spool> {
        let tmp = store.tmp();
        let dir = tempfile::Builder::new().prefix("load-").tempdir_in(tmp);
        let dir = dir.map_err(Error::file("cannot create a folder in", tmp))?;
        let plain = decoder(BufReader::with_capacity(256 << 10, archive))
            .map_err(Error::io("cannot read the archive"))?;
        let mut reader = tarball::Reader::new(plain);
        let (mut files, mut links, mut left, mut count) =
            (BTreeMap::new(), BTreeMap::new(), limits::LAYER_BYTES, 0);
        while let Some(entry) = reader.next()? {
            count += 1;
            if count > limits::ARCHIVE_ENTRIES {
                let limit = limits::ARCHIVE_ENTRIES as u64;
                return Err(Error::Limit { what: "number of files in the archive".into(), limit });
            }
            let name = clean("", &entry.path)?;
            match entry.kind {
                EntryType::Regular | EntryType::Continuous => {
                    let path = dir.path().join(count.to_string());
                    let mut file = File::create(&path).map_err(Error::file("cannot create", &path))?;
                    let (digest, size) = copy_hashed(&mut reader.data(), &mut file, left)
                        .map_err(Error::io("cannot read a file of the archive"))?;
                    left -= size;
                    files.insert(name, Spooled { path, digest, size });
                }
                // Old versions of Docker save a layer once and link to it from everywhere else.
                EntryType::Symlink => {
                    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
                    links.insert(name, clean(&folder, &entry.link)?);
                }
                EntryType::Link => {
                    links.insert(name, clean("", &entry.link)?);
                }
                _ => {}
            }
        }
        Ok(Spool { _dir: dir, files, links })
    }

    fn file(&self, name: &str) -> Result<&Spooled> {
        let mut name = clean("", name.as_bytes())?;
        for _ in 0..=self.links.len() {
            if let Some(file) = self.files.get(&name) {
                return Ok(file);
            }
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        Err(bad(format!("`{}` is not in it", name.escape_debug())))
    }

    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let file = self.file(name)?;
        if file.size > limit {
            return Err(Error::Limit { what: format!("size of `{}`", name.escape_debug()), limit });
        }
        std::fs::read(&file.path).map_err(Error::file("cannot read", &file.path))
    }

    fn images(&self) -> Result<Vec<Found>> {
        if self.file(DOCKER_MANIFEST).is_ok() {
            self.docker_images()
        } else if self.file(OCI_INDEX).is_ok() {
            self.oci_images()
        } else {
            Err(bad(format!(
                "neither `{DOCKER_MANIFEST}` (docker save) nor `{OCI_INDEX}` (OCI layout) is in it"
            )))
        }
    }

    fn docker_images(&self) -> Result<Vec<Found>> {
        let json = self.read(DOCKER_MANIFEST, limits::MANIFEST_BYTES)?;
        let images: Vec<DockerImage> = serde_json::from_slice(&json).map_err(bad)?;
        let found = images.into_iter().map(|image| {
            check_count(image.layers.len())?;
            let tags = image.repo_tags.unwrap_or_default();
            let names = tags
                .iter()
                .filter(|tag| !tag.contains("<none>"))
                .map(|tag| tag.parse())
                .collect::<Result<_>>()?;
            Ok(Found { config: image.config, layers: image.layers, names, digest: None })
        });
        found.collect()
    }

    fn oci_images(&self) -> Result<Vec<Found>> {
        let json = self.read(OCI_INDEX, limits::MANIFEST_BYTES)?;
        let index: OciIndex = serde_json::from_slice(&json).map_err(bad)?;
        let mut images: Vec<Found> = Vec::new();
        for entry in index.manifests {
            let digest: Digest = entry.digest.parse()?;
            let manifest = self.oci_manifest(&digest)?;
            let annotations = entry.annotations.unwrap_or_default();
            let name = annotations.get(CONTAINERD_NAME).or_else(|| annotations.get(OCI_NAME));
            // A bare tag says nothing about whose it is.
            let name = name.filter(|name| name.contains(['/', ':'])).map(|name| name.parse()).transpose()?;
            let config = blob_path(&manifest.config.digest);
            match images.iter_mut().find(|known| known.config == config) {
                Some(known) => known.names.extend(name),
                None => images.push(Found {
                    config,
                    layers: manifest.layers.iter().map(|layer| blob_path(&layer.digest)).collect(),
                    names: name.into_iter().collect(),
                    digest: Some(digest),
                }),
            }
        }
        Ok(images)
    }

    /// The manifest for this machine; checks that every blob is what its name says.
    fn oci_manifest(&self, digest: &Digest) -> Result<ImageManifest> {
        let mut digest = digest.clone();
        for _ in 0..limits::INDEX_DEPTH {
            let json = self.checked(&digest, limits::MANIFEST_BYTES)?;
            match manifest::parse(&json, ARCHITECTURE)? {
                Manifest::Index(next) => digest = next,
                Manifest::Image(manifest) => {
                    for blob in manifest.layers.iter().chain([&manifest.config]) {
                        self.check(&blob.digest)?;
                    }
                    return Ok(manifest);
                }
            }
        }
        Err(bad("indexes that lead to indexes"))
    }

    fn checked(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        self.check(digest)?;
        self.read(&blob_path(digest), limit)
    }

    fn check(&self, digest: &Digest) -> Result<()> {
        let actual = &self.file(&blob_path(digest))?.digest;
        if actual == digest {
            return Ok(());
        }
        Err(Error::Mismatch { what: "digest of a blob", expected: digest.clone(), actual: actual.clone() })
    }
}

fn check_count(layers: usize) -> Result<()> {
    if layers > limits::LAYERS {
        return Err(Error::Limit { what: "number of layers".into(), limit: limits::LAYERS as u64 });
    }
    Ok(())
}

/// A name of the archive, relative to `folder`, without `.` and `..`; it is never used as a path.
fn clean(folder: &str, name: &[u8]) -> Result<String> {
    let name = std::str::from_utf8(name).map_err(|_| bad("a file name that is not text"))?;
    if name.len() > limits::PATH_BYTES {
        return Err(bad("a file name that is too long"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| bad(format!("`{}` leads out of it", name.escape_debug())))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn bad(reason: impl ToString) -> Error {
    Error::malformed("image archive", reason)
}
