//! Volumes whose data are elsewhere: what the options of Docker's `local` driver mount over a volume's folder.

use std::ffi::CString;
use std::fs;
use std::io;
use std::net::ToSocketAddrs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_remount, unmount,
};
use serde::{Deserialize, Serialize};

/// What is mounted at the folder of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeDevice {
    /// The file system: `tmpfs`, `nfs`, `ext4`, ...; with the option `bind` it has no meaning.
    pub kind: String,
    /// A device, a folder of this machine, or what the file system takes for one.
    pub source: String,
    /// As mount(8) takes them after `-o`: flags, and what the file system itself understands.
    pub options: String,
}

/// Options as mount(2) wants them.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    bind: bool,
    recursive: bool,
    flags: MountFlags,
    data: String,
}

/// Mounts it at the folder, unless something is mounted there already.
pub(crate) fn attach(folder: &Path, device: &VolumeDevice) -> io::Result<()> {
    if is_mounted(folder)? {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let options = parse(&device.options);
    let source = device.source.as_str();
    if options.bind {
        if options.recursive { mount_bind_recursive(source, folder) } else { mount_bind(source, folder) }?;
        return match options.flags.is_empty() {
            true => Ok(()),
            // The kernel takes the flags of a bind mount only from a second call.
            false => Ok(mount_remount(folder, MountFlags::BIND | options.flags, "")?),
        };
    }
    let data = resolved(&device.kind, &options.data);
    let data = CString::new(data).map_err(|_| io::Error::from(Errno::INVAL))?;
    Ok(mount(source, folder, device.kind.as_str(), options.flags, Some(data.as_c_str()))?)
}

/// Takes away what is mounted at the folder; those who have it open keep it until they let go.
pub(crate) fn detach(folder: &Path) -> io::Result<()> {
    while is_mounted(folder)? {
        unmount(folder, UnmountFlags::DETACH)?;
    }
    Ok(())
}

/// Whether something is mounted at the folder, as proc_pid_mountinfo(5) says: to look at the folder itself would mean to
/// wait for a server of files that may be gone.
fn is_mounted(folder: &Path) -> io::Result<bool> {
    let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else { return Ok(false) };
    let folder = match fs::canonicalize(above) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        above => above?.join(name),
    };
    let mounts = fs::read("/proc/self/mountinfo")?;
    let mut points = mounts.split(|b| *b == b'\n').filter_map(|line| line.split(|b| *b == b' ').nth(4));
    Ok(points.any(|point| unescaped(point) == folder.as_os_str().as_bytes()))
}

/// The kernel writes blanks and backslashes as three octal digits behind a backslash.
fn unescaped(point: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(point.len());
    let mut rest = point;
    while let [first, others @ ..] = rest {
        let digits = others.get(..3).filter(|_| *first == b'\\').and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &others[3..];
            }
            None => {
                plain.push(*first);
                rest = others;
            }
        }
    }
    plain
}

/// Tells the flags of mount(2) from what is for the file system.
fn parse(text: &str) -> Options {
    let mut options =
        Options { bind: false, recursive: false, flags: MountFlags::empty(), data: String::new() };
    let mut data = Vec::new();
    for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
        match option {
            "bind" => options.bind = true,
            "rbind" => (options.bind, options.recursive) = (true, true),
            "defaults" | "rw" | "suid" | "dev" | "exec" | "async" | "atime" | "diratime" => {}
            "ro" => options.flags |= MountFlags::RDONLY,
            "nosuid" => options.flags |= MountFlags::NOSUID,
            "nodev" => options.flags |= MountFlags::NODEV,
            "noexec" => options.flags |= MountFlags::NOEXEC,
            "sync" => options.flags |= MountFlags::SYNCHRONOUS,
            "dirsync" => options.flags |= MountFlags::DIRSYNC,
            "noatime" => options.flags |= MountFlags::NOATIME,
            "nodiratime" => options.flags |= MountFlags::NODIRATIME,
            "relatime" => options.flags |= MountFlags::RELATIME,
            "strictatime" => options.flags |= MountFlags::STRICTATIME,
            other => data.push(other),
        }
    }
    options.data = data.join(",");
    options
}

/// The kernel takes addresses only where people write names of servers: `addr=files.example`.
fn resolved(kind: &str, data: &str) -> String {
    let network = kind.starts_with("nfs") || matches!(kind, "cifs" | "smb3");
    let option = |option: &str| match option.strip_prefix("addr=") {
        Some(name) if network => match (name, 0).to_socket_addrs().ok().and_then(|mut found| found.next()) {
            Some(found) => format!("addr={}", found.ip()),
            None => option.to_owned(),
        },
        _ => option.to_owned(),
    };
    data.split(',').map(option).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_what_is_for_the_file_system() {
        let check = |text: &str, bind: bool, flags: MountFlags, data: &str| {
            let options = parse(text);
            assert_eq!((options.bind, options.flags, options.data.as_str()), (bind, flags, data), "{text}");
        };
        check("", false, MountFlags::empty(), "");
        check("bind,ro", true, MountFlags::RDONLY, "");
        check("size=10m, uid=1000,noexec,rw", false, MountFlags::NOEXEC, "size=10m,uid=1000");
        check("addr=192.0.2.1,nolock,soft", false, MountFlags::empty(), "addr=192.0.2.1,nolock,soft");
    }

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped(br"/a\040b\134c\9"), b"/a b\\c\\9");
        assert!(is_mounted(Path::new("/proc")).unwrap());
        assert!(!is_mounted(Path::new("/proc/self")).unwrap());
        assert!(!is_mounted(Path::new("/no-such/folder")).unwrap());
    }

    #[test]
    fn a_server_of_files_is_given_by_its_address() {
        assert_eq!(resolved("nfs4", "addr=127.0.0.1,rw"), "addr=127.0.0.1,rw");
        assert_eq!(resolved("tmpfs", "addr=localhost"), "addr=localhost");
        assert!(resolved("nfs", "addr=localhost").starts_with("addr="));
    }
}
