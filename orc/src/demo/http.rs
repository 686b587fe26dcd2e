//! As much of HTTP/1.1 as the demo needs: requests and answers with a length, one after another.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::limits;

/// A request as the server sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path, without a query.
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    /// The client wants to send another one over the same connection.
    pub(super) keep_alive: bool,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into().into_bytes() }
    }

    /// The bytes to send.
    pub(super) fn encode(&self, keep_alive: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            204 => "No Content",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            502 => "Bad Gateway",
            _ => "Error",
        };
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut bytes = format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n",
            self.status,
            self.body.len(),
        )
        .into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What was read from a connection and not used yet.
pub(super) struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next request; `None` when the client has hung up between two of them.
    pub(super) async fn request(&mut self) -> Result<Option<Request>, String> {
        let Some(head) = self.head().await? else { return Ok(None) };
        let mut words = head.start.split(' ');
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("`{}` is not a request", head.start));
        };
        let path = target.split(['?', '#']).next().unwrap_or(target).to_owned();
        let keep_alive = match head.header("connection") {
            Some(value) => value.eq_ignore_ascii_case("keep-alive"),
            None => version == "HTTP/1.1",
        };
        let method = method.to_owned();
        let body = self.body(head.length()?.unwrap_or(0)).await?;
        Ok(Some(Request { method, path, body, keep_alive }))
    }

    /// The answer to a request that asked for the connection to be closed after it.
    pub(super) async fn response(&mut self) -> Result<Response, String> {
        let head = self.head().await?.ok_or("the server hung up without an answer")?;
        let status = head.start.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| format!("`{}` is not an answer", head.start))?;
        let body = match head.length()? {
            Some(length) => self.body(length).await?,
            None => self.rest().await?,
        };
        Ok(Response { status, body })
    }

    async fn head(&mut self) -> Result<Option<Head>, String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                return Ok(Some(Head::parse(&text)));
            }
            if self.buffer.len() > limits::HEAD_BYTES {
                return Err(format!("headers of more than {} bytes", limits::HEAD_BYTES));
            }
            match self.more().await? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => return Err("the connection ended in the middle of the headers".to_owned()),
                _ => {}
            }
        }
    }

    async fn body(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.buffer.len() < length {
            if self.more().await? == 0 {
                return Err("the connection ended in the middle of the body".to_owned());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn rest(&mut self) -> Result<Vec<u8>, String> {
        while self.more().await? > 0 {
            if self.buffer.len() > limits::BODY_BYTES {
                return Err(too_long());
            }
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    async fn more(&mut self) -> Result<usize, String> {
        self.stream.read_buf(&mut self.buffer).await.map_err(|error| error.to_string())
    }
}

struct Head {
    start: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        Self { start, headers: headers.map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned())).collect() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn length(&self) -> Result<Option<usize>, String> {
        if self.header("transfer-encoding").is_some() {
            return Err("a body in chunks is not understood".to_owned());
        }
        let Some(text) = self.header("content-length") else { return Ok(None) };
        let length: usize = text.parse().map_err(|_| format!("`{text}` is not a length"))?;
        if length > limits::BODY_BYTES { Err(too_long()) } else { Ok(Some(length)) }
    }
}

fn too_long() -> String {
    format!("a body of more than {} bytes", limits::BODY_BYTES)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(bytes: &[u8]) -> Vec<Result<Option<Request>, String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = Reader::new(bytes);
            let mut all = Vec::new();
            loop {
                let next = reader.request().await;
                let last = !matches!(next, Ok(Some(_)));
                all.push(next);
                if last {
                    return all;
                }
            }
        })
    }

    #[test]
    fn requests_follow_one_another_on_a_connection() {
        let all = requests(b"PUT /kv/a?x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.0\r\n\r\n");
        let put =
            Request { method: "PUT".into(), path: "/kv/a".into(), body: b"hi".to_vec(), keep_alive: true };
        let get = Request { method: "GET".into(), path: "/".into(), body: Vec::new(), keep_alive: false };
        assert_eq!(all, [Ok(Some(put)), Ok(Some(get)), Ok(None)]);
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_reason() {
        let check = |bytes: &[u8], expect: &str| {
            let error = requests(bytes).pop().unwrap().unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check(b"hello\r\n\r\n", "not a request");
        check(b"GET / HT", "in the middle of the headers");
        check(b"PUT / HTTP/1.1\r\ncontent-length: 9\r\n\r\nab", "in the middle of the body");
        check(b"PUT / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", "more than 1048576 bytes");
        check(b"PUT / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "not a length");
        check(b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", "chunks");
        check(&b"x".repeat(limits::HEAD_BYTES + 9), "headers of more than");
    }
}
