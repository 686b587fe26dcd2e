//! How much a wish may ask for. Beyond these a wish is refused with the number that it exceeded.

/// Replicas of one service.
pub const REPLICAS: u32 = 10_000;
/// Services of one stack.
pub const SERVICES: usize = 10_000;
/// Networks of one stack.
pub const NETWORKS: usize = 1_000;
/// Named volumes of one stack.
pub const VOLUMES: usize = 10_000;
/// Published ports of one service.
pub const PORTS: usize = 10_000;
/// Link-local addresses of one service in one network.
pub const LINK_LOCAL: usize = 4;
/// Bytes of a message that an agent reports with a status; longer ones are cut.
pub const REPORTED_TEXT: usize = 4_096;
