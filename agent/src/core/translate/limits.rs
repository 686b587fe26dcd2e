//! The resources and limits of a container.

use cluster::compose_spec::{BlkioConfig, Service};
use runtime::{BlockIo, BlockRate, BlockRateKind, Resources, Ulimit};

/// `deploy.resources.limits` and the older attributes beside it; compose-spec has checked that they agree.
///
/// # Errors
/// `storage_opt.size` is no size.
pub(super) fn resources(compose: &Service) -> Result<Resources, String> {
    let deploy = compose.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref());
    let limits = deploy.and_then(|resources| resources.limits.as_ref());
    let reservations = deploy.and_then(|resources| resources.reservations.as_ref());
    let bytes = |value: i64| u64::try_from(value).ok().filter(|bytes| *bytes > 0);
    let memory = compose.mem_limit.or(limits.and_then(|limits| limits.memory));
    let reservation = compose.mem_reservation.or(reservations.and_then(|kept| kept.memory));
    Ok(Resources {
        memory_bytes: memory.and_then(|memory| bytes(memory.0)),
        memory_swap_bytes: compose.memswap_limit.map(|limit| limit.0).filter(|limit| *limit != 0),
        memory_reservation_bytes: reservation.and_then(|memory| bytes(memory.0)),
        cpu_nanos: cpu_nanos(compose, limits.and_then(|limits| limits.cpus)),
        cpu_period_us: compose.cpu_period.and_then(bytes),
        cpu_shares: compose.cpu_shares.and_then(bytes),
        cpuset: compose.cpuset.clone(),
        pids: compose.pids_limit.or(limits.and_then(|limits| limits.pids)).filter(|pids| *pids != 0),
        memory_swappiness: compose.mem_swappiness.and_then(|value| u64::try_from(value.0).ok()),
        oom_kill_disable: compose.oom_kill_disable,
        oom_score_adj: compose.oom_score_adj.and_then(|score| i32::try_from(score).ok()),
        shm_bytes: match compose.ipc.as_deref() {
            Some("none") => Some(0),
            _ => compose.shm_size.and_then(|size| bytes(size.0)),
        },
        realtime_us: compose.cpu_rt_runtime.filter(|time| *time != 0),
        realtime_period_us: compose.cpu_rt_period.and_then(bytes),
        written_bytes: compose.storage_opt.get("size").map(|text| written(text)).transpose()?,
        block_io: block_io(compose.blkio_config.as_ref()),
    })
}

fn written(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| format!("`storage_opt.size: {text}` is not a size such as `512m` or `10g`"))
}

/// `blkio_config`.
fn block_io(config: Option<&BlkioConfig>) -> BlockIo {
    let Some(config) = config else { return BlockIo::default() };
    let kinds = [
        (BlockRateKind::BytesRead, &config.device_read_bps),
        (BlockRateKind::BytesWritten, &config.device_write_bps),
        (BlockRateKind::Reads, &config.device_read_iops),
        (BlockRateKind::Writes, &config.device_write_iops),
    ];
    let rates = kinds.into_iter().flat_map(|(kind, rates)| {
        rates.iter().map(move |rate| BlockRate {
            device: rate.path.clone(),
            kind,
            rate: u64::try_from(rate.rate.0).unwrap_or(0),
        })
    });
    BlockIo {
        weight: config.weight.filter(|weight| *weight != 0),
        weights: config.weight_device.iter().map(|device| (device.path.clone(), device.weight)).collect(),
        rates: rates.collect(),
    }
}

/// Docker's period when only the quota is given, in microseconds.
const CPU_PERIOD: i64 = 100_000;

fn cpu_nanos(compose: &Service, limit: Option<f64>) -> Option<u64> {
    if let Some(cpus) = compose.cpus.or(limit).filter(|cpus| *cpus > 0.0) {
        // A float's conversion saturates; no machine has 2^64 nano-processors.
        return Some((cpus * 1e9).round() as u64);
    }
    let quota = u64::try_from(compose.cpu_quota?).ok().filter(|quota| *quota > 0)?;
    let period = u64::try_from(compose.cpu_period.unwrap_or(CPU_PERIOD)).ok().filter(|period| *period > 0)?;
    Some(quota.saturating_mul(1_000_000_000) / period)
}

/// -1 stands for no limit.
pub(super) fn ulimits(compose: &Service) -> Vec<Ulimit> {
    let bound = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    compose
        .ulimits
        .iter()
        .map(|(name, limit)| Ulimit {
            name: name.clone(),
            soft: bound(limit.soft()),
            hard: bound(limit.hard()),
        })
        .collect()
}

/// `10m`, `512k`, `1g`, `4096`, with or without a final `b`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, unit) = match bare.char_indices().next_back()? {
        (at, 'k') => (&bare[..at], 1 << 10),
        (at, 'm') => (&bare[..at], 1 << 20),
        (at, 'g') => (&bare[..at], 1 << 30),
        _ => (bare, 1_u64),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}
