//! The two streams of this process: the only place that writes to them.

use std::io::{self, ErrorKind, Write};

/// Writes data to standard output at once. A reader that went away ends the process quietly, as `head` expects.
pub(crate) fn stdout(bytes: &[u8]) {
    let mut stream = io::stdout().lock();
    end_if_unread(stream.write_all(bytes).and_then(|()| stream.flush()));
}

/// Writes to standard error at once.
pub(crate) fn stderr(text: &str) {
    stderr_bytes(text.as_bytes());
}

/// Writes progress: to standard error, or where `COMPOSE_STATUS_STDOUT` wants it.
pub(crate) fn status(text: &str) {
    let wanted = std::env::var("COMPOSE_STATUS_STDOUT");
    match wanted.is_ok_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes")) {
        true => stdout(text.as_bytes()),
        false => stderr(text),
    }
}

/// Writes what a process in a container wrote to its standard error.
pub(crate) fn stderr_bytes(bytes: &[u8]) {
    // With standard error gone there is nobody left to tell.
    let _ = io::stderr().lock().write_all(bytes);
}

#[expect(
    clippy::exit,
    reason = "nobody reads what this process is for, and every file is closed by the kernel"
)]
fn end_if_unread(result: io::Result<()>) {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            stderr(&format!("error: cannot write to standard output: {error}\n"));
            std::process::exit(1);
        }
        Ok(()) => {}
    }
}

/// Closes standard output for good, so that whoever reads it sees the end; later words go nowhere.
pub(crate) fn close_stdout() {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null");
    // Without /dev/null the reader waits until this process ends; nothing else is lost.
    let _ = null.map(rustix::stdio::dup2_stdout);
}
