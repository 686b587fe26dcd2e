//! Devices of the machine: by their paths, and by the names that files of the Container Device Interface give them.

use cluster::compose_spec::{self, DeviceRequest, Service};
use runtime::{Device, is_device_name};

/// What GPUs of a vendor are called by convention.
const GPUS: [(&str, &str); 2] = [("nvidia", "nvidia.com/gpu"), ("amd", "amd.com/gpu")];
/// The driver whose devices are named in full.
const BY_NAME: &str = "cdi";
/// More than any machine has.
const MOST: i64 = 128;

/// The devices that a service names by their paths.
pub(super) fn by_path(compose: &Service) -> Vec<Device> {
    compose.devices.iter().filter(|device| !is_device_name(&device.source)).map(device).collect()
}

/// Those that it names in full, or asks for as GPUs: `gpus: all` is `nvidia.com/gpu=all`.
///
/// # Errors
/// A request asks for what has no name.
pub(super) fn by_name(compose: &Service) -> Result<Vec<String>, String> {
    let named = compose.devices.iter().map(|device| &device.source).filter(|name| is_device_name(name));
    let mut names: Vec<String> = named.cloned().collect();
    for request in &compose.gpus {
        names.extend(requested(request, "gpus", true)?);
    }
    let deploy = compose.deploy.as_ref().and_then(|deploy| deploy.resources.as_ref());
    let kept = deploy.and_then(|resources| resources.reservations.as_ref());
    for request in kept.into_iter().flat_map(|kept| &kept.devices) {
        names.extend(requested(request, "deploy.resources.reservations.devices", false)?);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn requested(request: &DeviceRequest, place: &str, gpus: bool) -> Result<Vec<String>, String> {
    if let Some(option) = request.options.keys().next() {
        return Err(format!("`{place}`: the option `{option}` has no meaning here"));
    }
    let driver = request.driver.as_deref().filter(|driver| !driver.is_empty());
    if driver == Some(BY_NAME) {
        return match request.device_ids.iter().find(|name| !is_device_name(name)) {
            Some(wrong) => Err(format!("`{place}`: `{wrong}` is not of the form `vendor.com/class=name`")),
            None => Ok(request.device_ids.clone()),
        };
    }
    let gpus = gpus || request.capabilities.iter().any(|capability| capability == "gpu");
    let kind = match driver {
        None if gpus => GPUS.first(),
        None => None,
        Some(driver) => GPUS.iter().find(|(name, _)| *name == driver),
    };
    let Some((_, kind)) = kind else {
        let what = driver
            .map_or_else(|| "capabilities without `gpu`".to_owned(), |driver| format!("driver `{driver}`"));
        return Err(format!("`{place}`: there is no name for devices of {what}; `driver: cdi` takes names"));
    };
    if !request.device_ids.is_empty() {
        return Ok(request.device_ids.iter().map(|id| format!("{kind}={id}")).collect());
    }
    match request.count.unwrap_or(-1) {
        -1 => Ok(vec![format!("{kind}=all")]),
        count @ 0..=MOST => Ok((0..count).map(|index| format!("{kind}={index}")).collect()),
        count => Err(format!("`{place}`: no machine has {count} devices")),
    }
}

fn device(device: &compose_spec::Device) -> Device {
    let target = device.target.clone().filter(|target| !target.is_empty());
    Device {
        source: device.source.clone(),
        target: target.unwrap_or_else(|| device.source.clone()),
        access: device.permissions.clone().unwrap_or_else(|| "rwm".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_names_by_convention() {
        let check = |request: serde_json::Value, gpus: bool, expect: Result<&[&str], &str>| {
            let request: DeviceRequest = serde_json::from_value(request).unwrap();
            match (requested(&request, "gpus", gpus), expect) {
                (Ok(names), Ok(expect)) => assert_eq!(names, expect, "{request:?}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (got, expect) => panic!("{got:?}, not {expect:?}"),
            }
        };
        use serde_json::json;
        check(json!({"count": -1}), true, Ok(&["nvidia.com/gpu=all"]));
        check(json!({"capabilities": ["gpu"]}), false, Ok(&["nvidia.com/gpu=all"]));
        check(json!({"count": 2}), true, Ok(&["nvidia.com/gpu=0", "nvidia.com/gpu=1"]));
        check(json!({"driver": "amd", "device_ids": ["3"]}), true, Ok(&["amd.com/gpu=3"]));
        check(json!({"driver": "cdi", "device_ids": ["a.com/x=y"]}), false, Ok(&["a.com/x=y"]));
        check(json!({"driver": "cdi", "device_ids": ["y"]}), false, Err("`y` is not of the form"));
        check(json!({"driver": "fpga"}), false, Err("driver `fpga`"));
        check(json!({"capabilities": ["tpu"]}), false, Err("capabilities without `gpu`"));
        check(json!({"options": {"virtualization": "false"}}), true, Err("option `virtualization`"));
        check(json!({"count": 1_000_000}), true, Err("no machine has"));
    }
}
