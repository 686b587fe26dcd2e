//! The error of the image half: what was being done to which image, and who said no.

use std::io;
use std::path::{Path, PathBuf};

use super::Digest;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Printed with its sources it reads as one sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("invalid image reference `{reference}`: {reason}")]
    Reference { reference: String, reason: &'static str },
    #[error("invalid digest `{digest}`: it must be `sha256:` and 64 lower-case hexadecimal digits")]
    Digest { digest: String },
    #[error("image `{reference}` is not on this machine, and pulling is switched off for it")]
    NotPresent { reference: String },
    #[error("no image `{reference}` on this machine")]
    NotFound { reference: String },
    #[error("`{reference}` is the start of more than one image id")]
    Ambiguous { reference: String },
    #[error("image `{reference}` is used by container `{container}`")]
    InUse { reference: String, container: String },
    #[error("cannot pull `{reference}` from {registry}: {reason}")]
    Registry { reference: String, registry: String, reason: String },
    #[error("credentials for {registry} from `{}`: {reason}", file.display())]
    Credentials { registry: String, file: PathBuf, reason: String },
    #[error("{what}: expected {expected}, got {actual}")]
    Mismatch { what: &'static str, expected: Digest, actual: Digest },
    /// Something from outside that is not what the specifications allow.
    #[error("{what}: {reason}")]
    Malformed { what: String, reason: String },
    #[error("{what} exceeds the limit of {limit}")]
    Limit { what: String, limit: u64 },
    /// A layer that tries to reach outside of its image, or is made to break programs that read it.
    #[error("layer {layer} is refused: {}", refusals(.refused, *.more))]
    Hostile { layer: Digest, refused: Vec<Refusal>, more: u64 },
    #[error("layer {layer}")]
    Layer {
        layer: Digest,
        #[source]
        source: Box<Error>,
    },
    #[error("image `{reference}` is built in and has no archive to be saved")]
    NoArchive { reference: String },
    #[error("image `{reference}` is built in and has no digest in a registry")]
    BuiltIn { reference: String },
    #[error("image store `{}` is in use by another process", path.display())]
    Busy { path: PathBuf },
    #[error(
        "`storage_opt.size` needs a file system with project quotas, mounted with `prjquota`, at `{}`",
        path.display()
    )]
    NoQuota { path: PathBuf, source: io::Error },
    #[error("{doing} `{}`", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{doing}")]
    Io { doing: &'static str, source: io::Error },
}

/// An entry of a layer that was not unpacked, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As in the archive, with anything unprintable escaped.
    pub path: String,
    pub reason: String,
}

impl Error {
    /// For `map_err` on an action on a path; `doing` is a verb phrase such as "cannot write".
    pub(crate) fn file<'a, E: Into<io::Error>>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(E) -> Error + 'a {
        move |source| Error::File { doing, path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn io<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Error {
        move |source| Error::Io { doing, source: source.into() }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Error {
        Error::Malformed { what: what.into(), reason: reason.to_string() }
    }
}

fn refusals(refused: &[Refusal], more: u64) -> String {
    let mut text =
        refused.iter().map(|r| format!("`{}`: {}", r.path, r.reason)).collect::<Vec<_>>().join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
