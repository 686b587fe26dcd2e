//! Paths inside a layer.

use std::path::Path;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::image::limits;

/// A path below the layer's root, without `.`, `..`, empty parts or a leading slash. Empty for the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LayerPath(Vec<u8>);

impl LayerPath {
    /// A leading slash means the layer's root, as everywhere; `..` is refused, because no builder writes it.
    pub(super) fn parse(raw: &[u8]) -> Result<LayerPath, &'static str> {
        if raw.len() > limits::PATH_BYTES {
            return Err("the path is too long");
        }
        if raw.contains(&0) {
            return Err("the path contains a zero byte");
        }
        let mut clean: Vec<u8> = Vec::with_capacity(raw.len());
        let mut depth = 0;
        for part in raw.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
            if part == b".." {
                return Err("the path leads upwards");
            }
            if part.len() > 255 {
                return Err("a name in the path is longer than 255 bytes");
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(part);
            depth += 1;
        }
        if depth > limits::PATH_DEPTH {
            return Err("the path is too deep");
        }
        Ok(LayerPath(clean))
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The folder, and the name in it; `None` for the root.
    pub(super) fn split(&self) -> Option<(LayerPath, &OsStr)> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => (LayerPath(self.0[..slash].to_vec()), OsStr::from_bytes(&self.0[slash + 1..])),
            None => (LayerPath::default(), OsStr::from_bytes(&self.0)),
        })
    }

    /// The same folder with another last name. `name` must be a single name.
    pub(super) fn sibling(&self, name: &[u8]) -> LayerPath {
        let mut path = self.split().map(|(folder, _)| folder.0).unwrap_or_default();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        LayerPath(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_or_refused() {
        let check = |raw: &str, expect: Result<&str, &str>| {
            let got = LayerPath::parse(raw.as_bytes());
            let got = got.as_ref().map(|p| p.as_path().to_str().unwrap()).map_err(|reason| *reason);
            assert_eq!(got, expect, "{raw}");
        };
        check("a/b", Ok("a/b"));
        check("./a//b/./c/", Ok("a/b/c"));
        check("/etc/passwd", Ok("etc/passwd"));
        check("./", Ok(""));
        check("...", Ok("..."));
        check("../x", Err("the path leads upwards"));
        check("a/../b", Err("the path leads upwards"));
        check("a\0b", Err("the path contains a zero byte"));
        check(&"a/".repeat(300), Err("the path is too deep"));
        check(&"a".repeat(256), Err("a name in the path is longer than 255 bytes"));
        check(&"a/".repeat(3000), Err("the path is too long"));
    }

    #[test]
    fn siblings_share_the_folder() {
        let path = |raw: &str| LayerPath::parse(raw.as_bytes()).unwrap();
        assert_eq!(path("a/.wh.b").sibling(b"b"), path("a/b"));
        assert_eq!(path(".wh.b").sibling(b"b"), path("b"));
        assert_eq!(path("").split(), None);
    }
}
