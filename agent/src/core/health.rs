//! When a container's health is checked, and what the answers mean: Docker's rules.
//!
//! Nothing is checked at the instant of start: the first check comes after `start_interval` while a start
//! period runs, else after `interval`. (A check that runs before the server has made its files may make
//! them itself, with the wrong owner: RabbitMQ's cookie.)

use cluster::compose_spec::Healthcheck;
use cluster::{Health, Timestamp};
use runtime::ExecConfig;
use runtime::image::HealthCheck as ImageCheck;
use serde::{Deserialize, Serialize};

use super::action::ProbeResult;
use super::restart::duration_ms;
use crate::limits::{
    HEALTH_INTERVAL_MS, HEALTH_OUTPUT_BYTES, HEALTH_RETRIES, HEALTH_START_INTERVAL_MS, HEALTH_TIMEOUT_MS,
};

/// A health check with every value settled. Times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Program and arguments.
    pub args: Vec<String>,
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

impl Check {
    /// The check of a container: what the service says, completed by its image, then by Docker's defaults.
    #[must_use]
    pub fn of(service: Option<&Healthcheck>, image: Option<&ImageCheck>) -> Option<Check> {
        if service.is_some_and(|check| check.disable) {
            return None;
        }
        let own = service.map(|check| check.test.as_slice()).filter(|test| !test.is_empty());
        let args = match own.or(image.map(|check| check.test.as_slice()))? {
            [kind, script] if kind == "CMD-SHELL" => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), script.clone()]
            }
            [kind, args @ ..] if kind == "CMD" && !args.is_empty() => args.to_vec(),
            _ => return None,
        };
        let settle = |own: Option<cluster::compose_spec::Duration>, image: Option<u64>, default: u64| {
            let own = own.map(duration_ms).filter(|ms| *ms > 0);
            own.or(image.map(|nanos| nanos / 1_000_000).filter(|ms| *ms > 0)).unwrap_or(default)
        };
        let image_value = |value: fn(&ImageCheck) -> u64| image.map(value);
        let retries = service.and_then(|check| check.retries).or(image.map(|check| check.retries));
        Some(Check {
            args,
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
                0,
            ),
            timeout_ms: settle(
                service.and_then(|check| check.timeout),
                image_value(|check| check.timeout_nanos),
                HEALTH_TIMEOUT_MS,
            ),
            retries: retries.filter(|retries| *retries > 0).unwrap_or(HEALTH_RETRIES),
        })
    }

    /// The process that checks.
    #[must_use]
    pub fn exec(&self) -> ExecConfig {
        ExecConfig { args: self.args.clone(), timeout_ms: Some(self.timeout_ms), ..ExecConfig::default() }
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
}

impl Monitor {
    /// A container with this check was started.
    #[must_use]
    pub(super) fn new(check: Check, started: Timestamp) -> Monitor {
        let mut monitor =
            Monitor { check, started, state: Health::Starting, streak: 0, next: started, probing: false };
        monitor.schedule(started);
        monitor
    }

    /// A container was found running; `known` is what was last reported of it.
    #[must_use]
    pub(super) fn adopted(check: Check, started: Timestamp, known: &Health, now: Timestamp) -> Monitor {
        let mut monitor = Monitor::new(check, started);
        if !matches!(known, Health::None) {
            monitor.state = known.clone();
        }
        if let Health::Unhealthy { failing_streak, .. } = known {
            monitor.streak = *failing_streak;
        }
        monitor.schedule(now);
        monitor
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
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<ExecConfig> {
        if self.probing || now < self.next {
            return None;
        }
        self.probing = true;
        Some(self.check.exec())
    }

    /// A check that was begun at `began` has answered.
    pub(super) fn answered(&mut self, result: &ProbeResult, began: Timestamp, now: Timestamp) {
        self.probing = false;
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
        self.schedule(now);
    }

    fn words(&self, result: &ProbeResult) -> String {
        let mut text = result.output.trim_end().to_owned();
        if result.timed_out {
            text = format!("the check took longer than {} ms", self.check.timeout_ms);
        } else if text.is_empty() {
            text = format!("the check ended with status {}", result.code);
        }
        let end = (0..=HEALTH_OUTPUT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text
    }

    fn schedule(&mut self, now: Timestamp) {
        let starting =
            self.state == Health::Starting && now.ms_since(self.started) < self.check.start_period_ms;
        let pause = if starting { self.check.start_interval_ms } else { self.check.interval_ms };
        self.next = now.plus_ms(pause);
    }
}
