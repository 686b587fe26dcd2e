//! Devices by name, such as `nvidia.com/gpu=all`: what the files of the Container Device Interface say must be done to a
//! container that gets one. See SPEC.md of cncf-tags/container-device-interface; its names are kept.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::bundle::Failure;
use crate::device::{Access, Devices, Kind, Node, Rule};
use crate::limits;

/// Where the files are; those of a later folder go before those of an earlier one.
const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// The hooks of the OCI runtime specification, under which a file's hooks are run.
const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// One file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    cdi_version: String,
    /// `vendor.com/class`.
    kind: String,
    #[serde(default)]
    devices: Vec<Named>,
    /// For every container that gets one of the devices.
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Edits {
    env: Vec<String>,
    device_nodes: Vec<DeviceNode>,
    mounts: Vec<Mount>,
    hooks: Vec<Hook>,
    additional_gids: Vec<u32>,
    intel_rdt: Option<Value>,
    net_devices: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeviceNode {
    path: String,
    host_path: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    major: Option<u32>,
    minor: Option<u32>,
    file_mode: Option<u32>,
    permissions: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    host_path: String,
    container_path: String,
    #[serde(default)]
    options: Vec<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hook {
    hook_name: String,
    path: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    timeout: Option<u32>,
}

/// Whether a text is the full name of such a device, `vendor.com/class=name`, and not a path.
#[must_use]
pub fn is_device_name(text: &str) -> bool {
    let plain = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
            && part.starts_with(|first: char| first.is_ascii_alphanumeric())
    };
    let parts = text.split_once('=').and_then(|(kind, name)| Some((kind.split_once('/')?, name)));
    parts.is_some_and(|((vendor, class), name)| plain(vendor) && plain(class) && plain(name))
}

/// Adds what the named devices ask for to what a container gets.
///
/// # Errors
/// No file describes a device, or what one asks for cannot be done.
pub(crate) fn add(names: &[String], all: &mut Devices) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let (specs, bad) = read_all(&FOLDERS.map(Path::new));
    let mut used: Vec<&Path> = Vec::new();
    for name in names {
        let (path, spec, device) = find(&specs, name).ok_or_else(|| unknown(name, &specs, &bad))?;
        let failed =
            |problem: String| Failure::new(format!("device `{name}` of {}: {problem}", path.display()));
        if !used.contains(&path) {
            used.push(path);
            apply(&spec.container_edits, all).map_err(failed)?;
        }
        apply(&device.container_edits, all).map_err(failed)?;
    }
    Ok(())
}

type Specs = Vec<(PathBuf, Spec)>;

/// Every file that can be read, those that go before others first, and why others cannot.
fn read_all(folders: &[&Path]) -> (Specs, Vec<String>) {
    let (mut specs, mut bad) = (Vec::new(), Vec::new());
    for folder in folders.iter().rev() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.into_iter().take(limits::CDI_FILES) {
            match read(&path) {
                Ok(Some(spec)) => specs.push((path, spec)),
                Ok(None) => {}
                Err(problem) => bad.push(format!("{}: {problem}", path.display())),
            }
        }
    }
    (specs, bad)
}

/// `None`: its name does not say that it is such a file.
fn read(path: &Path) -> Result<Option<Spec>, String> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !matches!(extension, "json" | "yaml" | "yml") {
        return Ok(None);
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(limits::CDI_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 == limits::CDI_BYTES {
        return Err(format!("it is larger than {} bytes", limits::CDI_BYTES));
    }
    let spec: Spec = match extension {
        "json" => serde_json::from_str(&text).map_err(|error| error.to_string()),
        _ => serde_yaml::from_str(&text).map_err(|error| error.to_string()),
    }?;
    match spec.cdi_version.trim_start_matches('v').split('.').next() {
        Some("0" | "1") => Ok(Some(spec)),
        _ => Err(format!("its version {} is not known", spec.cdi_version)),
    }
}

fn find<'s>(specs: &'s Specs, name: &str) -> Option<(&'s Path, &'s Spec, &'s Named)> {
    let (kind, name) = name.split_once('=')?;
    let named = |spec: &'s Spec| spec.devices.iter().find(|device| device.name == name);
    let mut of_kind = specs.iter().filter(|(_, spec)| spec.kind == kind);
    of_kind.find_map(|(path, spec)| Some((path.as_path(), spec, named(spec)?)))
}

fn unknown(name: &str, specs: &Specs, bad: &[String]) -> Failure {
    let known = specs
        .iter()
        .flat_map(|(_, spec)| spec.devices.iter().map(|device| format!("`{}={}`", spec.kind, device.name)));
    let mut known: Vec<String> = known.collect();
    known.sort();
    known.dedup();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let bad = if bad.is_empty() { String::new() } else { format!("; not read: {}", bad.join(", ")) };
    let folders = FOLDERS.join(" and ");
    Failure::new(format!("no file in {folders} describes device `{name}`; there are: {known}{bad}"))
}

fn apply(edits: &Edits, all: &mut Devices) -> Result<(), String> {
    if edits.intel_rdt.is_some() || !edits.net_devices.is_empty() {
        return Err("it asks for `intelRdt` or `netDevices`, which are not supported".to_owned());
    }
    for entry in &edits.env {
        let (name, value) = entry.split_once('=').ok_or_else(|| format!("`{entry}` is not NAME=VALUE"))?;
        all.env.push((name.to_owned(), value.to_owned()));
    }
    for wished in &edits.device_nodes {
        let (node, rule) = node(wished)?;
        all.nodes.retain(|other| other.path != node.path);
        all.nodes.push(node);
        all.rules.push(rule);
    }
    for mount in &edits.mounts {
        let bind = mount.options.iter().any(|option| option == "bind" || option == "rbind");
        let kind =
            mount.kind.as_deref().unwrap_or(if bind || mount.options.is_empty() { "bind" } else { "none" });
        let options = if mount.options.is_empty() {
            vec!["rbind".to_owned(), "ro".to_owned()]
        } else {
            mount.options.clone()
        };
        all.mounts.push(json!({
            "destination": mount.container_path, "source": mount.host_path, "type": kind, "options": options,
        }));
    }
    for hook in &edits.hooks {
        if !HOOKS.contains(&hook.hook_name.as_str()) {
            return Err(format!("there is no hook `{}`", hook.hook_name));
        }
        let mut entry = json!({ "path": hook.path, "args": hook.args, "env": hook.env });
        if let Some(timeout) = hook.timeout {
            entry["timeout"] = json!(timeout);
        }
        all.hooks.entry(hook.hook_name.clone()).or_default().push(entry);
    }
    all.groups.extend(&edits.additional_gids);
    Ok(())
}

/// What a file leaves out is that of the node on this machine.
fn node(wished: &DeviceNode) -> Result<(Node, Rule), String> {
    let host = wished.host_path.as_deref().unwrap_or(&wished.path);
    let found = crate::device::node(Path::new(host), wished.path.clone());
    let kind = match wished.kind.as_deref() {
        None | Some("") => None,
        Some("b") => Some(Kind::Block),
        Some("c" | "u") => Some(Kind::Character),
        Some(other) => return Err(format!("device nodes of kind `{other}` are not supported")),
    };
    let said = kind.zip(wished.major).zip(wished.minor);
    let node = match (said, found) {
        (Some(((kind, major), minor)), found) => {
            let own = found.as_ref().map_or((0o666, 0, 0), |found| (found.mode, found.uid, found.gid));
            Node { path: wished.path.clone(), kind, major, minor, mode: own.0, uid: own.1, gid: own.2 }
        }
        (None, Some(found)) => found,
        (None, None) => return Err(format!("`{host}` of this machine is not a device")),
    };
    let node = Node {
        mode: wished.file_mode.unwrap_or(node.mode),
        uid: wished.uid.unwrap_or(node.uid),
        gid: wished.gid.unwrap_or(node.gid),
        ..node
    };
    let access = wished.permissions.as_deref().filter(|text| !text.is_empty()).unwrap_or("rwm");
    let access =
        Access::parse(access).ok_or_else(|| format!("`{access}` is not made of `r`, `w` and `m`"))?;
    let rule = Rule { kind: Some(node.kind), major: Some(node.major), minor: Some(node.minor), access };
    Ok((node, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_are_told_from_paths() {
        for (text, expect) in [
            ("vendor.com/class=all", true),
            ("nvidia.com/gpu=0:1", true),
            ("/dev/null", false),
            ("/dev/a=b", false),
            ("vendor.com/class=", false),
            ("vendor.com=all", false),
            ("vendor.com/cl ass=all", false),
        ] {
            assert_eq!(is_device_name(text), expect, "{text}");
        }
    }

    #[test]
    fn files_are_read_in_both_forms_and_bad_ones_are_named() {
        let (low, high) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |folder: &Path, name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        let json = r#"{"cdiVersion": "0.5.0", "kind": "a.com/x", "devices": [
            {"name": "one", "containerEdits": {"env": ["A=low"]}}, {"name": "two"}]}"#;
        write(low.path(), "a.json", json);
        write(low.path(), "bad.json", "{");
        write(low.path(), "new.yaml", "cdiVersion: 7.0.0\nkind: a.com/y\n");
        write(low.path(), "notes.txt", "not read");
        write(
            high.path(),
            "a.yaml",
            "cdiVersion: 0.6.0\nkind: a.com/x\ndevices:\n- name: one\n  containerEdits:\n    env: [A=high]\n",
        );
        let (specs, bad) = read_all(&[low.path(), high.path()]);
        assert_eq!((specs.len(), bad.len()), (2, 2), "{bad:?}");
        let env = |name: &str| find(&specs, name).map(|(.., device)| device.container_edits.env.clone());
        assert_eq!(env("a.com/x=one"), Some(vec!["A=high".to_owned()]));
        assert_eq!(env("a.com/x=two"), Some(Vec::new()));
        assert_eq!(env("a.com/x=three"), None);
        let said = unknown("a.com/x=three", &specs, &bad).reason;
        assert!(said.contains("`a.com/x=one`, `a.com/x=two`; not read:"), "{said}");
    }

    #[test]
    fn a_node_is_that_of_the_machine_but_for_what_the_file_says() {
        let wished = DeviceNode {
            path: "/dev/nothing".into(),
            host_path: Some("/dev/null".into()),
            permissions: Some("r".into()),
            gid: Some(44),
            ..DeviceNode::default()
        };
        let (made, rule) = node(&wished).unwrap();
        assert_eq!((made.path.as_str(), made.major, made.minor, made.gid), ("/dev/nothing", 1, 3, 44));
        assert_eq!(rule.access.letters(), "r");
        let missing = DeviceNode { path: "/dev/no-such".into(), ..DeviceNode::default() };
        assert!(node(&missing).unwrap_err().contains("is not a device"));
    }
}
