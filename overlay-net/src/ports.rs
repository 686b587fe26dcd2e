//! Holds published ports of this machine: no other program can take them, and whoever has one already is named.
//!
//! On IPv4 a socket listens that nobody accepts from: the packet filter translates connections before they would
//! reach it, but other programs find the port taken and are told by whom. On IPv6 a [`Proxy`] listens.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::runtime::Handle;

use crate::balance::{self, Slots};
use crate::proxy::Proxy;
use crate::spec::{Protocol, Published};
use crate::sysctl;

/// One published port that is ours as long as this lives.
#[derive(Debug)]
pub(crate) struct HeldPort {
    _reserved: Option<OwnedFd>,
    proxy: Option<Proxy>,
}

impl HeldPort {
    /// Takes the port, at all addresses at which it is published.
    pub(crate) fn take(published: &Published, runtime: &Handle) -> io::Result<HeldPort> {
        let Published { protocol, host_port, .. } = *published;
        let reserved =
            balance::reserved_address(published).map(|ip| reserve(protocol, ip, host_port)).transpose()?;
        let listen = balance::proxy_address(published).filter(|_| sysctl::has_ipv6());
        let proxy = listen
            .map(|ip| Proxy::listen(protocol, SocketAddr::new(IpAddr::V6(ip), host_port), runtime))
            .transpose()?;
        Ok(HeldPort { _reserved: reserved, proxy })
    }

    /// Says where connections that come to the proxy shall go from now on.
    pub(crate) fn set_backends(&self, published: &Published, slots: &Slots) {
        if let Some(proxy) = &self.proxy {
            proxy.set_backends(balance::proxy_backends(published, slots));
        }
    }
}

fn reserve(protocol: Protocol, ip: Ipv4Addr, port: u16) -> io::Result<OwnedFd> {
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    if protocol == Protocol::Udp {
        // Nothing reads it, so nothing may pile up in it.
        sockopt::set_socket_recv_buffer_size(&socket, 0)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of whoever had the port before may linger for a minute (TIME_WAIT); they are no obstacle.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &std::net::SocketAddrV4::new(ip, port))?;
    if protocol == Protocol::Tcp {
        rustix::net::listen(&socket, 0)?;
    }
    Ok(socket)
}
