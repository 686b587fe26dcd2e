//! The Dispatch service: one stream for each agent, facts up, work down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::convert;
use api::dispatch::dispatch_server::Dispatch;
use api::dispatch::{BlobData, BlobRequest};
use api::limits::CHUNK_BYTES;
use cluster::NodeId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::blobs::Blobs;
use crate::core::{Report, SessionId};
use crate::limits::MAX_WORK_BACKLOG;
use crate::run::{AgentTold, Event};

/// See `proto/dispatch.proto`.
pub struct DispatchService {
    events: mpsc::Sender<Event>,
    blobs: Blobs,
    sessions: Arc<AtomicU64>,
}

impl DispatchService {
    pub(crate) fn new(events: mpsc::Sender<Event>, blobs: Blobs) -> Self {
        Self { events, blobs, sessions: Arc::default() }
    }
}

#[tonic::async_trait]
impl Dispatch for DispatchService {
    type SessionStream = ReceiverStream<AgentTold>;
    type GetBlobStream = tokio_stream::Iter<std::vec::IntoIter<Result<BlobData, Status>>>;

    async fn session(
        &self,
        request: Request<Streaming<api::dispatch::Report>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let reports = request.into_inner();
        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
        let (agent, work) = mpsc::channel(MAX_WORK_BACKLOG + 1);
        // The agent may wait for this answer before it says its first word.
        tokio::spawn(listen(session, reports, agent, self.events.clone()));
        Ok(Response::new(ReceiverStream::new(work)))
    }

    async fn get_blob(&self, request: Request<BlobRequest>) -> Result<Response<Self::GetBlobStream>, Status> {
        let (digest, blobs) = (request.into_inner().digest, self.blobs.clone());
        let name = digest.clone();
        let read = tokio::task::spawn_blocking(move || blobs.get(&name)).await;
        let read = read.map_err(|e| Status::internal(e.to_string()))?;
        let content = read.map_err(|e| Status::data_loss(format!("cannot read content {digest}: {e}")))?;
        let content = content.ok_or_else(|| Status::not_found(format!("content {digest} is not stored")))?;
        let chunks: Vec<_> =
            content.chunks(CHUNK_BYTES).map(|data| Ok(BlobData { data: data.to_vec() })).collect();
        Ok(Response::new(tokio_stream::iter(chunks)))
    }
}

/// Passes on what an agent says until it is gone.
async fn listen(
    session: SessionId,
    mut reports: Streaming<api::dispatch::Report>,
    agent: mpsc::Sender<AgentTold>,
    events: mpsc::Sender<Event>,
) {
    let mut node = None;
    loop {
        let report = tokio::select! {
            report = reports.message() => report,
            // The other direction is gone: the loop ended the session, or nobody reads it any more.
            () = agent.closed() => break,
        };
        let report = match report.map(|message| message.map(|m| convert::Report::from_message(&m))) {
            Ok(Some(Ok(report))) => report,
            Ok(Some(Err(status))) => {
                let _ = agent.send(Err(status)).await;
                break;
            }
            Ok(None) | Err(_) => break,
        };
        if !pass_on(session, report, &mut node, &agent, &events).await {
            break;
        }
    }
    if node.is_some() {
        // When the loop is gone there is nobody left to tell.
        let _ = events.send(Event::SessionClosed { session }).await;
    }
}

/// Whether the session goes on.
async fn pass_on(
    session: SessionId,
    report: convert::Report,
    node: &mut Option<NodeId>,
    agent: &mpsc::Sender<AgentTold>,
    events: &mpsc::Sender<Event>,
) -> bool {
    let says = report.node();
    if *node != Some(says) {
        if node.is_some() || says == NodeId(0) {
            let status = Status::invalid_argument("a session is one node's, and no node has number 0");
            let _ = agent.send(Err(status)).await;
            return false;
        }
        *node = Some(says);
        let opened = Event::SessionOpened { session, node: says, agent: agent.clone() };
        if events.send(opened).await.is_err() {
            return false;
        }
    }
    let report = Report {
        sequence: report.sequence,
        description: report.description,
        statuses: report.statuses,
        ended: report.ended,
        resync: report.resync,
    };
    events.send(Event::Report { session, report }).await.is_ok()
}
