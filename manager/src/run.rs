//! The manager's one loop: everything that can happen is an [`Event`], matched in one place; everything the
//! core wants done is one call.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::convert;
use cluster::view::StackView;
use cluster::{ChangeKind, NodeId, Refusal, StackName, Timestamp, Version, Volume};
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;

use crate::blobs::{self, Blobs};
use crate::core::{
    Applied, Failure, Input, ManagerCore, Output, Persist, Report, RequestId, SessionId, Work,
};
use crate::disk::DiskError;
use crate::hub::{self, Hub, Told};

/// What an agent receives.
pub(crate) type AgentTold = Result<api::dispatch::Assignment, Status>;

/// Everything that can happen to a manager.
pub(crate) enum Event {
    /// A wish.
    Request { kind: Box<ChangeKind>, answer: oneshot::Sender<Result<Applied, Failure>> },
    /// What would become of a wish.
    Plan { kind: Box<ChangeKind>, answer: oneshot::Sender<Result<scheduler::Plan, Refusal>> },
    /// What is there.
    List { stack: Option<StackName>, answer: oneshot::Sender<(Version, Vec<StackView>)> },
    /// The volumes of a stack, whether it is there or not.
    Volumes { stack: StackName, answer: oneshot::Sender<Vec<Volume>> },
    /// What is there and what becomes of it.
    Watch { stack: Option<StackName>, answer: oneshot::Sender<mpsc::Receiver<Told>> },
    /// An agent is there.
    SessionOpened { session: SessionId, node: NodeId, agent: mpsc::Sender<AgentTold> },
    /// An agent says something.
    Report { session: SessionId, report: Report },
    /// An agent is gone.
    SessionClosed { session: SessionId },
    /// The disk has written.
    Persisted(u64),
    /// The disk has failed: nothing can be promised any more.
    DiskFailed(DiskError),
    /// The time that the core asked for has come.
    Wake,
    /// The manager is to end.
    Stop,
}

/// What others may know without asking the loop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Wishes are taken.
    pub(crate) leads: bool,
    /// There is no stack.
    pub(crate) idle: bool,
    /// The loop has ended, with this error if not on request.
    pub(crate) ended: Option<Option<String>>,
}

/// The loop's belongings.
pub(crate) struct Loop {
    pub(crate) core: ManagerCore,
    pub(crate) disk: mpsc::UnboundedSender<Persist>,
    pub(crate) blobs: Blobs,
    pub(crate) condition: watch::Sender<Condition>,
    hub: Hub,
    requests: BTreeMap<RequestId, oneshot::Sender<Result<Applied, Failure>>>,
    agents: BTreeMap<SessionId, mpsc::Sender<AgentTold>>,
    next_request: u64,
    wake_at: Option<Timestamp>,
    clock: Clock,
    end: Option<Option<String>>,
}

impl Loop {
    pub(crate) fn new(
        core: ManagerCore,
        disk: mpsc::UnboundedSender<Persist>,
        blobs: Blobs,
        condition: watch::Sender<Condition>,
    ) -> Self {
        Self {
            core,
            disk,
            blobs,
            condition,
            hub: Hub::default(),
            requests: BTreeMap::new(),
            agents: BTreeMap::new(),
            next_request: 0,
            wake_at: None,
            clock: Clock::default(),
            end: None,
        }
    }

    /// Goes on until the manager is told to end or cannot go on.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut written: mpsc::UnboundedReceiver<Event>,
    ) {
        let now = self.clock.now();
        let outputs = self.core.start(now);
        self.perform(outputs);
        self.collect_blobs();
        while self.end.is_none() {
            let event = tokio::select! {
                // What the disk says goes first: others wait for it.
                biased;
                event = written.recv() => event.unwrap_or(Event::Stop),
                event = events.recv() => event.unwrap_or(Event::Stop),
                () = pause(self.wake_at, self.clock.now()) => Event::Wake,
            };
            self.handle(event);
        }
        let ended = self.end.take();
        self.condition.send_modify(|condition| {
            condition.leads = false;
            condition.ended = ended;
        });
    }

    fn handle(&mut self, event: Event) {
        let input = match event {
            Event::Request { kind, answer } => {
                let id = RequestId(self.next_request);
                self.next_request += 1;
                self.requests.insert(id, answer);
                Input::Request { id, kind: *kind }
            }
            Event::Plan { kind, answer } => {
                let now = self.clock.now();
                // Whoever does not wait any more has no use for an answer, here and below.
                let _ = answer.send(self.core.plan(*kind, now));
                return;
            }
            Event::List { stack, answer } => {
                let _ = answer.send(hub::list(stack.as_ref(), self.core.state(), self.core.waits()));
                return;
            }
            Event::Volumes { stack, answer } => {
                let _ = answer.send(hub::volumes(&stack, self.core.state()));
                return;
            }
            Event::Watch { stack, answer } => {
                let _ = answer.send(self.hub.add(stack, self.core.state(), self.core.waits()));
                return;
            }
            Event::SessionOpened { session, node, agent } => {
                self.agents.insert(session, agent);
                Input::SessionOpened { session, node }
            }
            Event::Report { session, report } => Input::Report { session, report },
            Event::SessionClosed { session } => {
                self.agents.remove(&session);
                Input::SessionClosed { session }
            }
            Event::Persisted(sequence) => Input::Persisted(sequence),
            Event::DiskFailed(error) => {
                self.end = Some(Some(describe(&error)));
                return;
            }
            Event::Wake => {
                self.wake_at = None;
                Input::Wake
            }
            Event::Stop => {
                self.end = Some(None);
                return;
            }
        };
        let now = self.clock.now();
        let outputs = self.core.step(input, now);
        self.perform(outputs);
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Persist(persist) => {
                    if self.disk.send(persist).is_err() {
                        self.end = Some(Some("the thread that writes the log is gone".to_owned()));
                    }
                }
                // A group of one, which is all there is without a transport between managers, has nobody
                // to send to and needs no ticks.
                Output::Send(_) => {}
                Output::Reply { id, result } => {
                    if let Some(answer) = self.requests.remove(&id) {
                        let _ = answer.send(result);
                    }
                }
                Output::Assign { session, work } => self.assign(session, work),
                Output::EndSession(session) => {
                    if let Some(agent) = self.agents.remove(&session) {
                        let _ = agent.try_send(Err(Status::aborted("this session is not served any more")));
                    }
                }
                Output::Publish(news) => {
                    self.hub.publish(&news, self.core.state(), self.core.waits());
                    if news.events.iter().any(|event| matches!(event, cluster::Event::ServiceGone(_))) {
                        self.collect_blobs();
                    }
                }
                Output::WakeAt(at) => self.wake_at = at,
                Output::Stop(why) => self.end = Some(Some(why)),
            }
        }
        let (leads, idle) = (self.core.leads(), self.core.state().stacks.is_empty());
        self.condition.send_if_modified(|condition| {
            let changed = (condition.leads, condition.idle) != (leads, idle);
            (condition.leads, condition.idle) = (leads, idle);
            changed
        });
    }

    /// An agent that does not read loses its session, and gets everything anew with its next one. The
    /// last place in its channel is for saying so; the session closes when the agent comes to it.
    fn assign(&mut self, session: SessionId, work: Work) {
        let Some(agent) = self.agents.get(&session) else { return };
        if agent.capacity() <= 1 {
            let _ = agent.try_send(Err(Status::aborted("this agent does not read its assignments")));
            self.agents.remove(&session);
            return;
        }
        let Work { complete, delta, acknowledged } = work;
        let message = convert::Work { complete, delta, acknowledged }.to_message();
        // Closed: the session's other half notices and says so.
        let _ = agent.try_send(Ok(message));
    }

    /// Lets go of contents that nobody names any more. Failing to costs only space.
    fn collect_blobs(&self) {
        let (blobs, named) = (self.blobs.clone(), blobs::named(self.core.state()));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = blobs.collect(&named) {
                tracing::warn!(%error, "cannot remove contents of secrets and configs that nobody names");
            }
        });
    }
}

/// Sleeps until a point in time; for ever when there is none.
async fn pause(until: Option<Timestamp>, now: Timestamp) {
    match until {
        Some(at) => tokio::time::sleep(Duration::from_millis(at.ms_since(now))).await,
        None => std::future::pending().await,
    }
}

/// The system's clock, which never goes back.
#[derive(Default)]
struct Clock(Timestamp);

impl Clock {
    fn now(&mut self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        self.0 = self.0.max(now);
        self.0
    }
}

/// An error with its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
