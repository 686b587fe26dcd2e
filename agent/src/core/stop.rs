//! How a running container is ended: out of the balance, drain, hooks, stop signal, grace, SIGKILL.

use cluster::compose_spec::Hook;
use cluster::{StopHow, Timestamp};

use super::record::Origin;
use crate::limits::{DRAIN_MS, KILL_WAIT_MS, STOP_GRACE_MS};

/// SIGTERM.
pub(super) const SIGTERM: i32 = 15;
/// SIGKILL.
pub(super) const SIGKILL: i32 = 9;

/// The end of one run of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// The projection that first leaves the container out; see `project`.
    serial: u64,
    /// Others of its service take over, and it had connections to lose.
    drains: bool,
    /// How many of its `pre_stop` hooks have ended.
    hooks: usize,
    /// When it was out of the balance.
    out: Option<Timestamp>,
    signalled: Option<Timestamp>,
    killed: Option<Timestamp>,
}

/// What the end of a run needs next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// It must be out of the balance first.
    Balance,
    /// Nothing before this time.
    Wait(Timestamp),
    /// Run this hook, for so many milliseconds at most.
    Hook(Hook, u64),
    /// Send the signal.
    Signal(i32),
    /// Kill everything in it.
    Kill,
}

impl Stop {
    /// It shall end; projection number `serial` is the first without it.
    #[must_use]
    pub(super) fn new(serial: u64, drains: bool) -> Stop {
        Stop { serial, drains, hooks: 0, out: None, signalled: None, killed: None }
    }

    /// It waits for the projection with this number, or a later one.
    #[must_use]
    pub(super) fn waits_for(&self, serial: u64) -> bool {
        self.serial >= serial
    }

    /// A signal was sent: there is no way back.
    #[must_use]
    pub(super) fn is_final(&self) -> bool {
        self.signalled.is_some()
    }

    /// It is dead to the kernel's knowledge, and yet does not end.
    #[must_use]
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.killed.is_some_and(|killed| now.ms_since(killed) >= KILL_WAIT_MS)
    }

    /// Decides what comes next. `balanced` is the number of the last projection that is in force. Without an
    /// origin (a container of an agent of another format) Docker's defaults stand in.
    pub(super) fn next(
        &mut self,
        how: &StopHow,
        origin: Option<&Origin>,
        balanced: u64,
        now: Timestamp,
    ) -> Next {
        if balanced < self.serial {
            return Next::Balance;
        }
        let out = *self.out.get_or_insert(now);
        let drained = out.plus_ms(if self.drains { DRAIN_MS } else { 0 });
        if now < drained {
            return Next::Wait(drained);
        }
        if let Some(killed) = self.killed {
            let again = killed.plus_ms(KILL_WAIT_MS);
            return if now < again { Next::Wait(again) } else { Next::Kill };
        }
        let (own_signal, own_grace) =
            origin.map_or((SIGTERM, STOP_GRACE_MS), |origin| (origin.stop_signal, origin.grace_ms));
        let signal = how.signal.as_deref().and_then(signal_number).unwrap_or(own_signal);
        let grace = how.grace_ms.unwrap_or(own_grace);
        let hook = origin.and_then(|origin| origin.pre_stop.get(self.hooks));
        match self.signalled {
            None if signal == SIGKILL => Next::Kill,
            None => match hook.filter(|_| grace > 0) {
                Some(hook) => Next::Hook(hook.clone(), grace),
                None => Next::Signal(signal),
            },
            Some(signalled) => {
                let deadline = signalled.plus_ms(grace);
                if now < deadline { Next::Wait(deadline) } else { Next::Kill }
            }
        }
    }

    /// The hook of [`Next::Hook`] has ended, however it did: whoever is to stop stops.
    pub(super) fn hook_ended(&mut self) {
        self.hooks += 1;
    }

    /// The signal of [`Next::Signal`] is being sent.
    pub(super) fn signal_sent(&mut self, now: Timestamp) {
        self.signalled = Some(now);
    }

    /// The kill of [`Next::Kill`] is being sent.
    pub(super) fn kill_sent(&mut self, now: Timestamp) {
        self.signalled.get_or_insert(now);
        self.killed = Some(now);
    }
}

/// Names of signals 1 to 31, as on every machine that orc runs on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// SIGRTMIN as programs see it: the C library keeps the two below for itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// The number of a signal given as in `stop_signal`: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
#[must_use]
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |rest: &str, base: i32, sign: i32| {
        let offset = if rest.is_empty() { 0 } else { rest[1..].parse::<i32>().ok()? };
        let number = offset.checked_mul(sign)?.checked_add(base)?;
        (RTMIN..=RTMAX).contains(&number).then_some(number)
    };
    if let Some(rest) = name.strip_prefix("RTMIN").filter(|rest| rest.is_empty() || rest.starts_with('+')) {
        return real_time(rest, RTMIN, 1);
    }
    if let Some(rest) = name.strip_prefix("RTMAX").filter(|rest| rest.is_empty() || rest.starts_with('-')) {
        return real_time(rest, RTMAX, -1);
    }
    let name = match name {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        other => other,
    };
    let index = NAMES.iter().position(|known| *known == name)?;
    i32::try_from(index + 1).ok()
}
