//! Refuses requests that contradict themselves, before anything is changed. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::spec::{EndpointSpec, NetworkSpec};
use crate::{Error, Result, limits};

/// An engine's id: eight lower-case hexadecimal characters.
pub(crate) fn engine_id(id: &str) -> Result<()> {
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if id.len() == 8 && id.chars().all(hexadecimal) {
        return Ok(());
    }
    Err(Error::Invalid(format!("the engine's id `{id}` is not eight lower-case hexadecimal characters")))
}

/// An id of a network or namespace: it is a word of an alias and the name of a file.
pub(crate) fn id(id: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let usable =
        !id.is_empty() && id.len() <= limits::MAX_ID && id.chars().all(plain) && !id.starts_with('.');
    if usable {
        return Ok(());
    }
    let limit = limits::MAX_ID;
    Err(Error::Invalid(format!("the id `{id}` is not 1 to {limit} letters, digits, `-`, `_` and `.`")))
}

/// A network whose gateway lies in its subnet.
pub(crate) fn network(spec: &NetworkSpec) -> Result<()> {
    id(&spec.id)?;
    let what = format!("the gateway of network {}", spec.id);
    match (spec.v4, spec.v6) {
        (None, None) => return Err(Error::Invalid(format!("network {} has no addresses", spec.id))),
        (Some(v4), _) => inside(&what, v4.gateway.into(), v4.subnet.into())?,
        _ => {}
    }
    spec.v6.map_or(Ok(()), |v6| inside(&what, v6.gateway.into(), v6.subnet.into()))
}

/// An endpoint whose addresses lie in its network and whose interface can have that name.
pub(crate) fn endpoint(endpoint: &EndpointSpec, network: &NetworkSpec) -> Result<()> {
    let EndpointSpec { interface, .. } = endpoint;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if interface.is_empty() || interface.len() > limits::MAX_INTERFACE || !interface.chars().all(plain) {
        return Err(Error::Invalid(format!("an interface cannot be named `{interface}`")));
    }
    let what = format!("the address of {interface} in network {}", network.id);
    if let (Some(addr4), Some(v4)) = (endpoint.addr4, network.v4) {
        inside(&what, addr4.into(), v4.subnet.into())?;
    }
    if let (Some(addr6), Some(v6)) = (endpoint.addr6, network.v6) {
        inside(&what, addr6.into(), v6.subnet.into())?;
    }
    Ok(())
}

fn inside(what: &str, ip: IpAddr, subnet: IpNet) -> Result<()> {
    if subnet.contains(&ip) {
        return Ok(());
    }
    Err(Error::Invalid(format!("{what}, {ip}, is not in its subnet {subnet}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::NetworkV4;

    #[test]
    fn ids() {
        for good in ["shop_default", "a", "0.1-x"] {
            id(good).unwrap();
        }
        for bad in ["", ".", "..", ".hidden", "a b", "a/b", "ä", &"x".repeat(limits::MAX_ID + 1)] {
            id(bad).unwrap_err();
        }
        engine_id("0badcafe").unwrap();
        for bad in ["", "0BADCAFE", "badcafe", "0badcafe0"] {
            engine_id(bad).unwrap_err();
        }
    }

    #[test]
    fn a_gateway_outside_its_subnet_is_named() {
        let spec = NetworkSpec {
            id: "front".into(),
            v4: Some(NetworkV4 {
                subnet: "10.1.0.0/24".parse().unwrap(),
                gateway: "10.2.0.1".parse().unwrap(),
            }),
            v6: None,
            internal: false,
            mtu: None,
            members_meet: true,
            masquerade: true,
            reach4: Default::default(),
            reach6: Default::default(),
        };
        let error = network(&spec).unwrap_err().to_string();
        assert_eq!(error, "the gateway of network front, 10.2.0.1, is not in its subnet 10.1.0.0/24");
    }
}
