//! A task's health checks and hooks: which is due, and what follows from its answer.

use ::core::net::{IpAddr, Ipv4Addr};
use cluster::compose_spec::Hook;
use cluster::{Health, Timestamp};

use super::action::{Action, ActionId, Failure, Knock, Outcome, ProbeResult};
use super::health::Due;
use super::restart::Policy;
use super::task::Machine;

impl Machine {
    /// The health check that is due; the caller numbers it.
    pub(crate) fn next_probe(&mut self, now: Timestamp) -> Option<Action> {
        if !self.lives() || self.is_paused() || self.stop.is_some() {
            return None;
        }
        let monitor = self.monitor.as_mut()?;
        let check = monitor.begin(now);
        if let Some(due) = monitor.due() {
            self.wake_at(due);
        }
        Some(match check? {
            Due::Run(exec) => Action::Probe(self.id, Box::new(exec)),
            Due::Knock { probe, timeout_ms } => {
                Action::Knock(self.id, Box::new(Knock { address: self.address(), probe, timeout_ms }))
            }
        })
    }

    /// Where it can be reached from this machine.
    fn address(&self) -> IpAddr {
        let first = self.task.as_ref().and_then(|task| task.endpoints.first());
        let shared = self.guest.as_ref().and_then(|guest| guest.address);
        first
            .and_then(|endpoint| endpoint.addresses().each().next())
            .or(shared)
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The `post_start` hook that is to be run next.
    pub(super) fn next_hook(&self) -> Option<&Hook> {
        self.origin.as_ref()?.post_start.get(self.hooks)
    }

    pub(super) fn post_start_ended(&mut self, result: &ProbeResult) {
        if result.code == 0 {
            self.hooks = self.hooks.saturating_add(1);
        } else {
            let output = result.output.trim();
            self.post_start_failed(format!("it ended with exit code {}: {output}", result.code));
        }
    }

    /// The others are not run: each counts on those before it.
    pub(super) fn post_start_failed(&mut self, why: String) {
        let command = self.next_hook().and_then(|hook| hook.command.clone()).unwrap_or_default();
        self.hook_failure = Some(format!("`post_start` hook `{}`: {why}", command.join(" ")));
        self.hooks = usize::MAX;
    }

    pub(super) fn pre_stop_ended(&mut self) {
        if let Some(stop) = &mut self.stop {
            stop.hook_ended();
        }
    }

    /// The health check ended.
    pub(crate) fn probed(&mut self, id: ActionId, result: Result<Outcome, Failure>, now: Timestamp) {
        let Some((_, began)) = self.probe.take_if(|(probe, _)| *probe == id) else { return };
        let Some(monitor) = &mut self.monitor else { return };
        let result = match result {
            Ok(Outcome::Probed(result)) => result,
            Ok(other) => failed_probe(format!("the check gave {other:?}")),
            Err(failure) => failed_probe(failure.message),
        };
        monitor.answered(&result, began, now);
        let unhealthy = matches!(monitor.state(), Health::Unhealthy { .. });
        let restarts = self.origin.as_ref().is_some_and(|origin| origin.restarts_unhealthy)
            && self.task.as_ref().is_some_and(|task| Policy::of(&task.spec).ever_restarts());
        self.sick = unhealthy && restarts;
    }
}

fn failed_probe(output: String) -> ProbeResult {
    ProbeResult { code: 1, timed_out: false, output }
}
