//! gRPC between two parts of one process, over socket pairs: there is no name that somebody else could connect to.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Uri};
use tower::Service;

use crate::{Router, unix};

/// The serving end of a private connection.
#[derive(Debug)]
pub struct Inside(mpsc::Receiver<io::Result<UnixStream>>);

/// A channel and the end that serves it. As any channel it connects when it is first used, and anew when its
/// connection is lost.
#[must_use]
pub fn pair() -> (Channel, Inside) {
    let (ends, incoming) = mpsc::channel(1);
    (unix::endpoint().connect_with_connector_lazy(Connector(ends)), Inside(incoming))
}

impl Inside {
    /// Serves until the channel and all its clones are gone.
    ///
    /// # Errors
    /// None that is known of: nothing is accepted from the kernel.
    pub async fn serve(self, router: Router) -> Result<(), tonic::transport::Error> {
        unix::server().serve_with_incoming(router, ReceiverStream::new(self.0)).await
    }
}

/// Makes a pair for each connection and hands one end over.
#[derive(Clone)]
struct Connector(mpsc::Sender<io::Result<UnixStream>>);

impl Service<Uri> for Connector {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let ends = self.0.clone();
        Box::pin(async move {
            let (near, far) = UnixStream::pair()?;
            let gone = |_| io::Error::new(io::ErrorKind::NotConnected, "the serving part has ended");
            ends.send(Ok(far)).await.map_err(gone)?;
            Ok(TokioIo::new(near))
        })
    }
}
