//! What tasks share on this machine: networks and named volumes. Each is made when the first task needs it,
//! and taken away when it is to go and the last user is gone.

use std::collections::BTreeSet;

use cluster::{Problem, TaskId, Timestamp};

use super::action::{ActionId, Failure, FailureKind};
use super::restart::pause_ms;
use crate::limits::{RETRY_FIRST_MS, RETRY_LONGEST_MS};

/// Something that failed, and when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    message: String,
    retry_at: Option<Timestamp>,
    failures: u32,
}

impl Trouble {
    /// A failure after `before`, now.
    pub(crate) fn after(before: Option<&Trouble>, failure: Failure, now: Timestamp) -> Trouble {
        let done = before.map_or(0, |trouble| trouble.failures);
        let passing = failure.kind != FailureKind::Lasting;
        let retry_at = passing.then(|| now.plus_ms(pause_ms(RETRY_FIRST_MS, RETRY_LONGEST_MS, done)));
        Trouble { message: failure.message, retry_at, failures: done.saturating_add(1) }
    }

    /// Something that no attempt can mend.
    pub(crate) fn lasting(message: String) -> Trouble {
        Trouble { message, retry_at: None, failures: 1 }
    }

    /// Nothing is to be tried before this time; `None` when now is fine.
    pub(crate) fn holds(&self, now: Timestamp) -> Option<Hold> {
        match self.retry_at {
            None => Some(Hold::Forever),
            Some(at) if now < at => Some(Hold::Until(at)),
            Some(_) => None,
        }
    }

    /// In words for a person.
    pub(crate) fn problem(&self) -> Problem {
        Problem { message: self.message.clone(), retry_at: self.retry_at }
    }
}

/// How long nothing is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Until something changes.
    Forever,
    /// Until then.
    Until(Timestamp),
}

/// A network or a volume on this machine. `T` is what users need to know of it.
#[derive(Clone, Debug)]
pub(crate) struct Shared<T> {
    state: State<T>,
    doing: Option<(ActionId, Doing)>,
    trouble: Option<Trouble>,
    /// Tasks that have it, or want it.
    users: BTreeSet<TaskId>,
    told: bool,
}

#[derive(Clone, Debug)]
enum State<T> {
    Absent,
    /// It may be there, from an earlier run of the agent.
    Unknown,
    Ready(T),
}

/// What is being done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It is made, or checked.
    Make,
    /// It is taken away.
    Remove,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing now.
    Nothing,
    /// Look again then.
    Wait(Timestamp),
    /// Act.
    Do(Doing),
    /// It is gone: tell the manager.
    Tell,
}

impl<T> Shared<T> {
    /// One of which nothing is known, or which is known not to be there.
    pub(crate) fn new(absent: bool) -> Self {
        let state = if absent { State::Absent } else { State::Unknown };
        Shared { state, doing: None, trouble: None, users: BTreeSet::new(), told: false }
    }

    /// A task needs it.
    pub(crate) fn add_user(&mut self, task: TaskId) {
        self.users.insert(task);
    }

    /// A task is gone; `false` when it was no user.
    pub(crate) fn remove_user(&mut self, task: TaskId) -> bool {
        self.users.remove(&task)
    }

    /// The tasks that wait for it or have it.
    pub(crate) fn users(&self) -> &BTreeSet<TaskId> {
        &self.users
    }

    /// What users need, once it is ready.
    pub(crate) fn ready(&self) -> Option<&T> {
        match &self.state {
            _ if self.doing.is_some_and(|(_, doing)| doing == Doing::Remove) => None,
            State::Ready(value) => Some(value),
            State::Absent | State::Unknown => None,
        }
    }

    /// Why it is not ready.
    pub(crate) fn problem(&self) -> Option<Problem> {
        self.trouble.as_ref().map(Trouble::problem)
    }

    /// It is as good as forgotten: nothing is there, nobody uses it, nothing is being done.
    pub(crate) fn is_nothing(&self) -> bool {
        self.is_unused() && matches!(self.state, State::Absent)
    }

    /// Nobody uses it and nothing is being done: it need not be remembered.
    pub(crate) fn is_unused(&self) -> bool {
        self.users.is_empty() && self.doing.is_none()
    }

    /// The specification changed: it has to be made again, and what failed may work now.
    pub(crate) fn renew(&mut self) {
        if !matches!(self.state, State::Absent) {
            self.state = State::Unknown;
        }
        self.trouble = None;
    }

    /// The manager has lost count: everything may have to be told again.
    pub(crate) fn tell_again(&mut self) {
        self.told = false;
    }

    /// Decides what comes next. `doomed`: it is to go as soon as nobody uses it.
    pub(crate) fn next(&self, doomed: bool, known: bool, now: Timestamp) -> Step {
        if self.doing.is_some() {
            return Step::Nothing;
        }
        let idle = self.users.is_empty();
        let wanted = match &self.state {
            State::Absent if doomed && idle => {
                return if self.told { Step::Nothing } else { Step::Tell };
            }
            State::Unknown | State::Ready(_) if doomed && idle => Doing::Remove,
            State::Absent | State::Unknown if !idle && known => Doing::Make,
            _ => return Step::Nothing,
        };
        match self.trouble.as_ref().and_then(|trouble| trouble.holds(now)) {
            None => Step::Do(wanted),
            Some(Hold::Until(at)) => Step::Wait(at),
            Some(Hold::Forever) => Step::Nothing,
        }
    }

    /// The manager is being told that it is gone.
    pub(crate) fn telling(&mut self) {
        self.told = true;
    }

    /// An action on it begins.
    pub(crate) fn begin(&mut self, id: ActionId, doing: Doing) {
        self.doing = Some((id, doing));
    }

    /// The action on it ended; what was made is `result`.
    pub(crate) fn done(&mut self, id: ActionId, result: Result<Option<T>, Failure>, now: Timestamp) {
        let Some((_, doing)) = self.doing.take_if(|(doing, _)| *doing == id) else { return };
        match (doing, result) {
            (Doing::Make, Ok(Some(value))) => {
                (self.state, self.trouble, self.told) = (State::Ready(value), None, false);
            }
            (Doing::Make, Ok(None)) => self.state = State::Unknown,
            (Doing::Remove, Ok(_)) => (self.state, self.trouble) = (State::Absent, None),
            (_, Err(failure)) => self.trouble = Some(Trouble::after(self.trouble.as_ref(), failure, now)),
        }
    }
}
