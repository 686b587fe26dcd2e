//! The bounds on what is read. Whatever exceeds one is refused with a message that names it.

/// Bytes of one Compose or environment file.
pub(crate) const FILE_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of all files of one project together.
pub(crate) const TOTAL_BYTES: usize = 64 * 1024 * 1024;
/// Files of one project, each counted as often as it is read.
pub(crate) const FILES: usize = 1_000;
/// Values of one file after aliases are replaced by what they stand for.
pub(crate) const NODES: usize = 1_000_000;
/// Values that aliases of one file stand for.
pub(crate) const ALIASED: usize = 100_000;
/// The same of aliases that stand inside of what an anchor names: they multiply, so that a few lines become gigabytes.
pub(crate) const ALIASED_AGAIN: usize = 10_000;
/// How deep lists and mappings may be nested.
pub(crate) const DEPTH: usize = 100;
/// How deep `${A:-${B:-...}}` may be nested.
pub(crate) const INTERPOLATION_DEPTH: usize = 20;
/// Bytes of one value after interpolation.
pub(crate) const INTERPOLATED_BYTES: usize = 1024 * 1024;
/// Bytes that interpolation may produce in one file.
pub(crate) const INTERPOLATED_TOTAL: usize = 64 * 1024 * 1024;
/// How long a chain of `extends` or `include` may be.
pub(crate) const CHAIN: usize = 50;
/// Ports that one project may publish once ranges are expanded.
pub(crate) const PORTS: usize = 100_000;
/// Findings that are reported; the rest is counted.
pub(crate) const FINDINGS: usize = 100;
