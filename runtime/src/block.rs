//! Limits on the use of block devices, as the OCI specification writes them, and whether this machine can keep them.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundle::Failure;
use crate::cgroup::Cgroup;
use crate::config::{BlockIo, BlockRateKind};
use crate::device;

/// The `blockIO` of a container's `config.json`; null if it asks for nothing.
///
/// # Errors
/// A path is no block device.
pub(crate) fn section(wished: &BlockIo) -> Result<Value, Failure> {
    if *wished == BlockIo::default() {
        return Ok(Value::Null);
    }
    let mut section = json!({});
    if let Some(weight) = wished.weight {
        section["weight"] = json!(weight);
    }
    let mut weights = Vec::new();
    for (path, weight) in &wished.weights {
        let (major, minor) = numbers(path)?;
        weights.push(json!({ "major": major, "minor": minor, "weight": weight }));
    }
    if !weights.is_empty() {
        section["weightDevice"] = weights.into();
    }
    for kind in
        [BlockRateKind::BytesRead, BlockRateKind::BytesWritten, BlockRateKind::Reads, BlockRateKind::Writes]
    {
        let mut rates = Vec::new();
        for rate in wished.rates.iter().filter(|rate| rate.kind == kind) {
            let (major, minor) = numbers(&rate.device)?;
            rates.push(json!({ "major": major, "minor": minor, "rate": rate.rate }));
        }
        if !rates.is_empty() {
            section[name(kind)] = rates.into();
        }
    }
    Ok(section)
}

fn name(kind: BlockRateKind) -> &'static str {
    match kind {
        BlockRateKind::BytesRead => "throttleReadBpsDevice",
        BlockRateKind::BytesWritten => "throttleWriteBpsDevice",
        BlockRateKind::Reads => "throttleReadIOPSDevice",
        BlockRateKind::Writes => "throttleWriteIOPSDevice",
    }
}

fn numbers(path: &str) -> Result<(u32, u32), Failure> {
    let found = device::block_numbers(Path::new(path));
    found.ok_or_else(|| Failure::new(format!("`blkio_config`: `{path}` of this machine is no block device")))
}

/// Refuses what the kernel has no file for: a limit that does not hold is none.
pub(crate) fn check(wished: &BlockIo, cgroup: &Cgroup) -> Result<(), Failure> {
    if *wished == BlockIo::default() {
        return Ok(());
    }
    let lacking = |what: &str, needs: &str| {
        Err(Failure::new(format!("`blkio_config{what}` needs {needs}, which this machine does not have")))
    };
    if let Some(folder) = cgroup.unified() {
        let offers = |folder: &Path| {
            let text = std::fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
            text.split_whitespace().any(|controller| controller == "io")
        };
        return if folder.ancestors().any(offers) {
            Ok(())
        } else {
            lacking("", "the cgroup controller `io`")
        };
    }
    // The container's own folder is made later, with the same files as the one above.
    let Some(above) = cgroup.controller("blkio").and_then(Path::parent) else {
        return lacking("", "the cgroup controller `blkio`");
    };
    let has = |file: &str| above.join(file).exists();
    if !wished.rates.is_empty() && !has("blkio.throttle.read_bps_device") {
        return lacking("", "limits of block devices (CONFIG_BLK_DEV_THROTTLING)");
    }
    if wished.weight.is_some() && !has("blkio.weight") && !has("blkio.bfq.weight") {
        return lacking(".weight", "weights of block devices (the BFQ scheduler)");
    }
    if !wished.weights.is_empty() {
        return lacking(".weight_device", "cgroup v2 with the BFQ scheduler");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_for_is_nothing_written() {
        assert_eq!(section(&BlockIo::default()).unwrap(), Value::Null);
        let weight = BlockIo { weight: Some(300), ..BlockIo::default() };
        assert_eq!(section(&weight).unwrap(), json!({ "weight": 300 }));
    }

    #[test]
    fn only_block_devices_have_limits() {
        let rate = crate::BlockRate { device: "/dev/null".into(), kind: BlockRateKind::Reads, rate: 1 };
        let refused = section(&BlockIo { rates: vec![rate], ..BlockIo::default() }).unwrap_err();
        assert!(refused.reason.contains("`/dev/null` of this machine is no block device"), "{refused:?}");
    }
}
