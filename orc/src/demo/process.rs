//! Tools that wait, compute, use things up, and try what they must not.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::signal::unix::{SignalKind, signal};

use super::{Outcome, block_on, number, required};
use crate::output::raw;

/// The most processes, files, or MiB of memory that a tool takes.
const MOST: usize = 100_000;

fn print(line: &str) {
    raw::stdout(format!("{line}\n").as_bytes());
}

/// Waits, and ends at SIGTERM, which the kernel would otherwise keep from a first process.
pub(super) fn sleep(args: &[String]) -> Outcome {
    let seconds: Option<f64> = if args.is_empty() { None } else { Some(number(args, 0, 0.0)?) };
    wait(seconds)?;
    Ok(0)
}

fn wait(seconds: Option<f64>) -> Result<(), String> {
    let length = match seconds {
        None => Duration::MAX,
        Some(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?,
    };
    block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// Waits for ever and takes no notice of SIGTERM, so that only a kill ends it.
pub(super) fn stubborn(_: &[String]) -> Outcome {
    block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        print("started");
        while terminate.recv().await.is_some() {
            print("ignored SIGTERM");
        }
        Ok(0)
    })
}

/// Prints numbers, one a line, so that a gap in a log can be seen.
pub(super) fn count(args: &[String]) -> Outcome {
    let pause = Duration::from_millis(number(args, 0, 100)?);
    block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut ticks = tokio::time::interval(pause.max(Duration::from_millis(1)));
        let mut number: u64 = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    number += 1;
                    print(&number.to_string());
                }
                _ = terminate.recv() => return Ok(0),
            }
        }
    })
}

/// Ends with a code.
pub(super) fn exit(args: &[String]) -> Outcome {
    required(args, 0, "the code")?;
    wait(Some(number(args, 1, 0.0)?))?;
    number(args, 0, 0)
}

/// Prints its arguments.
pub(super) fn echo(args: &[String]) -> Outcome {
    print(&args.join(" "));
    Ok(0)
}

/// Prints the environment, or one variable of it.
pub(super) fn env(args: &[String]) -> Outcome {
    if let Some(name) = args.first() {
        let value = std::env::var_os(name).ok_or_else(|| format!("`{name}` is not set"))?;
        print(&value.to_string_lossy());
        return Ok(0);
    }
    let mut all: Vec<String> = std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    all.sort_unstable();
    print(&all.join("\n"));
    Ok(0)
}

/// Prints who it is and where.
pub(super) fn id(_: &[String]) -> Outcome {
    let mut groups: Vec<u32> = rustix::process::getgroups()
        .map_err(|error| error.to_string())?
        .into_iter()
        .map(rustix::process::Gid::as_raw)
        .collect();
    groups.sort_unstable();
    let folder = std::env::current_dir().map_err(|error| error.to_string())?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    print(&format!("uid={uid} gid={gid} groups={groups:?} cwd={}", folder.display()));
    Ok(0)
}

/// Prints the lines of `/proc/self/status` that tell how it is confined, and its limits.
pub(super) fn status(_: &[String]) -> Outcome {
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let wanted = ["Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp:", "Cap"];
    for line in read("/proc/self/status")?.lines() {
        if wanted.iter().any(|start| line.starts_with(start)) {
            print(&line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    for line in read("/proc/self/limits")?.lines().filter(|line| line.starts_with("Max open files")) {
        print(&line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Ok(0)
}

/// Says whether standard input is a terminal and how large it is.
pub(super) fn tty(_: &[String]) -> Outcome {
    match rustix::termios::tcgetwinsize(io::stdin()) {
        Ok(size) => print(&format!("terminal {}x{}", size.ws_col, size.ws_row)),
        Err(_) => print("no terminal"),
    }
    Ok(0)
}

/// Uses memory, page by page.
pub(super) fn alloc(args: &[String]) -> Outcome {
    let mib: usize = number(args, 0, 1)?;
    let mut blocks = Vec::new();
    for _ in 0..mib.min(MOST) {
        let mut block = vec![0_u8; 1024 * 1024];
        for page in block.chunks_mut(4096) {
            page[0] = 1;
        }
        blocks.push(std::hint::black_box(block));
    }
    print(&format!("used {} MiB", blocks.len()));
    Ok(0)
}

/// Starts processes until there are enough or the kernel refuses.
pub(super) fn fork(args: &[String]) -> Outcome {
    let wanted: usize = number(args, 0, 1)?;
    let mut children = Vec::new();
    let mut refusal = String::new();
    for _ in 0..wanted.min(MOST) {
        let child = Command::new("/proc/self/exe").args(["demo", "sleep"]).stdin(Stdio::null()).spawn();
        match child {
            Ok(child) => children.push(child),
            Err(error) => {
                refusal = format!(": {error}");
                break;
            }
        }
    }
    print(&format!("started {} of {wanted}{refusal}", children.len()));
    for child in &mut children {
        let _ = child.kill();
    }
    for child in &mut children {
        let _ = child.wait();
    }
    Ok(0)
}

pub(super) fn daemon(_: &[String]) -> Outcome {
    let mut stubborn = Command::new("/proc/self/exe");
    stubborn.args(["demo", "stubborn"]).stdin(Stdio::null()).process_group(0);
    stubborn.spawn().map_err(|error| format!("cannot start it: {error}"))?;
    Ok(0)
}

/// Ends at SIGTERM.
pub(super) fn zombies(args: &[String]) -> Outcome {
    let wanted: usize = number(args, 0, 1)?;
    let start = |_: &usize| {
        Command::new("/proc/self/exe").args(["demo", "echo"]).stdout(Stdio::null()).spawn().is_ok()
    };
    let started = (0..wanted.min(MOST)).take_while(start).count();
    print(&format!("started {started} of {wanted}"));
    sleep(&[])
}

/// Ends at SIGTERM.
pub(super) fn open(args: &[String]) -> Outcome {
    let wanted: usize = number(args, 0, 1)?;
    let files: Vec<File> = (0..wanted.min(MOST)).map_while(|_| File::open("/proc/self/exe").ok()).collect();
    print(&format!("opened {} of {wanted}", files.len()));
    sleep(&[])
}

/// Computes for a while, and prints the processor time it was given in that time.
pub(super) fn burn(args: &[String]) -> Outcome {
    let seconds: f64 = number(args, 0, 1.0)?;
    let now = |clock| {
        let time = clock_gettime(clock);
        // Both are far below the 52 bits that a float keeps exactly.
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now(ClockId::Monotonic);
    let mut sum = 0_u64;
    while now(ClockId::Monotonic) - start < seconds {
        for number in 0..10_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
    }
    print(&format!("cpu {:.2} of {seconds:.2}", now(ClockId::ProcessCPUTime)));
    Ok(0)
}

/// Tries something that the confinement forbids: `allowed`, or the kernel's refusal.
pub(super) fn attempt(args: &[String]) -> Outcome {
    use rustix::fs::{CWD, FileType, Mode};
    use rustix::mount::{MountFlags, mount};
    let what = required(args, 0, "what to try")?;
    let result = match what {
        "mount" => mount("none", "/proc", "tmpfs", MountFlags::empty(), None),
        "mknod" => {
            let device = rustix::fs::makedev(8, 0);
            rustix::fs::mknodat(CWD, "/tmp-device", FileType::BlockDevice, Mode::RUSR, device)
        }
        "chroot" => rustix::process::chroot("/proc"),
        "sethostname" => rustix::system::sethostname(b"taken"),
        "settime" => {
            let now = clock_gettime(ClockId::Realtime);
            rustix::time::clock_settime(ClockId::Realtime, now)
        }
        "setuid" => rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)),
        _ => return Err(format!("`{what}` is none of mount, mknod, chroot, sethostname, settime, setuid")),
    };
    match result {
        Ok(()) => print("allowed"),
        Err(error) => print(&format!("refused: {}", io::Error::from(error))),
    }
    Ok(0)
}
