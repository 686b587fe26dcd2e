//! The short forms: ports, mounts, devices, hosts and command lines written as one text.

use std::net::IpAddr;

/// A published port, or one of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortPort {
    pub(crate) host_ip: String,
    pub(crate) published: String,
    pub(crate) target: u16,
    pub(crate) protocol: String,
}

/// Reads `[[ADDRESS:][HOST]:]TARGET[/PROTOCOL]`, where both ports may be ranges. A range of targets becomes one
/// port each; a range of host ports for one target stays a choice.
///
/// # Errors
/// Says which part is wrong.
pub(crate) fn parse_ports(text: &str) -> Result<Vec<ShortPort>, String> {
    let mut parts: Vec<&str> = text.split(':').collect();
    // `split` yields at least one part.
    let (target, host) = (parts.pop().unwrap_or_default(), parts.pop().unwrap_or_default());
    let address = parts.join(":");
    // What follows a second slash is not read.
    let mut parts = target.split('/');
    let (target, protocol) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_ascii_lowercase() };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("`{protocol}` is not a protocol; expected `tcp`, `udp` or `sctp`"));
    }
    let host_ip = parse_address(&address)?;
    if target.is_empty() {
        return Err("the port in the container is missing".to_owned());
    }
    let (first, last) = port_range(target)?;
    if first == 0 {
        return Err("a container has no port 0".to_owned());
    }
    let (host_first, host_last) = if host.is_empty() { (0, 0) } else { port_range(host)? };
    let count = last - first;
    if !host.is_empty() && count != host_last - host_first && count != 0 {
        return Err(format!("the ranges `{host}` and `{target}` differ in length"));
    }
    let published = |offset: u16| match (host.is_empty(), count == 0 && host_first != host_last) {
        (true, _) => String::new(),
        (false, true) => format!("{host_first}-{host_last}"),
        (false, false) => (host_first + offset).to_string(),
    };
    // The reference's order is that of texts: 10 comes before 9.
    let mut targets: Vec<u16> = (first..=last).collect();
    targets.sort_by_cached_key(u16::to_string);
    let ports = targets.into_iter().map(|target| ShortPort {
        host_ip: host_ip.clone(),
        published: published(target - first),
        target,
        protocol: protocol.clone(),
    });
    Ok(ports.collect())
}

/// An address; IPv6 must be in brackets, since ports follow after a colon.
fn parse_address(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let bare = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside,
        None if text.contains(':') => {
            return Err(format!("`{text}` is not an address; write IPv6 in brackets, as in `[::1]:80:80`"));
        }
        None => text,
    };
    match bare.parse::<IpAddr>() {
        Ok(_) => Ok(bare.to_owned()),
        Err(_) => Err(format!("`{bare}` is not an IP address")),
    }
}

/// One port or `FIRST-LAST`.
pub(crate) fn port_range(text: &str) -> Result<(u16, u16), String> {
    let port = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse().ok().filter(|_| digits);
        number.ok_or_else(|| format!("`{part}` is not a port number (0 to 65535)"))
    };
    // Of `1-2-3` the reference reads the first two.
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let (first, last) = match parts.next() {
        Some(last) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if last < first { Err(format!("the range `{text}` runs backwards")) } else { Ok((first, last)) }
}

/// A mount as the short form says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShortMount<'a> {
    pub(crate) source: &'a str,
    pub(crate) target: &'a str,
    pub(crate) read_only: bool,
    pub(crate) nocopy: bool,
    pub(crate) propagation: Option<&'a str>,
    pub(crate) selinux: Option<&'a str>,
    /// Options that mean nothing; the reference ignores them too.
    pub(crate) unknown: Vec<&'a str>,
}

impl ShortMount<'_> {
    /// Whether the source is a path of the host (else a volume).
    pub(crate) fn is_bind(&self) -> bool {
        let mut chars = self.source.chars();
        match chars.next() {
            Some('.' | '/' | '~') => true,
            Some('\\') => self.source.starts_with(r"\\"),
            Some(letter) => letter.is_alphabetic() && chars.next() == Some(':'),
            None => false,
        }
    }
}

/// Reads `[SOURCE:]TARGET[:OPTIONS]`. A single letter before a colon is taken for a Windows drive.
///
/// # Errors
/// Says which part is wrong.
pub(crate) fn parse_mount(text: &str) -> Result<ShortMount<'_>, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut mount = ShortMount::default();
    if text.chars().count() <= 2 {
        mount.target = text;
        return Ok(mount);
    }
    let sections = sections(text);
    if sections.contains(&"") {
        return Err("a part between the colons is empty".to_owned());
    }
    match *sections.as_slice() {
        [target] => mount.target = target,
        [source, target] => (mount.source, mount.target) = (source, target),
        [source, target, options] => {
            (mount.source, mount.target) = (source, target);
            options.split(',').for_each(|option| set_option(&mut mount, option));
        }
        _ => return Err("it has too many colons".to_owned()),
    }
    Ok(mount)
}

/// The parts between colons, where the colon after a single letter does not separate.
fn sections(text: &str) -> Vec<&str> {
    let mut sections = Vec::with_capacity(3);
    let mut begin = 0;
    for (at, _) in text.match_indices(':') {
        let mut chars = text[begin..at].chars();
        let drive = chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none();
        if !drive {
            sections.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    sections.push(&text[begin..]);
    sections
}

fn set_option<'a>(mount: &mut ShortMount<'a>, option: &'a str) {
    match option {
        "ro" => mount.read_only = true,
        "rw" => mount.read_only = false,
        "nocopy" => mount.nocopy = true,
        "z" | "Z" => mount.selinux = Some(option),
        "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
            mount.propagation = Some(option);
        }
        _ => mount.unknown.push(option),
    }
}

/// The path in the container that a short mount is about, as it identifies the mount.
pub(crate) fn mount_target(text: &str) -> String {
    parse_mount(text).map_or_else(|_| text.to_owned(), |mount| clean_path(mount.target))
}

/// A path without `.`, `..`, doubled and trailing slashes, as Go's `path.Clean`.
pub(crate) fn clean_path(path: &str) -> String {
    let below = path.strip_prefix('/');
    if below.unwrap_or(path).split('/').all(|part| !matches!(part, "" | "." | "..")) {
        return path.to_owned();
    }
    let rooted = below.is_some();
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// A host name and its address: `name=address` or `name:address`, IPv6 with or without brackets.
pub(crate) fn parse_host(text: &str) -> Option<(String, String)> {
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':'))?;
    Some((name.to_owned(), bare_address(address)))
}

/// An address without the brackets of IPv6.
pub(crate) fn bare_address(address: &str) -> String {
    let inside = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inside.unwrap_or(address).to_owned()
}

/// Splits a command line as a shell does: quotes, backslashes and spaces. Nothing else of a shell applies; what
/// follows an unquoted `;`, `&`, `|`, `<` or `>` is cut off, as the reference does.
///
/// # Errors
/// When a quote is not closed or a parenthesis stands alone.
pub(crate) fn split_command(line: &str) -> Result<CommandLine, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut substitution = false;
    let mut chars = line.char_indices();
    let mut cut = None;
    while let Some((index, c)) = chars.next() {
        let current = &mut word;
        match (c, quote) {
            ('\\', None | Some('"' | '`')) => match chars.next() {
                Some((_, escaped)) => current.get_or_insert_default().push(escaped),
                None => return Err("it ends with a backslash".to_owned()),
            },
            (' ' | '\t' | '\r' | '\n', None) if !substitution => words.extend(word.take()),
            ('"' | '\'', _) if !substitution && quote.is_none_or(|open| open == c) => {
                quote = if quote.is_some() { None } else { Some(c) };
                current.get_or_insert_default();
            }
            ('`', None | Some('`')) if !substitution => {
                quote = if quote.is_some() { None } else { Some(c) };
                current.get_or_insert_default().push(c);
            }
            ('(', None) if !substitution => {
                let text = current.get_or_insert_default();
                if !text.ends_with('$') {
                    return Err("it has a parenthesis outside of quotes".to_owned());
                }
                substitution = true;
                text.push(c);
            }
            (')', None) if substitution => {
                substitution = false;
                current.get_or_insert_default().push(c);
            }
            (')', None) => return Err("it has a parenthesis outside of quotes".to_owned()),
            (';' | '&' | '|' | '<' | '>', None) if !substitution => {
                if c == '>'
                    && current.as_ref().is_some_and(|text| text.starts_with(|d: char| d.is_ascii_digit()))
                {
                    word = None;
                }
                cut = Some(index);
                break;
            }
            _ => current.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() || substitution {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(CommandLine { words, cut })
}

/// A command line in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    pub(crate) words: Vec<String>,
    /// Where the rest was cut off, in bytes.
    pub(crate) cut: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> String {
        match parse_ports(text) {
            Ok(ports) => ports
                .iter()
                .map(|p| format!("{}|{}|{}/{}", p.host_ip, p.published, p.target, p.protocol))
                .collect::<Vec<_>>()
                .join(" "),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn ports_are_read_from_the_right() {
        for (text, expect) in [
            ("80", "||80/tcp"),
            ("8080:80", "|8080|80/tcp"),
            ("8080:80/", "|8080|80/tcp"),
            ("53:53/UDP", "|53|53/udp"),
            ("127.0.0.1:80:80", "127.0.0.1|80|80/tcp"),
            ("127.0.0.1::80", "127.0.0.1||80/tcp"),
            ("[::1]:80:80", "::1|80|80/tcp"),
            ("3000-3002", "||3000/tcp ||3001/tcp ||3002/tcp"),
            ("9090-9091:8080-8081", "|9090|8080/tcp |9091|8081/tcp"),
            ("8000-9000:80", "|8000-9000|80/tcp"),
            ("080:80", "|80|80/tcp"),
        ] {
            assert_eq!(ports(text), expect, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            "abc",
            "0",
            "8080:",
            "80:abc",
            "-1",
            "70000",
            "::1:80:80",
            "host:80:80",
            "300.1.1.1:80:80",
            "80/icmp",
            "1-3:1-2",
            "9-1",
            "a-1",
            "1.2.3.4:80",
        ] {
            assert_eq!(ports(text), "refused", "{text}");
        }
    }

    #[test]
    fn mounts_are_binds_when_the_source_is_a_path() {
        for (text, source, target, bind) in [
            ("./a:/b", "./a", "/b", true),
            ("~/a:/b:ro", "~/a", "/b", true),
            ("data:/b", "data", "/b", false),
            ("x/y:/b", "x/y", "/b", false),
            ("/b", "", "/b", false),
            ("v:/data", "", "v:/data", false),
            (r"c:\a:/b", r"c:\a", "/b", true),
        ] {
            let mount = parse_mount(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((mount.source, mount.target), (source, target), "{text}");
            assert_eq!(mount.is_bind(), bind, "{text}");
        }
        for text in ["", "data:", "./x:/data:ro:rw", ":/data"] {
            assert!(parse_mount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn command_lines_split_like_a_shell() {
        let check = |line: &str, expect: &[&str]| {
            assert_eq!(split_command(line).map(|line| line.words).as_deref(), Ok(&*owned(expect)), "{line}");
        };
        check("a b  c", &["a", "b", "c"]);
        check(r#"a "b c" 'd e'"#, &["a", "b c", "d e"]);
        check(r#"a\ b "c\"d" 'e\f'"#, &["a b", "c\"d", r"e\f"]);
        check(r#"a "" ''"#, &["a", "", ""]);
        check("", &[]);
        check("echo a && b", &["echo", "a"]);
        check("echo $(a b)", &["echo", "$(a b)"]);
        for line in ["a 'b", "a \"b", "a \\", "a (b)", "a)"] {
            assert!(split_command(line).is_err(), "{line}");
        }
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, clean) in
            [("/a/", "/a"), ("/a/../b", "/b"), ("a//b/.", "a/b"), ("../a", "../a"), ("/..", "/"), ("", ".")]
        {
            assert_eq!(clean_path(path), clean, "{path}");
        }
    }
}
