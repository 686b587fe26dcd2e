//! Who is connected to a socket: counted, so that an engine knows whether anybody needs it, and limited, so that
//! connections that nobody uses cannot take all of its descriptors.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, UdsConnectInfo};

use crate::limits::MAX_CLIENTS;

/// How long nobody is accepted after the kernel could not make a descriptor: whoever waits is accepted then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections of one socket. Cloning it is cheap and counts the same.
#[derive(Clone, Debug, Default)]
pub struct Clients(watch::Sender<usize>);

impl Clients {
    /// How many there are, and every change of it.
    #[must_use]
    pub fn count(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }

    /// Counts a connection for as long as it is open; `None` when there are too many.
    fn admit(&self, stream: UnixStream) -> Option<Client> {
        let admitted = self.0.send_if_modified(|count| {
            let room = *count < MAX_CLIENTS;
            *count += usize::from(room);
            room
        });
        admitted.then(|| Client { stream, clients: self.clone() })
    }

    /// Accepts from the socket until nobody takes what comes of it. One that is too many is closed at once.
    pub(crate) fn accept(self, listener: UnixListener) -> ReceiverStream<io::Result<Client>> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = sender.closed() => return,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let Some(client) = self.admit(stream) else { continue };
                        // It is closed only when the server ends, which the next turn sees.
                        let _ = sender.send(Ok(client)).await;
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        });
        ReceiverStream::new(receiver)
    }
}

/// A connection that counts until it is dropped.
pub(crate) struct Client {
    stream: UnixStream,
    clients: Clients,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.0.send_modify(|count| *count -= 1);
    }
}

impl Connected for Client {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> UdsConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Client {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
