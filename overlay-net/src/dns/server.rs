//! The sockets: one for UDP and one for TCP in each namespace, all served by this process.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use crate::spec::{NetnsId, View, Zone};
use crate::{Error, Result, limits};

use super::answer::{self, Question};
use super::forward::Forwarder;
use super::rate::Bucket;
use super::zone::Directory;

/// The name server of all namespaces.
#[derive(Debug)]
pub(crate) struct Dns {
    shared: Arc<Shared>,
    served: Mutex<BTreeMap<NetnsId, [AbortHandle; 2]>>,
    runtime: Handle,
}

#[derive(Debug)]
struct Shared {
    directory: RwLock<Directory>,
    forwarder: Forwarder,
    /// Rotates the addresses of answers.
    turn: AtomicUsize,
    started: Instant,
}

/// One namespace as the server sees it.
#[derive(Debug)]
struct Client {
    netns: NetnsId,
    shared: Arc<Shared>,
    bucket: Mutex<Bucket>,
    /// Questions that wait for others' answers.
    forwards: Arc<Semaphore>,
}

impl Dns {
    pub(crate) fn new(runtime: Handle) -> Dns {
        let shared = Shared {
            directory: RwLock::default(),
            forwarder: Forwarder::default(),
            turn: AtomicUsize::new(0),
            started: Instant::now(),
        };
        Dns { shared: Arc::new(shared), served: Mutex::default(), runtime }
    }

    pub(crate) fn set_zone(&self, network: &str, zone: Option<Zone>) {
        self.shared.directory.write().unwrap_or_else(PoisonError::into_inner).set_zone(network, zone);
    }

    pub(crate) fn set_view(&self, netns: &str, view: Option<View>) {
        self.shared.directory.write().unwrap_or_else(PoisonError::into_inner).set_view(netns, view);
    }

    pub(crate) fn is_serving(&self, netns: &str) -> bool {
        self.served().contains_key(netns)
    }

    /// Serves on sockets that were opened in the namespace.
    pub(crate) fn serve(&self, netns: &str, udp: StdUdpSocket, tcp: StdTcpListener) -> Result<()> {
        let failed = |source| Error::system(format!("serve names in {netns}"), source);
        let _context = self.runtime.enter();
        let udp = UdpSocket::from_std(udp).map_err(failed)?;
        let tcp = TcpListener::from_std(tcp).map_err(failed)?;
        let client = Arc::new(Client {
            netns: netns.to_owned(),
            shared: self.shared.clone(),
            bucket: Mutex::new(Bucket::new(self.shared.started.elapsed())),
            forwards: Arc::new(Semaphore::new(limits::DNS_FORWARDS)),
        });
        let tasks = [
            self.runtime.spawn(serve_udp(Arc::new(udp), client.clone())).abort_handle(),
            self.runtime.spawn(serve_tcp(tcp, client)).abort_handle(),
        ];
        if let Some(former) = self.served().insert(netns.to_owned(), tasks) {
            former.iter().for_each(AbortHandle::abort);
        }
        Ok(())
    }

    /// Closes the sockets of a namespace.
    pub(crate) fn stop(&self, netns: &str) {
        for task in self.served().remove(netns).into_iter().flatten() {
            task.abort();
        }
    }

    /// Closes all sockets.
    pub(crate) fn stop_all(&self) {
        for task in std::mem::take(&mut *self.served()).into_values().flatten() {
            task.abort();
        }
    }

    fn served(&self) -> MutexGuard<'_, BTreeMap<NetnsId, [AbortHandle; 2]>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop_all();
    }
}

/// What becomes of a question.
enum Outcome {
    Answer(Vec<u8>),
    Forward(Box<Question>),
    Silence,
}

impl Client {
    /// Answers at once what can be answered at once. `udp` limits the length of the answer.
    fn consider(&self, bytes: &[u8], udp: bool) -> Outcome {
        let now = self.shared.started.elapsed();
        if !self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return Outcome::Silence;
        }
        let question = match answer::read(bytes) {
            Ok(question) => question,
            Err(refusal) => return refusal.map_or(Outcome::Silence, Outcome::Answer),
        };
        let directory = self.shared.directory.read().unwrap_or_else(PoisonError::into_inner);
        let meaning = directory.look_up(&self.netns, &question.name, question.kind);
        let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        let limit = limit(&question, udp);
        question.answer(meaning, turn, limit).map_or(Outcome::Forward(Box::new(question)), Outcome::Answer)
    }

    async fn forward(&self, question: &Question, udp: bool) -> Vec<u8> {
        let resolvers =
            self.shared.directory.read().unwrap_or_else(PoisonError::into_inner).resolvers(&self.netns);
        question.pass_on(self.shared.forwarder.ask(&resolvers, &question.query).await, limit(question, udp))
    }
}

fn limit(question: &Question, udp: bool) -> usize {
    if udp { question.udp_limit() } else { usize::from(u16::MAX) }
}

async fn serve_udp(socket: Arc<UdpSocket>, client: Arc<Client>) {
    let mut forwards = JoinSet::new();
    let mut packet = vec![0; limits::DNS_QUESTION];
    loop {
        // An error here is an ICMP answer to an earlier packet of ours.
        let Ok((len, from)) = socket.recv_from(&mut packet).await else { continue };
        while forwards.try_join_next().is_some() {}
        match client.consider(&packet[..len], true) {
            Outcome::Silence => {}
            Outcome::Answer(answer) => send(&socket, &answer, from).await,
            Outcome::Forward(question) => {
                // Too many wait already: whoever asks tries again.
                let Ok(permit) = client.forwards.clone().try_acquire_owned() else { continue };
                let (socket, client) = (socket.clone(), client.clone());
                forwards.spawn(async move {
                    send(&socket, &client.forward(&question, true).await, from).await;
                    drop(permit);
                });
            }
        }
    }
}

/// A lost answer is asked for again.
async fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    let _ = socket.send_to(answer, to).await;
}

async fn serve_tcp(listener: TcpListener, client: Arc<Client>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= limits::DNS_CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, client.clone()));
            }
            // Out of descriptors or memory: the client tries again, and so do we.
            Err(error) => {
                tracing::debug!("cannot accept a DNS connection in {}: {error}", client.netns);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Questions and answers on one connection, each behind its length, until the client is silent for a while.
async fn converse(mut stream: TcpStream, client: Arc<Client>) {
    for _ in 0..limits::DNS_PER_CONNECTION {
        let Ok(Some(question)) = timeout(limits::DNS_IDLE, read(&mut stream)).await else { return };
        let answer = match client.consider(&question, false) {
            Outcome::Silence => return,
            Outcome::Answer(answer) => answer,
            Outcome::Forward(question) => client.forward(&question, false).await,
        };
        let Ok(len) = u16::try_from(answer.len()) else { return };
        let framed = [&len.to_be_bytes()[..], &answer].concat();
        if !matches!(timeout(limits::DNS_IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let len = usize::from(stream.read_u16().await.ok()?);
    if len > limits::DNS_QUESTION {
        return None;
    }
    let mut question = vec![0; len];
    stream.read_exact(&mut question).await.ok()?;
    Some(question)
}
