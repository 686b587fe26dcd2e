//! Device rules on cgroup v2: a small BPF program, since v2 has no file for them.
//!
//! Without it a container that can make device nodes could open every disk of the machine. v1 has the
//! `devices` controller, which the runtime fills.
#![allow(unsafe_code)] // bpf(2) has no safe wrapper.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use crate::device::{Access, Kind, Rule};

/// What every container may use: null, zero, full, random, urandom, tty, console, ptmx, and the slaves of the
/// container's own terminals.
const DEFAULT: [Rule; 9] = [
    character(1, Some(3)),
    character(1, Some(5)),
    character(1, Some(7)),
    character(1, Some(8)),
    character(1, Some(9)),
    character(5, Some(0)),
    character(5, Some(1)),
    character(5, Some(2)),
    character(136, None),
];

const fn character(major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: Some(Kind::Character), major: Some(major), minor, access: Access::ALL }
}

/// `BPF_DEVCG_DEV_*` of linux/bpf.h.
const fn number(kind: Kind) -> i32 {
    match kind {
        Kind::Block => 1,
        Kind::Character => 2,
    }
}

/// `struct bpf_insn`: code, registers (source in the high half), offset, immediate.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbf;
const MOVE_NUMBER: u8 = 0xb7;
const AND_NUMBER: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_IF_NOT: u8 = 0x55;
const EXIT: u8 = 0x95;

fn op(code: u8, target: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: source << 4 | target, offset, immediate }
}

/// The kernel passes `struct bpf_cgroup_dev_ctx` in r1: access << 16 | type, major, minor. It expects 1 for
/// yes in r0. Making a node is harmless, opening it is not; runc allows that to everybody as well.
fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        // r2: type, r3: access, r4: major, r5: minor.
        op(LOAD_WORD, 2, 1, 0, 0),
        op(MOVE_REGISTER, 3, 2, 0, 0),
        op(AND_NUMBER, 2, 0, 0, 0xffff),
        op(SHIFT_RIGHT, 3, 0, 0, 16),
        op(LOAD_WORD, 4, 1, 4, 0),
        op(LOAD_WORD, 5, 1, 8, 0),
        op(MOVE_NUMBER, 0, 0, 0, 1),
        op(JUMP_IF_NOT, 3, 0, 1, i32::from(Access::MKNOD.0)),
        op(EXIT, 0, 0, 0, 0),
    ];
    for rule in DEFAULT.iter().chain(rules) {
        code.extend(one(rule));
    }
    code.push(op(MOVE_NUMBER, 0, 0, 0, 0));
    code.push(op(EXIT, 0, 0, 0, 0));
    code
}

/// Says yes to what the rule means; everything else goes on behind it.
fn one(rule: &Rule) -> Vec<Instruction> {
    let mut code = Vec::new();
    if let Some(kind) = rule.kind {
        code.push(op(JUMP_IF_NOT, 2, 0, 0, number(kind)));
    }
    if rule.access != Access::ALL {
        // r1: what is asked for beyond what the rule allows.
        code.push(op(MOVE_REGISTER, 1, 3, 0, 0));
        code.push(op(AND_NUMBER, 1, 0, 0, !i32::from(rule.access.0)));
        code.push(op(JUMP_IF_NOT, 1, 0, 0, 0));
    }
    for (register, wanted) in [(4, rule.major), (5, rule.minor)] {
        if let Some(wanted) = wanted {
            code.push(op(JUMP_IF_NOT, register, 0, 0, wanted.cast_signed()));
        }
    }
    code.push(op(MOVE_NUMBER, 0, 0, 0, 1));
    code.push(op(EXIT, 0, 0, 0, 0));
    let end = code.len();
    for (at, jump) in code.iter_mut().enumerate().filter(|(_, instruction)| instruction.code == JUMP_IF_NOT) {
        // At most eight instructions.
        jump.offset = i16::try_from(end - at - 1).unwrap_or(i16::MAX);
    }
    code
}

/// `union bpf_attr` for BPF_PROG_LOAD, as far as it is used; the kernel takes the rest as zero.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// For BPF_PROG_ATTACH.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Makes all processes of the group use only the devices that every container may use, and those of `rules`.
///
/// # Errors
/// When the kernel has no cgroup BPF or the caller may not load programs.
pub(crate) fn restrict(folder: &Path, rules: &[Rule]) -> io::Result<()> {
    let group = File::open(folder)?;
    let code = program(rules);
    let load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        instructions: u32::try_from(code.len()).map_err(io::Error::other)?,
        code: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        ..Load::default()
    };
    let program = bpf(BPF_PROG_LOAD, &load)?;
    // SAFETY: BPF_PROG_LOAD returned a new descriptor that nobody else owns.
    let program = unsafe { OwnedFd::from_raw_fd(program) };
    let attach = Attach {
        target: group.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // The group keeps the program after the descriptor is closed.
    bpf(BPF_PROG_ATTACH, &attach).map(drop)
}

fn bpf<T>(command: i32, attributes: &T) -> io::Result<i32> {
    // SAFETY: `attributes` is a prefix of union bpf_attr of the given size; what it points to outlives the call,
    // and the kernel checks the program itself.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    match i32::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's interpreter would answer.
    fn run(rules: &[Rule], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let code = program(rules);
        let mut registers = [0_u64; 11];
        let mut at = 0_usize;
        loop {
            let Instruction { code: operation, registers: pair, offset, immediate } = code[at];
            let (target, source) = (usize::from(pair & 15), usize::from(pair >> 4));
            // The kernel extends the sign of an immediate.
            let number = i64::from(immediate).cast_unsigned();
            at += 1;
            match operation {
                LOAD_WORD => registers[target] = context[usize::try_from(offset).unwrap() / 4].into(),
                MOVE_REGISTER => registers[target] = registers[source],
                MOVE_NUMBER => registers[target] = number,
                AND_NUMBER => registers[target] &= number,
                SHIFT_RIGHT => registers[target] >>= number,
                JUMP_IF_NOT if registers[target] == number => {}
                JUMP_IF_NOT => at += usize::try_from(offset).unwrap(),
                EXIT => return registers[0],
                other => panic!("unknown operation {other:#x}"),
            }
        }
    }

    #[test]
    fn only_harmless_devices_can_be_opened() {
        let (block, character, mknod, open) = (1, 2, 1, 6);
        let check = |kind, access, major, minor, expect| {
            assert_eq!(run(&[], kind, access, major, minor), expect, "{kind} {access} {major}:{minor}");
        };
        for (major, minor) in [(1, 3), (1, 9), (5, 0), (5, 2), (136, 0), (136, 77)] {
            check(character, open, major, minor, 1);
        }
        for (major, minor) in [(1, 1), (1, 2), (10, 229), (5, 3), (4, 64)] {
            check(character, open, major, minor, 0);
            check(character, mknod, major, minor, 1);
        }
        check(block, open, 8, 0, 0);
        check(block, open, 1, 3, 0);
        check(block, mknod, 8, 0, 1);
        check(block, mknod | open, 8, 0, 0);
    }

    #[test]
    fn further_devices_can_be_opened_as_far_as_their_rule_goes() {
        let (block, character, mknod, read, write) = (1, 2, 1, 2, 4);
        let rules = [
            Rule { kind: Some(Kind::Character), major: Some(10), minor: Some(229), access: Access(6) },
            Rule { kind: Some(Kind::Block), major: Some(7), minor: None, access: Access(2) },
            Rule { kind: None, major: Some(99), minor: None, access: Access::ALL },
        ];
        let check = |kind, access, major, minor, expect| {
            assert_eq!(run(&rules, kind, access, major, minor), expect, "{kind} {access} {major}:{minor}");
        };
        check(character, read | write, 10, 229, 1);
        check(character, read | mknod, 10, 229, 0);
        check(character, read, 10, 200, 0);
        check(block, read, 10, 229, 0);
        check(block, read, 7, 3, 1);
        check(block, read | write, 7, 3, 0);
        for kind in [block, character] {
            check(kind, read | write | mknod, 99, 1, 1);
        }
        check(character, read | write, 1, 3, 1);
    }

    #[test]
    fn the_kernel_takes_and_enforces_the_program() {
        let Some(root) = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .map(Path::new)
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists() && root.join("cgroup.controllers").exists())
            .filter(|_| rustix::process::geteuid().is_root())
        else {
            return crate::testing::skip("needs root and a cgroup2 hierarchy");
        };
        let folder = root.join(format!("orc/test-device-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let result = restrict(&folder, &[]);
        std::fs::remove_dir(&folder).unwrap();
        let _ = std::fs::remove_dir(root.join("orc"));
        result.unwrap();
    }
}
