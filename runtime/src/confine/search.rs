//! Finds a command as a shell does, to tell "there is none" (127) from "it cannot be executed" (126).

use std::fs;
use std::io;

use rustix::fs::Access;

use crate::bundle::Failure;

/// The path of `args[at]`: itself if it has a slash, else the first executable of that name in `path`.
/// Called as the user who will run it, because whether a file may be executed depends on who asks.
pub(super) fn find(args: &[String], at: usize, path: &str) -> Result<String, Failure> {
    let Some(name) = args.get(at).filter(|name| !name.is_empty()) else {
        return Err(Failure::command(
            127,
            "there is no command: neither the image nor the service names one",
        ));
    };
    if name.contains('/') {
        return executable(name).map(|()| name.clone()).map_err(|error| unusable(name, &error));
    }
    let mut forbidden = None;
    for folder in path.split(':') {
        let candidate = if folder.is_empty() { format!("./{name}") } else { format!("{folder}/{name}") };
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                forbidden.get_or_insert(candidate);
            }
            Err(_) => {}
        }
    }
    match forbidden {
        Some(candidate) => Err(unusable(&candidate, &io::ErrorKind::PermissionDenied.into())),
        None => Err(Failure::command(127, format!("command `{name}` is not in the image (PATH={path})"))),
    }
}

fn executable(path: &str) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    Ok(rustix::fs::access(path, Access::EXEC_OK)?)
}

fn unusable(path: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Failure::command(127, format!("command `{path}` is not in the image"))
        }
        io::ErrorKind::PermissionDenied => {
            Failure::command(126, format!("`{path}` is not executable for the container's user"))
        }
        _ => Failure::command(126, format!("`{path}` cannot be executed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_missing_command_is_127_and_an_unusable_one_126() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for (name, mode) in [("tool", 0o755), ("data", 0o644)] {
            fs::write(at(name), "#!").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(at("folder")).unwrap();
        let path = format!("/nonexistent:{}", folder.path().display());
        let check = |command: &str, expect: Result<String, (i32, &str)>| {
            let got = find(&[command.to_owned()], 0, &path);
            match (got, expect) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(failure), Err((code, words))) => {
                    assert_eq!(failure.code, Some(code), "{command}");
                    assert!(failure.reason.contains(words), "{}", failure.reason);
                }
                (got, expect) => panic!("{command}: {got:?}, not {expect:?}"),
            }
        };
        check("tool", Ok(at("tool")));
        check(&at("tool"), Ok(at("tool")));
        check("data", Err((126, "not executable")));
        check("folder", Err((127, "not in the image")));
        check(&at("folder"), Err((126, "directory")));
        check("absent", Err((127, "PATH=")));
        check("/absent", Err((127, "not in the image")));
        check(&at("tool/below"), Err((127, "not in the image")));
        check("", Err((127, "no command")));
    }
}
