//! The program that this crate's tests run: as shim, as init, and inside containers, where each command shows
//! one thing. `orc` is the real program; this one keeps the crate testable alone.
#![allow(clippy::print_stdout, clippy::exit, unsafe_code)] // A test program prints, ends, and probes.

use std::ffi::{CString, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::process::exit;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().and_then(|arg| arg.into_string().ok()).unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    match command.as_str() {
        "shim" => exit(runtime::shim_main(args)),
        "init" => exit(runtime::init_main(args)),
        _ => {}
    }
    let args: Vec<String> = args.into_iter().filter_map(|arg| arg.into_string().ok()).collect();
    let first = args.first().map_or("", String::as_str);
    match command.as_str() {
        "exit" => exit(first.parse().unwrap_or(99)),
        "echo" => println!("{}", args.join(" ")),
        "fail" => {
            let _ = writeln!(io::stderr(), "{}", args.join(" "));
            exit(1)
        }
        "lines" => (1..=first.parse().unwrap_or(0_u64)).for_each(|n| println!("line {n}")),
        "cat" => args.iter().for_each(|path| print_file(path)),
        "env" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        "cwd" => println!("{}", std::env::current_dir().unwrap_or_default().display()),
        "stat" => stat(first),
        "ls" => list(first),
        "namespaces" => list_links("/proc/self/ns"),
        "write" => report("write", fs::write(first, args[1..].join(" "))),
        "open-write" => report("open", fs::File::options().write(true).open(first).map(drop)),
        "open-read" => report("open", fs::File::open(first).map(drop)),
        "mkdir" => report("mkdir", fs::create_dir(first)),
        "stdout" => report("stdout", fs::write("/dev/stdout", "written\n")),
        "memory" => memory(first.parse().unwrap_or(0)),
        "fork" => fork(first.parse().unwrap_or(0)),
        "stdin" => copy_stdin(),
        "tty" => tty(),
        "background" => background(),
        "try" => attempt(first),
        "sleep" => sleep(),
        "stubborn" => stubborn(),
        "polite" => polite(),
        "exec" => run(&args),
        other => {
            println!("unknown command `{other}`");
            exit(64)
        }
    }
}

fn report(what: &str, result: io::Result<()>) {
    match result {
        Ok(()) => println!("{what}: ok"),
        Err(error) => println!("{what}: {error}"),
    }
}

fn print_file(path: &str) {
    match fs::read(path) {
        Ok(bytes) => io::stdout().write_all(&bytes).unwrap_or(()),
        Err(error) => println!("{path}: {error}"),
    }
}

fn stat(path: &str) {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata(path) {
        Ok(m) => println!("{:o} {}:{} {}", m.mode() & 0o7777, m.uid(), m.gid(), m.len()),
        Err(error) => println!("{path}: {error}"),
    }
}

fn list(path: &str) {
    let mut names: Vec<_> =
        fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
    names.sort();
    names.iter().for_each(|name| println!("{}", name.display()));
}

fn list_links(path: &str) {
    let mut links: Vec<String> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with("_for_children"))
        .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string()))
        .collect();
    links.sort();
    println!("{}", links.join(" "));
}

/// Touches so many MiB and says so.
fn memory(mib: usize) {
    let mut all = vec![0_u8; mib << 20];
    all.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    println!("{} MiB", std::hint::black_box(all).len() >> 20);
}

/// Makes processes until it has so many or is refused.
fn fork(wanted: usize) {
    let mut children = Vec::new();
    while children.len() < wanted {
        match std::process::Command::new("/proc/self/exe").arg("sleep").spawn() {
            Ok(child) => children.push(child),
            Err(error) => {
                println!("refused: {error}");
                break;
            }
        }
    }
    println!("{} children", children.len());
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn copy_stdin() {
    let mut text = Vec::new();
    let _ = io::stdin().read_to_end(&mut text);
    println!("{} bytes: {}", text.len(), String::from_utf8_lossy(&text));
}

fn tty() {
    let stdin = io::stdin();
    let name = rustix::termios::ttyname(&stdin, Vec::new());
    let name = name.map_or_else(|e| e.to_string(), |name| name.to_string_lossy().into_owned());
    let mut line = String::new();
    loop {
        let size = rustix::termios::tcgetwinsize(&stdin).map(|size| (size.ws_row, size.ws_col));
        println!("{name} {size:?}");
        line.clear();
        match stdin.read_line(&mut line) {
            Ok(count) if count > 0 && line.trim() != "quit" => println!("got {}", line.trim()),
            _ => exit(5),
        }
    }
}

/// Leaves a child in another session behind that would live for ever, and ends.
fn background() {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new("/proc/self/exe");
    // SAFETY: only the kernel is called between fork and exec.
    unsafe {
        command.arg("stubborn").pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        })
    };
    let null = std::process::Stdio::null;
    match command.stdin(null()).stdout(null()).stderr(null()).spawn() {
        Ok(child) => println!("left {}", child.id()),
        Err(error) => println!("not left: {error}"),
    }
}

/// One system call that confinement may refuse: 0 or the error.
fn attempt(what: &str) {
    // SAFETY: every call takes numbers only, or pointers that are valid or null.
    let result = unsafe {
        match what {
            "unshare" => libc::unshare(libc::CLONE_NEWUSER).into(),
            "clone3" => libc::syscall(libc::SYS_clone3, 0, 0),
            "clone-newuser" => {
                libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0)
            }
            "newest" => libc::syscall(9999),
            "io_uring" => libc::syscall(libc::SYS_io_uring_setup, 1, 0),
            "userfaultfd" => libc::syscall(libc::SYS_userfaultfd, 0),
            "keyctl" => libc::syscall(libc::SYS_keyctl, 0, 0, 0, 0, 0),
            "bpf" => libc::syscall(libc::SYS_bpf, 0, 0, 0),
            "mount" => {
                libc::mount(c"tmpfs".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null())
                    .into()
            }
            "socket-vsock" => libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).into(),
            "socket-alg" => libc::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0).into(),
            "socket-packet" => libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into(),
            "socket-unix" => libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0).into(),
            "socket-inet" => libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0).into(),
            "socket-inet6" => libc::socket(libc::AF_INET6, libc::SOCK_STREAM, 0).into(),
            "ping" => libc::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP).into(),
            "mknod" => {
                let path = CString::new("/tmp/node").unwrap_or_default();
                libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(10, 229)).into()
            }
            "chown" => libc::chown(c"/tmp".as_ptr(), 1, 1).into(),
            "setuid" => libc::setuid(12).into(),
            _ => exit(64),
        }
    };
    match result {
        -1 => println!("{what}: {}", io::Error::last_os_error()),
        _ => println!("{what}: ok"),
    }
}

/// Ends with 3 when it is asked to, also as process 1.
fn polite() {
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(nix::sys::signal::Signal::SIGTERM);
    set.add(nix::sys::signal::Signal::SIGUSR1);
    let _ = set.thread_block();
    println!("ready");
    loop {
        match set.wait() {
            Ok(nix::sys::signal::Signal::SIGTERM) => exit(3),
            Ok(signal) => println!("{signal}"),
            Err(_) => exit(98),
        }
    }
}

/// Until a signal ends it, with the kernel's defaults.
fn sleep() {
    println!("sleeping");
    loop {
        nix::unistd::pause();
    }
}

/// Until it is killed.
fn stubborn() {
    let _ = nix::sys::signal::SigSet::all().thread_block();
    println!("stubborn");
    loop {
        nix::unistd::pause();
    }
}

/// Runs the rest as a child and passes its code on.
fn run(args: &[String]) {
    let status = std::process::Command::new("/proc/self/exe").args(args).status();
    exit(status.ok().and_then(|status| status.code()).unwrap_or(97))
}
