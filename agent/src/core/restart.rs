//! Whether a container that ended is started again, and when.

use cluster::compose_spec::Duration;
use cluster::{ServiceSpec, Timestamp};

use super::record::Record;
use crate::limits::{RESTART_FIRST_MS, RESTART_JITTER_FROM_MS, RESTART_LONGEST_MS, RESTART_RESET_MS};

/// A service's restart policy: `restart`, or `deploy.restart_policy` where that is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    when: When,
    /// Starts again at most so often in one generation.
    attempts: Option<u64>,
    /// Shortest pause, in milliseconds.
    delay_ms: u64,
    /// A run of this many milliseconds forgives the attempts before it.
    window_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Never,
    Failed,
    Always,
}

/// What becomes of a container that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays as it is.
    Stay,
    /// It is started again at the given time, as the given number of the series of short runs.
    Again {
        /// When.
        at: Timestamp,
        /// [`Record::streak`] of that start.
        streak: u32,
        /// [`Record::restarts`] of that start.
        restarts: u32,
    },
}

/// One run of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// How it ended.
    pub code: i32,
    /// How long it took, in milliseconds.
    pub ran_ms: u64,
    /// When it ended.
    pub ended: Timestamp,
    /// Its health checks failed, which is a failure whatever its status says, and no long run.
    pub unhealthy: bool,
    /// Spreads the pauses of containers that fail together.
    pub seed: u64,
}

impl Policy {
    /// Some end or other of a container is followed by another start.
    #[must_use]
    pub(super) fn ever_restarts(&self) -> bool {
        self.when != When::Never
    }

    /// The policy of a service. What Compose accepts without a meaning (`restart: wat`) means `no`. A job goes on until
    /// it has succeeded unless it says otherwise, and then it is done, as in Swarm.
    #[must_use]
    pub(super) fn of(spec: &ServiceSpec) -> Policy {
        let said = Policy::said(spec);
        let deploy = spec.compose.deploy.as_ref();
        let unsaid =
            spec.compose.restart.is_none() && deploy.is_none_or(|deploy| deploy.restart_policy.is_none());
        match said.when {
            When::Always if spec.is_job() => Policy { when: When::Failed, ..said },
            When::Never if spec.is_job() && unsaid => Policy { when: When::Failed, ..said },
            _ => said,
        }
    }

    fn said(spec: &ServiceSpec) -> Policy {
        let deploy = spec.compose.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
        if let Some(policy) = deploy {
            return Policy {
                when: match policy.condition.as_deref() {
                    Some("none") => When::Never,
                    Some("on-failure") => When::Failed,
                    _ => When::Always,
                },
                attempts: policy.max_attempts,
                delay_ms: policy.delay.map_or(0, duration_ms),
                window_ms: policy.window.map(duration_ms).filter(|window| *window > 0),
            };
        }
        let (word, attempts) = match spec.compose.restart.as_deref().unwrap_or("no").split_once(':') {
            Some((word, attempts)) => (word, attempts.parse().ok().filter(|attempts| *attempts > 0)),
            None => (spec.compose.restart.as_deref().unwrap_or("no"), None),
        };
        let when = match word {
            "always" | "unless-stopped" => When::Always,
            "on-failure" => When::Failed,
            _ => When::Never,
        };
        Policy { when, attempts, delay_ms: 0, window_ms: None }
    }

    /// Decides on the end of a run.
    #[must_use]
    pub(super) fn verdict(&self, record: &Record, run: Run) -> Verdict {
        let wanted = match self.when {
            When::Never => false,
            When::Failed => run.code != 0 || run.unhealthy,
            When::Always => true,
        };
        let forgiven = self.window_ms.is_some_and(|window| run.ran_ms >= window);
        let spent = if forgiven { 0 } else { u64::from(record.restarts) };
        if !wanted || self.attempts.is_some_and(|attempts| spent >= attempts) {
            return Verdict::Stay;
        }
        let streak = if run.ran_ms >= RESTART_RESET_MS && !run.unhealthy { 0 } else { record.streak };
        let pause = pause_ms(RESTART_FIRST_MS, RESTART_LONGEST_MS, streak);
        let pause = pause.saturating_add(jitter(pause, run.seed, streak)).max(self.delay_ms);
        Verdict::Again {
            at: run.ended.plus_ms(pause),
            streak: streak.saturating_add(1),
            restarts: record.restarts.saturating_add(1),
        }
    }
}

/// The pause before attempt number `done` + 1: `first`, doubled each time, up to `longest`; milliseconds.
#[must_use]
pub fn pause_ms(first: u64, longest: u64, done: u32) -> u64 {
    first.saturating_mul(1_u64.checked_shl(done.min(32)).unwrap_or(u64::MAX)).min(longest)
}

/// Up to a quarter of a pause, by chance that a seed gives: containers that fail together because of one thing
/// do not come back together. The short pauses of the first few attempts are left alone.
fn jitter(pause: u64, seed: u64, streak: u32) -> u64 {
    if pause < RESTART_JITTER_FROM_MS {
        return 0;
    }
    let bytes = seed.to_le_bytes().into_iter().chain(streak.to_le_bytes());
    cluster::stable_hash(bytes) % (pause / 4)
}

/// A Compose duration in milliseconds; a negative one is zero.
#[must_use]
pub(crate) fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(0) / 1_000_000
}
