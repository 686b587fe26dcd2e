//! `demo tcp-echo` and `udp-echo`: which replica got it, and what; `udp-send` asks the latter.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Outcome, block_on, dns, hostname, limits, number, required};
use crate::output::raw;

/// Says its name on every connection and repeats each line.
pub(super) fn tcp(args: &[String]) -> Outcome {
    let port: u16 = number(args, 0, 7)?;
    block_on(until_terminated(async move {
        let listener = TcpListener::bind(("::", port)).await.map_err(|error| error.to_string())?;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < limits::CONNECTIONS => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(repeat(stream));
                    }
                }
                _ = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }))
}

async fn repeat(stream: TcpStream) {
    let (reader, mut writer) = stream.into_split();
    if writer.write_all(format!("{}\n", hostname()).as_bytes()).await.is_err() {
        return;
    }
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(limits::LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if writer.write_all(&line).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Answers each datagram with its name, a space and the datagram.
pub(super) fn udp(args: &[String]) -> Outcome {
    let port: u16 = number(args, 0, 7)?;
    block_on(until_terminated(async move {
        let socket = UdpSocket::bind(("::", port)).await.map_err(|error| error.to_string())?;
        let mut datagram = vec![0; limits::DATAGRAM];
        loop {
            if let Ok((length, from)) = socket.recv_from(&mut datagram).await {
                let answer = [hostname().as_bytes(), b" ", &datagram[..length]].concat();
                let _ = socket.send_to(&answer, from).await;
            }
        }
    }))
}

/// Sends a datagram and prints the answer.
pub(super) fn send(args: &[String]) -> Outcome {
    let target = required(args, 0, "HOST:PORT")?;
    let text = required(args, 1, "the text")?;
    let (host, port) = target.rsplit_once(':').ok_or_else(|| format!("`{target}` is not HOST:PORT"))?;
    let port: u16 = port.parse().map_err(|_| format!("`{port}` is not a port"))?;
    block_on(async {
        let mut addresses = dns::addresses(host.trim_matches(['[', ']'])).await?;
        let address = addresses.pop().ok_or("the name has no address")?;
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let exchange = async {
            let socket = UdpSocket::bind(any).await?;
            socket.connect((address, port)).await?;
            socket.send(text.as_bytes()).await?;
            let mut answer = vec![0; limits::DATAGRAM];
            let length = socket.recv(&mut answer).await?;
            std::io::Result::Ok(answer[..length].to_vec())
        };
        match timeout(limits::EXCHANGE, exchange).await {
            Ok(Ok(answer)) => raw::stdout(&[&answer[..], b"\n"].concat()),
            Ok(Err(error)) => return Err(format!("{target}: {error}")),
            Err(_) => return Err(format!("{target}: no answer")),
        }
        Ok(0)
    })
}

async fn until_terminated(work: impl Future<Output = Outcome>) -> Outcome {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        outcome = work => outcome,
        _ = terminate.recv() => Ok(0),
    }
}
