//! Devices of this machine inside of containers: which nodes are made there, and what may be done with them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::bundle::Failure;
use crate::config::{ContainerConfig, Device};
use crate::limits;

/// The two kinds of device nodes. A group's rules may mean both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Block,
    Character,
}

/// What may be done with a device: any of `READ`, `WRITE` and `MKNOD`. The bits are those of
/// `BPF_DEVCG_ACC_*` in linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access(pub(crate) u8);

impl Access {
    pub(crate) const MKNOD: Access = Access(1);
    pub(crate) const ALL: Access = Access(7);

    pub(crate) fn parse(text: &str) -> Option<Access> {
        let bit = |letter| match letter {
            'm' => Some(1),
            'r' => Some(2),
            'w' => Some(4),
            _ => None,
        };
        let bits = text.chars().try_fold(0, |bits, letter| Some(bits | bit(letter)?))?;
        (bits != 0).then_some(Access(bits))
    }

    /// As the devices cgroup writes it.
    pub(crate) fn letters(self) -> String {
        [('r', 2), ('w', 4), ('m', 1)]
            .into_iter()
            .filter(|(_, bit)| self.0 & bit != 0)
            .map(|(letter, _)| letter)
            .collect()
    }
}

/// Devices that may be used in a way. What is `None` may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) kind: Option<Kind>,
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
    pub(crate) access: Access,
}

/// A device node inside of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// As in chmod.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// All that a container gets beyond what every container has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices {
    pub(crate) nodes: Vec<Node>,
    pub(crate) rules: Vec<Rule>,
    /// The limits of block devices, as the OCI specification writes them.
    pub(crate) block_io: serde_json::Value,
    /// What devices that are named bring along: mounts and hooks as the OCI specification writes them, variables,
    /// and groups of the first process.
    pub(crate) mounts: Vec<serde_json::Value>,
    pub(crate) hooks: BTreeMap<String, Vec<serde_json::Value>>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) groups: Vec<u32>,
}

impl Devices {
    /// What a container's configuration asks for, looked up on this machine.
    ///
    /// # Errors
    /// A path is no device and no folder with devices, or a rule does not say what it should.
    pub(crate) fn of(config: &ContainerConfig) -> Result<Devices, Failure> {
        let block_io = crate::block::section(&config.resources.block_io)?;
        let mut all = Devices { block_io, ..Devices::default() };
        if config.privileged {
            all.nodes = of_machine();
        }
        for device in &config.devices {
            all.add(device)?;
        }
        crate::cdi::add(&config.device_names, &mut all)?;
        for rule in &config.device_rules {
            all.rules.push(parse_rule(rule).ok_or_else(|| {
                Failure::new(format!("device rule `{rule}` is not of the form `c 1:3 rwm`"))
            })?);
        }
        Ok(all)
    }

    /// One device, or every device of a folder, as Docker does.
    fn add(&mut self, device: &Device) -> Result<(), Failure> {
        let Device { source, target, access } = device;
        let parsed = Access::parse(access).ok_or_else(|| {
            Failure::new(format!("device `{source}`: `{access}` is not made of `r`, `w` and `m`"))
        })?;
        let before = self.nodes.len();
        let missing = |error| Failure::new(format!("device `{source}` of this machine: {error}"));
        if fs::metadata(source).map_err(missing)?.is_dir() {
            below(Path::new(source), target, &mut self.nodes);
        } else {
            self.nodes.extend(node(Path::new(source), target.clone()));
        }
        if self.nodes.len() == before {
            return Err(Failure::new(format!("`{source}` of this machine is not a device")));
        }
        if self.nodes.len() > limits::DEVICES {
            return Err(Failure::new(format!("more than {} devices", limits::DEVICES)));
        }
        let rule = |node: &Node| Rule {
            kind: Some(node.kind),
            major: Some(node.major),
            minor: Some(node.minor),
            access: parsed,
        };
        self.rules.extend(self.nodes[before..].iter().map(rule));
        Ok(())
    }
}

fn below(folder: &Path, target: &str, nodes: &mut Vec<Node>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().map(|name| format!("{target}/{name}")) else { continue };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&entry.path(), &name, nodes),
            _ => nodes.extend(node(&entry.path(), name)),
        }
    }
}

/// A node at `path` for the device at `source`; `None` if that is none.
pub(crate) fn node(source: &Path, path: String) -> Option<Node> {
    let metadata = fs::metadata(source).ok()?;
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => Kind::Character,
        kind if kind.is_block_device() => Kind::Block,
        _ => return None,
    };
    Some(Node {
        path,
        kind,
        major: rustix::fs::major(metadata.rdev()),
        minor: rustix::fs::minor(metadata.rdev()),
        mode: metadata.mode() & 0o777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

/// The numbers of a block device of this machine.
pub(crate) fn block_numbers(path: &Path) -> Option<(u32, u32)> {
    let found = node(path, String::new()).filter(|node| node.kind == Kind::Block)?;
    Some((found.major, found.minor))
}

/// The machine's own device nodes, for a privileged container. It has its own of those that are left out.
fn of_machine() -> Vec<Node> {
    const OWN: [&str; 8] = ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"];
    let names = fs::read_dir("/dev").into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !OWN.contains(&name.as_str()))
        .filter_map(|name| {
            let path = format!("/dev/{name}");
            let is_link = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink());
            if is_link { None } else { node(Path::new(&path), path.clone()) }
        })
        .collect()
}

/// `c 1:3 rwm`, where the numbers may be `*`; `a` stands for both kinds. See the kernel's
/// cgroup-v1/devices.rst, whose form Docker has taken over for cgroup v2 as well.
fn parse_rule(text: &str) -> Option<Rule> {
    let mut words = text.split_whitespace();
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let kind = match kind {
        "a" => None,
        "b" => Some(Kind::Block),
        "c" => Some(Kind::Character),
        _ => return None,
    };
    let number = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
    let (major, minor) = numbers.split_once(':')?;
    Some(Rule { kind, major: number(major)?, minor: number(minor)?, access: Access::parse(access)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_the_kernel_writes_them() {
        let check = |text: &str, expect: Option<&str>| {
            let rule = parse_rule(text);
            let got =
                rule.map(|r| format!("{:?} {:?} {:?} {}", r.kind, r.major, r.minor, r.access.letters()));
            assert_eq!(got.as_deref(), expect, "{text}");
        };
        check("c 1:3 mr", Some("Some(Character) Some(1) Some(3) rm"));
        check("b 8:* rwm", Some("Some(Block) Some(8) None rwm"));
        check("a *:* r", Some("None None None r"));
        for wrong in ["", "c", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 rx", "c 1:3 r w", "c -1:3 r", "c 1:3 "] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_device_comes_with_its_numbers_and_a_rule() {
        let of = |source: &str| {
            let device = Device { source: source.into(), target: "/dev/x".into(), access: "rw".into() };
            Devices::of(&ContainerConfig { devices: vec![device], ..ContainerConfig::default() })
        };
        let found = of("/dev/null").unwrap();
        assert_eq!(
            (found.nodes[0].path.as_str(), found.nodes[0].major, found.nodes[0].minor),
            ("/dev/x", 1, 3)
        );
        let access = Access(6);
        assert_eq!(
            found.rules,
            [Rule { kind: Some(Kind::Character), major: Some(1), minor: Some(3), access }]
        );
        assert!(of("/etc/passwd").unwrap_err().reason.contains("is not a device"));
        assert!(of("/dev/no-such").unwrap_err().reason.contains("No such file"));
    }
}
