//! The OCI runtimes of others that a container may ask for by name instead of the built-in one.

use std::path::{Path, PathBuf};

use crate::config::ContainerConfig;

/// The built-in runtime.
const BUILT_IN: &str = "orc";
/// The others: those that keep to the OCI command line that [`crate::shim`] speaks.
const KNOWN: [&str; 3] = ["crun", "runc", "youki"];
/// Where they are looked for. The engine's own `PATH` is somebody's who happened to start it.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The program that makes a container; `None` is the built-in runtime.
///
/// # Errors
/// In words for a person: there is no such runtime, or this machine does not have it.
pub(crate) fn program(config: &ContainerConfig, default: Option<&Path>) -> Result<Option<PathBuf>, String> {
    let Some(name) = config.runtime.as_deref() else { return Ok(default.map(Path::to_owned)) };
    if name == BUILT_IN {
        return Ok(None);
    }
    if !KNOWN.contains(&name) {
        let known = KNOWN.join("`, `");
        return Err(format!("there is no runtime `{name}`; known are `{BUILT_IN}`, `{known}`"));
    }
    let mut places = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    let found = places.find(|place| place.is_file());
    found.map(Some).ok_or_else(|| format!("runtime `{name}` is not installed: it is in none of {FOLDERS:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_found_by_its_name() {
        let check = |name: Option<&str>, expect: Result<Option<&str>, &str>| {
            let config = ContainerConfig { runtime: name.map(str::to_owned), ..ContainerConfig::default() };
            match (program(&config, Some(Path::new("/opt/crun"))), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found.as_deref(), expect.map(Path::new)),
                (Err(error), Err(expect)) => assert!(error.contains(expect), "{error}"),
                (found, expect) => panic!("{found:?}, not {expect:?}"),
            }
        };
        check(None, Ok(Some("/opt/crun")));
        check(Some("orc"), Ok(None));
        check(Some("runsc"), Err("known are `orc`, `crun`, `runc`, `youki`"));
        check(Some("../bin/sh"), Err("there is no runtime `../bin/sh`"));
    }
}
