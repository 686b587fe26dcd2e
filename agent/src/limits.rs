//! Every limit of this crate, in one place. Times are milliseconds.

/// The first pause before a container is started again.
pub const RESTART_FIRST_MS: u64 = 100;
/// The longest pause before a container is started again; each is twice the one before.
pub const RESTART_LONGEST_MS: u64 = 60_000;
/// Pauses of this length and longer are lengthened by chance, by a quarter at most.
pub const RESTART_JITTER_FROM_MS: u64 = 1_000;
/// A container that ran so long is not crash-looping: its next pause is the first one again.
pub const RESTART_RESET_MS: u64 = 10_000;

/// The first pause before something that failed (a pull, a network, ...) is tried again.
pub const RETRY_FIRST_MS: u64 = 1_000;
/// The longest pause before something that failed is tried again.
pub const RETRY_LONGEST_MS: u64 = 60_000;

/// Between leaving the balance and the stop signal, while others of the service take over: requests that were
/// on their way reach a server that still answers.
pub const DRAIN_MS: u64 = 100;
/// Between the stop signal and SIGKILL when nobody says otherwise; Docker's value.
pub const STOP_GRACE_MS: u64 = 10_000;
/// After SIGKILL a container should be gone at once; after this time the user is told, and it is killed again.
pub const KILL_WAIT_MS: u64 = 10_000;

/// Between two health checks when nobody says otherwise; Docker's value, as are the next three.
pub const HEALTH_INTERVAL_MS: u64 = 30_000;
/// How long a health check may take.
pub const HEALTH_TIMEOUT_MS: u64 = 30_000;
/// Between two health checks while a container with a start period is starting.
pub const HEALTH_START_INTERVAL_MS: u64 = 5_000;
/// Failures in a row that make a container unhealthy.
pub const HEALTH_RETRIES: u32 = 3;
/// Output of a health check that is kept, in bytes; Docker's value.
pub const HEALTH_OUTPUT_BYTES: usize = 4_096;
/// Health checks of a container that are remembered; Docker's value.
pub const HEALTH_HISTORY: usize = 5;
/// Output of each of them, in bytes.
pub const HEALTH_HISTORY_BYTES: usize = 1_024;
/// Between the first probes from outside (`x-probe`) of a container that is starting.
pub const PROBE_FIRST_MS: u64 = 10;
/// The longest pause between them.
pub const PROBE_LONGEST_MS: u64 = 1_000;
/// How long a probe from outside may fail after the start when nobody says otherwise: it begins at once.
pub const PROBE_START_PERIOD_MS: u64 = 30_000;
/// Of an answer to a probe from outside, so many bytes are read.
pub const PROBE_ANSWER_BYTES: usize = 4_096;

/// Happenings that wait for the loop; who has more to say waits.
pub const EVENTS: usize = 1_024;
/// Happenings that the loop takes at once: what they change together is decided and told once.
pub const EVENTS_AT_ONCE: usize = 256;
/// Containers that are made, started or removed at once.
pub const HEAVY_ACTIONS: usize = 16;
/// Health checks that run at once.
pub const PROBES: usize = 32;
/// How long an agent that starts waits for a manager before it starts containers on its own memory's word.
pub const WORD_WAIT_MS: u64 = 1_000;
/// How long an action may take until it is told that it does, and others have its turn.
pub const SLOW_ACTION_MS: u64 = 30_000;
/// How long assignments may wait for the disk: they are only needed when no manager answers.
pub const STORE_DELAY_MS: u64 = 500;
/// The first pause before a lost session is opened again.
pub const SESSION_FIRST_MS: u64 = 50;
/// The longest pause before a lost session is opened again; the real one is a random part of it.
pub const SESSION_LONGEST_MS: u64 = 8_000;
/// How long output of a command is still read after it ended: a process that it left behind may hold it open.
pub const DRAIN_OUTPUT_MS: u64 = 100;
/// Tasks whose logs may be read in one stream.
pub const LOG_TASKS: usize = 1_000;
/// Host ports that one request may ask about.
pub const PORTS: usize = 10_000;
/// Output of a command that is read at once, in bytes.
pub const READ_BYTES: usize = 16 << 10;
/// Parts of a stream to or from a program that wait for a slow reader.
pub const STREAM_PARTS: usize = 16;
