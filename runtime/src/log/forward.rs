//! Telling a log of the machine each line, too: syslog (RFC 3164, RFC 5424) and systemd's journal.
//!
//! A datagram for each line, sent without waiting: a log that is slow or gone never holds a container up.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::config::{Forward, SyslogAddress, SyslogFormat};
use crate::error::{Error, Result};
use crate::status::{LogLine, Stream};

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Severities of RFC 5424.
const ERROR: u8 = 3;
const INFORMATION: u8 = 6;

pub(super) struct Forwarder {
    socket: Socket,
    what: Forward,
    host: String,
}

enum Socket {
    /// The path is looked up for each line, so that a log that was started again is found.
    Unix(UnixDatagram, PathBuf),
    Udp(UdpSocket, SocketAddr),
}

impl Forwarder {
    /// # Errors
    /// Nobody listens there, or there is no such host.
    pub(super) fn open(what: &Forward) -> Result<Forwarder> {
        let socket = match what {
            Forward::Journal { .. } => unix(Path::new(JOURNAL))?,
            Forward::Syslog { to: SyslogAddress::Unix(path), .. } => unix(path)?,
            Forward::Syslog { to: SyslogAddress::Udp(address), .. } => {
                udp(address).map_err(Error::system(format!("cannot reach the syslog at `{address}`")))?
            }
        };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Forwarder { socket, what: what.clone(), host })
    }

    /// Tells one line; `line` has no bytes of its own.
    pub(super) fn send(&self, line: &LogLine, bytes: &[u8]) {
        let message = match &self.what {
            Forward::Journal { fields } => journal(fields, line, bytes),
            Forward::Syslog { format, facility, tag, .. } => {
                syslog(&head(*format, *facility, tag, &self.host, line), bytes)
            }
        };
        // What is not taken is lost here; it is in the container's own log.
        let _ = match &self.socket {
            Socket::Unix(socket, path) => socket.send_to(&message, path),
            Socket::Udp(socket, address) => socket.send_to(&message, address),
        };
    }
}

fn unix(path: &Path) -> Result<Socket> {
    let open = || -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        // Whether anybody listens is known from connecting only.
        UnixDatagram::unbound()?.connect(path)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let socket = open().map_err(Error::file("cannot write to the log of this machine at", path))?;
    Ok(Socket::Unix(socket, path.to_owned()))
}

fn udp(address: &str) -> io::Result<Socket> {
    let found = address.to_socket_addrs()?.next();
    let address = found.ok_or_else(|| io::Error::other("the name has no address"))?;
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    Ok(Socket::Udp(socket, address))
}

fn severity(line: &LogLine) -> u8 {
    match line.stream {
        Stream::Stdout => INFORMATION,
        Stream::Stderr => ERROR,
    }
}

fn syslog(head: &str, bytes: &[u8]) -> Vec<u8> {
    [head.as_bytes(), bytes].concat()
}

/// All that stands before the text. Times are UTC.
fn head(format: SyslogFormat, facility: u8, tag: &str, host: &str, line: &LogLine) -> String {
    let priority = u32::from(facility) * 8 + u32::from(severity(line));
    let pid = std::process::id();
    let Time { year, month, day, hour, minute, second, micros } = Time::of(line.at_ms);
    let name = MONTHS[(month - 1) as usize];
    let short = format!("{name} {day:>2} {hour:02}:{minute:02}:{second:02}");
    let long = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    match format {
        SyslogFormat::Local => format!("<{priority}>{short} {tag}[{pid}]: "),
        SyslogFormat::Rfc3164 => format!("<{priority}>{short} {host} {tag}[{pid}]: "),
        SyslogFormat::Rfc5424 => format!("<{priority}>1 {long}Z {host} {tag} {pid} {tag} - "),
        SyslogFormat::Rfc5424Micro => {
            format!("<{priority}>1 {long}.{micros:06}Z {host} {tag} {pid} {tag} - ")
        }
    }
}

/// systemd's native protocol: `NAME=value`, or with the length before a value that has line feeds.
fn journal(fields: &[(String, String)], line: &LogLine, bytes: &[u8]) -> Vec<u8> {
    let mut message = format!("PRIORITY={}\n", severity(line)).into_bytes();
    for (name, value) in fields.iter().filter(|(_, value)| !value.contains('\n')) {
        message.extend_from_slice(format!("{name}={value}\n").as_bytes());
    }
    if line.partial {
        message.extend_from_slice(b"CONTAINER_PARTIAL_MESSAGE=true\n");
    }
    message.extend_from_slice(b"MESSAGE\n");
    message.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    message.extend_from_slice(bytes);
    message.push(b'\n');
    message
}

/// A time of the Gregorian calendar, UTC.
#[derive(Debug, PartialEq, Eq)]
struct Time {
    year: u64,
    /// From 1.
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    micros: u64,
}

impl Time {
    fn of(ms: u64) -> Time {
        let (mut days, rest) = (ms / 86_400_000, ms % 86_400_000);
        let leap =
            |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut year = 1970;
        while days >= 365 + u64::from(leap(year)) {
            days -= 365 + u64::from(leap(year));
            year += 1;
        }
        let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while days >= lengths[month] {
            days -= lengths[month];
            month += 1;
        }
        let seconds = rest / 1000;
        Time {
            year,
            month: month as u64 + 1,
            day: days + 1,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: rest % 1000 * 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at_ms: u64, stream: Stream) -> LogLine {
        LogLine { at_ms, stream, bytes: Vec::new(), seq: 1, partial: false }
    }

    #[test]
    fn lines_begin_as_the_formats_say() {
        let pid = std::process::id();
        let check = |format: SyslogFormat, expect: &str| {
            let head = head(format, 3, "web", "box", &line(1_709_251_199_123, Stream::Stdout));
            assert_eq!(head, expect.replace("PID", &pid.to_string()));
        };
        // The last second of a day that only leap years have.
        check(SyslogFormat::Local, "<30>Feb 29 23:59:59 web[PID]: ");
        check(SyslogFormat::Rfc3164, "<30>Feb 29 23:59:59 box web[PID]: ");
        check(SyslogFormat::Rfc5424, "<30>1 2024-02-29T23:59:59Z box web PID web - ");
        check(SyslogFormat::Rfc5424Micro, "<30>1 2024-02-29T23:59:59.123000Z box web PID web - ");
        let first = head(SyslogFormat::Local, 1, "web", "box", &line(0, Stream::Stderr));
        assert!(first.starts_with("<11>Jan  1 00:00:00 "), "{first}");
    }

    #[test]
    fn the_journal_gets_fields_and_a_text_of_any_bytes() {
        let fields = [("CONTAINER_NAME".to_owned(), "web".to_owned())];
        let message = journal(&fields, &line(0, Stream::Stderr), b"a\nb");
        assert_eq!(message, b"PRIORITY=3\nCONTAINER_NAME=web\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n");
    }
}
