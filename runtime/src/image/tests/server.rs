//! A registry of a hundred lines on 127.0.0.1, which fails as the test wants it to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::*;

/// Signed the certificate of [`Server::secure`]; its key is gone, so that it never signs another.
pub(super) const CA: &[u8] = include_bytes!("tls/ca.crt");

/// What the registry has.
#[derive(Default)]
pub(super) struct Content {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
}

impl Content {
    pub(super) fn blob(&mut self, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        self.blobs.insert(digest.to_string(), content.to_vec());
        digest
    }

    /// Another content under the same digest.
    pub(super) fn corrupt(&mut self, digest: &Digest, content: &[u8]) {
        self.blobs.insert(digest.to_string(), content.to_vec());
    }

    pub(super) fn manifest(&mut self, tag: &str, manifest: &Value) -> Digest {
        let text = manifest.to_string().into_bytes();
        let digest = Digest::of(&text);
        self.manifests.insert(digest.to_string(), text.clone());
        self.manifests.insert(tag.to_owned(), text);
        digest
    }

    /// An image of layers: the plain archive, and how it is sent.
    pub(super) fn image(&mut self, tag: &str, layers: &[(&[u8], &[u8])]) -> Digest {
        let plain: Vec<&[u8]> = layers.iter().map(|(plain, _)| *plain).collect();
        let config = config(&plain);
        let describe = |content: &mut Content, bytes: &[u8]| json!({"mediaType": "x", "digest": content.blob(bytes), "size": bytes.len()});
        let layers: Vec<Value> = layers.iter().map(|(_, sent)| describe(self, sent)).collect();
        let config = describe(self, &config);
        self.manifest(tag, &json!({"schemaVersion": 2, "config": config, "layers": layers}))
    }
}

pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    /// How often this path was asked for before.
    pub(super) before: usize,
}

#[derive(Default)]
pub(super) struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Only so many bytes of the body are sent, though the header promises all.
    cut: Option<usize>,
}

impl Response {
    pub(super) fn status(status: u16) -> Response {
        Response { status, ..Response::default() }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Response {
        self.body = body.into();
        self
    }

    pub(super) fn cut(mut self, bytes: usize) -> Response {
        self.cut = Some(bytes);
        self
    }
}

/// Changes the answer to a request.
type Fault = dyn Fn(&Request, Response) -> Response + Send + Sync;

pub(super) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// The thread ends with the test's process; the port is the kernel's choice.
    pub(super) fn start(
        content: Content,
        fault: impl Fn(&Request, Response) -> Response + Send + Sync + 'static,
    ) -> Server {
        Server::listen(content, fault, None)
    }

    /// One that speaks TLS; its certificate is for 127.0.0.1 and signed by [`CA`].
    pub(super) fn secure(
        content: Content,
        fault: impl Fn(&Request, Response) -> Response + Send + Sync + 'static,
    ) -> Server {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(include_bytes!("tls/server.crt"))
            .map(|certificate| certificate.unwrap())
            .collect();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Server::listen(content, fault, Some(Arc::new(config)))
    }

    fn listen(
        content: Content,
        fault: impl Fn(&Request, Response) -> Response + Send + Sync + 'static,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server { address: listener.local_addr().unwrap(), log: Arc::default() };
        let (log, content, fault): (_, _, Arc<Fault>) =
            (server.log.clone(), Arc::new(content), Arc::new(fault));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, content, fault, tls) = (log.clone(), content.clone(), fault.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(&stream, &log, &content, &*fault),
                    Some(config) => {
                        let session = rustls::ServerConnection::new(config).unwrap();
                        serve(rustls::StreamOwned::new(session, stream), &log, &content, &*fault)
                    }
                });
            }
        });
        server
    }

    pub(super) fn honest(content: Content) -> Server {
        Server::start(content, |_, response| response)
    }

    pub(super) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub(super) fn requests(&self, part: &str) -> Vec<String> {
        self.log.lock().unwrap().iter().filter(|line| line.contains(part)).cloned().collect()
    }
}

fn serve(
    mut stream: impl Read + Write,
    log: &Mutex<Vec<String>>,
    content: &Content,
    fault: &Fault,
) -> Option<()> {
    let mut lines = BufReader::new(&mut stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers: BTreeMap<String, String> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let range = headers.get("range").cloned().unwrap_or_default();
    let line = format!("{method} {path}");
    let before = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|known| known.starts_with(&line)).count();
        log.push(format!("{line} {range}"));
        before
    };
    let request = Request { method, path, headers, before };
    let response = fault(&request, answer(&request, content));
    send(stream, &request, response)
}

fn answer(request: &Request, content: &Content) -> Response {
    let last = request.path.rsplit('/').next().unwrap_or_default();
    let unknown = || {
        let text = r#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}"#;
        Response::status(404).body(text)
    };
    if request.path == "/v2/" {
        return Response::status(200);
    }
    let found = if request.path.contains("/manifests/") {
        content.manifests.get(last)
    } else {
        content.blobs.get(last)
    };
    let Some(body) = found else { return unknown() };
    match request
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
    {
        Some(start) if start < body.len() => Response::status(206).body(&body[start..]),
        Some(_) => Response::status(416),
        None => Response::status(200).body(body.as_slice()),
    }
}

fn send(mut stream: impl Write, request: &Request, response: Response) -> Option<()> {
    let mut head = format!(
        "HTTP/1.1 {} x\r\nconnection: close\r\ncontent-length: {}\r\n",
        response.status,
        response.body.len()
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    if request.method != "HEAD" {
        let sent = response.cut.unwrap_or(response.body.len()).min(response.body.len());
        stream.write_all(&response.body[..sent]).ok()?;
    }
    stream.flush().ok()
}
