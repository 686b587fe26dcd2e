//! The engine as a service of this machine (`orc engine install`), so that stacks come back after a reboot.
//!
//! Services end with their manager's idea of a service, which is all its processes; containers are to outlive the
//! engine, so each kind of service is told to end the engine alone.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::dirs::Dirs;
use super::{identity, start};
use crate::failure::{Doing, Failure, Outcome};

/// What starts services on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Init {
    Systemd,
    OpenRc,
}

/// A service that is or will be there.
struct Service {
    init: Init,
    name: String,
    file: PathBuf,
}

/// Makes the engine of these folders a service, and starts it; answers the service's file.
///
/// # Errors
/// There is neither systemd nor OpenRC, or it refuses.
pub(crate) fn install(dirs: &Dirs) -> Outcome<PathBuf> {
    let service = Service::of(dirs)?;
    let program = std::env::current_exe().doing(|| "cannot find this program's own file".to_owned())?;
    let command = [program.as_os_str(), "engine".as_ref(), "run".as_ref(), "--idle".as_ref(), "0".as_ref()];
    let command = command.into_iter().chain(["--data-dir".as_ref(), dirs.data.as_os_str()]);
    let words = command.map(|word| word.to_str()).collect::<Option<Vec<&str>>>();
    let words = words.filter(|words| words.iter().all(|word| !word.contains(['\n', '\0'])));
    let words = words.ok_or_else(|| Failure::new("paths in a service file must be text on one line"))?;
    let (text, mode) = match service.init {
        Init::Systemd => (unit(&words), 0o644),
        Init::OpenRc => (script(&words), 0o755),
    };
    let doing = || format!("cannot write `{}`", service.file.display());
    fs::write(&service.file, text).doing(doing)?;
    fs::set_permissions(&service.file, fs::Permissions::from_mode(mode)).doing(doing)?;
    // The service's engine takes over from one that was started on demand; containers do not notice.
    start::stop(dirs)?;
    match service.init {
        Init::Systemd => {
            call("systemctl", &["daemon-reload"])?;
            call("systemctl", &["enable", "--now", &service.name])?;
        }
        Init::OpenRc => {
            call("rc-update", &["add", &service.name, "default"])?;
            call("rc-service", &[&service.name, "start"])?;
        }
    }
    Ok(service.file)
}

/// Takes the service away; containers go on. Answers whether there was one.
///
/// # Errors
/// The service cannot be ended or its file not be removed.
pub(crate) fn uninstall(dirs: &Dirs) -> Outcome<bool> {
    let service = Service::of(dirs)?;
    if !service.file.exists() {
        return Ok(false);
    }
    match service.init {
        Init::Systemd => call("systemctl", &["disable", "--now", &service.name])?,
        Init::OpenRc => {
            call("rc-service", &["--ifstarted", &service.name, "stop"])?;
            call("rc-update", &["del", &service.name, "default"])?;
        }
    }
    fs::remove_file(&service.file).doing(|| format!("cannot remove `{}`", service.file.display()))?;
    if service.init == Init::Systemd {
        call("systemctl", &["daemon-reload"])?;
    }
    Ok(true)
}

impl Service {
    /// The service of an engine. That of a folder of its own carries the engine's id.
    fn of(dirs: &Dirs) -> Outcome<Self> {
        let init = detect(Path::new("/")).ok_or_else(|| {
            Failure::new("this machine has neither systemd nor OpenRC to start the engine with").hint(format!(
                "let whatever starts services here run `orc engine run --idle 0 --data-dir {}`, and end nothing \
                 but that process",
                dirs.data.display()
            ))
        })?;
        let name = match *dirs == Dirs::new(None)? {
            true => "orc".to_owned(),
            false => {
                super::lock::private_dir(&dirs.data)?;
                format!("orc-{}", identity::engine_id(&dirs.data)?)
            }
        };
        let file = match init {
            Init::Systemd => PathBuf::from(format!("/etc/systemd/system/{name}.service")),
            Init::OpenRc => PathBuf::from(format!("/etc/init.d/{name}")),
        };
        Ok(Self { init, name, file })
    }
}

/// What runs this machine's services, by the marks that each leaves: sd_booted(3), and OpenRC's own state.
fn detect(root: &Path) -> Option<Init> {
    if root.join("run/systemd/system").is_dir() {
        Some(Init::Systemd)
    } else if root.join("run/openrc/softlevel").exists() {
        Some(Init::OpenRc)
    } else {
        None
    }
}

/// systemd.service(5). `KillMode=process`: containers and what stands beside them are not the service's.
fn unit(command: &[&str]) -> String {
    let command: Vec<String> = command.iter().map(|word| systemd_word(word)).collect();
    format!(
        "[Unit]\nDescription=orc engine: keeps Compose stacks as they are wished\n\
         After=network-online.target local-fs.target nss-lookup.target\nWants=network-online.target\n\n\
         [Service]\nType=notify\nExecStart={}\nKillMode=process\nRestart=on-failure\nDelegate=yes\n\
         LimitNOFILE=1048576\nTasksMax=infinity\n\n[Install]\nWantedBy=multi-user.target\n",
        command.join(" ")
    )
}

/// A word of a command line as systemd reads it: `%` and `$` mean something to it, and `\` and `"` in quotes.
fn systemd_word(word: &str) -> String {
    let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{word}\"")
}

/// openrc-run(8).
fn script(command: &[&str]) -> String {
    let quoted = |word: &&str| format!("'{}'", word.replace('\'', "'\\''"));
    let (program, arguments) =
        command.split_first().map_or(("", &[][..]), |(program, rest)| (*program, rest));
    let arguments: Vec<String> = arguments.iter().map(quoted).collect();
    format!(
        "#!/sbin/openrc-run\n\nname=\"orc engine\"\ndescription=\"Keeps Compose stacks as they are wished\"\n\
         supervisor=supervise-daemon\ncommand={}\ncommand_args={}\nrc_ulimit=\"-n 1048576\"\n\
         rc_cgroup_cleanup=no\n\ndepend() {{\n\tneed localmount\n\tafter net firewall\n}}\n",
        quoted(&program),
        quoted(&arguments.join(" ").as_str()),
    )
}

fn call(program: &str, args: &[&str]) -> Outcome {
    let doing = || format!("cannot run `{program} {}`", args.join(" "));
    let output = Command::new(program).args(args).output().doing(doing)?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(doing()).because(&io::Error::other(format!("{}: {words}", output.status))))
}

/// Tells a service manager that waits for it that the engine answers (sd_notify(3)). Nobody waiting is fine.
pub(crate) fn tell_ready() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let told =
        address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop));
    match told {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!("nobody hears that it is ready: {error}")
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_files_name_the_command_as_it_is() {
        let command = ["/opt/o rc", "run", "--data-dir", "/d/100%$x'\"y"];
        let unit = unit(&command);
        let line = unit.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
        assert_eq!(line, r#"ExecStart="/opt/o rc" "run" "--data-dir" "/d/100%%$$x'\"y""#);
        assert!(unit.contains("\nKillMode=process\n"), "{unit}");
        let script = script(&["/opt/o rc", "run", "/d/a'b"]);
        assert!(script.contains("\ncommand='/opt/o rc'\n"), "{script}");
        assert!(
            script.contains("\ncommand_args=''\\''run'\\'' '\\''/d/a'\\''\\'\\'''\\''b'\\'''\n"),
            "{script}"
        );
    }

    #[test]
    fn who_starts_services_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(detect(folder.path()), None);
        fs::create_dir_all(folder.path().join("run/openrc")).unwrap();
        fs::write(folder.path().join("run/openrc/softlevel"), "default").unwrap();
        assert_eq!(detect(folder.path()), Some(Init::OpenRc));
        fs::create_dir_all(folder.path().join("run/systemd/system")).unwrap();
        assert_eq!(detect(folder.path()), Some(Init::Systemd));
    }
}
