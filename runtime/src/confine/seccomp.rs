//! The system call filter: which calls a container may make, compiled to BPF without a C library.
//!
//! The list itself is in [`super::syscalls`]. Compiling takes well under a millisecond, so nothing is cached
//! on disk; a shim keeps the compiled filter for every `exec`.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::caps::{Caps, NET_RAW, SYS_ADMIN};
use super::syscalls;

/// Programs to be installed in this order. The kernel asks all of them and takes the strictest answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter(pub(crate) Vec<BpfProgram>);

/// Creating namespaces through clone(2), which CVE-after-CVE has needed: `CLONE_NEW*` except `NEWTIME`, which
/// shares its bit with the exit signal.
const NEW_NAMESPACES: u64 = 0x7E02_0000;

/// Address families a container may use: unix, IPv4, IPv6, netlink. No AF_ALG (CVE-2026-31431), no AF_VSOCK
/// (it reaches the hypervisor), nothing exotic.
const FAMILIES: [u64; 4] = [1, 2, 10, 16];
const AF_PACKET: u64 = 17;

/// personality(2): Linux, with and without UNAME26 and for 32-bit programs, and asking only.
const PERSONALITIES: [u64; 5] = [0x0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The filter for processes whose bounding set is `caps`.
///
/// # Errors
/// When this machine's architecture has no filter. A container then starts only if it asks for `unconfined`.
pub(crate) fn compile(caps: Caps) -> Result<Filter, String> {
    let arch: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| format!("there is no seccomp filter for {}", std::env::consts::ARCH))?;
    let program = |rules, otherwise: SeccompAction, matching: SeccompAction| {
        SeccompFilter::new(rules, otherwise, matching, arch)
            .and_then(BpfProgram::try_from)
            .map_err(|e| format!("the seccomp filter cannot be compiled: {e}"))
    };
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let allow = program(rules(caps)?, errno(libc::EPERM), SeccompAction::Allow)?;
    let mut programs = vec![allow, newer_calls_do_not_exist()];
    if !caps.contains(SYS_ADMIN) {
        // The flags of clone3 are behind a pointer, where no filter can look. C libraries try it first and
        // fall back to clone if the call does not exist.
        let missing = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        programs.push(program(missing, SeccompAction::Allow, errno(libc::ENOSYS))?);
    }
    Ok(Filter(programs))
}

/// Between two answers of the same kind the kernel takes that of the filter installed last, so this one's
/// ENOSYS wins over the list's EPERM. Written by hand: the compiler compares calls only for equality.
fn newer_calls_do_not_exist() -> BpfProgram {
    let statement = |code: u32, jt: u8, jf: u8, k: u32| seccompiler::sock_filter {
        code: u16::try_from(code).expect("BPF codes are small constants"),
        jt,
        jf,
        k,
    };
    let newest = u32::try_from(syscalls::NEWEST).expect("a call's number is a small constant");
    vec![
        // The call's number is the first word of seccomp_data.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, 1, newest),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn rules(caps: Caps) -> Result<BTreeMap<i64, Vec<SeccompRule>>, String> {
    let mut rules = BTreeMap::new();
    rules.extend(syscalls::ALWAYS.concat().iter().map(|(_, number)| (*number, Vec::new())));
    let gated = syscalls::WITH_CAPABILITY.iter().filter(|(cap, _)| caps.contains(Caps(1 << cap)));
    for (_, calls) in gated {
        rules.extend(calls.iter().map(|(_, number)| (*number, Vec::new())));
    }
    let packet = caps.contains(NET_RAW).then_some(AF_PACKET);
    let families = FAMILIES.iter().copied().chain(packet);
    rules.insert(libc::SYS_socket, families.map(|family| one_of(0, family)).collect::<Result<_, _>>()?);
    rules.insert(
        libc::SYS_personality,
        PERSONALITIES.iter().map(|value| one_of(0, *value)).collect::<Result<_, _>>()?,
    );
    if !caps.contains(SYS_ADMIN) {
        let no_namespaces = SeccompCmpOp::MaskedEq(NEW_NAMESPACES);
        rules.insert(libc::SYS_clone, vec![rule(0, SeccompCmpArgLen::Qword, no_namespaces, 0)?]);
    }
    Ok(rules)
}

fn one_of(argument: u8, value: u64) -> Result<SeccompRule, String> {
    rule(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn rule(
    argument: u8,
    size: SeccompCmpArgLen,
    compare: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, String> {
    SeccompCondition::new(argument, size, compare, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|e| format!("the seccomp filter cannot be made: {e}"))
}

/// The same filter as an OCI runtime wants it in `config.json`.
pub(crate) fn as_oci(caps: Caps) -> serde_json::Value {
    use serde_json::json;
    let names = |calls: &[(&str, i64)]| calls.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let allow = |names: Vec<String>| json!({ "names": names, "action": "SCMP_ACT_ALLOW" });
    let allow_if = |name: &str, value: u64, op: &str, other: u64| {
        json!({ "names": [name], "action": "SCMP_ACT_ALLOW",
                "args": [{ "index": 0, "value": value, "valueTwo": other, "op": op }] })
    };
    let mut list = vec![allow(names(&syscalls::ALWAYS.concat()))];
    for (_, calls) in syscalls::WITH_CAPABILITY.iter().filter(|(cap, _)| caps.contains(Caps(1 << cap))) {
        list.push(allow(names(calls)));
    }
    let packet = caps.contains(NET_RAW).then_some(AF_PACKET);
    list.extend(FAMILIES.iter().copied().chain(packet).map(|f| allow_if("socket", f, "SCMP_CMP_EQ", 0)));
    list.extend(PERSONALITIES.iter().map(|p| allow_if("personality", *p, "SCMP_CMP_EQ", 0)));
    if !caps.contains(SYS_ADMIN) {
        list.push(allow_if("clone", NEW_NAMESPACES, "SCMP_CMP_MASKED_EQ", 0));
        list.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS }));
    }
    json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": libc::EPERM, "syscalls": list })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_capability_is_refused_without_it() {
        let has = |caps: Caps, call: i64| rules(caps).unwrap().contains_key(&call);
        for call in [libc::SYS_mount, libc::SYS_unshare, libc::SYS_setns, libc::SYS_bpf] {
            assert!(!has(Caps(0), call), "{call}");
            assert!(has(Caps::all(), call), "{call}");
        }
        for never in [libc::SYS_io_uring_setup, libc::SYS_userfaultfd, libc::SYS_keyctl, libc::SYS_add_key] {
            assert!(!has(Caps::all(), never), "{never}");
        }
        assert!(has(Caps(0), libc::SYS_execve));
    }

    #[test]
    fn both_forms_of_the_filter_fit_and_agree_in_length() {
        for caps in [Caps(0), NET_RAW, Caps::all()] {
            let programs = compile(caps).unwrap().0;
            assert!(programs.iter().all(|program| program.len() < 4096));
            assert_eq!(programs.len(), if caps.contains(SYS_ADMIN) { 2 } else { 3 });
        }
        let text = as_oci(Caps(0)).to_string();
        assert!(text.contains("\"clone3\"") && text.contains("SCMP_CMP_MASKED_EQ"));
    }
}
