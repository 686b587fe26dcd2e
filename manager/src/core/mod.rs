//! The manager without its disk, sockets and clock: what happened goes in, what is to be done comes out.
//!
//! Invariant: pure. The same inputs at the same times give the same outputs; "later" is [`Output::WakeAt`],
//! and raft's randomness is overwritten by the seed.
//!
//! Invariant: a wish is answered with success only after it is durable and part of the state.

mod batch;
mod io;
mod log;
mod raft;
mod sessions;
mod stored;

use cluster::view::Waits;
use cluster::{Change, ChangeKind, Refusal, State, Timestamp, Touched};

use self::batch::{InFlight, Origin, Queue};
pub use self::io::{Applied, Failure, Input, News, Output, Report, RequestId, SessionId, Work};
pub use self::raft::PeerMessage;
use self::raft::{Group, Happened};
use self::sessions::Sessions;
pub use self::stored::{LogEntry, Persist, Snapshot, Stored, Vote};
use self::stored::{changes_of, encode, state_of};
use crate::limits::{DECIDE_AGAIN_AFTER_MS, SNAPSHOT_AFTER_BYTES, SNAPSHOT_AFTER_ENTRIES};

/// Why a manager cannot start from what it has stored.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The stored state is of a newer program, or no state at all.
    #[error("cannot read the stored state")]
    State(#[source] serde_json::Error),
    /// Vote, snapshot and log do not fit together.
    #[error("the stored log contradicts itself")]
    Log(#[source] ::raft::Error),
}

/// One manager of a group, which may be a group of one.
pub struct ManagerCore {
    group: Group,
    state: State,
    waits: Waits,
    /// What waits for the log.
    queue: Queue,
    /// The one entry that was proposed and not yet seen again.
    in_flight: Option<InFlight>,
    sessions: Sessions,
    /// This manager decides: it leads and knows everything agreed on before.
    leads: bool,
    /// When the scheduler wants to look although nothing changes.
    look_at: Option<Timestamp>,
    /// The last decisions were all refused: not before then again.
    decide_after: Option<Timestamp>,
    /// The last [`Output::WakeAt`].
    wake_at: Option<Timestamp>,
    stopped: bool,
}

impl ManagerCore {
    /// A manager that goes on from what it has stored. `id` is its number in the group and not 0; `seed`
    /// should differ between managers. Nothing happens before [`ManagerCore::start`].
    ///
    /// # Errors
    /// What is stored makes no sense.
    pub fn new(id: u64, seed: u64, stored: &Stored) -> Result<Self, StartError> {
        Ok(Self {
            state: state_of(&stored.snapshot).map_err(StartError::State)?,
            group: Group::new(id, seed, stored).map_err(StartError::Log)?,
            waits: Waits::default(),
            queue: Queue::default(),
            in_flight: None,
            sessions: Sessions::default(),
            leads: false,
            look_at: None,
            decide_after: None,
            wake_at: None,
            stopped: false,
        })
    }

    /// Begins. A group of one has its leader at once.
    pub fn start(&mut self, now: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        match self.group.start() {
            Ok(()) => self.settle(now, &mut out),
            Err(e) => self.stop(format!("cannot begin to lead: {e}"), &mut out),
        }
        out
    }

    /// Takes one input. `now` never goes back.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        if self.stopped {
            return out;
        }
        match input {
            Input::Tick => self.group.tick(),
            Input::Peer(message) => self.group.receive(message),
            Input::Request { id, kind } => self.request(id, kind, &mut out),
            Input::SessionOpened { session, node } => self.open(session, node, &mut out),
            Input::Report { session, report } => self.report(session, report, now, &mut out),
            Input::SessionClosed { session } => self.sessions.close(session, now),
            Input::Persisted(sequence) => {
                let happened = self.group.persisted(sequence);
                self.take(happened, &mut out);
            }
            Input::Wake => {}
        }
        self.settle(now, &mut out);
        out
    }

    /// The state as agreed on so far.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What waits, and why. Only a leader knows.
    #[must_use]
    pub fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Whether this manager takes wishes and serves agents.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// Whether [`Input::Tick`] is needed: a group of one needs none, and sleeps when there is nothing to do.
    #[must_use]
    pub fn wants_ticks(&self) -> bool {
        !self.group.is_alone()
    }

    /// What a wish would lead to.
    ///
    /// # Errors
    /// It would be refused.
    pub fn plan(&self, kind: ChangeKind, now: Timestamp) -> Result<scheduler::Plan, Refusal> {
        scheduler::dry_run(&self.state, Change { at: now, kind })
    }

    fn request(&mut self, id: RequestId, kind: ChangeKind, out: &mut Vec<Output>) {
        let failure = match (self.group.is_leader(), self.queue.has_room()) {
            (false, _) => Some(Failure::NotLeader(self.group.leader())),
            (true, false) => Some(Failure::Overloaded),
            (true, true) => None,
        };
        match failure {
            Some(failure) => out.push(Output::Reply { id, result: Err(failure) }),
            None => self.queue.push(kind, Origin::Request(id)),
        }
    }

    fn open(&mut self, session: SessionId, node: cluster::NodeId, out: &mut Vec<Output>) {
        if !self.group.is_leader() {
            out.push(Output::EndSession(session));
            return;
        }
        out.extend(self.sessions.open(session, node).map(Output::EndSession));
    }

    fn report(&mut self, session: SessionId, report: Report, now: Timestamp, out: &mut Vec<Output>) {
        let Some(node) = self.sessions.node_of(session) else { return };
        if !self.queue.has_room() {
            // It says everything again in its next session.
            self.sessions.close(session, now);
            out.push(Output::EndSession(session));
            return;
        }
        if report.resync {
            self.sessions.resync(session);
        }
        let mut kinds = Vec::new();
        kinds.extend(report.description.map(|description| ChangeKind::PutNode { node, description }));
        if !report.statuses.is_empty() || report.ended != cluster::Ended::default() {
            kinds.push(ChangeKind::Report { node, statuses: report.statuses, ended: report.ended });
        }
        let Some(last) = kinds.pop() else {
            self.sessions.acknowledge(session, report.sequence);
            return;
        };
        for kind in kinds {
            self.queue.push(kind, Origin::Nobody);
        }
        self.queue.push(last, Origin::Report(session, report.sequence));
    }

    /// Goes on until there is nothing to do but to wait.
    fn settle(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        loop {
            let happened = self.group.drain();
            if happened.is_empty() && !self.propose_next(now, out) {
                break;
            }
            self.take(happened, out);
            self.mind_leadership(now, out);
        }
        if self.leads {
            let touched = std::mem::take(&mut self.state.touched.nodes);
            self.sessions.tell(&self.state, &touched, out);
        }
        self.mind_log(out);
        self.tell_wake(out);
    }

    fn take(&mut self, happened: Vec<Happened>, out: &mut Vec<Output>) {
        for one in happened {
            match one {
                Happened::Persist(persist) => out.push(Output::Persist(persist)),
                Happened::Send(message) => out.push(Output::Send(message)),
                Happened::Committed(entries) => self.apply(&entries, out),
                Happened::Restored(snapshot) => match state_of(&snapshot) {
                    Ok(state) => self.state = state,
                    Err(e) => self.stop(format!("cannot read another manager's state: {e}"), out),
                },
            }
        }
    }

    fn apply(&mut self, entries: &[LogEntry], out: &mut Vec<Output>) {
        let mut news = News::default();
        for entry in entries {
            let origins = self.seen_again(entry, out);
            match changes_of(entry) {
                Ok(changes) => self.apply_changes(changes, &origins, &mut news, out),
                Err(e) => self.stop(format!("cannot read entry {} of the log: {e}", entry.index), out),
            }
        }
        if !news.events.is_empty() {
            out.push(Output::Publish(news));
        }
    }

    /// Every manager skips the same refused changes; the one that proposed them knows whom to tell.
    fn apply_changes(
        &mut self,
        changes: Vec<Change>,
        origins: &[Origin],
        news: &mut News,
        out: &mut Vec<Output>,
    ) {
        let mut origins = origins.iter();
        let (mut decisions, mut refused) = (0, 0);
        for change in changes {
            let origin = origins.next().unwrap_or(&Origin::Nobody);
            let result = self.state.apply(change);
            let changed = result.as_ref().is_ok_and(|events| !events.is_empty());
            match origin {
                Origin::Request(id) => {
                    let version = self.state.index;
                    let result = result.as_ref().map(|_| Applied { version, changed });
                    let result = result.map_err(|refusal| Failure::Refused(refusal.clone()));
                    out.push(Output::Reply { id: *id, result });
                }
                Origin::Report(session, sequence) => self.sessions.acknowledge(*session, *sequence),
                Origin::Decision => {
                    decisions += 1;
                    refused += u32::from(!changed);
                }
                Origin::Nobody => {}
            }
            news.events.extend(result.into_iter().flatten());
        }
        if decisions > 0 {
            self.queue.all_refused = decisions == refused && news.events.is_empty();
        }
        if !news.events.is_empty() {
            self.decide_after = None;
        }
    }

    /// What this manager proposed as this entry; tells those whose entry lost its place to another leader's.
    fn seen_again(&mut self, entry: &LogEntry, out: &mut Vec<Output>) -> Vec<Origin> {
        let Some(flight) = self.in_flight.take_if(|flight| flight.index <= entry.index) else {
            return Vec::new();
        };
        if (flight.index, flight.term) == (entry.index, entry.term) {
            return flight.origins;
        }
        fail(flight.origins, &Failure::Unknown, out);
        Vec::new()
    }

    fn mind_leadership(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let leads = self.group.is_leader_and_knows_all();
        if leads && !self.leads {
            self.state.touched = Touched::everything(&self.state);
            self.waits = Waits::default();
            self.look_at = None;
            self.sessions.expect_all(&self.state, now);
        }
        if !self.group.is_leader() {
            // Nobody looks where a follower was touched.
            self.state.take_touched();
            fail(self.queue.take_origins(), &Failure::NotLeader(self.group.leader()), out);
            out.extend(self.sessions.close_all().map(Output::EndSession));
        }
        self.leads = leads;
    }

    /// Proposes what was decided and what waits, as one entry, unless one is under way. Whether it did.
    fn propose_next(&mut self, now: Timestamp, out: &mut Vec<Output>) -> bool {
        if !self.leads || self.in_flight.is_some() {
            return false;
        }
        if !self.queue.has_decisions() {
            self.decide(now, out);
        }
        let Some((kinds, origins)) = self.queue.next_batch() else { return false };
        let changes: Vec<Change> = kinds.into_iter().map(|kind| Change { at: now, kind }).collect();
        match self.group.propose(encode(&changes)) {
            Some((index, term)) => self.in_flight = Some(InFlight { index, term, origins }),
            None => fail(origins, &Failure::NotLeader(self.group.leader()), out),
        }
        true
    }

    /// Asks the scheduler, where something was touched or is due.
    fn decide(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.queue.decide(self.sessions.lose(&self.state, now));
        if std::mem::take(&mut self.queue.all_refused) {
            self.decide_after = Some(now.plus_ms(DECIDE_AGAIN_AFTER_MS));
        }
        if self.decide_after.is_some_and(|at| at > now) {
            return;
        }
        self.decide_after = None;
        let due = self.look_at.is_some_and(|at| at <= now);
        let nodes = std::mem::take(&mut self.state.touched.nodes);
        if self.state.touched.is_empty() && !due {
            self.state.touched.nodes = nodes;
            return;
        }
        let touched = Touched { nodes: nodes.clone(), ..self.state.take_touched() };
        // Agents are told of these when the state has settled.
        self.state.touched.nodes = nodes;
        let decision = scheduler::decide(&self.state, &touched, now);
        self.look_at = decision.wake_at;
        let waits = self.waits.absorb(decision.blocked);
        if !waits.is_empty() {
            out.push(Output::Publish(News { waits, ..News::default() }));
        }
        self.queue.decide(decision.changes);
    }

    /// Replaces the log by the state when it has grown long, and helps those who are too far behind for it.
    fn mind_log(&mut self, out: &mut Vec<Output>) {
        let (entries, bytes) = self.group.log_size();
        let long = entries > SNAPSHOT_AFTER_ENTRIES || bytes > SNAPSHOT_AFTER_BYTES;
        if long && self.group.may_compact() {
            let persist = self.group.compact(encode(&self.state));
            out.push(Output::Persist(persist));
        }
        if self.group.take_snapshot_wanted() {
            self.group.offer(encode(&self.state));
        }
    }

    fn tell_wake(&mut self, out: &mut Vec<Output>) {
        let due = [self.look_at, self.decide_after, self.sessions.next_loss()];
        let wake_at = due.into_iter().flatten().min().filter(|_| self.leads);
        if wake_at != self.wake_at {
            self.wake_at = wake_at;
            out.push(Output::WakeAt(wake_at));
        }
    }

    fn stop(&mut self, why: String, out: &mut Vec<Output>) {
        self.stopped = true;
        out.push(Output::Stop(why));
    }
}

fn fail(origins: Vec<Origin>, failure: &Failure, out: &mut Vec<Output>) {
    for origin in origins {
        if let Origin::Request(id) = origin {
            out.push(Output::Reply { id, result: Err(failure.clone()) });
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
