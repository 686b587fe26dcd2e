//! Who has a port: from the kernel's lists of sockets to the process that holds the socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::spec::{PortOwner, Protocol};

/// The process that has the port at this address (`None`: at any), in the calling thread's network namespace.
pub(crate) fn find(protocol: Protocol, ip: Option<IpAddr>, port: u16) -> Option<PortOwner> {
    let files = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
    };
    files.into_iter().find_map(|file| {
        let text = std::fs::read_to_string(Path::new("/proc/thread-self/net").join(file)).ok()?;
        let inodes = text.lines().skip(1).filter_map(|line| bound_inode(line, protocol, ip, port));
        inodes.filter_map(process_with_socket).next()
    })
}

/// The inode of the socket in this line of `/proc/net/tcp` (or a like file), if it is bound to the port.
fn bound_inode(line: &str, protocol: Protocol, ip: Option<IpAddr>, port: u16) -> Option<u64> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (address, number) = fields.get(1)?.rsplit_once(':')?;
    let state = u8::from_str_radix(fields.get(3)?, 16).ok()?;
    /// `TCP_LISTEN`, and `TCP_CLOSE` for UDP.
    const LISTEN: u8 = 10;
    const CLOSE: u8 = 7;
    let waits = state == if protocol == Protocol::Tcp { LISTEN } else { CLOSE };
    let same_port = u16::from_str_radix(number, 16).ok()? == port;
    let bound = parse_address(address)?;
    let overlaps = bound.is_unspecified() || ip.is_none_or(|ip| ip.is_unspecified() || ip == bound);
    (waits && same_port && overlaps).then(|| fields.get(9)?.parse().ok())?
}

/// An address as groups of four bytes, each in the machine's byte order.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok().map(|word| word.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words: Option<Vec<_>> = (0..4).map(word).collect();
            let octets: [u8; 16] = words?.concat().try_into().ok()?;
            let ip = Ipv6Addr::from(octets);
            Some(ip.to_ipv4_mapped().map_or(ip.into(), IpAddr::from))
        }
        _ => None,
    }
}

fn process_with_socket(inode: u64) -> Option<PortOwner> {
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |file: std::fs::DirEntry| {
            std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str())
        };
        if files.flatten().any(holds) {
            let command = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(PortOwner { pid, command: command.trim().to_owned() });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_net() {
        let listen =
            "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1";
        let at = |ip: &str, port| bound_inode(listen, Protocol::Tcp, Some(ip.parse().unwrap()), port);
        assert_eq!(at("127.0.0.1", 8080), Some(4711));
        assert_eq!(at("0.0.0.0", 8080), Some(4711));
        assert_eq!(at("127.0.0.2", 8080), None);
        assert_eq!(at("127.0.0.1", 8081), None);
        assert_eq!(
            bound_inode(&listen.replace(" 0A ", " 01 "), Protocol::Tcp, None, 8080),
            None,
            "connected"
        );
        assert_eq!(bound_inode("", Protocol::Tcp, None, 8080), None);
    }

    #[test]
    fn addresses() {
        assert_eq!(parse_address("0100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(parse_address("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
        assert_eq!(parse_address("0000000000000000FFFF00000100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(parse_address("xyz"), None);
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let owner = find(Protocol::Tcp, Some(address.ip()), address.port()).unwrap();
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.command.is_empty());
    }
}
