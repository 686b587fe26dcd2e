//! A registry on the machine's own loopback with one small image, which counts how often it is asked what the
//! image's name means, and fails when it is told to.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Machine;

/// A registry that serves until its machine ends.
pub(crate) struct Registry {
    asked: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
    /// The image's reference.
    pub(crate) image: String,
}

/// What the registry serves: the manifest, and blobs by their digests.
struct Content {
    manifest: String,
    blobs: Vec<(String, Vec<u8>)>,
}

impl Registry {
    /// Serves an image for this machine's processor with the file `/etc/hello` at the address.
    pub(crate) fn new(machine: &Machine, address: &str) -> Self {
        let content = content(machine);
        let listener = machine.listen(address);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let failures = Arc::new(AtomicUsize::new(0));
        let fails = failures.clone();
        // The thread ends with the test's process; nobody waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is none of the registry's business.
                let _ = answer(stream, &content, &count, &fails);
            }
        });
        Self { asked, failures, image: format!("{address}/hello:1") }
    }

    /// The next so many requests are told to come another time.
    pub(crate) fn fails(&self, requests: usize) {
        self.failures.store(requests, Ordering::SeqCst);
    }

    /// How often it was asked what the tag means.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn content(machine: &Machine) -> Content {
    machine
        .shell("mkdir -p image/etc && echo hello > image/etc/hello && tar -C image -cf layer.tar etc")
        .ok();
    let read = |name: &str| std::fs::read(machine.work().join(name)).expect("it was just written");
    let digest = |name: &str| {
        let sum = machine.shell(&format!("sha256sum {name}"));
        format!("sha256:{}", sum.ok().split(' ').next().expect("a sum"))
    };
    let (layer, layer_digest) = (read("layer.tar"), digest("layer.tar"));
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = serde_json::json!({
        "architecture": processor, "os": "linux", "config": {"Cmd": ["/etc/hello"]},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
    });
    machine.file("config.json", &config.to_string());
    let (config, config_digest) = (read("config.json"), digest("config.json"));
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len()}],
    });
    Content { manifest: manifest.to_string(), blobs: vec![(config_digest, config), (layer_digest, layer)] }
}

/// Answers one request and closes the connection.
fn answer(
    mut stream: TcpStream,
    content: &Content,
    asked: &AtomicUsize,
    failures: &AtomicUsize,
) -> io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&piece[..count]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    if failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        return write!(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let blob = content.blobs.iter().find(|(digest, _)| path.ends_with(digest));
    let (kind, body): (&str, &[u8]) = match blob {
        Some((_, bytes)) => ("application/octet-stream", bytes),
        None if path.contains("/manifests/") => {
            asked.fetch_add(1, Ordering::SeqCst);
            ("application/vnd.oci.image.manifest.v1+json", content.manifest.as_bytes())
        }
        None => ("application/json", b"{}"),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if request.starts_with("HEAD ") { Ok(()) } else { stream.write_all(body) }
}
