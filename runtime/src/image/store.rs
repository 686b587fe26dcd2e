//! The images of this machine.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Credentials, Error, Image, ImageSummary, PullPolicy, PullProgress, Reference, Result};

/// All images of one engine, in `<data_dir>/images`. Cheap to clone; one per process and data folder.
#[derive(Clone)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
}

/// What [`ImageStore::remove`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Normalised names that are gone.
    pub untagged: Vec<String>,
    /// The image's id if the image itself is gone as well.
    pub deleted: Option<String>,
}

impl ImageStore {
    /// Opens or makes the store, and removes what an interrupted pull left unusable.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process has it open.
    pub fn open(data_dir: &Path) -> Result<ImageStore> {
        Ok(ImageStore { inner: Arc::new(Inner { dir: data_dir.join("images") }) })
    }

    /// Says which executable [`super::DEMO_REFERENCE`] is made from, usually `/proc/self/exe`.
    pub fn with_demo(self, executable: &Path) -> ImageStore {
        let _ = executable;
        self
    }

    /// The image for a reference, pulled if `policy` says so. Several calls for the same image or layer do the
    /// work once.
    pub async fn ensure(
        &self,
        reference: &str,
        policy: PullPolicy,
        credentials: &Credentials,
        progress: impl Fn(PullProgress) + Send + Sync,
    ) -> Result<Image> {
        let _ = (policy, credentials, progress, &self.inner.dir);
        Err(Error::NotFound { reference: reference.to_owned() })
    }

    /// The image with this name, id, or unambiguous start of an id.
    pub fn get(&self, reference_or_id: &str) -> Result<Option<Image>> {
        let _ = reference_or_id;
        Ok(None)
    }

    /// Every image once, sorted by its first name.
    pub fn list(&self) -> Result<Vec<ImageSummary>> {
        Ok(Vec::new())
    }

    /// Gives an image another name.
    pub fn tag(&self, reference_or_id: &str, name: &str) -> Result<Reference> {
        let _ = name;
        Err(Error::NotFound { reference: reference_or_id.to_owned() })
    }

    /// Removes a name, and the image with its layers when it was the last one. By id all its names go.
    ///
    /// # Errors
    /// [`Error::InUse`] when a container needs the image and `force` is not set; with `force` the layers stay
    /// until the container is gone.
    pub fn remove(&self, reference_or_id: &str, force: bool) -> Result<Removed> {
        let _ = force;
        Err(Error::NotFound { reference: reference_or_id.to_owned() })
    }

    /// Reads an archive of `docker save` or an OCI layout as tar, plain or compressed; the names it brought.
    /// Blocking.
    pub fn load(&self, archive: impl Read + Send) -> Result<Vec<String>> {
        let _ = archive;
        Ok(Vec::new())
    }

    /// Writes images as one archive that both `docker load` and OCI tools read. Blocking.
    pub fn save(&self, references: &[String], archive: impl Write) -> Result<()> {
        let _ = (references, archive);
        Ok(())
    }
}
