//! The caller's terminal, handed to a process in a container and taken back whole.

use std::io::{self, IsTerminal, Stdin};

use api::node::WindowSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::failure::{Doing, Outcome};

/// A terminal that passes every key on as it is. Dropping this restores it.
pub(crate) struct RawTerminal {
    stdin: Stdin,
    before: Termios,
}

impl RawTerminal {
    /// Switches the terminal over.
    pub(crate) fn enter() -> Outcome<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).doing(|| "cannot read the terminal's settings".to_owned())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).doing(|| "cannot set the terminal".to_owned())?;
        Ok(Self { stdin, before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing left to restore.
        let _ = tcsetattr(&self.stdin, OptionalActions::Drain, &self.before);
    }
}

/// Whether a person sits at both ends: keys come from a terminal and output goes to one.
pub(crate) fn interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The size of the terminal.
pub(crate) fn size() -> Option<WindowSize> {
    let size = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stdin())).ok()?;
    Some(WindowSize { rows: size.ws_row.into(), columns: size.ws_col.into() })
}
