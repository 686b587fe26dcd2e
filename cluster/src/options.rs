//! The driver options of networks and volumes: Docker's names for what its `bridge` and `local` drivers do.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{NetworkSpec, VolumeSpec};

const MTU: &str = "com.docker.network.driver.mtu";
const MEMBERS: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// For both address families, up to their number.
const GATEWAY: &str = "com.docker.network.bridge.gateway_mode_ipv";
const BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// Of a service's place in a network.
const INTERFACE: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// What stands for the interface's name in [`SYSCTLS`].
const PLACEHOLDER: &str = "IFNAME";
/// Bytes that an IPv6 packet must be able to have (RFC 8200), and an interface's most.
const MTU_RANGE: std::ops::RangeInclusive<u32> = 1_280..=65_535;

/// What a network's driver options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Bytes per packet.
    pub mtu: Option<u32>,
    /// Its members reach one another directly, not only what they publish.
    pub members_meet: bool,
    /// What leaves the machine has the machine's address.
    pub masquerade: bool,
    /// The machine's address at which ports are published that name none.
    pub binding: Option<IpAddr>,
    /// What the outside has to do with its members' IPv4 addresses.
    pub gateway4: GatewayMode,
    /// The same for IPv6.
    pub gateway6: GatewayMode,
}

/// What the outside has to do with the addresses of a network's members, in Docker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayMode {
    /// It sees the machine's address, and comes in through published ports.
    Nat,
    /// The same, and whoever has a route reaches the members.
    NatUnprotected,
    /// It sees their addresses, and whoever has a route reaches there the ports that they publish.
    Routed,
}

/// What is mounted where a volume's data are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeDevice {
    /// The file system; `none` for a folder of the machine.
    pub kind: String,
    /// The device, folder or server.
    pub source: String,
    /// As mount(8) takes them after `-o`.
    pub options: String,
}

/// What the driver options of a service's place in a network say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlaceOptions {
    pub(crate) interface: Option<String>,
    pub(crate) sysctls: BTreeMap<String, String>,
}

impl NetworkSpec {
    /// What its driver options say.
    ///
    /// # Errors
    /// One of them says nothing that could be done.
    pub fn options(&self) -> Result<NetworkOptions, String> {
        let get = |name: &str| self.compose.driver_opts.get(name).map(String::as_str);
        let wrong = |name: &str, expect: &str| {
            let value = get(name).unwrap_or_default();
            format!("network `{}`: `driver_opts.{name}: {value}` is not {expect}", self.name)
        };
        let switch = |name: &str| match get(name) {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(wrong(name, "`true` or `false`")),
        };
        let mtu = get(MTU).map(|text| text.parse().ok().filter(|mtu| MTU_RANGE.contains(mtu)));
        let size = format!("a number of bytes from {} to {}", MTU_RANGE.start(), MTU_RANGE.end());
        let binding = get(BINDING).map(|text| text.parse::<IpAddr>().ok().filter(IpAddr::is_ipv4));
        let binding = binding.map(|ip| ip.ok_or_else(|| wrong(BINDING, "an IPv4 address"))).transpose()?;
        // Without a gateway (Docker's `isolated`) nobody would reach anybody: each packet is routed by the machine.
        let gateway = |family: char| match get(&format!("{GATEWAY}{family}")) {
            None | Some("nat") => Ok(GatewayMode::Nat),
            Some("nat-unprotected") => Ok(GatewayMode::NatUnprotected),
            Some("routed") => Ok(GatewayMode::Routed),
            Some(_) => Err(wrong(&format!("{GATEWAY}{family}"), "`nat`, `nat-unprotected` or `routed`")),
        };
        Ok(NetworkOptions {
            mtu: mtu.map(|mtu| mtu.ok_or_else(|| wrong(MTU, &size))).transpose()?,
            members_meet: switch(MEMBERS)?,
            masquerade: switch(MASQUERADE)?,
            binding: binding.filter(|ip| !ip.is_unspecified()),
            gateway4: gateway('4')?,
            gateway6: gateway('6')?,
        })
    }
}

impl VolumeSpec {
    /// What is mounted where its data are; `None` when they are in a folder of the engine.
    ///
    /// # Errors
    /// The options are not whole.
    pub fn device(&self) -> Result<Option<VolumeDevice>, String> {
        let options = &self.compose.driver_opts;
        let get = |name: &str| options.get(name).cloned().unwrap_or_default();
        if options.is_empty() {
            return Ok(None);
        }
        let device = VolumeDevice { kind: get("type"), source: get("device"), options: get("o") };
        match device.kind.is_empty() || device.source.is_empty() {
            true => Err(format!("volume `{}`: `driver_opts` needs `type` and `device`", self.name)),
            false => Ok(Some(device)),
        }
    }
}

impl PlaceOptions {
    /// Reads the options of a service's place in a network.
    pub(crate) fn read(options: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut read = Self { interface: options.get(INTERFACE).cloned(), ..Self::default() };
        for entry in options.get(SYSCTLS).iter().flat_map(|text| text.split(',')) {
            let entry = entry.trim();
            let wrong =
                || format!("`{SYSCTLS}`: `{entry}` is not like `net.ipv4.conf.{PLACEHOLDER}.NAME=VALUE`");
            let (name, value) = entry.split_once('=').ok_or_else(wrong)?;
            let parts: Vec<&str> = name.split('.').collect();
            let plain = |part: &str| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            match parts.as_slice() {
                ["net", "ipv4" | "ipv6" | "mpls", "conf" | "neigh", PLACEHOLDER, last] if plain(last) => {}
                _ => return Err(wrong()),
            }
            read.sysctls.insert(name.to_owned(), value.to_owned());
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkName, VolumeName};

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_options_of_networks_are_read_or_refused() {
        let read = |pairs: &[(&str, &str)]| {
            let compose = compose_spec::Network { driver_opts: options(pairs), ..Default::default() };
            NetworkSpec { name: NetworkName("n".to_owned()), compose }.options()
        };
        let plain = NetworkOptions {
            mtu: None,
            members_meet: true,
            masquerade: true,
            binding: None,
            gateway4: GatewayMode::Nat,
            gateway6: GatewayMode::Nat,
        };
        assert_eq!(read(&[]), Ok(plain));
        let modes = [format!("{GATEWAY}4"), format!("{GATEWAY}6")];
        let all = [
            (MTU, "1400"),
            (MEMBERS, "false"),
            (MASQUERADE, "false"),
            (BINDING, "127.0.0.1"),
            (&modes[0], "nat-unprotected"),
            (&modes[1], "routed"),
        ];
        let expect = NetworkOptions {
            mtu: Some(1400),
            members_meet: false,
            masquerade: false,
            binding: Some(IpAddr::from([127, 0, 0, 1])),
            gateway4: GatewayMode::NatUnprotected,
            gateway6: GatewayMode::Routed,
        };
        assert_eq!(read(&all), Ok(expect));
        for (name, value) in [(MTU, "12"), (MEMBERS, "maybe"), (BINDING, "::1"), (&modes[1], "isolated")] {
            assert!(read(&[(name, value)]).unwrap_err().contains(value), "{name}");
        }
    }

    #[test]
    fn the_options_of_volumes_are_whole_or_refused() {
        let read = |pairs: &[(&str, &str)]| {
            let compose = compose_spec::Volume { driver_opts: options(pairs), ..Default::default() };
            VolumeSpec { name: VolumeName("v".to_owned()), compose }.device()
        };
        assert_eq!(read(&[]), Ok(None));
        let tmpfs = VolumeDevice { kind: "tmpfs".into(), source: "tmpfs".into(), options: "size=1m".into() };
        assert_eq!(read(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]), Ok(Some(tmpfs)));
        assert!(read(&[("type", "nfs")]).unwrap_err().contains("needs `type` and `device`"));
    }

    #[test]
    fn kernel_parameters_of_an_interface_are_its_own_ones_only() {
        let read = |text: &str| PlaceOptions::read(&options(&[(SYSCTLS, text)]));
        let good = read("net.ipv4.conf.IFNAME.log_martians=1, net.ipv6.conf.IFNAME.accept_ra=0").unwrap();
        assert_eq!(good.sysctls.len(), 2);
        for bad in ["net.ipv4.ip_forward=1", "net.ipv4.conf.IFNAME./../x=1", "net.ipv4.conf.all.x=1", "x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
