//! The one error of the container half: what was being done to which object, and why it failed.

use std::io;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Printed with its sources it reads as one sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing} `{}`", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{doing}")]
    System { doing: String, source: io::Error },
    #[error("container `{id}` is not known here")]
    NotFound { id: String },
    #[error("container `{id}` is not running")]
    NotRunning { id: String },
    #[error("container `{id}` is already running")]
    AlreadyRunning { id: String },
    #[error("container `{id}` cannot be made: {reason}")]
    Invalid { id: String, reason: String },
    /// The container's program could not be run. The same code and words are in its [`crate::Exit`].
    #[error("{reason}")]
    Command { code: i32, reason: String },
    /// The shim reported a failure before the container's program was reached, or said nothing in time.
    #[error("container `{id}` did not start: {reason}")]
    Start { id: String, reason: String },
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("container `{id}`: {reason}")]
    Protocol { id: String, reason: String },
    #[error("image of container `{id}`")]
    Image {
        id: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// For `map_err` on an action on a path; `doing` is a verb phrase such as "cannot write".
    pub(crate) fn file<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
        move |source| Error::File { doing, path: path.to_owned(), source: source.into() }
    }

    /// For `map_err` on everything that has no path of its own.
    pub(crate) fn system<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
        move |source| Error::System { doing: doing.into(), source: source.into() }
    }

    /// The code a shell would give: 127 for a missing command, 126 for one that cannot be executed.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Error::Command { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// The error and its sources in one line, for places that keep only text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
