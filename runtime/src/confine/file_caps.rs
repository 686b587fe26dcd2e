//! Capabilities that a file demands, read from its `security.capability` attribute.

use std::path::Path;

use super::caps::Caps;

/// `VFS_CAP_FLAGS_EFFECTIVE`: the kernel refuses to run the file (EPERM) if a permitted capability is missing.
const EFFECTIVE: u32 = 1;
/// Revision in the top byte, then per 32 capabilities: permitted, inheritable.
const LONGEST: usize = 24;

/// What must be in the bounding set for `file` to run; nothing if it cannot be told.
pub(super) fn required(file: &Path) -> Caps {
    let mut bytes = [0; LONGEST];
    match rustix::fs::getxattr(file, "security.capability", &mut bytes) {
        Ok(length) => parse(&bytes[..length]).unwrap_or_default(),
        Err(_) => Caps(0),
    }
}

fn parse(bytes: &[u8]) -> Option<Caps> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at * 4..at * 4 + 4)?.try_into().ok()?));
    if word(0)? & EFFECTIVE == 0 {
        return None;
    }
    let low = u64::from(word(1)?);
    let high = word(3).map_or(0, u64::from);
    Some(Caps(low | high << 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_of_files_are_read_in_every_revision() {
        let check = |words: &[u32], expect: &[&str]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(parse(&bytes).unwrap_or_default().names(), expect, "{words:x?}");
        };
        check(&[0x0200_0001, 1 << 10, 0, 0, 0], &["NET_BIND_SERVICE"]);
        check(&[0x0300_0001, 1 << 13, 0, 1 << 7, 0, 1000], &["NET_RAW", "BPF"]);
        check(&[0x0100_0001, 1, 0], &["CHOWN"]);
        check(&[0x0200_0000, 1 << 10, 0, 0, 0], &[]);
        check(&[0x0200_0001], &[]);
        check(&[], &[]);
    }
}
