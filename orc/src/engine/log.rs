//! The engine's log: a file of its own, set aside when it has grown too large.

use std::fs;
use std::path::{Path, PathBuf};

use crate::limits;

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
