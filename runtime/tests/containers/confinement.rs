//! What a container may and may not do: the same for its first process and for `exec`.

use runtime::{Runtime, Seccomp, Ulimit};

use crate::support::{Machine, config, exec, run, start, wait_for_line};

/// Runs `command` as a first process and through exec, with the same configuration, and expects the same output.
async fn both(runtime: &Runtime, command: &[&str], change: impl Fn(&mut runtime::ContainerConfig)) -> String {
    let mut first = config(runtime, "first", command).await;
    change(&mut first);
    let (_, first) = run(runtime, first).await;
    let mut host = config(runtime, "host", &["stubborn"]).await;
    change(&mut host);
    start(runtime, host).await;
    let (_, second) = exec(runtime, "host", command, |_| {}).await;
    runtime.remove("host").await.unwrap();
    assert_eq!(first, second, "{command:?}: first process and exec differ");
    first
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim_start_matches(':').trim()
}

/// The lines of /proc/self/status that say how a process is confined.
fn confinement(status: &str) -> String {
    let names = [
        "Uid",
        "Gid",
        "Groups",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
    ];
    names.map(|name| format!("{name} {}", field(status, name))).join("\n")
}

#[tokio::test]
async fn root_has_eleven_capabilities_and_a_filter_but_may_gain_privileges() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    start(&runtime, config(&runtime, "c", &["cat", "/proc/self/status"]).await).await;
    runtime.wait("c").await.unwrap();
    let status = confinement(&crate::support::output(&runtime, "c").await);
    let expect = "Uid 0\t0\t0\t0\nGid 0\t0\t0\t0\nGroups 0\nNoNewPrivs 0\nSeccomp 2\nSeccomp_filters 3\n\
                  CapInh 0000000000000000\nCapPrm 00000000800405fb\nCapEff 00000000800405fb\n\
                  CapBnd 00000000800405fb\nCapAmb 0000000000000000";
    assert_eq!(status, expect);
    runtime.remove("c").await.unwrap();

    start(&runtime, config(&runtime, "c", &["stubborn"]).await).await;
    let (_, text) = exec(&runtime, "c", &["cat", "/proc/self/status"], |_| {}).await;
    assert_eq!(confinement(&text), expect, "exec");
    let (_, text) = exec(&runtime, "c", &["cat", "/proc/self/status"], |e| e.privileged = true).await;
    assert_eq!(field(&text, "Seccomp"), "0");
    assert_ne!(field(&text, "CapEff"), "00000000800405fb");
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn another_user_has_no_capabilities_and_owns_its_output() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let user = |c: &mut runtime::ContainerConfig| {
        c.user = Some("4242:4343".into());
        c.groups = vec!["nogroup".into()];
        c.no_new_privileges = true;
    };
    let mut first = config(&runtime, "c", &["cat", "/proc/self/status"]).await;
    user(&mut first);
    let (_, text) = run(&runtime, first).await;
    let expect = "Uid 4242\t4242\t4242\t4242\nGid 4343\t4343\t4343\t4343\nGroups 4343 65534\nNoNewPrivs 1\n\
                  Seccomp 2\nSeccomp_filters 3\nCapInh 0000000000000000\nCapPrm 0000000000000000\n\
                  CapEff 0000000000000000\nCapBnd 00000000800405fb\nCapAmb 0000000000000000";
    assert_eq!(confinement(&text), expect);
    // A program may open its own standard output by name, which a pipe of root would refuse.
    assert_eq!(both(&runtime, &["stdout"], user).await, "written\nstdout: ok\n");
    assert_eq!(
        both(&runtime, &["try", "chown"], user).await,
        "chown: Operation not permitted (os error 1)\n"
    );
    machine.assert_clean();
}

#[tokio::test]
async fn the_filter_refuses_what_no_container_needs() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let check = async |what: &str, expect: &str| {
        let text = both(&runtime, &["try", what], |_| {}).await;
        assert!(text.contains(expect), "{text} does not contain `{expect}`");
    };
    for refused in ["unshare", "io_uring", "userfaultfd", "keyctl", "bpf", "mount", "clone-newuser"] {
        check(refused, "Operation not permitted").await;
    }
    for refused in ["socket-vsock", "socket-alg", "socket-packet", "mknod"] {
        check(refused, "Operation not permitted").await;
    }
    // These do not exist for a container, so that programs use what came before them.
    for absent in ["clone3", "newest"] {
        check(absent, "Function not implemented").await;
    }
    for allowed in ["socket-unix", "socket-inet", "socket-inet6", "setuid", "ping"] {
        check(allowed, ": ok").await;
    }
    machine.assert_clean();
}

#[tokio::test]
async fn services_widen_or_narrow_their_confinement() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let text = both(&runtime, &["try", "socket-packet"], |c| c.cap_add = vec!["NET_RAW".into()]).await;
    assert_eq!(text, "socket-packet: ok\n");
    let text = both(&runtime, &["try", "chown"], |c| c.cap_drop = vec!["ALL".into()]).await;
    assert!(text.contains("not permitted"), "{text}");
    let text = both(&runtime, &["try", "keyctl"], |c| c.seccomp = Seccomp::Unconfined).await;
    assert!(!text.contains("not permitted"), "{text}");
    let text = both(&runtime, &["try", "mount"], |c| c.privileged = true).await;
    assert_eq!(text, "mount: ok\n");
    machine.assert_clean();
}

#[tokio::test]
async fn files_of_the_kernel_are_hidden_or_read_only() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let masked = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"];
    for path in masked.into_iter().filter(|path| std::path::Path::new(path).exists()) {
        assert_eq!(both(&runtime, &["cat", path], |_| {}).await, "", "{path}");
    }
    assert_eq!(both(&runtime, &["ls", "/sys/firmware"], |_| {}).await, "");
    for path in ["/proc/sys/kernel/domainname", "/proc/sysrq-trigger", "/sys/kernel/profiling"] {
        let text = both(&runtime, &["open-write", path], |_| {}).await;
        assert!(text.contains("Read-only file system") || text.contains("No such file"), "{path}: {text}");
    }
    let text = both(&runtime, &["write", "/etc/new", "x"], |c| c.read_only = true).await;
    assert!(text.contains("Read-only file system"), "{text}");
    let unprivileged =
        both(&runtime, &["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"], |_| {}).await;
    assert_eq!(unprivileged, "0\n");
    machine.assert_clean();
}

#[tokio::test]
async fn limits_are_enforced_inside() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut small = config(&runtime, "memory", &["memory", "100"]).await;
    small.resources.memory_bytes = Some(32 << 20);
    let (exit, _) = run(&runtime, small.clone()).await;
    assert_eq!((exit.code, exit.oom), (137, true));
    small.args = ["demo", "memory", "8"].map(str::to_owned).into();
    let (exit, text) = run(&runtime, small).await;
    assert_eq!((exit.code, exit.oom, text.as_str()), (0, false, "8 MiB\n"));

    let mut few = config(&runtime, "pids", &["fork", "20"]).await;
    few.resources.pids = Some(6);
    let text = run(&runtime, few).await.1;
    assert!(text.contains("refused: Resource temporarily unavailable"), "{text}");

    let ulimits = |c: &mut runtime::ContainerConfig| {
        c.ulimits = vec![
            Ulimit { name: "nofile".into(), soft: 123, hard: 456 },
            Ulimit { name: "core".into(), soft: 0, hard: 0 },
        ];
    };
    let text = both(&runtime, &["cat", "/proc/self/limits"], ulimits).await;
    let words: Vec<&str> = text.split_whitespace().collect();
    let files = words.windows(5).find(|w| w[..3] == ["Max", "open", "files"]).unwrap();
    assert_eq!(files[3..], ["123", "456"]);
    assert_eq!(both(&runtime, &["cat", "/proc/self/oom_score_adj"], |_| {}).await, "100\n");
    machine.assert_clean();
}

#[tokio::test]
async fn the_processor_is_limited_and_use_is_counted() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut limited = config(&runtime, "c", &["stubborn"]).await;
    limited.resources.cpu_nanos = Some(200_000_000);
    limited.resources.memory_bytes = Some(64 << 20);
    start(&runtime, limited).await;
    wait_for_line(&runtime, "c", "stubborn").await;
    let quotas = ["cpu/orc", "cpu,cpuacct/orc", "orc"].iter().find_map(|at| {
        let folder = format!("/sys/fs/cgroup/{at}/{}/c", machine.config.engine_id);
        let v1 = std::fs::read_to_string(format!("{folder}/cpu.cfs_quota_us"));
        v1.or_else(|_| std::fs::read_to_string(format!("{folder}/cpu.max"))).ok()
    });
    assert!(quotas.unwrap().starts_with("20000"));
    let stats = runtime.stats("c").await.unwrap();
    assert_eq!((stats.pids, stats.memory_limit_bytes), (1, Some(64 << 20)));
    assert!(stats.memory_bytes > 0 && stats.cpu_nanos > 0, "{stats:?}");
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn the_shims_program_cannot_be_overwritten_from_inside() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let mut container = config(&runtime, "c", &["stubborn"]).await;
    container.init = true;
    container.cap_add = vec!["SYS_ADMIN".into(), "SYS_PTRACE".into()];
    start(&runtime, container).await;
    wait_for_line(&runtime, "c", "stubborn").await;
    let (_, text) = exec(&runtime, "c", &["open-write", "/dev/orc-init"], |_| {}).await;
    assert!(text.contains("Read-only file system"), "{text}");
    // The program seen through another process of ours.
    let (_, text) = exec(&runtime, "c", &["open-write", "/proc/1/exe"], |_| {}).await;
    assert!(text.contains("Read-only file system") || text.contains("busy"), "{text}");
    let shim = crate::support::shims(machine.path())[0];
    let path = format!("/proc/{shim}/exe");
    let error = std::fs::File::options().write(true).open(path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    runtime.remove("c").await.unwrap();
    machine.assert_clean();
}

#[tokio::test]
async fn nothing_of_the_engine_or_the_shim_leaks_into_a_container() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    start(&runtime, config(&runtime, "c", &["sleep"]).await).await;
    wait_for_line(&runtime, "c", "sleeping").await;
    // One thread, or libcontainer could hang in the child of a fork.
    let shim = crate::support::shims(machine.path())[0];
    assert_eq!(std::fs::read_dir(format!("/proc/{shim}/task")).unwrap().count(), 1);
    for first in [true, false] {
        let path = if first { "/proc/1/status" } else { "/proc/self/status" };
        let (code, status) = exec(&runtime, "c", &["cat", path], |_| {}).await;
        // Rust's own start ignores SIGPIPE (13) and nothing else.
        let signals = (code, field(&status, "SigBlk"), field(&status, "SigIgn"));
        assert_eq!(signals, (0, "0000000000000000", "0000000000001000"), "{path}: {status}");
    }
    runtime.remove("c").await.unwrap();
    let text = both(&runtime, &["ls", "/proc/self/fd"], |_| {}).await;
    // The fourth is the folder being listed.
    assert_eq!(text, "0\n1\n2\n3\n");
    machine.assert_clean();
}

#[tokio::test]
async fn a_file_whose_capabilities_are_missing_is_explained() {
    let Some(machine) = Machine::new() else { return };
    let runtime = machine.runtime().await;
    let tools = machine.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_runtime-kit"), tools.join("ping")).unwrap();
    // Revision 2, effective; permitted: CAP_NET_RAW.
    let attribute: Vec<u8> =
        [0x0200_0001_u32, 1 << 13, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(tools.join("ping"), "security.capability", &attribute, flags).unwrap();
    let source = runtime::MountSource::Bind {
        path: tools,
        create: false,
        propagation: Default::default(),
        recursive: Default::default(),
    };
    let mut container = config(&runtime, "c", &[]).await;
    container.args = ["/tools/ping", "exit", "6"].map(str::to_owned).into();
    container.mounts = vec![runtime::Mount { source, target: "/tools".into(), read_only: true }];
    runtime.create(container.clone()).await.unwrap();
    let error = runtime.start("c").await.unwrap_err();
    assert_eq!(error.exit_code(), Some(126));
    assert!(error.to_string().contains("add `cap_add: [NET_RAW]`"), "{error}");
    container.cap_add = vec!["NET_RAW".into()];
    assert_eq!(run(&runtime, container).await.0.code, 6);
    machine.assert_clean();
}
