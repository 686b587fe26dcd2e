//! Truncated and flipped files.
