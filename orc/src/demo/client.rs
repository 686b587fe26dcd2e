//! `demo get`, `put` and `seed`: a client for the other two.

use std::net::{IpAddr, SocketAddr};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http::{Reader, Response};
use super::{Outcome, block_on, dns, limits, required};
use crate::output::raw;

/// Prints what is at a URL. An answer other than 2xx is a failure.
pub(super) fn get(args: &[String]) -> Outcome {
    finish(required(args, 0, "the URL")?, "GET", b"")
}

/// Stores a text at a URL.
pub(super) fn put(args: &[String]) -> Outcome {
    finish(required(args, 0, "the URL")?, "PUT", required(args, 1, "the text")?.as_bytes())
}

/// Stores `KEY=VALUE` pairs at a store.
pub(super) fn seed(args: &[String]) -> Outcome {
    let store = required(args, 0, "the store's URL")?.trim_end_matches('/');
    for pair in &args[1..] {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not KEY=VALUE"))?;
        finish(&format!("{store}/kv/{key}"), "PUT", value.as_bytes())?;
        raw::stdout(format!("stored {key}\n").as_bytes());
    }
    Ok(0)
}

fn finish(url: &str, method: &str, body: &[u8]) -> Outcome {
    let response = block_on(exchange(method, url, body))?;
    if !(200..300).contains(&response.status) {
        let text = String::from_utf8_lossy(&response.body);
        return Err(format!("{url} answered {}: {}", response.status, text.trim_end()));
    }
    raw::stdout(&response.body);
    Ok(0)
}

/// One request and its answer.
pub(super) async fn exchange(method: &str, url: &str, body: &[u8]) -> Result<Response, String> {
    let target = Target::parse(url)?;
    match timeout(limits::EXCHANGE, talk(method, &target, body)).await {
        Ok(result) => result.map_err(|error| format!("{url}: {error}")),
        Err(_) => Err(format!("{url}: no answer within {} s", limits::EXCHANGE.as_secs())),
    }
}

async fn talk(method: &str, target: &Target, body: &[u8]) -> Result<Response, String> {
    let mut stream = connect(target).await?;
    let head = format!(
        "{method} {} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        target.path,
        target.host,
        body.len(),
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.map_err(|error| error.to_string())?;
    Reader::new(stream).response().await
}

/// Tries the addresses of the name in order, as a client must when a replica has just gone.
async fn connect(target: &Target) -> Result<TcpStream, String> {
    let mut last = String::from("the name has no address");
    for address in dns::addresses(&target.host).await? {
        match TcpStream::connect(SocketAddr::new(address, target.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("cannot connect to {address}: {error}"),
        }
    }
    Err(last)
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("`{url}` is not an http:// URL"))?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("`{port}` is not a port"))?)
            }
            _ => (authority, 80),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() || (host.contains(':') && host.parse::<IpAddr>().is_err()) {
            return Err(format!("`{url}` names no host"));
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_path() {
        let check = |url: &str, host: &str, port: u16, path: &str| {
            let expect = Target { host: host.into(), port, path: path.into() };
            assert_eq!(Target::parse(url), Ok(expect), "{url}");
        };
        check("http://store", "store", 80, "/");
        check("http://store:81/kv/a?b", "store", 81, "/kv/a?b");
        check("http://10.0.0.1/", "10.0.0.1", 80, "/");
        check("http://[fd00::1]:8080/x", "fd00::1", 8080, "/x");
        check("http://[::1]", "::1", 80, "/");
        for bad in ["https://x", "store", "http://", "http://:80", "http://a:b:c", "http://a:99999"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
