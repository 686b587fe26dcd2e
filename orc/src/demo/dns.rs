//! `demo resolve`, and names for the client: one question to the container's name server.
//!
//! Written out (RFC 1035, sections 3 and 4) because a static C library answers differently from machine to
//! machine, and because a test wants to see every address and the reason why there is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{Outcome, block_on, limits, required};
use crate::output::raw;

const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
/// Pointers followed in one name before it counts as a circle.
const POINTERS: usize = 32;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Address(IpAddr),
    Name(String),
}

/// Prints the addresses of names, and the names of addresses, a line each.
pub(super) fn run(args: &[String]) -> Outcome {
    required(args, 0, "a name")?;
    block_on(async {
        for name in args {
            for line in lookup(name).await? {
                raw::stdout(format!("{line}\n").as_bytes());
            }
        }
        Ok(0)
    })
}

async fn lookup(name: &str) -> Result<Vec<String>, String> {
    if let Ok(address) = name.parse::<IpAddr>() {
        let answers = ask(&reverse(address), TYPE_PTR).await?;
        let names = answers.into_iter().filter_map(|answer| match answer {
            Answer::Name(name) => Some(name),
            Answer::Address(_) => None,
        });
        return Ok(names.collect());
    }
    let mut found: Vec<String> = addresses(name).await?.iter().map(IpAddr::to_string).collect();
    found.sort_unstable();
    Ok(found)
}

/// The addresses of a name in the order in which the server gives them: `/etc/hosts` first, then A and AAAA.
pub(super) async fn addresses(name: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut found = in_hosts(&hosts, name);
    if found.is_empty() {
        for kind in [TYPE_A, TYPE_AAAA] {
            for answer in ask(name, kind).await? {
                if let Answer::Address(address) = answer {
                    found.push(address);
                }
            }
        }
    }
    if found.is_empty() { Err(format!("{name}: no address")) } else { Ok(found) }
}

fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect()
}

/// Asks the servers of `/etc/resolv.conf` in turn.
async fn ask(name: &str, kind: u16) -> Result<Vec<Answer>, String> {
    let config = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let mut servers: Vec<IpAddr> =
        config.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok()).collect();
    if servers.is_empty() {
        servers.push(IpAddr::from([127, 0, 0, 11]));
    }
    let mut last = String::new();
    for _ in 0..limits::DNS_ATTEMPTS {
        for server in &servers {
            match timeout(limits::DNS_ANSWER, ask_one(*server, name, kind)).await {
                Ok(Ok(reply)) => return decode(&reply).map_err(|error| format!("{name}: {error}")),
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("{server} does not answer"),
            }
        }
    }
    Err(format!("{name}: {last}"))
}

async fn ask_one(server: IpAddr, name: &str, kind: u16) -> std::io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(SocketAddr::new(server, 53)).await?;
    // The source port, which the kernel chose at random, tells our answer from others'.
    let id = socket.local_addr()?.port();
    socket.send(&encode(id, name, kind)).await?;
    let mut reply = vec![0; limits::DNS_MESSAGE];
    loop {
        let length = socket.recv(&mut reply).await?;
        if reply[..length].starts_with(&id.to_be_bytes()) {
            reply.truncate(length);
            return Ok(reply);
        }
    }
}

/// The name under which an address is looked up backwards (RFC 1035, 3.5; RFC 3596, 2.5).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits =
                v6.octets().into_iter().rev().map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            format!("{}ip6.arpa", digits.collect::<String>())
        }
    }
}

fn encode(id: u16, name: &str, kind: u16) -> Vec<u8> {
    const RECURSION_DESIRED: u16 = 0x0100;
    let mut message = Vec::new();
    for field in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let label = &label.as_bytes()[..label.len().min(63)];
        // At most 63, as cut above.
        message.push(label.len() as u8);
        message.extend_from_slice(label);
    }
    message.push(0);
    for field in [kind, CLASS_IN] {
        message.extend(field.to_be_bytes());
    }
    message
}

fn decode(message: &[u8]) -> Result<Vec<Answer>, String> {
    let broken = || "a broken answer".to_owned();
    let code = message.get(3).ok_or_else(broken)? & 15;
    match code {
        0 => {}
        3 => return Err("NXDOMAIN: no such name".to_owned()),
        2 => return Err("SERVFAIL: the server cannot find out".to_owned()),
        5 => return Err("REFUSED: the server does not want to".to_owned()),
        code => return Err(format!("the server answers with code {code}")),
    }
    let questions = word(message, 4).ok_or_else(broken)?;
    let answers = word(message, 6).ok_or_else(broken)?;
    let mut at = 12;
    for _ in 0..questions {
        at = name_at(message, at).ok_or_else(broken)?.1 + 4;
    }
    let mut found = Vec::new();
    for _ in 0..answers {
        at = name_at(message, at).ok_or_else(broken)?.1;
        let kind = word(message, at).ok_or_else(broken)?;
        let length = usize::from(word(message, at + 8).ok_or_else(broken)?);
        let data = message.get(at + 10..at + 10 + length).ok_or_else(broken)?;
        if let Ok(octets) = <[u8; 4]>::try_from(data)
            && kind == TYPE_A
        {
            found.push(Answer::Address(octets.into()));
        } else if let Ok(octets) = <[u8; 16]>::try_from(data)
            && kind == TYPE_AAAA
        {
            found.push(Answer::Address(octets.into()));
        } else if kind == TYPE_PTR {
            found.push(Answer::Name(name_at(message, at + 10).ok_or_else(broken)?.0));
        }
        at += 10 + length;
    }
    Ok(found)
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// The name at a place, and where what follows it begins (RFC 1035, 4.1.4).
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut end = None;
    for _ in 0..limits::DNS_MESSAGE {
        let length = *message.get(at)?;
        match length {
            0 => return Some((labels.join("."), end.unwrap_or(at + 1))),
            1..=63 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + usize::from(length);
            }
            192.. if labels.len() < POINTERS => {
                end = end.or(Some(at + 2));
                at = usize::from(word(message, at)? & 0x3fff);
                // A pointer to itself would go round for ever; the outer limit ends every circle.
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = encode(7, "web.shop", TYPE_A);
        message[3] = code;
        message[7] = records.len() as u8;
        for (kind, data) in records {
            message.extend([0xc0, 12]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 9]);
            message.extend((data.len() as u16).to_be_bytes());
            message.extend_from_slice(data);
        }
        message
    }

    #[test]
    fn answers_are_read_with_their_compressed_names() {
        let v4 = Answer::Address(IpAddr::from([10, 1, 2, 3]));
        let v6 = Answer::Address("fd00::9".parse().unwrap());
        let message = answer(
            0,
            &[
                (TYPE_A, &[10, 1, 2, 3]),
                (TYPE_AAAA, &"fd00::9".parse::<Ipv6Addr>().unwrap().octets()),
                (TYPE_PTR, &[1, b'x', 0xc0, 12]),
            ],
        );
        assert_eq!(decode(&message), Ok(vec![v4, v6, Answer::Name("x.web.shop".into())]));
        assert_eq!(decode(&answer(0, &[])), Ok(vec![]));
        assert!(decode(&answer(3, &[])).unwrap_err().contains("NXDOMAIN"));
    }

    #[test]
    fn no_bytes_make_it_panic_or_hang() {
        let good = answer(0, &[(TYPE_PTR, &[1, b'x', 0xc0, 12]), (TYPE_A, &[1, 2, 3, 4])]);
        for cut in 0..good.len() {
            let _ = decode(&good[..cut]);
        }
        for at in 0..good.len() {
            for byte in [0, 1, 63, 64, 0xc0, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                let _ = decode(&bad);
            }
        }
        let mut circle = answer(0, &[(TYPE_PTR, &[0xc0, 0])]);
        let last = circle.len() - 1;
        circle[last] = (last - 1) as u8;
        assert!(decode(&circle).is_err());
    }

    #[test]
    fn addresses_are_asked_for_backwards() {
        assert_eq!(reverse(IpAddr::from([10, 1, 2, 3])), "3.2.1.10.in-addr.arpa");
        let expect = format!("9.{}0.0.d.f.ip6.arpa", "0.".repeat(27));
        assert_eq!(reverse("fd00::9".parse().unwrap()), expect);
    }

    #[test]
    fn hosts_come_before_the_server() {
        let hosts = "127.0.0.1 localhost # here\n::1 localhost\n10.0.0.9 db Cache\n";
        assert_eq!(in_hosts(hosts, "cache"), [IpAddr::from([10, 0, 0, 9])]);
        assert_eq!(in_hosts(hosts, "localhost").len(), 2);
        assert!(in_hosts(hosts, "here").is_empty());
    }
}
