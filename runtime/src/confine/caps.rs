//! Capabilities: their names, the default set, and what a service makes of it.

use rustix::thread::CapabilitySet;

/// In the kernel's order: the position is the number. See capabilities(7).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Podman's set: Docker's without AUDIT_WRITE, MKNOD and NET_RAW.
const DEFAULT: [&str; 11] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(crate) const NET_RAW: Caps = Caps(1 << 13);
pub(crate) const SYS_ADMIN: Caps = Caps(1 << 21);

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caps(pub(crate) u64);

impl Caps {
    pub(crate) const fn all() -> Caps {
        Caps((1 << NAMES.len()) - 1)
    }

    fn default_set() -> Caps {
        Caps(DEFAULT.iter().filter_map(|name| number(name)).fold(0, |bits, number| bits | 1 << number))
    }

    pub(crate) fn contains(self, other: Caps) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn and(self, other: Caps) -> Caps {
        Caps(self.0 & other.0)
    }

    pub(crate) fn minus(self, other: Caps) -> Caps {
        Caps(self.0 & !other.0)
    }

    pub(crate) fn set(self) -> CapabilitySet {
        CapabilitySet::from_bits_retain(self.0)
    }

    /// Without `CAP_`, in the kernel's order; unknown ones as numbers.
    pub(crate) fn names(self) -> Vec<String> {
        (0..u64::BITS as usize)
            .filter(|bit| self.0 & (1 << bit) != 0)
            .map(|bit| NAMES.get(bit).map_or_else(|| bit.to_string(), |name| (*name).to_owned()))
            .collect()
    }
}

/// The bounding set of a service: additions and removals are taken by name, `ALL` first, as Docker does.
///
/// # Errors
/// A name that is no capability, with the list entry it came from.
pub(crate) fn resolve(privileged: bool, add: &[String], drop: &[String]) -> Result<Caps, String> {
    if privileged {
        return Ok(Caps::all());
    }
    let (add_all, added) = read(add)?;
    let (drop_all, dropped) = read(drop)?;
    let start = match (add_all, drop_all) {
        (true, _) => Caps::all(),
        (false, true) => Caps(0),
        (false, false) => Caps::default_set(),
    };
    // With `drop: [ALL]` the additions remain; a capability in both lists is dropped otherwise.
    Ok(if drop_all { Caps(start.0 | added.0) } else { Caps(start.0 | added.0).minus(dropped) })
}

fn read(names: &[String]) -> Result<(bool, Caps), String> {
    let mut all = false;
    let mut caps = Caps(0);
    for name in names {
        let upper = name.to_ascii_uppercase();
        match upper.strip_prefix("CAP_").unwrap_or(&upper) {
            "ALL" => all = true,
            short => {
                let number = number(short).ok_or_else(|| format!("`{name}` is not a capability"))?;
                caps.0 |= 1 << number;
            }
        }
    }
    Ok((all, caps))
}

fn number(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(add: &[&str], drop: &[&str], expect: Result<&[&str], &str>) {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let got = resolve(false, &own(add), &own(drop)).map(Caps::names);
        assert_eq!(got, expect.map(own).map_err(str::to_owned), "add {add:?} drop {drop:?}");
    }

    #[test]
    fn services_add_to_and_drop_from_the_default() {
        let default = [
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "FSETID",
            "KILL",
            "SETGID",
            "SETUID",
            "SETPCAP",
            "NET_BIND_SERVICE",
            "SYS_CHROOT",
            "SETFCAP",
        ];
        check(&[], &[], Ok(&default));
        check(&[], &["ALL"], Ok(&[]));
        check(&["NET_RAW"], &["all"], Ok(&["NET_RAW"]));
        check(&["cap_net_raw", "CHOWN"], &["CAP_ALL"], Ok(&["CHOWN", "NET_RAW"]));
        check(
            &[],
            &["CHOWN", "KILL", "SETPCAP", "SETFCAP"],
            Ok(&["DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "NET_BIND_SERVICE", "SYS_CHROOT"]),
        );
        check(&["NET_RAWW"], &[], Err("`NET_RAWW` is not a capability"));
        assert_eq!(resolve(false, &["ALL".into()], &["SYS_ADMIN".into()]).unwrap().names().len(), 40);
    }

    #[test]
    fn the_names_stand_where_the_kernel_counts_them() {
        assert_eq!(CapabilitySet::NET_RAW, NET_RAW.set());
        assert_eq!(CapabilitySet::SYS_ADMIN, SYS_ADMIN.set());
        assert_eq!(CapabilitySet::CHECKPOINT_RESTORE.bits(), 1 << (NAMES.len() - 1));
    }
}
