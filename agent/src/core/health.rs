//! When a container's health is checked, and what the answers mean: Docker's rules.
//!
//! A probe from outside (`x-probe`) harms nobody and costs little: it begins at once, and comes again soon for
//! as long as the container is starting.
//!
//! Nothing is checked at the instant of start: the first check comes after `start_interval` while a start
//! period runs, else after `interval`. (A check that runs before the server has made its files may make
//! them itself, with the wrong owner: RabbitMQ's cookie.)

use std::collections::VecDeque;

use cluster::{CheckResult, Health, Probe, ServiceSpec, Timestamp};
use runtime::ExecConfig;
use runtime::image::HealthCheck as ImageCheck;
use serde::{Deserialize, Serialize};

use super::action::ProbeResult;
use super::restart::duration_ms;
use crate::limits::{
    HEALTH_HISTORY, HEALTH_HISTORY_BYTES, HEALTH_INTERVAL_MS, HEALTH_OUTPUT_BYTES, HEALTH_RETRIES,
    HEALTH_START_INTERVAL_MS, HEALTH_TIMEOUT_MS, PROBE_FIRST_MS, PROBE_LONGEST_MS, PROBE_START_PERIOD_MS,
};

/// A health check with every value settled. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What is done.
    pub how: How,
    /// Between the end of a check and the next.
    pub interval_ms: u64,
    /// The same while the container is starting.
    pub start_interval_ms: u64,
    /// Failures within this time after the start do not count.
    pub start_period_ms: u64,
    /// How long a check may take.
    pub timeout_ms: u64,
    /// Failures in a row that make a container unhealthy.
    pub retries: u32,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Runs this program with its arguments in the container.
    Run(Vec<String>),
    /// Knocks at the container from outside.
    Knock(Probe),
}

/// A check that is due.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Due {
    Run(ExecConfig),
    Knock { probe: Probe, timeout_ms: u64 },
}

impl Check {
    /// The check of a container: what the service says, completed by its image, then by Docker's defaults.
    #[must_use]
    pub fn of(spec: &ServiceSpec, image: Option<&ImageCheck>) -> Option<Check> {
        let service = spec.compose.healthcheck.as_ref();
        // What is no probe was refused when the wish was stated.
        let probe = spec.probe().ok().flatten();
        if service.is_some_and(|check| check.disable) && probe.is_none() {
            return None;
        }
        let native = probe.is_some();
        let own = service.map(|check| check.test.as_slice()).filter(|test| !test.is_empty());
        let how = match probe {
            Some(probe) => How::Knock(probe),
            None => How::Run(program(own.or(image.map(|check| check.test.as_slice()))?)?),
        };
        let settle = |own: Option<cluster::compose_spec::Duration>, image: Option<u64>, default: u64| {
            let own = own.map(duration_ms).filter(|ms| *ms > 0);
            own.or(image.map(|nanos| nanos / 1_000_000).filter(|ms| *ms > 0)).unwrap_or(default)
        };
        let image_value = |value: fn(&ImageCheck) -> u64| image.map(value);
        let own =
            service.and_then(|check| check.retries).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let retries = own.or(image.map(|check| check.retries));
        Some(Check {
            how,
            interval_ms: settle(
                service.and_then(|check| check.interval),
                image_value(|check| check.interval_nanos),
                HEALTH_INTERVAL_MS,
            ),
            start_interval_ms: settle(
                service.and_then(|check| check.start_interval),
                image_value(|check| check.start_interval_nanos),
                HEALTH_START_INTERVAL_MS,
            ),
            start_period_ms: settle(
                service.and_then(|check| check.start_period),
                image_value(|check| check.start_period_nanos),
                if native { PROBE_START_PERIOD_MS } else { 0 },
            ),
            timeout_ms: settle(
                service.and_then(|check| check.timeout),
                image_value(|check| check.timeout_nanos),
                HEALTH_TIMEOUT_MS,
            ),
            retries: retries.filter(|retries| *retries > 0).unwrap_or(HEALTH_RETRIES),
        })
    }

    fn due(&self) -> Due {
        let timeout_ms = self.timeout_ms;
        match &self.how {
            How::Run(args) => Due::Run(ExecConfig {
                args: args.clone(),
                timeout_ms: Some(timeout_ms),
                ..ExecConfig::default()
            }),
            How::Knock(probe) => Due::Knock { probe: probe.clone(), timeout_ms },
        }
    }
}

/// The program behind `test`; none for `NONE`.
fn program(test: &[String]) -> Option<Vec<String>> {
    match test {
        [kind, script] if kind == "CMD-SHELL" => {
            Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), script.clone()])
        }
        [kind, args @ ..] if kind == "CMD" && !args.is_empty() => Some(args.to_vec()),
        _ => None,
    }
}

/// The health of one run of a container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Monitor {
    check: Check,
    started: Timestamp,
    state: Health,
    streak: u32,
    next: Timestamp,
    probing: bool,
    log: VecDeque<CheckResult>,
    /// The log when it last said something new: checks that say the same again and again are no news.
    told: Vec<CheckResult>,
}

impl Monitor {
    /// A container with this check was started.
    #[must_use]
    pub(super) fn new(check: Check, started: Timestamp) -> Monitor {
        let mut monitor = Monitor {
            check,
            started,
            state: Health::Starting,
            streak: 0,
            next: started,
            probing: false,
            log: VecDeque::new(),
            told: Vec::new(),
        };
        if matches!(monitor.check.how, How::Run(_)) {
            monitor.schedule(started);
        }
        monitor
    }

    /// A container was found running; `known` is what was last reported of it. `seed` spreads the checks of
    /// many containers that are found at once.
    #[must_use]
    pub(super) fn adopted(
        check: Check,
        started: Timestamp,
        known: &Health,
        (seed, now): (u64, Timestamp),
    ) -> Monitor {
        let mut monitor = Monitor::new(check, started);
        if !matches!(known, Health::None) {
            monitor.state = known.clone();
        }
        if let Health::Unhealthy { failing_streak, .. } = known {
            monitor.streak = *failing_streak;
        }
        monitor.schedule(now);
        let pause = monitor.next.ms_since(now);
        monitor.next = now.plus_ms(seed % pause.max(1) + 1);
        monitor
    }

    /// The last checks, as far as they are news.
    #[must_use]
    pub(super) fn checks(&self) -> &[CheckResult] {
        &self.told
    }

    /// What is known.
    #[must_use]
    pub(super) fn state(&self) -> &Health {
        &self.state
    }

    /// When the next check is due; `None` while one runs.
    #[must_use]
    pub(super) fn due(&self) -> Option<Timestamp> {
        (!self.probing).then_some(self.next)
    }

    /// The check to be run now, if one is due.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<Due> {
        if self.probing || now < self.next {
            return None;
        }
        self.probing = true;
        Some(self.check.due())
    }

    /// A check that was begun at `began` has answered.
    pub(super) fn answered(&mut self, result: &ProbeResult, began: Timestamp, now: Timestamp) {
        self.probing = false;
        let before = self.state.clone();
        if result.code == 0 && !result.timed_out {
            self.streak = 0;
            self.state = Health::Healthy;
        } else if self.state != Health::Starting || began.ms_since(self.started) >= self.check.start_period_ms
        {
            self.streak = self.streak.saturating_add(1);
            if self.streak >= self.check.retries {
                self.state = Health::Unhealthy { failing_streak: self.streak, output: self.words(result) };
            }
        }
        self.note(result, (began, now), before != self.state);
        self.schedule(now);
    }

    /// Keeps a check's answer in the log.
    fn note(&mut self, result: &ProbeResult, (began_at, ended_at): (Timestamp, Timestamp), turned: bool) {
        let code = if result.timed_out { -1 } else { result.code };
        let mut output = self.words(result);
        cut(&mut output, HEALTH_HISTORY_BYTES);
        let same = |last: &CheckResult| (last.code, &last.output) == (code, &output);
        let news = turned || !self.log.back().is_some_and(same);
        self.log.push_back(CheckResult { began_at, ended_at, code, output });
        if self.log.len() > HEALTH_HISTORY {
            self.log.pop_front();
        }
        if news {
            self.told = self.log.iter().cloned().collect();
        }
    }

    fn words(&self, result: &ProbeResult) -> String {
        let mut text = result.output.trim_end().to_owned();
        if result.timed_out {
            text = format!("the check took longer than {} ms", self.check.timeout_ms);
        } else if text.is_empty() && result.code != 0 {
            text = format!("the check ended with status {}", result.code);
        }
        cut(&mut text, HEALTH_OUTPUT_BYTES);
        text
    }

    fn schedule(&mut self, now: Timestamp) {
        let starting =
            self.state == Health::Starting && now.ms_since(self.started) < self.check.start_period_ms;
        let pause = match self.check.how {
            // An eighth of the time so far: soon enough, and ever less often for who takes long.
            How::Knock(_) if starting => {
                (now.ms_since(self.started) / 8).clamp(PROBE_FIRST_MS, PROBE_LONGEST_MS)
            }
            _ if starting => self.check.start_interval_ms,
            _ => self.check.interval_ms,
        };
        self.next = now.plus_ms(pause);
    }
}

/// Cuts a text to so many bytes at most.
fn cut(text: &mut String, most: usize) {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}
