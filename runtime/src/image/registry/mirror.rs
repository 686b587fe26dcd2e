//! Who else has what Docker Hub has: `registry-mirrors` in Docker's `daemon.json`.

use std::fs::File;
use std::io::{ErrorKind, Read};

use serde::Deserialize;

use crate::image::{Credentials, Error, Reference, Result, limits};

/// The one setting of the file that is for others than Docker's daemon.
#[derive(Deserialize)]
struct Daemon {
    #[serde(default, rename = "registry-mirrors")]
    mirrors: Vec<String>,
}

/// Where to ask for an image, in this order: the mirrors if it is one of Docker Hub's, then the registry that the
/// reference names. Blocking.
///
/// # Errors
/// The file is there and cannot be read, or names a mirror that cannot be asked.
pub(in crate::image) fn places(reference: Reference, credentials: &Credentials) -> Result<Vec<Reference>> {
    let mut places = Vec::new();
    if reference.is_docker_hub()
        && let Some(path) = &credentials.docker_daemon
    {
        let mut text = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(limits::DOCKER_CONFIG_BYTES).read_to_end(&mut text));
        match read {
            Ok(_) => {
                places = parse(&reference, &text)
                    .map_err(|reason| Error::malformed(format!("`{}`", path.display()), reason))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("cannot read", path)(error)),
        }
    }
    places.push(reference);
    Ok(places)
}

fn parse(reference: &Reference, text: &[u8]) -> Result<Vec<Reference>, String> {
    // Docker takes an empty file for `{}`.
    if text.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let daemon: Daemon = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mirrors = daemon.mirrors.iter().take(limits::MIRRORS);
    mirrors.map(|url| place(reference, url).map_err(|reason| format!("mirror `{url}`: {reason}"))).collect()
}

fn place(reference: &Reference, url: &str) -> Result<Reference, &'static str> {
    let (scheme, host) = url.split_once("://").ok_or("it must begin with `https://`")?;
    let place =
        reference.at(host.trim_end_matches('/')).ok_or("after `://` must come a host, and a port perhaps")?;
    match scheme {
        "https" => Ok(place),
        "http" if place.is_loopback() => Ok(place),
        "http" => {
            Err("without TLS only a mirror on this machine is asked: others could change what it sends")
        }
        _ => Err("it must begin with `https://`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_come_before_the_hub_and_only_for_its_images() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.json");
        let ask = |reference: &str, text: &str| {
            std::fs::write(&path, text).unwrap();
            let credentials = Credentials { docker_daemon: Some(path.clone()), ..Credentials::default() };
            let places = places(reference.parse().unwrap(), &credentials);
            places
                .map(|places| places.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|error| crate::error::chain(&error))
        };
        let own = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
        let two =
            r#"{"data-root": "/d", "registry-mirrors": ["https://mirror.test/", "http://127.0.0.1:5000"]}"#;
        let all =
            ["mirror.test/library/nginx:1", "127.0.0.1:5000/library/nginx:1", "docker.io/library/nginx:1"];
        assert_eq!(ask("nginx:1", two), own(&all));
        assert_eq!(ask("other.test/nginx:1", two), own(&["other.test/nginx:1"]));
        assert_eq!(ask("nginx:1", "{}"), own(&all[2..]));
        assert_eq!(ask("nginx:1", " \n"), own(&all[2..]));
        for (text, expect) in [
            (r#"{"registry-mirrors": ["http://mirror.test"]}"#, "others could change"),
            (r#"{"registry-mirrors": ["mirror.test"]}"#, "must begin with `https://`"),
            (r#"{"registry-mirrors": ["https://mirror.test/path"]}"#, "must come a host"),
            ("[", "daemon.json"),
        ] {
            let error = ask("nginx:1", text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
        std::fs::remove_file(&path).unwrap();
        let credentials = Credentials { docker_daemon: Some(path), ..Credentials::default() };
        assert_eq!(places("nginx".parse().unwrap(), &credentials).unwrap().len(), 1);
    }
}
