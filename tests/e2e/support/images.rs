//! A registry on a machine's loopback, with the images of real programs that `tests/images/build` makes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// What the script ends with where Debian's packages cannot be had.
const UNAVAILABLE: i32 = 75;

/// The folder of the images, made by whoever comes first; `None` where that is not possible, with the reason on the
/// terminal: a scenario that was skipped must not look like one that passed.
pub(super) fn folder() -> Option<&'static Path> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(make).as_deref()
}

fn make() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/images/build");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let output = match Command::new("python3").arg(&script).arg(target).output() {
        Ok(output) => output,
        Err(error) => return skip(&format!("python3: {error}")),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end())),
        Some(UNAVAILABLE) => skip(&said),
        _ => panic!("{} failed: {said}", script.display()),
    }
}

/// Written past the test harness, which hides what is printed by tests that pass.
fn skip(reason: &str) -> Option<PathBuf> {
    let _ = writeln!(io::stderr(), "skipped: scenarios of real programs, no images can be made: {reason}");
    None
}

/// Answers pulls of the images for as long as the test's process lives.
pub(super) fn serve(listener: TcpListener, images: &'static Path) {
    let index = fs::read(images.join("index.json")).expect("the layout has an index");
    let index: Value = serde_json::from_slice(&index).expect("the index is JSON");
    let names = index["manifests"].as_array().into_iter().flatten().filter_map(|manifest| {
        let name = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str()?;
        let (repository, tag) = name.split_once(':')?;
        let library = if repository.contains('/') { "" } else { "library/" };
        let digest = manifest["digest"].as_str()?.to_owned();
        Some((format!("/v2/{library}{repository}/manifests/{tag}"), digest))
    });
    let names: BTreeMap<String, String> = names.collect();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let names = names.clone();
            // Whoever asked may have gone; that is no mistake of the registry's.
            std::thread::spawn(move || answer(stream, images, &names));
        }
    });
}

fn answer(mut stream: TcpStream, images: &Path, names: &BTreeMap<String, String>) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if path == "/v2/" {
        return write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
    }
    let digest = names.get(path).map_or_else(|| path.rsplit('/').next().unwrap_or_default(), String::as_str);
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|b| b.is_ascii_alphanumeric()));
    let Some(mut blob) = hex.and_then(|hex| fs::File::open(images.join("blobs/sha256").join(hex)).ok())
    else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let length = blob.metadata()?.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nDocker-Content-Digest: {digest}\r\nConnection: close\r\n\r\n"
    )?;
    if method == "GET" {
        io::copy(&mut blob, &mut stream)?;
    }
    Ok(())
}
