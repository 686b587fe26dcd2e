//! Forgetting UDP flows to a backend that has left: the kernel would go on sending a client's packets to it as long as
//! the client sends (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`). TCP ends by itself.

use std::net::IpAddr;

use crate::netlink::{ACK, Family, Message, REQUEST, Socket};
use crate::{Error, Result};

/// Subsystem 1, message `IPCTNL_MSG_CT_DELETE`.
const DELETE: u16 = 1 << 8 | 2;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_FILTER: u16 = 25;
/// Which parts of the tuple are compared: `CTA_FILTER_F_CTA_IP_SRC` and `CTA_FILTER_F_CTA_PROTO_NUM`.
const COMPARE: u32 = 1 << 0 | 1 << 3;
const UDP: u8 = 17;

/// Forgets all UDP flows whose replies come from `backend`.
pub(crate) fn forget_udp(socket: &mut Socket, backend: IpAddr) -> Result<()> {
    let (family, source_attr, octets) = match backend {
        IpAddr::V4(ip) => (2, 1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (10, 3, ip.octets().to_vec()),
    };
    let mut message = Message::new(DELETE, REQUEST | ACK, &[family, 0, 0, 0]);
    message.nest(CTA_TUPLE_REPLY, |m| {
        // CTA_TUPLE_IP { CTA_IP_V*_SRC }, CTA_TUPLE_PROTO { CTA_PROTO_NUM }
        m.nest(1, |m| {
            m.attr(source_attr, &octets);
        });
        m.nest(2, |m| {
            m.attr(1, &[UDP]);
        });
    });
    message.nest(CTA_FILTER, |m| {
        // CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS
        m.attr_u32(1, 0).attr_u32(2, COMPARE);
    });
    match socket.request(vec![message], Some(rustix::io::Errno::NOENT.raw_os_error())) {
        Ok(()) => Ok(()),
        Err((_, source)) => Err(Error::system(format!("forget the UDP flows to {backend}"), source)),
    }
}

/// A socket for [`forget_udp`], in the calling thread's namespace.
pub(crate) fn open() -> Result<Socket> {
    Socket::open(Family::Netfilter, 0).map_err(|source| Error::system("open netfilter netlink", source))
}
