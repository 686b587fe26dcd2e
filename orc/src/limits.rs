//! Every limit of the program that people type, in one place.

use std::time::Duration;

/// Bytes read at once from the terminal.
pub(crate) const INPUT_BYTES: usize = 16 * 1024;
/// Bytes of the engine's log before it is set aside; one older log is kept.
pub(crate) const ENGINE_LOG_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of a socket's path (`sun_path` of unix(7) less the final zero).
pub(crate) const SOCKET_PATH_BYTES: usize = 107;
/// How long an engine may take until it answers.
pub(crate) const ENGINE_START: Duration = Duration::from_secs(20);
/// How long an engine may take to end after it was asked to.
pub(crate) const ENGINE_STOP: Duration = Duration::from_secs(20);
/// Bytes of a provider's answer that are read.
pub(crate) const PROVIDER_WORDS: u64 = 1024 * 1024;
/// How many seconds an engine stays that has nothing to look after, unless somebody says otherwise.
pub(crate) const ENGINE_IDLE_SECONDS: u64 = 600;
/// Bytes of what an engine says before it is ready: the reason why it cannot start.
pub(crate) const ENGINE_WORDS: usize = 16 * 1024;
/// How long a container without a health check must have run before `--wait` calls it running, in milliseconds;
/// doubled for each restart before.
pub(crate) const STEADY_MS: u64 = 1_000;
/// Lines of a log that `orc why` shows.
pub(crate) const WHY_LINES: u64 = 10;
/// Restarts after which a container that ends once more is not waited for any longer.
pub(crate) const LOOP_RESTARTS: u32 = 3;
/// How long an engine that was killed may take to give back its name.
pub(crate) const NAME_WAIT: Duration = Duration::from_secs(1);
/// How long until that is looked at again.
pub(crate) const NAME_RETRY: Duration = Duration::from_millis(5);
