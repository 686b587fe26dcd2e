//! From a reference to an image on this machine: what is missing is fetched, checked and unpacked.

use futures_util::future::try_join;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::config::{self, Parsed};
use super::registry::{Registry, mirror};
use super::store::{Blob, Layer, chain_ids, is_demo};
use super::{
    Credentials, Digest, Error, Image, ImageStore, PullPolicy, PullProgress, Reference, Result, demo, limits,
};

type Progress<'a> = &'a (dyn Fn(PullProgress) + Send + Sync);

impl ImageStore {
    /// The image for a reference, pulled if `policy` says so. Several calls for the same image or layer at the same
    /// time do the work once. [`super::DEMO_REFERENCE`] is made on this machine whatever the policy.
    ///
    /// # Errors
    /// [`Error::NotPresent`], [`Error::Registry`], [`Error::Hostile`] and the other ways in which images are bad.
    pub async fn ensure(
        &self,
        reference: &str,
        policy: PullPolicy,
        credentials: &Credentials,
        progress: impl Fn(PullProgress) + Send + Sync,
    ) -> Result<Image> {
        // Ids are taken in full only: `cafe` is a name to be pulled, whatever ids begin with.
        if let Ok(id) = reference.parse::<Digest>() {
            let missing = || Error::NotPresent { reference: id.to_string() };
            return self.get(&id.to_string())?.ok_or_else(missing);
        }
        let wanted: Reference = reference.parse()?;
        if is_demo(&wanted) && self.demo_executable().is_some() {
            let store = self.clone();
            return blocking(move || demo::ensure(&store)).await;
        }
        if self.suffices(&wanted, policy)
            && let Some(image) = self.named(&wanted)?
        {
            return Ok(image);
        }
        if policy == PullPolicy::Never {
            return Err(Error::NotPresent { reference: wanted.familiar() });
        }
        let lock = self.downloads().of(&wanted.to_string());
        let _guard = lock.lock().await;
        // Whoever had the lock before may have pulled it.
        if policy != PullPolicy::Always
            && self.suffices(&wanted, policy)
            && let Some(image) = self.named(&wanted)?
        {
            return Ok(image);
        }
        self.pull(&wanted, credentials, &progress).await?;
        self.named(&wanted)?.ok_or_else(|| Error::NotFound { reference: wanted.familiar() })
    }

    /// Whether an image of this name that is here need not be asked for again.
    fn suffices(&self, reference: &Reference, policy: PullPolicy) -> bool {
        match policy {
            PullPolicy::Missing | PullPolicy::Never => true,
            PullPolicy::Always => false,
            PullPolicy::OlderThan { ms } => self.age_ms(reference).is_some_and(|age| age < ms),
        }
    }

    /// What the registry means by a reference now: the same reference with a digest. Nothing is pulled, and what
    /// is on this machine does not count.
    ///
    /// # Errors
    /// [`Error::Reference`]; [`Error::Registry`] when the registry does not answer or does not have it;
    /// [`Error::BuiltIn`] for [`super::DEMO_REFERENCE`], which no registry has.
    pub async fn resolve(&self, reference: &str, credentials: &Credentials) -> Result<Reference> {
        let wanted: Reference = reference.parse()?;
        if is_demo(&wanted) && self.demo_executable().is_some() {
            return Err(Error::BuiltIn { reference: wanted.familiar() });
        }
        let digest = Registry::connect(&wanted, credentials, &|_| {}).await?.digest().await?;
        Ok(wanted.pinned(digest))
    }

    async fn pull(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        progress: Progress<'_>,
    ) -> Result<()> {
        progress(PullProgress::Resolving);
        let (of, with) = (reference.clone(), credentials.clone());
        let places = blocking(move || mirror::places(of, &with)).await?;
        let (registry, resolved) = Registry::first(&places, credentials, progress).await?;
        let id = resolved.manifest.config.digest.clone();
        let names = [(reference.clone(), Some(resolved.digest.clone()))];
        if self.get(&id.to_string())?.is_some() {
            // A tag that has not moved, or another name for what is here.
            let (store, layers) = (self.clone(), self.record(&id.to_string())?.1.layers);
            return blocking(move || store.add(&id, layers, &names)).await;
        }
        let _arriving = self.arriving();
        self.download(&registry, &resolved.manifest.config).await?;
        let parsed = config::parse(&self.blobs().read(&id, limits::CONFIG_BYTES)?)?;
        let layers = self.layers_of(&registry, &parsed, &resolved.manifest.layers, progress).await?;
        let store = self.clone();
        blocking(move || store.commit(&id, layers, &names)).await
    }

    /// Fetches some layers at a time and unpacks each as soon as it and all below it are there.
    async fn layers_of(
        &self,
        registry: &Registry<'_>,
        parsed: &Parsed,
        blobs: &[Blob],
        progress: Progress<'_>,
    ) -> Result<Vec<Layer>> {
        let chains = check_layers(parsed, blobs)?;
        let (fetched, mut ready) = tokio::sync::mpsc::unbounded_channel();
        let fetching = async move {
            let fetch = |blob| async move { self.download(registry, blob).await };
            let mut done = stream::iter(blobs.iter().map(fetch)).buffered(limits::PULL_PARALLEL);
            while done.try_next().await?.is_some() {
                // The receiver is only gone when unpacking failed, and then nobody waits for this any more.
                let _unpacker_is_gone = fetched.send(());
            }
            Ok(())
        };
        let unpacking = async {
            let mut layers = Vec::with_capacity(blobs.len());
            for (position, blob) in blobs.iter().enumerate() {
                if ready.recv().await.is_none() {
                    break;
                }
                progress(PullProgress::Unpacking { layer: blob.digest.clone() });
                let (store, blob) = (self.clone(), blob.clone());
                let (diff_id, chain) = (parsed.diff_ids[position].clone(), chains[..=position].to_vec());
                let layer = blocking(move || store.unpack(&blob, &diff_id, &chain)).await?;
                progress(PullProgress::Ready { layer: blobs[position].digest.clone() });
                layers.push(layer);
            }
            Ok(layers)
        };
        try_join(fetching, unpacking).await.map(|((), layers)| layers)
    }

    /// Brings a blob into the store, once even if several images want it at the same time.
    async fn download(&self, registry: &Registry<'_>, blob: &Blob) -> Result<()> {
        let lock = self.downloads().of(blob.digest.hex());
        let _guard = lock.lock().await;
        if self.blobs().has(&blob.digest) {
            return Ok(());
        }
        let begin = || {
            let (store, digest) = (self.clone(), blob.digest.clone());
            blocking(move || store.blobs().receive(&digest))
        };
        let mut receiving = begin().await?;
        let resumed = receiving.bytes() > 0;
        registry.fetch(blob, &mut receiving).await?;
        match blocking(move || receiving.finish()).await {
            // What an earlier pull left behind may be what is wrong; it is gone now.
            Err(Error::Mismatch { .. }) if resumed => {
                let mut receiving = begin().await?;
                registry.fetch(blob, &mut receiving).await?;
                blocking(move || receiving.finish()).await
            }
            other => other,
        }
    }
}

/// The chain ids, if the manifest and the configuration speak of the same layers.
pub(super) fn check_layers(parsed: &Parsed, blobs: &[Blob]) -> Result<Vec<Digest>> {
    if parsed.diff_ids.len() != blobs.len() {
        let reason =
            format!("{} layers in the configuration, {} in the manifest", parsed.diff_ids.len(), blobs.len());
        return Err(Error::malformed("image", reason));
    }
    match &parsed.os {
        Some(os) if os != "linux" && !os.is_empty() => Err(Error::malformed(
            "image",
            format!("it is made for {os}/{}", parsed.architecture.as_deref().unwrap_or("?")),
        )),
        _ => Ok(chain_ids(&parsed.diff_ids)),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::io("a task of the image store failed"))?
}
