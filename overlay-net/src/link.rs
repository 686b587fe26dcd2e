//! Links, addresses, routes and neighbours over rtnetlink (`include/uapi/linux/{if_link,rtnetlink}.h`).
//!
//! A [`Links`] works in the network namespace of the thread that opened it. Each method is one request or one
//! batch of requests in one system call.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnet::IpNet;

use crate::netlink::{ACK, CREATE, DUMP, EXCL, Family, Message, REQUEST, Socket, attrs};
use crate::{Error, Result};

const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const NEW_NEIGHBOUR: u16 = 28;
const NEW_RULE: u16 = 32;
const REPLACE: u16 = 0x100;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;
const IFF_UP: u32 = 1;

const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const TABLE_MAIN: u32 = 254;
const PROTOCOL_STATIC: u8 = 4;
const ROUTE_UNICAST: u8 = 1;
const NEIGHBOUR_PERMANENT: u16 = 0x80;
/// Without duplicate address detection, which would hold an IPv6 address back for a second or two.
const ADDRESS_NO_DAD: u32 = 0x02;
/// Without the on-link route of the subnet, so that every packet is routed by the host.
const ADDRESS_NO_PREFIX_ROUTE: u32 = 0x200;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// What we wrote about it when it was complete.
    pub(crate) alias: Option<String>,
    /// The index of the bridge it is a port of.
    pub(crate) master: Option<u32>,
    /// It was set up; whether packets get through is another thing.
    pub(crate) up: bool,
}

/// The far end of a veth pair, made directly in its namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: [u8; 6],
    pub(crate) netns: BorrowedFd<'a>,
}

/// Requests that are sent together, each with what it is for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    messages: Vec<Message>,
    purposes: Vec<String>,
}

impl Requests {
    fn push(&mut self, message: Message, purpose: String) {
        self.messages.push(message);
        self.purposes.push(purpose);
    }

    /// Sets the link up.
    pub(crate) fn up(&mut self, index: u32) {
        let message = Message::new(NEW_LINK, REQUEST | ACK, &link_body(index, IFF_UP, IFF_UP));
        self.push(message, format!("set link {index} up"));
    }

    /// Gives the link an address. `on_link` adds the kernel's route to the whole subnet. One that is link-local has
    /// that scope, so that nobody sends from it to elsewhere.
    pub(crate) fn address(&mut self, index: u32, address: IpNet, on_link: bool) {
        let flags = ADDRESS_NO_DAD | if on_link { 0 } else { ADDRESS_NO_PREFIX_ROUTE };
        let mut body = vec![family(address.addr()), address.prefix_len(), 0, address_scope(address.addr())];
        body.extend_from_slice(&index.to_ne_bytes());
        let mut message = Message::new(NEW_ADDRESS, REQUEST | ACK | CREATE | REPLACE, &body);
        let bytes = octets(address.addr());
        message.attr(1, &bytes).attr(2, &bytes).attr_u32(8, flags);
        self.push(message, format!("give link {index} the address {address}"));
    }

    /// Routes `to` through the link, by way of `via` or directly, in this routing table (`None`: the main one).
    pub(crate) fn route(&mut self, to: IpNet, via: Option<IpAddr>, index: u32, table: Option<u32>) {
        let scope = if via.is_some() { SCOPE_UNIVERSE } else { SCOPE_LINK };
        let body =
            [family(to.addr()), to.prefix_len(), 0, 0, 0, PROTOCOL_STATIC, scope, ROUTE_UNICAST, 0, 0, 0, 0];
        let mut message = Message::new(NEW_ROUTE, REQUEST | ACK | CREATE | REPLACE, &body);
        message.attr_u32(15, table.unwrap_or(TABLE_MAIN)).attr_u32(4, index);
        if to.prefix_len() > 0 {
            message.attr(1, &octets(to.addr()));
        }
        if let Some(via) = via {
            message.attr(5, &octets(via));
        }
        self.push(message, format!("route {to} through link {index}"));
    }

    /// Packets from this address use this routing table.
    pub(crate) fn rule(&mut self, from: IpAddr, table: u32) {
        let length = if from.is_ipv4() { 32 } else { 128 };
        // `struct fib_rule_hdr`; the action 1 is to look into the table.
        let body = [family(from), 0, length, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let mut message = Message::new(NEW_RULE, REQUEST | ACK | CREATE | EXCL, &body);
        message.attr(2, &octets(from)).attr_u32(6, table).attr_u32(15, table);
        self.push(message, format!("let packets from {from} use routing table {table}"));
    }

    /// Fixes the hardware address behind an address, so nobody has to ask and nobody can lie about it.
    pub(crate) fn neighbour(&mut self, index: u32, ip: IpAddr, mac: [u8; 6]) {
        let mut body = vec![family(ip), 0, 0, 0];
        body.extend_from_slice(&index.to_ne_bytes());
        body.extend_from_slice(&NEIGHBOUR_PERMANENT.to_ne_bytes());
        body.extend_from_slice(&[0, 0]);
        let mut message = Message::new(NEW_NEIGHBOUR, REQUEST | ACK | CREATE | REPLACE, &body);
        message.attr(1, &octets(ip)).attr(2, &mac);
        self.push(message, format!("fix the hardware address of {ip}"));
    }

    /// Makes a veth end a port of a bridge, records what it is, and lets a frame leave through the port it came
    /// from (a container that reaches itself by a published port, when bridged packets pass the packet filter).
    pub(crate) fn port(&mut self, index: u32, bridge: u32, alias: &str) {
        let mut message = Message::new(NEW_LINK, REQUEST | ACK, &link_body(index, IFF_UP, IFF_UP));
        message.attr_u32(IFLA_MASTER, bridge).attr_str(IFLA_IFALIAS, alias);
        self.push(message, format!("make link {index} a port of bridge {bridge}"));
        let mut message = Message::new(NEW_LINK, REQUEST | ACK, &link_body(index, 0, 0));
        message.nest(IFLA_LINKINFO, |m| {
            // IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_MODE
            m.attr_str(4, "bridge").nest(5, |m| {
                m.attr(4, &[1]);
            });
        });
        self.push(message, format!("let frames of port {index} return to it"));
    }

    /// Records what the link is.
    pub(crate) fn alias(&mut self, index: u32, alias: &str) {
        let mut message = Message::new(NEW_LINK, REQUEST | ACK, &link_body(index, 0, 0));
        message.attr_str(IFLA_IFALIAS, alias);
        self.push(message, format!("record what link {index} is"));
    }
}

/// The links of one network namespace.
#[derive(Debug)]
pub(crate) struct Links {
    socket: Socket,
}

impl Links {
    /// For the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Links> {
        Ok(Links { socket: Socket::open(Family::Route, 0)? })
    }

    /// Every link.
    pub(crate) fn list(&mut self) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        self.socket
            .dump(Message::new(GET_LINK, REQUEST | DUMP, &link_body(0, 0, 0)), |_, payload| {
                links.extend(parse_link(payload));
            })
            .map_err(|source| Error::system("list the network interfaces", source))?;
        Ok(links)
    }

    /// One link by its name.
    pub(crate) fn get(&mut self, name: &str) -> Result<Link> {
        let mut found = None;
        let mut message = Message::new(GET_LINK, REQUEST | ACK, &link_body(0, 0, 0));
        message.attr_str(IFLA_IFNAME, name);
        self.socket
            .dump(message, |_, payload| found = parse_link(payload))
            .map_err(|source| Error::system(format!("look at the interface {name}"), source))?;
        found.ok_or_else(|| Error::Invalid(format!("the kernel gave no answer about the interface {name}")))
    }

    /// Waits until the link carries packets. The kernel notices a new carrier some time later, by itself up to a second,
    /// and drops packets until then; to be asked about the link makes it notice at once.
    pub(crate) fn settle(&mut self, name: &str) -> Result<()> {
        self.get(name).map(|_| ())
    }

    /// Makes a bridge, down. The fixed hardware address keeps it from changing whenever a port comes or goes.
    pub(crate) fn add_bridge(&mut self, name: &str, mac: [u8; 6], mtu: Option<u32>) -> Result<()> {
        let mut message = Message::new(NEW_LINK, REQUEST | ACK | CREATE | EXCL, &link_body(0, 0, 0));
        message.attr_str(IFLA_IFNAME, name).attr(IFLA_ADDRESS, &mac);
        if let Some(mtu) = mtu {
            message.attr_u32(IFLA_MTU, mtu);
        }
        message.nest(IFLA_LINKINFO, |m| {
            // IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_BR_MCAST_SNOOPING
            m.attr_str(1, "bridge").nest(2, |m| {
                m.attr(23, &[0]);
            });
        });
        self.one(message, format!("make the bridge {name}"))
    }

    /// Makes a veth pair in one request: the near end up and a port of the bridge, the far end in its namespace.
    pub(crate) fn add_port(&mut self, name: &str, bridge: u32, mtu: Option<u32>, peer: &Peer) -> Result<()> {
        let mut message =
            Message::new(NEW_LINK, REQUEST | ACK | CREATE | EXCL, &link_body(0, IFF_UP, IFF_UP));
        message.attr_str(IFLA_IFNAME, name).attr_u32(IFLA_MASTER, bridge);
        if let Some(mtu) = mtu {
            message.attr_u32(IFLA_MTU, mtu);
        }
        message.nest(IFLA_LINKINFO, |m| {
            // IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER
            m.attr_str(1, "veth").nest(2, |m| {
                m.nest(1, |m| {
                    m.raw(&link_body(0, 0, 0)).attr_str(IFLA_IFNAME, peer.name).attr(IFLA_ADDRESS, &peer.mac);
                    m.attr(IFLA_NET_NS_FD, &peer.netns.as_raw_fd().to_ne_bytes());
                    if let Some(mtu) = mtu {
                        m.attr_u32(IFLA_MTU, mtu);
                    }
                });
            });
        });
        self.one(message, format!("make the interface {} and its port {name}", peer.name))
    }

    /// Removes links; those that are gone already are no error. Each removal would wait for all processors to have
    /// finished with the link, so several are put into a group that the kernel removes with one such wait.
    pub(crate) fn remove(&mut self, names: &[&str], group: u32) -> Result<()> {
        let what = || format!("remove the interfaces {}", names.join(", "));
        let mut messages: Vec<_> = names
            .iter()
            .map(|name| {
                let mut message = Message::new(NEW_LINK, REQUEST | ACK, &link_body(0, 0, 0));
                message.attr_str(IFLA_IFNAME, name).attr_u32(IFLA_GROUP, group);
                message
            })
            .collect();
        let mut message = Message::new(DEL_LINK, REQUEST | ACK, &link_body(0, 0, 0));
        match names {
            [] => return Ok(()),
            [name] => {
                messages.clear();
                message.attr_str(IFLA_IFNAME, name);
            }
            _ => {
                message.attr_u32(IFLA_GROUP, group);
            }
        }
        messages.push(message);
        let gone = rustix::io::Errno::NODEV.raw_os_error();
        self.socket.request(messages, Some(gone)).map_err(|(_, source)| Error::system(what(), source))
    }

    /// Carries out the requests. What exists already in that form is no error.
    pub(crate) fn apply(&mut self, requests: Requests) -> Result<()> {
        self.apply_unless(rustix::io::Errno::EXIST, requests)
    }

    /// Carries out the requests; those that are refused with `tolerated` do not count.
    pub(crate) fn apply_unless(&mut self, tolerated: rustix::io::Errno, requests: Requests) -> Result<()> {
        let purposes = requests.purposes;
        self.socket.request(requests.messages, Some(tolerated.raw_os_error())).map_err(|(index, source)| {
            Error::system(purposes.get(index).cloned().unwrap_or_default(), source)
        })
    }

    fn one(&mut self, message: Message, purpose: String) -> Result<()> {
        self.socket.request(vec![message], None).map_err(|(_, source)| Error::system(purpose, source))
    }
}

/// `struct ifinfomsg`.
fn link_body(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    body
}

/// What a message about a link says of it.
pub(crate) fn parse_link(payload: &[u8]) -> Option<Link> {
    let index = u32::from_ne_bytes(payload.get(4..8)?.try_into().ok()?);
    let flags = u32::from_ne_bytes(payload.get(8..12)?.try_into().ok()?);
    let attributes = attrs(payload.get(16..)?);
    Some(Link {
        index,
        name: attributes.text(IFLA_IFNAME)?.to_owned(),
        alias: attributes.text(IFLA_IFALIAS).map(str::to_owned),
        master: attributes.u32(IFLA_MASTER),
        up: flags & IFF_UP != 0,
    })
}

fn address_scope(ip: IpAddr) -> u8 {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if link_local { SCOPE_LINK } else { SCOPE_UNIVERSE }
}

/// `AF_INET` or `AF_INET6`.
fn family(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 2 } else { 10 }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
