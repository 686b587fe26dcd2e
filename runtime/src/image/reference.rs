//! Names of images: `nginx` and `docker.io/library/nginx:latest` are the same one.
//!
//! The grammar is that of <https://github.com/distribution/reference>.

use std::fmt;
use std::str::FromStr;

use super::{Digest, Error, limits};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";

/// A normalised reference: registry, repository, and a tag or a digest or both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Host and perhaps port of the registry, for example `docker.io` or `127.0.0.1:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// For example `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// `None` only when there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What Docker Hub has, and its mirrors with it.
    pub(crate) fn is_docker_hub(&self) -> bool {
        self.registry == DEFAULT_REGISTRY
    }

    /// The registry is on this machine, where plain http is both usual and harmless.
    pub fn is_loopback(&self) -> bool {
        let host = match self.registry.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.registry.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The same registry and repository, whatever the tag.
    pub(crate) fn is_same_repository(&self, other: &Reference) -> bool {
        (&self.registry, &self.repository) == (&other.registry, &other.repository)
    }

    /// The same name in another registry, if that is the name of one.
    pub(crate) fn at(&self, registry: &str) -> Option<Reference> {
        check_registry(registry).ok()?;
        Some(Reference { registry: registry.to_owned(), ..self.clone() })
    }

    /// The same name for exactly this content.
    pub(crate) fn pinned(self, digest: Digest) -> Reference {
        Reference { digest: Some(digest), ..self }
    }

    /// As people write it: without the default registry and its `library/`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let short = full.strip_prefix("docker.io/").unwrap_or(&full);
        short.strip_prefix("library/").unwrap_or(short).to_owned()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reference, Error> {
        parse(text).map_err(|reason| Error::Reference {
            reference: text.chars().take(limits::REFERENCE_BYTES).collect(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > limits::REFERENCE_BYTES {
        return Err("it is too long");
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => {
            let digest =
                digest.parse().map_err(|_| "after `@` must come `sha256:` and 64 hexadecimal digits")?;
            (name, Some(digest))
        }
        None => (text, None),
    };
    let (name, tag) = split_tag(name);
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (registry, repository) = split_registry(name);
    check_registry(&registry)?;
    check_repository(&repository, text)?;
    let tag = match (tag, &digest) {
        (Some(tag), _) => Some(tag.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some(DEFAULT_TAG.to_owned()),
    };
    Ok(Reference { registry, repository, tag, digest })
}

/// A colon starts a tag only after the last slash; before it, it is a port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rfind(':') {
        Some(colon) if !name[colon..].contains('/') => (&name[..colon], Some(&name[colon + 1..])),
        _ => (name, None),
    }
}

/// The first part is a registry if it could not be a user's name: it has a dot, a colon, or is `localhost`.
fn split_registry(name: &str) -> (String, String) {
    if let Some((first, rest)) = name.split_once('/') {
        let upper = first.bytes().any(|b| b.is_ascii_uppercase());
        if first.contains(['.', ':']) || first == "localhost" || upper {
            let registry = if first == "index.docker.io" { DEFAULT_REGISTRY } else { first };
            return (registry.to_owned(), in_library(registry, rest));
        }
    }
    (DEFAULT_REGISTRY.to_owned(), in_library(DEFAULT_REGISTRY, name))
}

fn in_library(registry: &str, repository: &str) -> String {
    if registry == DEFAULT_REGISTRY && !repository.contains('/') {
        format!("library/{repository}")
    } else {
        repository.to_owned()
    }
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let good = tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    good.then_some(()).ok_or("the tag after `:` must be letters, digits, `_`, `.` and `-`, at most 128")
}

fn check_registry(registry: &str) -> Result<(), &'static str> {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or("`[` without `]` in the registry's address")?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| "the registry's IPv6 address is not one")?;
            ("ok", after.strip_prefix(':').or((!after.is_empty()).then_some("")))
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("the registry's port is not a number up to 65535");
    }
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    host.split('.').all(label).then_some(()).ok_or("the registry's name is not a host name")
}

fn check_repository(repository: &str, whole: &str) -> Result<(), &'static str> {
    if repository.len() > 255 {
        return Err("the repository's name is longer than 255 characters");
    }
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the repository's name must be in lower case");
    }
    let raw_id = whole.len() == 64 && whole.bytes().all(|b| b.is_ascii_hexdigit());
    if raw_id {
        return Err("64 hexadecimal digits are an image's id, not a name");
    }
    repository
        .split('/')
        .all(is_component)
        .then_some(())
        .ok_or("the repository's name must be words of a-z and 0-9, joined by `/`, `.`, `_`, `__` or `-`")
}

/// Words of a-z and 0-9 joined by `.`, `_`, `__` or any number of `-`.
fn is_component(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_joint = |joint: &str| matches!(joint, "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
    part.starts_with(is_word) && part.ends_with(is_word) && part.split(is_word).all(is_joint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_normalised() {
        let check =
            |text: &str, expect: &str| assert_eq!(text.parse::<Reference>().unwrap().to_string(), expect);
        check("nginx", "docker.io/library/nginx:latest");
        check("nginx:1.27", "docker.io/library/nginx:1.27");
        check("orc/demo", "docker.io/orc/demo:latest");
        check("docker.io/nginx", "docker.io/library/nginx:latest");
        check("index.docker.io/nginx", "docker.io/library/nginx:latest");
        check("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1");
        check("localhost/x", "localhost/x:latest");
        check("localhost:5000/x", "localhost:5000/x:latest");
        check("127.0.0.1:5000/a/b:T_1.x-y", "127.0.0.1:5000/a/b:T_1.x-y");
        check("[::1]:5000/x", "[::1]:5000/x:latest");
        check("a__b/c-_d".replace("-_", "--").as_str(), "docker.io/a__b/c--d:latest");
        check(&format!("nginx@sha256:{HEX}"), &format!("docker.io/library/nginx@sha256:{HEX}"));
        check(&format!("h:1/x:t@sha256:{HEX}"), &format!("h:1/x:t@sha256:{HEX}"));
    }

    #[test]
    fn bad_names_say_why() {
        let check = |text: &str, expect: &str| {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check("", "empty");
        check("Nginx", "lower case");
        check("a//b", "joined by");
        check("../etc", "not a host name");
        check("a/..", "joined by");
        check("-a", "joined by");
        check("a-", "joined by");
        check("a..b/c:1", "not a host name");
        check("a:", "tag");
        check("a:-x", "tag");
        check(&format!("a:{}", "x".repeat(129)), "tag");
        check("a@sha256:00", "64 hexadecimal");
        check("host:99999/a", "port");
        check("host:/a", "port");
        check("[::1/a", "without `]`");
        check("ho_st.x/a", "not a host name");
        check(HEX, "id");
        check(&"a".repeat(2000), "too long");
        check("a b", "joined by");
        check("ä", "joined by");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, expect) in [
            ("localhost:5000/x", true),
            ("127.1.2.3:5000/x", true),
            ("[::1]:5000/x", true),
            ("nginx", false),
            ("10.0.0.1:5000/x", false),
            ("localhost.example.com/x", false),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().is_loopback(), expect, "{text}");
        }
    }

    #[test]
    fn familiar_names_are_short() {
        for (text, expect) in
            [("nginx", "nginx:latest"), ("orc/demo", "orc/demo:latest"), ("h.io/x", "h.io/x:latest")]
        {
            assert_eq!(text.parse::<Reference>().unwrap().familiar(), expect);
        }
    }
}
