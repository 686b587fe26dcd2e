//! Pulls an image, for a task or for a person.

use runtime::image::{Credentials, Error, Image, ImageStore, PullPolicy, PullProgress};
use tokio::runtime::Handle;

/// The image for a reference. A pull has a thread of its own: the compiler cannot show that its future may move
/// between threads (rust-lang/rust issue 102211).
///
/// # Errors
/// As [`ImageStore::ensure`].
pub(crate) async fn pull(
    images: ImageStore,
    reference: String,
    policy: PullPolicy,
    credentials: Credentials,
    progress: impl Fn(PullProgress) + Send + Sync + 'static,
) -> Result<Image, Error> {
    let runtime = Handle::current();
    let pulling = tokio::task::spawn_blocking(move || {
        runtime.block_on(images.ensure(&reference, policy, &credentials, progress))
    });
    let broken = |error: tokio::task::JoinError| Error::Io { doing: "cannot finish a pull", source: error.into() };
    pulling.await.map_err(broken)?
}
