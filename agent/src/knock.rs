//! Health checks from outside (`x-probe`): a connection to the container's address, and what is said over it.

use std::net::SocketAddr;
use std::time::Duration;

use api::health::HealthCheckRequest;
use api::health::health_check_response::ServingStatus;
use api::health::health_client::HealthClient;
use cluster::Probe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use crate::chain;
use crate::core::{Knock, ProbeResult};
use crate::limits::PROBE_ANSWER_BYTES;

/// Statuses from here on say that something is wrong.
const FIRST_BAD_STATUS: u16 = 400;

/// Knocks, and says what came.
pub(crate) async fn knock(knock: &Knock) -> ProbeResult {
    let ask = async {
        match &knock.probe {
            Probe::Tcp { port } => tcp(SocketAddr::new(knock.address, *port)).await,
            Probe::Http { port, path } => http(SocketAddr::new(knock.address, *port), path).await,
            Probe::Grpc { port, service } => grpc(SocketAddr::new(knock.address, *port), service).await,
        }
    };
    match tokio::time::timeout(Duration::from_millis(knock.timeout_ms), ask).await {
        Ok(Ok(output)) => ProbeResult { code: 0, timed_out: false, output },
        Ok(Err(output)) => ProbeResult { code: 1, timed_out: false, output },
        Err(_) => ProbeResult { code: 1, timed_out: true, output: String::new() },
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| format!("cannot connect to {address}: {error}"))
}

async fn tcp(address: SocketAddr) -> Result<String, String> {
    connect(address).await.map(|_| format!("{address} accepts connections"))
}

async fn http(address: SocketAddr, path: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("no answer to GET {path} from {address}: {error}");
    let mut stream = connect(address).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: orc\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    let mut limited = stream.take(PROBE_ANSWER_BYTES as u64);
    while !answer.contains(&b'\n') {
        if limited.read_buf(&mut answer).await.map_err(failed)? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)?.parse::<u16>().ok());
    match status {
        Some(status) if status < FIRST_BAD_STATUS => Ok(line),
        Some(_) => Err(format!("GET {path} from {address}: {line}")),
        None => Err(format!("what answers at {address} does not speak HTTP")),
    }
}

async fn grpc(address: SocketAddr, service: &str) -> Result<String, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| chain(&error))?;
    let channel = endpoint.connect().await.map_err(|error| format!("{address}: {}", chain(&error)))?;
    let request = HealthCheckRequest { service: service.to_owned() };
    let mut client = HealthClient::new(channel).max_decoding_message_size(PROBE_ANSWER_BYTES);
    let answer = client.check(request).await;
    let status = answer.map_err(|status| format!("{address}: {}", status.message()))?.into_inner().status();
    match status {
        ServingStatus::Serving => Ok("SERVING".to_owned()),
        other => Err(format!("{address} says {}", other.as_str_name())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers one connection so.
    async fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1024];
            // Who only connects sends nothing.
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        port
    }

    async fn ask(probe: Probe) -> (i32, String) {
        let result = knock(&Knock { address: [127, 0, 0, 1].into(), probe, timeout_ms: 5_000 }).await;
        (result.code, result.output)
    }

    #[tokio::test]
    async fn an_http_status_decides() {
        for (answer, code, says) in [
            ("HTTP/1.1 200 OK\r\n\r\n", 0, "HTTP/1.1 200 OK"),
            ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", 0, "302"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "503 Service Unavailable"),
            ("SSH-2.0\r\n", 1, "does not speak HTTP"),
            ("", 1, "does not speak HTTP"),
        ] {
            let port = server(answer).await;
            let (got, said) = ask(Probe::Http { port, path: "/".into() }).await;
            assert!(got == code && said.contains(says), "{answer:?}: {got} {said}");
        }
    }

    #[tokio::test]
    async fn a_connection_is_enough_for_tcp_and_nobody_is_not() {
        let port = server("").await;
        assert_eq!(ask(Probe::Tcp { port }).await.0, 0);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap().port();
        drop(listener);
        let (code, said) = ask(Probe::Tcp { port: closed }).await;
        assert!(code == 1 && said.contains("cannot connect"), "{said}");
    }
}
