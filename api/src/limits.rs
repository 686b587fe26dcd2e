//! How large things may be that cross a process boundary.

/// Bytes of one message. Large things (images, blobs, logs) are streams of [`CHUNK_BYTES`]; what is left is
/// a stack's spec or view, and a node's assignments.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of one part of a stream.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Bytes of one secret or config: what Docker Swarm allows for a config.
pub const MAX_BLOB_BYTES: usize = 1_000 * 1024;
/// Bytes of the text of an error; it travels in a header, and those are limited to 16 KiB together.
pub const MAX_ERROR_TEXT_BYTES: usize = 3 * 1024;
/// Bytes of the machine-readable part of an error, for the same reason.
pub const MAX_ERROR_DETAIL_BYTES: usize = 6 * 1024;
/// Requests at once on one connection.
pub const MAX_CONCURRENT_REQUESTS: u32 = 1_024;
/// Connections at once to one socket; who comes after that is not let in until one of them has gone.
pub const MAX_CLIENTS: usize = 1_024;
