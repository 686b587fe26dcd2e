//! gRPC over a unix socket, with both ends looking at whom they talk to.
//!
//! There is no HTTP/2 keep-alive here: the kernel tells at once when the other end is gone, and pings
//! would wake two idle processes for nothing.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tower::Service;

use crate::Router;
use crate::clients::Clients;
use crate::limits::MAX_CONCURRENT_REQUESTS;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens: the socket is not there, or left over from a process that has ended.
    #[error("no engine listens on {}", path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody else's process listens; it might only pretend to be an engine.
    #[error("the process listening on {} belongs to user {found}, not to user {expected}", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// Who listens.
        found: u32,
        /// Who should.
        expected: u32,
    },
    /// Anything else.
    #[error("cannot connect to {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Connects to the engine behind a socket. The channel connects anew by itself when the connection is lost.
///
/// # Errors
/// Nobody listens there, or somebody who is neither this process' user nor root.
pub async fn connect(path: &Path) -> Result<Channel, ConnectError> {
    let first = open(path).await?;
    let connector = Connector { path: path.into(), first: Arc::new(Mutex::new(Some(first))) };
    Ok(endpoint().connect_with_connector_lazy(connector))
}

/// Serves on a socket until `shutdown` is done, and then until running requests have ended. Only processes
/// of this process' user and of root are answered; the permissions of the socket are the caller's business.
///
/// # Errors
/// None that is known of: what cannot be accepted is tried again.
pub async fn serve(
    listener: UnixListener,
    router: Router,
    clients: Clients,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    serve_for(rustix::process::geteuid().as_raw(), listener, router, clients, shutdown).await
}

async fn serve_for(
    uid: u32,
    listener: UnixListener,
    router: Router,
    clients: Clients,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    server().serve_with_incoming_shutdown(router.only(uid), clients.accept(listener), shutdown).await
}

/// A client's end, the same for every connection of this crate.
pub(crate) fn endpoint() -> Endpoint {
    // The authority is required by HTTP and means nothing here.
    Endpoint::from_static("http://engine")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
}

/// A server's end, the same for every connection of this crate.
pub(crate) fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(MAX_CONCURRENT_REQUESTS)
}

/// Bytes under way in one direction: images and logs go through here, and a socket has no latency to hide.
const WINDOW_BYTES: u32 = 1024 * 1024;

async fn open(path: &Path) -> Result<UnixStream, ConnectError> {
    let stream = UnixStream::connect(path).await.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ConnectError::Absent { path: path.into() }
        }
        _ => ConnectError::Io { path: path.into(), source },
    })?;
    let listener = stream.peer_cred().map_err(|source| ConnectError::Io { path: path.into(), source })?;
    let expected = rustix::process::geteuid().as_raw();
    match listener.uid() {
        found if found == expected || found == 0 => Ok(stream),
        found => Err(ConnectError::Foreign { path: path.into(), found, expected }),
    }
}

/// Opens connections for a channel; the first one is there already.
#[derive(Clone)]
struct Connector {
    path: Arc<Path>,
    first: Arc<Mutex<Option<UnixStream>>>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<UnixStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        // A poisoned lock only means that somebody else panicked; the stream is as good as before.
        let first = self.first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let path = self.path.clone();
        Box::pin(async move {
            let stream = match first {
                Some(stream) => stream,
                None => open(&path).await?,
            };
            Ok(TokioIo::new(stream))
        })
    }
}

#[cfg(test)]
#[path = "unix_tests.rs"]
mod tests;
