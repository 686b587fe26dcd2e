//! `demo store`: a key-value store over HTTP whose answers are true after a power cut.
//!
//! One file per key. A value is written beside its key, synced, renamed over it, and the folder synced:
//! whoever got an answer to `PUT` finds the value again, and nobody ever finds half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::http::{Request, Response};
use super::server::{self, Handler};
use super::{Outcome, block_on, limits, number};

/// Serves until SIGTERM, from the folder in `DATA` or from `/data`.
pub(super) fn run(args: &[String]) -> Outcome {
    let port = number(args, 0, 80)?;
    let folder = PathBuf::from(std::env::var_os("DATA").unwrap_or_else(|| "/data".into()));
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    block_on(server::run(port, Store { folder }))?;
    Ok(0)
}

struct Store {
    folder: PathBuf,
}

impl Handler for Store {
    async fn answer(&self, request: Request, _: IpAddr) -> Response {
        let key = request.path.strip_prefix("/kv/");
        let result = match (request.method.as_str(), key) {
            ("GET" | "HEAD", None) if request.path == "/healthz" => return Response::text(200, "ok\n"),
            ("GET" | "HEAD", None) if request.path == "/kv" => self.keys(),
            (_, None) => return Response::text(404, "there is nothing here\n"),
            (_, Some(key)) if !is_key(key) => return Response::text(400, format!("`{key}` is no key\n")),
            ("GET" | "HEAD", Some(key)) => fs::read(self.folder.join(key)),
            ("PUT", Some(key)) => put(&self.folder, key, &request.body).map(|()| Vec::new()),
            ("DELETE", Some(key)) => remove(&self.folder, key).map(|()| Vec::new()),
            (_, Some(_)) => return Response::text(405, "this cannot be done here\n"),
        };
        match result {
            Ok(body) => Response { status: 200, body },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Response::text(404, "no such key\n"),
            Err(error) => Response::text(500, format!("{error}\n")),
        }
    }
}

impl Store {
    fn keys(&self) -> io::Result<Vec<u8>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_key(&name) {
                names.push(format!("{name}\n"));
            }
        }
        names.sort_unstable();
        Ok(names.concat().into_bytes())
    }
}

/// A key is a file name without a leading dot, which marks values that are being written.
fn is_key(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= limits::KEY_CHARS && !text.starts_with('.') && text.chars().all(allowed)
}

fn put(folder: &Path, key: &str, value: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!(".{key}.new"));
    let mut file = File::create(&beside)?;
    file.write_all(value)?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(key))?;
    File::open(folder)?.sync_all()
}

fn remove(folder: &Path, key: &str) -> io::Result<()> {
    fs::remove_file(folder.join(key))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(store: &Store, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = Request {
            method: method.into(),
            path: path.into(),
            body: body.as_bytes().to_vec(),
            keep_alive: false,
        };
        let answer = store.answer(request, IpAddr::from([127, 0, 0, 1]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = runtime.block_on(answer);
        (response.status, String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn values_are_kept_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().to_owned() };
        assert_eq!(ask(&store, "GET", "/kv/colour", ""), (404, "no such key\n".into()));
        assert_eq!(ask(&store, "PUT", "/kv/colour", "blue").0, 200);
        assert_eq!(ask(&store, "PUT", "/kv/colour", "green").0, 200);
        assert_eq!(ask(&store, "GET", "/kv/colour", ""), (200, "green".into()));
        assert_eq!(ask(&store, "GET", "/kv", ""), (200, "colour\n".into()));
        assert_eq!(ask(&store, "DELETE", "/kv/colour", "").0, 200);
        assert_eq!(ask(&store, "GET", "/kv", ""), (200, String::new()));
    }

    #[test]
    fn no_key_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().to_owned() };
        for path in ["/kv/..", "/kv/../x", "/kv/a/b", "/kv/", "/kv/.a.new"] {
            assert_eq!(ask(&store, "PUT", path, "x").0, 400, "{path}");
        }
    }
}
