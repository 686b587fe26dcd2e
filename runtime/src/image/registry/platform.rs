//! Which of an index's images runs on this machine.

use serde::Deserialize;

/// As images and indexes call this machine's processor.
pub(in crate::image) const ARCHITECTURE: &str = architecture(std::env::consts::ARCH);

const fn architecture(rust: &str) -> &str {
    match rust.as_bytes() {
        b"x86_64" => "amd64",
        b"aarch64" => "arm64",
        b"x86" => "386",
        b"powerpc64" => "ppc64le",
        b"loongarch64" => "loong64",
        _ => rust,
    }
}

/// Of an entry of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// The position of the entry for `architecture`; an entry that names no platform is for everybody. Attestations
/// are entries for `unknown/unknown`.
pub(super) fn choose(platforms: &[Option<Platform>], architecture: &str) -> Option<usize> {
    let fits = |platform: &Platform| {
        platform.os == "linux" && platform.architecture == architecture && baseline(platform, architecture)
    };
    let exact = platforms.iter().position(|platform| platform.as_ref().is_some_and(fits));
    exact.or_else(|| platforms.iter().position(Option::is_none))
}

/// Variants name processors that can do more. Without asking the processor only the common ones are safe.
fn baseline(platform: &Platform, architecture: &str) -> bool {
    match (architecture, platform.variant.as_deref()) {
        (_, None | Some("")) => true,
        ("arm64", Some(variant)) => variant == "v8",
        ("amd64", Some(variant)) => variant == "v1",
        ("arm", Some(variant)) => variant == "v6" || variant == "v7",
        _ => true,
    }
}

/// For the message that nothing fits.
pub(super) fn names(platforms: &[Option<Platform>]) -> String {
    let mut names: Vec<String> = platforms.iter().flatten().map(Platform::to_string).collect();
    names.retain(|name| name != "unknown/unknown");
    names.sort();
    names.dedup();
    names.truncate(20);
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_platform_is_found_behind_attestations() {
        let check = |list: &[&str], architecture: &str, expect: Option<usize>| {
            let platform = |text: &&str| {
                let mut parts = text.split('/').map(str::to_owned);
                let os = parts.next().filter(|os| !os.is_empty())?;
                Some(Platform { os, architecture: parts.next().unwrap_or_default(), variant: parts.next() })
            };
            let platforms: Vec<_> = list.iter().map(platform).collect();
            assert_eq!(choose(&platforms, architecture), expect, "{list:?}");
        };
        check(&["unknown/unknown", "linux/arm64/v8", "linux/amd64"], "amd64", Some(2));
        check(&["unknown/unknown", "linux/arm64/v8", "linux/amd64"], "arm64", Some(1));
        check(&["linux/amd64/v3", "linux/amd64"], "amd64", Some(1));
        check(&["windows/amd64"], "amd64", None);
        check(&["unknown/unknown"], "amd64", None);
        check(&[""], "amd64", Some(0));
        check(&["", "linux/amd64"], "amd64", Some(1));
        check(&[], "amd64", None);
    }
}
