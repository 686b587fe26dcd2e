//! The engine's log: a file of its own, set aside when it has grown too large.

use std::fs;
use std::path::{Path, PathBuf};

use tracing_subscriber::filter::LevelFilter;

use crate::{limits, project};

/// Where the log goes that was set aside.
pub(crate) fn older(log: &Path) -> PathBuf {
    log.with_extension("log.1")
}

/// Sets a large log aside. Called before it is opened: one life of an engine writes into one file.
pub(crate) fn rotate(log: &Path) {
    let large = fs::metadata(log).is_ok_and(|found| found.len() > limits::ENGINE_LOG_BYTES);
    if large {
        // An engine with a long log is better than none.
        let _ = fs::rename(log, older(log));
    }
}

/// Sends what the engine's parts have to say to standard error, which is the log. `ORC_LOG` says how much:
/// `error`, `warn`, `info` (as without it), `debug`, `trace` or `off`.
pub(crate) fn begin() {
    let level = project::variable("ORC_LOG").and_then(|text| text.parse().ok()).unwrap_or(LevelFilter::INFO);
    // It fails only where somebody else has begun already.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_log_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("engine.log");
        rotate(&log);
        fs::write(&log, "short").unwrap();
        rotate(&log);
        assert!(log.exists());
        let file = fs::OpenOptions::new().write(true).open(&log).unwrap();
        file.set_len(limits::ENGINE_LOG_BYTES + 1).unwrap();
        rotate(&log);
        assert!(!log.exists() && older(&log).exists());
    }
}
