//! Pulls images. Whoever asks for an image that is being pulled waits for that pull and gets what it gave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::image::{Credentials, Error, Image, ImageStore, PullPolicy, PullProgress, Reference};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::core::Failure;

/// The pulls for tasks that are under way, by reference and when the registry is asked.
#[derive(Default)]
pub(crate) struct Pulls {
    running: Mutex<BTreeMap<(String, PullPolicy), Arc<Pull>>>,
}

type Pull = OnceCell<Result<Image, Failure>>;

impl Pulls {
    /// The image for a reference. `pull` gets it, and is only polled when nobody else's does.
    pub(crate) async fn share(
        &self,
        reference: &str,
        policy: PullPolicy,
        pull: impl Future<Output = Result<Image, Failure>>,
    ) -> Result<Image, Failure> {
        let key = (reference.to_owned(), policy);
        let running = || self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = running().entry(key.clone()).or_default().clone();
        let result = cell.get_or_init(|| pull).await.clone();
        let mut running = running();
        // A later pull may have begun since.
        if running.get(&key).is_some_and(|last| Arc::ptr_eq(last, &cell)) {
            running.remove(&key);
        }
        result
    }
}

/// The image for a reference.
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
    apart(async move || images.ensure(&reference, policy, &credentials, progress).await).await
}

/// What the registry means by a reference now.
///
/// # Errors
/// As [`ImageStore::resolve`].
pub(crate) async fn resolve(
    images: ImageStore,
    reference: String,
    credentials: Credentials,
) -> Result<Reference, Error> {
    apart(async move || images.resolve(&reference, &credentials).await).await
}

/// Talks to a registry on a thread of its own: the compiler cannot show that the future may move between threads
/// (rust-lang/rust issue 102211).
async fn apart<T: Send + 'static>(
    talk: impl AsyncFnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let runtime = Handle::current();
    let talking = tokio::task::spawn_blocking(move || runtime.block_on(talk()));
    let broken = |error: tokio::task::JoinError| Error::Io {
        doing: "cannot finish talking to a registry",
        source: error.into(),
    };
    talking.await.map_err(broken)?
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Barrier;

    use super::*;
    use crate::core::FailureKind;

    #[tokio::test]
    async fn those_who_wait_share_one_pull_and_the_next_one_pulls_again() {
        let (pulls, count, both) = (Pulls::default(), AtomicUsize::new(0), Barrier::new(2));
        let failed = || Failure { message: "no such host".into(), kind: FailureKind::Passing };
        let ask = async || {
            let pull = async {
                both.wait().await;
                count.fetch_add(1, Ordering::SeqCst);
                Err(failed())
            };
            pulls.share("demo", PullPolicy::Missing, pull).await
        };
        // The second one asks while the first one pulls, and lets it end.
        let (first, second, _) = tokio::join!(ask(), ask(), both.wait());
        assert_eq!((first, second), (Err(failed()), Err(failed())));
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let (_, _) = tokio::join!(ask(), both.wait());
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
