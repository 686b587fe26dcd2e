//! A stable fingerprint of short texts: FNV-1a with 64 bits, the same on every machine and in every version.

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A fingerprint that changes with `hash` and with each of `parts`; sixteen hexadecimal digits more than a
/// collision by accident needs, and no protection against an attacker, who could as well edit the file.
pub(crate) fn mix(hash: &str, parts: &[&str]) -> String {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let mixed = stable_hash(hash.bytes().chain([0]).chain(bytes));
    // The first half stays recognizable: it is the Compose file's part of the fingerprint.
    format!("{}{mixed:016x}", hash.get(..16).unwrap_or(hash))
}

/// The fingerprint of some bytes as a number.
pub fn stable_hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(BASIS, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME))
}
