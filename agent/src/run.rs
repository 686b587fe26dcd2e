//! The one loop: takes what happened, asks the core, hands on what it says. It never waits for anything else.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cluster::{NodeId, TaskId, Timestamp};
use tokio::sync::{mpsc, watch};

use crate::core::{ActionId, AgentCore, Failure, Input, Outcome, Output, Update};
use crate::execute::Executor;
use crate::limits::{EVENTS, EVENTS_AT_ONCE};
use crate::outbox::Outbox;
use crate::store::Store;

/// Everything that reaches the loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// From the manager.
    Assigned(Update),
    /// From the executor.
    Done(ActionId, Result<Outcome, Failure>),
    /// From the executor, while a container is waited for.
    Dying(ActionId),
    /// From the executor, of an action that goes on.
    Slow(ActionId),
    /// From a person, through the node's own service.
    Paused(TaskId, bool),
}

impl Event {
    /// All that this node has to do, as the manager knows it.
    fn is_complete(&self) -> bool {
        matches!(self, Event::Assigned(Update::Complete(_)))
    }
}

/// A way to the loop, and its end of it.
pub(crate) fn channel() -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
    mpsc::channel(EVENTS)
}

/// The loop before it runs.
pub(crate) struct Loop {
    pub(crate) node: NodeId,
    /// What an earlier run of the agent left: the first inputs.
    pub(crate) found: Vec<Input>,
    pub(crate) store: Store,
    pub(crate) executor: Executor,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) inbox: mpsc::Receiver<Event>,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Loop {
    /// Runs until it is stopped. Actions that are under way are then finished by those who carry them out;
    /// the next agent finds what they did.
    pub(crate) async fn run(mut self) {
        let clock = Clock::start();
        let mut core = AgentCore::new(self.node);
        let mut wake = None;
        let outputs = core.step_all(std::mem::take(&mut self.found), clock.now());
        self.hand_on(outputs, &mut wake);
        let mut events = Vec::new();
        loop {
            let mut complete = false;
            let inputs = tokio::select! {
                count = self.inbox.recv_many(&mut events, EVENTS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    complete = events.iter().any(Event::is_complete);
                    inputs(&self.store, &mut events)
                }
                () = clock.reach(wake) => {
                    wake = None;
                    vec![Input::Wake]
                }
                // An error means that the agent itself was dropped.
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
            };
            let outputs = core.step_all(inputs, clock.now());
            self.hand_on(outputs, &mut wake);
            if complete {
                self.outbox.answer();
            }
        }
    }

    fn hand_on(&self, outputs: Vec<Output>, wake: &mut Option<Timestamp>) {
        for output in outputs {
            match output {
                Output::Do(id, action) => self.executor.begin(id, action),
                Output::Zone(network, zone) => self.executor.set_zone(&network, zone),
                Output::View(task, view) => self.executor.set_view(task, view),
                Output::Report(report) => self.outbox.report(report),
                Output::WakeAt(at) => *wake = Some(at),
                Output::Resync => self.outbox.resync(),
            }
        }
    }
}

/// Events as the core takes them; assignments are noted on the way.
fn inputs(store: &Store, events: &mut Vec<Event>) -> Vec<Input> {
    let input = |event| match event {
        Event::Assigned(update) => {
            store.remember(&update);
            Input::Assigned(Box::new(update))
        }
        Event::Done(id, result) => Input::Done(id, result),
        Event::Dying(id) => Input::Dying(id),
        Event::Slow(id) => Input::Slow(id),
        Event::Paused(task, paused) => Input::Paused(task, paused),
    };
    events.drain(..).map(input).collect()
}

/// The time of day, which never jumps while the agent runs.
struct Clock {
    started: Instant,
    base: Timestamp,
}

impl Clock {
    fn start() -> Clock {
        // A clock before 1970 is as good as one at 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock {
            started: Instant::now(),
            base: Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn now(&self) -> Timestamp {
        self.base.plus_ms(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Waits until then; for ever when there is no time to wait for.
    async fn reach(&self, at: Option<Timestamp>) {
        match at {
            Some(at) => tokio::time::sleep(Duration::from_millis(at.ms_since(self.now()))).await,
            None => std::future::pending().await,
        }
    }
}
