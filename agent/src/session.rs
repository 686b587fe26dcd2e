//! The session with a manager: assignments down, reports up; opened again for as long as the agent lives.
//!
//! Nothing is kept for a lost session: the first assignments of the next one say what the manager knows, and
//! the core tells whatever differs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::convert;
use cluster::{Ended, NodeId};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use crate::core::Update;
use crate::limits::{SESSION_FIRST_MS, SESSION_LONGEST_MS, STREAM_PARTS};
use crate::machine;
use crate::outbox::{Outbox, Parcel};
use crate::run::Event;

/// Speaks with the manager at the other end of a channel.
pub(crate) struct Session {
    pub(crate) manager: Channel,
    pub(crate) node: NodeId,
    /// The node's labels.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) events: mpsc::Sender<Event>,
    /// Set once the manager knows, durably, how this node differed from what it knew.
    pub(crate) known: watch::Sender<bool>,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Session {
    /// Runs until the agent is stopped.
    pub(crate) async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.keep_open() => {}
            // An error means that the agent itself was dropped.
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    async fn keep_open(&mut self) {
        let mut failures = 0_u32;
        loop {
            let mut heard = false;
            match self.talk(&mut heard).await {
                Ok(()) => tracing::debug!("the manager closed the session"),
                Err(status) => tracing::debug!(%status, "the session with the manager was lost"),
            }
            failures = if heard { 0 } else { failures.saturating_add(1) };
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// One session; `heard` is set when the manager said something.
    async fn talk(&mut self, heard: &mut bool) -> Result<(), Status> {
        let (reports, outgoing) = mpsc::channel(STREAM_PARTS);
        let mut sequence = 1;
        let mut answer = None;
        let first = convert::Report {
            node: self.node.0,
            description: Some(machine::describe(&self.labels)),
            statuses: Vec::new(),
            ended: Ended::default(),
            resync: false,
            sequence,
        };
        // There is room for one: the channel is new.
        let _ = reports.send(first.to_message()).await;
        let mut client = api::dispatch_client(self.manager.clone());
        let mut work = client.session(ReceiverStream::new(outgoing)).await?.into_inner();
        loop {
            tokio::select! {
                message = work.message() => {
                    let Some(message) = message? else { return Ok(()) };
                    *heard = true;
                    let work = convert::Work::from_message(&message)?;
                    if answer.is_some_and(|answer| work.acknowledged >= answer) {
                        self.known.send_replace(true);
                    }
                    self.assigned(work).await;
                }
                parcel = self.outbox.take() => {
                    sequence += 1;
                    if parcel.answers {
                        answer = Some(sequence);
                    }
                    if reports.send(self.report(parcel, sequence).to_message()).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn assigned(&self, work: convert::Work) {
        let complete = work.complete.map(Update::Complete);
        for update in complete.into_iter().chain(work.delta.map(Update::Delta)) {
            // The loop is gone only when the agent is being stopped.
            let _ = self.events.send(Event::Assigned(update)).await;
        }
    }

    fn report(&self, parcel: Parcel, sequence: u64) -> convert::Report {
        convert::Report {
            node: self.node.0,
            description: None,
            statuses: parcel.report.statuses,
            ended: parcel.report.ended,
            resync: parcel.resync,
            sequence,
        }
    }
}

/// A random part of a doubling pause, so that many agents do not come back at once. The clock's nanoseconds
/// are random enough for that.
fn pause(failures: u32) -> Duration {
    let most = crate::core::pause_ms(SESSION_FIRST_MS, SESSION_LONGEST_MS, failures);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    Duration::from_millis(most / 2 + u64::from(nanos) % (most / 2 + 1))
}
