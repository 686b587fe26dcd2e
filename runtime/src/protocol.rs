//! What engine and shim say to each other on `ctl.sock`.
//!
//! One connection carries one request and the replies to it. Each message is the protocol's version (one
//! byte), its length (four bytes, big-endian) and JSON. File descriptors travel with the request's first
//! byte. A shim outlives the engine that started it, so both sides look at the version before anything else.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{ExecConfig, TtySize};
use crate::limits;

/// Raised when a message changes its meaning; added fields and requests do not.
pub(crate) const VERSION: u8 = 1;
/// Version and length.
pub(crate) const HEADER_BYTES: usize = 5;
/// A request brings at most standard input, output and error.
pub(crate) const MAX_FDS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// With three descriptors: input, output, error. Replies: `Started`, later `Exited`; or `Failed`.
    /// Closing the connection kills what was started.
    Exec(ExecConfig),
    /// To the first process. Replies: `Done` or `Failed`.
    Signal { signal: i32 },
    /// The size of the container's terminal. Replies: `Done` or `Failed`.
    Resize(TtySize),
    /// With two descriptors to write output and errors to, and with `stdin` a third to read input from.
    /// Replies: `Done` or `Failed`; the shim closes the connection when the container ends.
    Attach {
        stdin: bool,
        /// The reader gets everything: while it does not read, the container waits.
        #[serde(default)]
        whole: bool,
        /// The size of the container's terminal from now on.
        #[serde(default)]
        size: Option<TtySize>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Started {
        pid: u32,
    },
    Exited {
        code: i32,
    },
    /// `code` is there if a command could not be run: 126 or 127.
    Failed {
        reason: String,
        code: Option<i32>,
    },
}

/// The bytes of one message.
pub(crate) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).ok().filter(|_| json.len() <= limits::MESSAGE_BYTES);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut bytes = vec![VERSION];
    bytes.extend(length.to_be_bytes());
    bytes.extend(json);
    Ok(bytes)
}

/// The first message of `bytes` and how many bytes it took; `None` if it is not complete yet.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<Option<(T, usize)>> {
    let Some((&[version, a, b, c, d], rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    if version != VERSION {
        return Err(io::Error::other(format!("protocol version {version} is not {VERSION}")));
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > limits::MESSAGE_BYTES {
        return Err(io::Error::other(format!("a message of {length} bytes is too long")));
    }
    match rest.get(..length) {
        Some(json) => Ok(Some((serde_json::from_slice(json)?, HEADER_BYTES + length))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_way_in_any_pieces() {
        let request = Request::Exec(ExecConfig { args: vec!["ls".into()], ..Default::default() });
        let bytes = encode(&request).unwrap();
        for cut in 0..bytes.len() {
            assert!(decode::<Request>(&bytes[..cut]).unwrap().is_none(), "cut at {cut}");
        }
        let mut two = bytes.clone();
        two.extend(&bytes);
        assert_eq!(decode::<Request>(&two).unwrap(), Some((request, bytes.len())));
    }

    #[test]
    fn foreign_bytes_are_refused_before_anything_is_allocated() {
        let check = |bytes: &[u8], expect: &str| {
            let error = decode::<Request>(bytes).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&[9, 0, 0, 0, 0], "version 9");
        check(&[VERSION, 0xff, 0xff, 0xff, 0xff], "too long");
        check(&[VERSION, 0, 0, 0, 2, b'{', b'}'], "expected value");
    }
}
