//! Answers requests until SIGTERM, then finishes those that were begun.

use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use super::http::{Reader, Request, Response};
use super::limits;

/// What answers requests. `local` is the address at which the request arrived.
pub(super) trait Handler: 'static {
    /// The answer to one request.
    fn answer(&self, request: Request, local: std::net::IpAddr) -> impl Future<Output = Response>;
}

/// Serves on every address, IPv6 and IPv4, until a signal asks it to stop.
pub(super) async fn run(port: u16, handler: impl Handler) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let listener = listen(port).await?;
    let (stop, stopped) = watch::channel(false);
    let handler = Rc::new(handler);
    let permits = Arc::new(Semaphore::new(limits::CONNECTIONS));
    LocalSet::new()
        .run_until(async move {
            let mut connections = JoinSet::new();
            loop {
                let accepted = async {
                    // The semaphore is never closed, so this only waits.
                    let permit = permits.clone().acquire_owned().await;
                    (permit, listener.accept().await)
                };
                tokio::select! {
                    (permit, accepted) = accepted => {
                        let Ok((stream, _)) = accepted else { continue };
                        let (handler, stopped) = (handler.clone(), stopped.clone());
                        connections.spawn_local(async move {
                            let _permit = permit;
                            converse(stream, &*handler, stopped).await;
                        });
                    }
                    _ = connections.join_next(), if !connections.is_empty() => {}
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                }
            }
            drop(listener);
            let _ = stop.send(true);
            let _ = timeout(limits::DRAIN, async { while connections.join_next().await.is_some() {} }).await;
        })
        .await;
    Ok(())
}

/// Listens on `[::]`, which takes IPv4 too, or on `0.0.0.0` where there is no IPv6.
async fn listen(port: u16) -> Result<TcpListener, String> {
    match TcpListener::bind(("::", port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("0.0.0.0", port))
            .await
            .map_err(|error| format!("cannot listen on port {port}: {error}")),
    }
}

async fn converse(stream: TcpStream, handler: &impl Handler, mut stopped: watch::Receiver<bool>) {
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let mut reader = Reader::new(stream);
    for _ in 0..limits::REQUESTS_PER_CONNECTION {
        let request = tokio::select! {
            request = timeout(limits::IDLE, reader.request()) => request,
            _ = stopped.changed() => return,
        };
        let (response, keep_alive) = match request {
            Err(_) | Ok(Ok(None)) => return,
            Ok(Ok(Some(request))) => {
                let keep_alive = request.keep_alive && !*stopped.borrow();
                (handler.answer(request, local.ip().to_canonical()).await, keep_alive)
            }
            Ok(Err(message)) => (Response::text(400, format!("{message}\n")), false),
        };
        let sent = reader.stream().write_all(&response.encode(keep_alive)).await;
        if sent.is_err() || !keep_alive {
            return;
        }
    }
}
