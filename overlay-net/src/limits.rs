//! Every limit of this crate, in one place.

/// Longest id of a network or namespace, in bytes; it also has to fit into an interface's alias (255).
pub const MAX_ID: usize = 100;

/// Most backends of one VIP or published port that receive connections; more are left out.
pub const MAX_BACKENDS: usize = 256;
