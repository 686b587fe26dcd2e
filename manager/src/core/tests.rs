//! Wishes in, outputs out.
