//! The legacy `ip_tables` module: whether its `filter` table keeps our packets from being forwarded.
//!
//! Its rules are one block of memory per table that is replaced as a whole by whoever changes any of it, without a
//! word to others; so this only looks, and what it finds is told to people. What `iptables-nft` made is another
//! thing: see `nft/foreign.rs`. The layouts are those of `linux/netfilter_ipv4/ip_tables.h`.
#![allow(unsafe_code)] // getsockopt with structures of this module.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES`, of the level `SOL_IP`.
const GET_INFO: i32 = 64;
const GET_ENTRIES: i32 = 65;
const SOL_IP: i32 = 0;
/// `struct ipt_getinfo`: a name of 32 bytes, the valid hooks, where each hook begins, where its policy is, how many
/// entries, how many bytes.
const INFO_BYTES: usize = 84;
const HOOK_BEGINS: usize = 36;
const HOOK_POLICY: usize = 56;
const SIZE: usize = 80;
/// `NF_INET_FORWARD`.
const FORWARD: usize = 2;
/// `struct ipt_get_entries`: the name, the size, and, aligned to eight bytes, the entries.
const ENTRIES_HEAD: usize = 40;
/// In `struct ipt_entry`: the names of the interfaces and their masks, 16 bytes each; then where the target is, and
/// the next entry.
const IN: usize = 16;
const OUT: usize = 32;
const MASKS: usize = 32;
const NAME_BYTES: usize = 16;
const TARGET_OFFSET: usize = 88;
const NEXT_OFFSET: usize = 90;
/// In `struct xt_standard_target`: the verdict, and what it is for ACCEPT and DROP.
const VERDICT: usize = 32;
const ACCEPT: i32 = -2;
const DROP: i32 = -1;
/// More than any rule set that people keep.
const MAX_BYTES: u32 = 64 << 20;

/// Whether the table drops what comes from or goes to interfaces whose names begin like this: its policy says DROP,
/// and no rule accepts them by name. A table that changes meanwhile is looked at another time.
pub(crate) fn drops(prefix: &str) -> io::Result<bool> {
    // Asking for a table that is not there would make the kernel load it.
    let tables = std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
    if !tables.lines().any(|table| table == "filter") {
        return Ok(false);
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::RAW, flags, Some(ipproto::RAW))?;
    let info = ask(&socket, GET_INFO, INFO_BYTES, 0)?;
    let size = u32_at(&info, SIZE).filter(|size| *size <= MAX_BYTES).ok_or(io::ErrorKind::InvalidData)?;
    let entries = ask(&socket, GET_ENTRIES, ENTRIES_HEAD + size as usize, size)?;
    Ok(judge(&info, entries.get(ENTRIES_HEAD..).unwrap_or_default(), prefix).unwrap_or(false))
}

/// One question about the table `filter`.
fn ask(socket: &OwnedFd, what: i32, bytes: usize, size: u32) -> io::Result<Vec<u8>> {
    let mut block = vec![0_u8; bytes];
    block[..6].copy_from_slice(b"filter");
    block[32..36].copy_from_slice(&size.to_ne_bytes());
    let mut length = libc::socklen_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel writes at most `length` bytes into the block, which has as many.
    let code = unsafe {
        libc::getsockopt(socket.as_raw_fd(), SOL_IP, what, block.as_mut_ptr().cast(), &raw mut length)
    };
    if code == 0 { Ok(block) } else { Err(io::Error::last_os_error()) }
}

/// `None` when the block is not as it should be.
fn judge(info: &[u8], entries: &[u8], prefix: &str) -> Option<bool> {
    let begin = u32_at(info, HOOK_BEGINS + 4 * FORWARD)? as usize;
    let policy = u32_at(info, HOOK_POLICY + 4 * FORWARD)? as usize;
    if verdict(entries.get(policy..)?)? != DROP {
        return Some(false);
    }
    let (mut at, mut comes_in, mut goes_out) = (begin, false, false);
    while at < policy {
        let entry = entries.get(at..)?;
        if verdict(entry) == Some(ACCEPT) {
            let (input, output) = (names(entry, IN, prefix)?, names(entry, OUT, prefix)?);
            comes_in |= input == Some(true) && output.is_none();
            goes_out |= output == Some(true) && input.is_none();
        }
        at += usize::from(u16_at(entry, NEXT_OFFSET)?).max(1);
    }
    Some(!(comes_in && goes_out))
}

/// What a rule asks of an interface: nothing, or that its name is like ours or not.
fn names(entry: &[u8], at: usize, prefix: &str) -> Option<Option<bool>> {
    let (name, mask) = (entry.get(at..at + NAME_BYTES)?, entry.get(at + MASKS..at + MASKS + NAME_BYTES)?);
    let asked = mask.iter().take_while(|byte| **byte != 0).count();
    Some((asked > 0).then(|| prefix.as_bytes().starts_with(&name[..asked])))
}

/// The verdict of an entry; of a target that is no standard one, some number that means nothing here.
fn verdict(entry: &[u8]) -> Option<i32> {
    let target = usize::from(u16_at(entry, TARGET_OFFSET)?);
    // A standard target has no name.
    let standard = entry.get(target + 2) == Some(&0);
    let bytes = entry.get(target + VERDICT..target + VERDICT + 4)?;
    standard.then(|| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_cut_or_garbled_says_nothing() {
        for length in [0, 40, INFO_BYTES] {
            for fill in [0, 0x7f, 0xff] {
                assert_eq!(
                    judge(&vec![fill; length], &vec![fill; length], "o1b"),
                    None,
                    "{length} of {fill}"
                );
            }
        }
    }
}
