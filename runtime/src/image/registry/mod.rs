//! Talking to a registry: what a reference means, and the bytes of blobs.
//!
//! Everything is bounded: connecting, silence, the number of attempts without progress, sizes. Plain http is
//! spoken to registries on this machine only, unless `certs.d` has a folder for them.

mod credentials;
pub(super) mod manifest;
pub(super) mod mirror;
pub(super) mod platform;
mod retry;
mod token;
mod trust;

use std::future::Future;
use std::sync::{Mutex, Once, PoisonError};

use futures_util::StreamExt;
use oci_client::client::{
    BlobResponse, Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol,
};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference as OciReference, RegistryOperation};

use super::store::{Blob, Receiving};
use super::{Credentials, Digest, Error, PullProgress, Reference, Result, limits};
use manifest::{ImageManifest, Manifest};
use retry::{Attempts, Failure};

/// An image's manifest, and what the registry calls the thing the reference names.
pub(super) struct Resolved {
    pub(super) digest: Digest,
    pub(super) manifest: ImageManifest,
}

/// One registry, asked about one repository.
pub(super) struct Registry<'a> {
    client: Client,
    /// Name and password, or nothing.
    known: RegistryAuth,
    /// What the registry takes for them.
    auth: Mutex<RegistryAuth>,
    /// `https://registry.example`.
    base: String,
    certificates: Vec<Vec<u8>>,
    reference: &'a Reference,
    progress: &'a (dyn Fn(PullProgress) + Send + Sync),
}

impl<'a> Registry<'a> {
    /// Logs in if the registry asks for it.
    ///
    /// # Errors
    /// When the registry cannot be reached within [`limits::CONNECT_TIMEOUT`], or does not accept the credentials.
    pub(super) async fn connect(
        reference: &'a Reference,
        credentials: &Credentials,
        progress: &'a (dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<Registry<'a>> {
        let (of, with) = (reference.clone(), credentials.clone());
        let look = tokio::task::spawn_blocking(move || {
            Ok((credentials::find(&of, &with)?, trust::find(&of, &with)?))
        });
        let (known, trusted) = look.await.map_err(Error::io("cannot look for credentials"))??;
        let plain = reference.is_loopback() && trusted.is_none();
        let certificates = trusted.unwrap_or_default();
        let client =
            client(reference, plain, &certificates).map_err(|e| failed(reference, &retry::chain(&e)))?;
        let base = format!("{}://{}", if plain { "http" } else { "https" }, host(reference));
        let auth = Mutex::new(known.clone());
        let registry = Registry { client, known, auth, base, certificates, reference, progress };
        registry.again(|| registry.log_in()).await?;
        Ok(registry)
    }

    /// The first of the places that has the image, and what the reference means there.
    ///
    /// # Errors
    /// Those of the last place, which is the registry that the reference names, with what the mirrors said; what is
    /// wrong on this machine.
    pub(super) async fn first(
        places: &'a [Reference],
        credentials: &Credentials,
        progress: &'a (dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(Registry<'a>, Resolved)> {
        let (last, mirrors) =
            places.split_last().ok_or_else(|| Error::malformed("image", "it is nowhere"))?;
        let mut said = String::new();
        for mirror in mirrors {
            match Registry::find(mirror, credentials, progress).await {
                Ok(found) => return Ok(found),
                Err(Error::Registry { registry, reason, .. }) => {
                    said.push_str(&format!("; mirror {registry}: {reason}"));
                }
                Err(error) => return Err(error),
            }
        }
        Registry::find(last, credentials, progress).await.map_err(|error| match error {
            Error::Registry { reference, registry, reason } => {
                Error::Registry { reference, registry, reason: reason + &said }
            }
            other => other,
        })
    }

    async fn find(
        reference: &'a Reference,
        credentials: &Credentials,
        progress: &'a (dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(Registry<'a>, Resolved)> {
        let registry = Registry::connect(reference, credentials, progress).await?;
        let resolved = registry.resolve().await?;
        Ok((registry, resolved))
    }

    /// What the reference means for this machine.
    pub(super) async fn resolve(&self) -> Result<Resolved> {
        let mut asked = self.named();
        let mut named = None;
        for _ in 0..limits::INDEX_DEPTH {
            let (json, digest) = self.again(|| self.manifest(&asked)).await?;
            let digest: Digest = digest.parse()?;
            let named = named.get_or_insert(digest).clone();
            match manifest::parse(&json, platform::ARCHITECTURE)
                .map_err(|e| failed(self.reference, &e.to_string()))?
            {
                Manifest::Image(manifest) => return Ok(Resolved { digest: named, manifest }),
                Manifest::Index(digest) => asked = asked.clone_with_digest(digest.to_string()),
            }
        }
        Err(failed(self.reference, "indexes that lead to indexes"))
    }

    /// The digest of what the reference names, be it an image or an index of images for many machines.
    pub(super) async fn digest(&self) -> Result<Digest> {
        let named = self.named();
        let (_, digest) = self.again(|| self.manifest(&named)).await?;
        digest.parse()
    }

    /// Fetches what is missing of a blob. When this fails for good, what has arrived stays for the next time.
    pub(super) async fn fetch(&self, blob: &Blob, receiving: &mut Receiving) -> Result<()> {
        let mut attempts = Attempts::default();
        if receiving.bytes() > blob.size {
            receiving.restart()?;
        }
        while receiving.bytes() < blob.size {
            let before = receiving.bytes();
            let result = self.stream(blob, receiving).await;
            let failure = match result {
                Ok(Ok(())) if receiving.bytes() == blob.size => break,
                Ok(Ok(())) => Failure::passing("the answer ended too early"),
                Ok(Err(failure)) if receiving.bytes() == blob.size => {
                    // The library checks the digest as well; ours speaks for both.
                    tracing::debug!(reason = failure.reason, "blob complete with a complaint");
                    break;
                }
                Ok(Err(failure)) => failure,
                Err(disk) => return Err(disk),
            };
            if receiving.bytes() > before {
                attempts.progressed();
            }
            let failure = if failure.unauthorized { self.renew(failure).await } else { failure };
            attempts.wait(failure, self.progress).await.map_err(|f| {
                let place = format!("{} of {} bytes of {}", receiving.bytes(), blob.size, blob.digest);
                failed(self.reference, &format!("{} (after {place})", f.reason))
            })?;
        }
        Ok(())
    }

    /// One request for the rest of a blob. The outer error is this machine's, the inner one the registry's.
    async fn stream(&self, blob: &Blob, receiving: &mut Receiving) -> Result<Result<(), Failure>> {
        let image = self.any_reference();
        let (digest, offset) = (blob.digest.to_string(), receiving.bytes());
        let response = if offset == 0 {
            self.client.pull_blob_stream(&image, digest.as_str()).await.map(BlobResponse::Full)
        } else {
            self.client.pull_blob_stream_partial(&image, digest.as_str(), offset, None).await
        };
        let mut stream = match response {
            Ok(BlobResponse::Partial(rest)) => rest.stream,
            Ok(BlobResponse::Full(whole)) => {
                if offset > 0 {
                    receiving.restart()?;
                }
                whole.stream
            }
            Err(error) => return Ok(Err(error.into())),
        };
        while let Some(chunk) = stream.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Err(Failure::passing(retry::chain(&error)))),
            };
            if receiving.bytes() + chunk.len() as u64 > blob.size {
                receiving.restart()?;
                return Ok(Err(Failure::lasting("the blob is larger than its manifest says")));
            }
            receiving.append(&chunk)?;
            let (layer, done) = (blob.digest.clone(), receiving.bytes());
            (self.progress)(PullProgress::Downloading { layer, done, total: blob.size });
        }
        Ok(Ok(()))
    }

    async fn log_in(&self) -> Result<(), Failure> {
        let auth =
            token::exchange(self.reference, &self.base, &self.certificates, self.known.clone()).await?;
        self.client.auth(&self.any_reference(), &auth, RegistryOperation::Pull).await?;
        *self.auth.lock().unwrap_or_else(PoisonError::into_inner) = auth;
        Ok(())
    }

    /// A token may run out in the middle of a long pull. If a new one is to be had, the failure passes.
    async fn renew(&self, failure: Failure) -> Failure {
        match self.log_in().await {
            Ok(()) => Failure { passing: true, ..failure },
            Err(_) => failure,
        }
    }

    async fn manifest(&self, asked: &OciReference) -> Result<(Vec<u8>, String), Failure> {
        let auth = self.auth.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (json, digest) = self.client.pull_manifest_raw(asked, &auth, &manifest::ACCEPT).await?;
        Ok((json.to_vec(), digest))
    }

    /// Asks a small question until it is answered or there is no point any more.
    async fn again<T, F: Future<Output = Result<T, Failure>>>(&self, question: impl Fn() -> F) -> Result<T> {
        let mut attempts = Attempts::default();
        loop {
            let answer = tokio::time::timeout(limits::QUESTION_TIMEOUT, question()).await;
            let failure = match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    Failure::lasting(format!("no answer within {} s", limits::QUESTION_TIMEOUT.as_secs()))
                }
            };
            attempts.wait(failure, self.progress).await.map_err(|f| failed(self.reference, &f.reason))?;
        }
    }

    /// The reference as the library has it.
    fn named(&self) -> OciReference {
        let (registry, repository) =
            (self.reference.registry().to_owned(), self.reference.repository().to_owned());
        match (self.reference.digest(), self.reference.tag()) {
            (Some(digest), _) => OciReference::with_digest(registry, repository, digest.to_string()),
            (None, tag) => OciReference::with_tag(registry, repository, tag.unwrap_or("latest").to_owned()),
        }
    }

    /// Blobs and tokens belong to the repository, not to a tag.
    fn any_reference(&self) -> OciReference {
        let (registry, repository) =
            (self.reference.registry().to_owned(), self.reference.repository().to_owned());
        OciReference::with_tag(registry, repository, "latest".to_owned())
    }
}

/// Where the registry answers: Docker's own goes by another name than its images.
fn host(reference: &Reference) -> &str {
    if reference.registry() == "docker.io" { "index.docker.io" } else { reference.registry() }
}

/// Stands for a proxy where there shall be none.
const UNUSED_PROXY: &str = "http://127.0.0.1:9";
/// The hosts that [`Reference::is_loopback`] means, in the words of `NO_PROXY`.
const OF_THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

fn client(
    reference: &Reference,
    plain: bool,
    certificates: &[Vec<u8>],
) -> Result<Client, oci_client::errors::OciDistributionError> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error means that the program has chosen one already, which is as good.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
    });
    let protocol = if plain {
        ClientProtocol::HttpsExcept(vec![reference.registry().to_owned()])
    } else {
        ClientProtocol::Https
    };
    // As for Docker, the environment's proxy (`HTTPS_PROXY`, `NO_PROXY`) is not for this machine's own registries.
    // The library has no word for that but one of ours, which is used for no host.
    let (http_proxy, no_proxy) = match plain {
        true => (Some(UNUSED_PROXY.to_owned()), Some(OF_THIS_MACHINE.to_owned())),
        false => (None, None),
    };
    Client::try_from(ClientConfig {
        protocol,
        http_proxy,
        no_proxy,
        extra_root_certificates: certificates
            .iter()
            .map(|pem| Certificate { encoding: CertificateEncoding::Pem, data: pem.clone() })
            .collect(),
        connect_timeout: Some(limits::CONNECT_TIMEOUT),
        read_timeout: Some(limits::READ_TIMEOUT),
        user_agent: concat!("orc/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    })
}

fn failed(reference: &Reference, reason: &str) -> Error {
    Error::Registry {
        reference: reference.familiar(),
        registry: reference.registry().to_owned(),
        reason: reason.to_owned(),
    }
}
