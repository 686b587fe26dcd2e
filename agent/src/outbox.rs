//! What the manager is to be told: the newest of everything, so that it never grows beyond the node's tasks,
//! however long the manager is away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use cluster::{Ended, NetworkName, TaskId, TaskStatus, VolumeName};
use tokio::sync::Notify;

use crate::core::Report;

/// Reports on their way to the session.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    statuses: BTreeMap<TaskId, TaskStatus>,
    networks: BTreeSet<NetworkName>,
    volumes: BTreeSet<VolumeName>,
    resync: bool,
    answers: bool,
}

/// What the session sends next.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) report: Report,
    pub(crate) resync: bool,
    /// With this and what went before it the manager knows all that differed from the complete assignments.
    pub(crate) answers: bool,
}

impl Outbox {
    /// Adds a report.
    pub(crate) fn report(&self, report: Report) {
        self.change(|waiting| {
            waiting.statuses.extend(report.statuses);
            waiting.networks.extend(report.ended.networks);
            waiting.volumes.extend(report.ended.volumes);
        });
    }

    /// Asks for all assignments.
    pub(crate) fn resync(&self) {
        self.change(|waiting| waiting.resync = true);
    }

    /// Whatever differs from the complete assignments has been reported.
    pub(crate) fn answer(&self) {
        self.change(|waiting| waiting.answers = true);
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.more.notify_one();
    }

    /// Waits until there is something, and takes it. Cancel safe.
    pub(crate) async fn take(&self) -> Parcel {
        loop {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            let parcel = Parcel {
                report: Report {
                    statuses: waiting.statuses.into_iter().collect(),
                    ended: Ended {
                        networks: waiting.networks.into_iter().collect(),
                        volumes: waiting.volumes.into_iter().collect(),
                    },
                },
                resync: waiting.resync,
                answers: waiting.answers,
            };
            if parcel.resync || parcel.answers || !parcel.report.is_empty() {
                return parcel;
            }
            self.more.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use cluster::Phase;

    use super::*;

    #[tokio::test]
    async fn the_newest_status_of_each_task_is_sent_once() {
        let outbox = Outbox::default();
        let status = |phase| TaskStatus { phase, ..TaskStatus::default() };
        for (task, phase) in [(1, Phase::Preparing), (2, Phase::Prepared), (1, Phase::Started)] {
            let statuses = vec![(TaskId(task), status(phase))];
            outbox.report(Report { statuses, ended: Ended::default() });
        }
        outbox.resync();
        let parcel = outbox.take().await;
        let expected = vec![(TaskId(1), status(Phase::Started)), (TaskId(2), status(Phase::Prepared))];
        assert_eq!((parcel.report.statuses, parcel.resync), (expected, true));
        // Nothing is left: whoever takes now waits for the next report.
        let ended = Ended { networks: vec![NetworkName("n".into())], volumes: Vec::new() };
        let report = || outbox.report(Report { statuses: Vec::new(), ended: ended.clone() });
        let (parcel, ()) = tokio::join!(outbox.take(), async { report() });
        assert_eq!((parcel.report.ended, parcel.resync, parcel.answers), (ended, false, false));
        // An answer is sent although there is nothing to say in it.
        outbox.answer();
        let parcel = outbox.take().await;
        assert!(parcel.answers && parcel.report.is_empty());
    }
}
