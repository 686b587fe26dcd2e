//! Carries connections that the kernel cannot translate: to `[::1]`, and from IPv6 to containers that have only IPv4.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::limits;
use crate::spec::Protocol;

/// Where connections go; replaced whole.
#[derive(Debug, Default)]
struct Backends {
    list: Mutex<Arc<[SocketAddr]>>,
    next: AtomicUsize,
}

impl Backends {
    /// The backends, beginning with the one whose turn it is.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..list.len()).map(|offset| list[first.wrapping_add(offset) % list.len()]).collect()
    }
}

/// A listening proxy; it ends with this value. A TCP connection ends when one of its ends does, as one that the kernel
/// translates: who is told to stop may answer what it was asked before.
#[derive(Debug)]
pub(crate) struct Proxy {
    backends: Arc<Backends>,
    task: AbortHandle,
}

impl Proxy {
    /// Listens in the calling thread's network namespace and serves on `runtime`.
    pub(crate) fn listen(protocol: Protocol, address: SocketAddr, runtime: &Handle) -> io::Result<Proxy> {
        let backends = Arc::new(Backends::default());
        let serving = backends.clone();
        let _context = runtime.enter();
        let task = match protocol {
            Protocol::Tcp => {
                let socket = open(SocketType::STREAM, address)?;
                rustix::net::listen(&socket, limits::PROXY_BACKLOG)?;
                runtime.spawn(serve_tcp(TcpListener::from_std(socket.into())?, serving))
            }
            Protocol::Udp => {
                let socket = open(SocketType::DGRAM, address)?;
                runtime.spawn(serve_udp(Arc::new(UdpSocket::from_std(socket.into())?), serving))
            }
        };
        Ok(Proxy { backends, task: task.abort_handle() })
    }

    /// Says where new connections go from now on.
    pub(crate) fn set_backends(&self, backends: Vec<SocketAddr>) {
        *self.backends.list.lock().unwrap_or_else(PoisonError::into_inner) = backends.into();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn open(kind: SocketType, address: SocketAddr) -> io::Result<std::os::fd::OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET6, kind, flags, None)?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    if kind == SocketType::STREAM {
        // Connections of a former engine that still close must not keep the port from us.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

async fn serve_tcp(listener: TcpListener, backends: Arc<Backends>) {
    let connections = Arc::new(Semaphore::new(limits::PROXY_CONNECTIONS));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let backends = backends.in_turn();
                tokio::spawn(async move {
                    carry(client, backends).await;
                    drop(permit);
                });
            }
            // Out of descriptors or memory: the client retries, and so do we.
            Err(error) => {
                tracing::debug!("a proxy cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn carry(mut client: TcpStream, backends: Vec<SocketAddr>) {
    for backend in backends {
        if let Ok(Ok(mut server)) = timeout(limits::PROXY_CONNECT, TcpStream::connect(backend)).await {
            // Small messages must not wait for each other; errors just end the connection.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
    // Nobody answers: close with a reset, as a refused connection would.
    let _ = client.set_zero_linger();
}

async fn serve_udp(socket: Arc<UdpSocket>, backends: Arc<Backends>) {
    let flows: Arc<Mutex<BTreeMap<SocketAddr, Arc<UdpSocket>>>> = Arc::default();
    let mut running = tokio::task::JoinSet::new();
    let mut packet = vec![0; limits::UDP_PACKET];
    loop {
        let Ok((len, client)) = socket.recv_from(&mut packet).await else { continue };
        while running.try_join_next().is_some() {}
        let known = flows.lock().unwrap_or_else(PoisonError::into_inner).get(&client).cloned();
        let flow = match known {
            Some(flow) => flow,
            None if running.len() >= limits::PROXY_FLOWS => continue,
            None => {
                let Some(flow) = connect_udp(&backends).await else { continue };
                flows.lock().unwrap_or_else(PoisonError::into_inner).insert(client, flow.clone());
                let (socket, flows, back) = (socket.clone(), flows.clone(), flow.clone());
                running.spawn(async move {
                    answer_udp(&back, &socket, client).await;
                    flows.lock().unwrap_or_else(PoisonError::into_inner).remove(&client);
                });
                flow
            }
        };
        // A datagram may be lost; that is UDP.
        let _ = flow.send(&packet[..len]).await;
    }
}

async fn connect_udp(backends: &Backends) -> Option<Arc<UdpSocket>> {
    let backend = backends.in_turn().first().copied()?;
    let from: SocketAddr = match backend {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let flow = UdpSocket::bind(from).await.ok()?;
    flow.connect(backend).await.ok()?;
    Some(Arc::new(flow))
}

/// Carries answers back until there were none for a while.
async fn answer_udp(flow: &UdpSocket, socket: &UdpSocket, client: SocketAddr) {
    let mut packet = vec![0; limits::UDP_PACKET];
    while let Ok(Ok(len)) = timeout(limits::PROXY_UDP_IDLE, flow.recv(&mut packet)).await {
        let _ = socket.send_to(&packet[..len], client).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_is_connected_stays_so_when_nobody_else_can_be() {
        if !crate::sysctl::has_ipv6() {
            return;
        }
        let backend = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = TcpListener::bind("[::1]:0").await.unwrap().local_addr().unwrap();
        let proxy = Proxy::listen(Protocol::Tcp, free, &Handle::current()).unwrap();
        proxy.set_backends(vec![backend.local_addr().unwrap()]);
        let mut client = TcpStream::connect(free).await.unwrap();
        let (mut server, _) = backend.accept().await.unwrap();
        drop(proxy);
        // The listener goes when the runtime gets to it.
        while TcpStream::connect(free).await.is_ok() {
            tokio::task::yield_now().await;
        }
        client.write_all(b"asked").await.unwrap();
        let mut text = [0; 5];
        server.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"asked");
        drop(client);
        assert_eq!(server.read(&mut text).await.unwrap(), 0, "its end is carried too");
    }
}
